"""By what a manifest tells files apart, and whether one was changed.

A file is its path, without links. Nothing less will do: files of one name, and of one size and
time of change too, lie side by side in the folders of many sensors, and one that was taken for
another would be left out without a word. A file that another container has under another path is
not known there, and is compared with the database: slower, and as exact.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["name_of", "version_of"]


def name_of(file: Path) -> str:
    """Return the path of a file, as text that every manifest takes."""
    # SQLite takes no text that is not UTF-8, which a name may be.
    return os.fsencode(file.resolve()).decode("utf-8", "backslashreplace")


def version_of(file: Path) -> tuple[int, int]:
    """Return size and time of change, in nanoseconds."""
    status = file.stat()
    return status.st_size, status.st_mtime_ns
