"""The head of a CSV file, and the dialect that is settled by it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from siridb_fast.files.base import ReadOptions
from siridb_fast.files.csv.dialect import Dialect
from siridb_fast.files.csv.guess import HEAD_BYTES, guess_dialect
from siridb_fast.files.text_file import TextFile

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
    with closing(TextFile(path, "a CSV file")) as file:
        return file.read(size)
