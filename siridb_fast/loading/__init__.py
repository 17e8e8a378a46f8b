"""Frames and files into a writer: roles of columns, names of series, portions, progress, resuming.

The folder of the public function `siridb_fast.load`; it is not called `load` because that function
would hide it. It knows nothing of command lines. It imports `writer`, `files` and what lies below.
"""
