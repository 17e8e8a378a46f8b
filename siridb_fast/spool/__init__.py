"""Sealed packages on disk, in SQLite: the store, its lock, its reader, the salvage of damage.

It knows nothing of servers or of a package's life; it keeps bytes, in order, with checksums. It
imports `protocol` and `concurrency`.
"""
