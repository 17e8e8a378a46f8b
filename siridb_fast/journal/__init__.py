"""Accepted points on disk within milliseconds: the file of a journal, and who writes it.

It knows nothing of servers or of a package's life; it keeps records of points until they are
released. It imports `batching`, `spool` and `concurrency`.
"""
