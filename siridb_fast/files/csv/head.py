"""The head of a CSV file, decompressed, and the dialect that is settled by it.

This module needs pyarrow, for its decompression (see `siridb_fast.files.open`).
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from siridb_fast.files.arrow_schema import reading
from siridb_fast.files.base import ReadOptions
from siridb_fast.files.csv.dialect import Dialect
from siridb_fast.files.csv.guess import HEAD_BYTES, guess_dialect
from siridb_fast.files.paths import compression

__all__ = ["settled_dialect"]


def settled_dialect(path: Path, options: ReadOptions) -> Dialect:
    """Return how a file is read: as the options say, or as its head shows.

    Raises:
        FileError: It cannot be read, or can be read in several ways.
    """
    if options.dialect is not None:
        return options.dialect
    head = _head(path, HEAD_BYTES + 1)
    return guess_dialect(head[:HEAD_BYTES], options, path, len(head) <= HEAD_BYTES)


def _head(path: Path, size: int) -> bytes:
    codec = compression(path)
    what = "a CSV file" if codec is None else f"a CSV file compressed with {codec}"
    with reading(path, what), pa.OSFile(str(path)) as file:
        if codec is None:
            head: bytes = file.read(size)
        else:
            with pa.CompressedInputStream(file, codec) as stream:
                head = stream.read(size)
    return head
