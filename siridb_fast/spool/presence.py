"""Whether the open file of a spool, and its log, still have their names.

SQLite goes on with a file that somebody has deleted, and all of it is gone when it is closed.
Knows inodes; nothing of what is in a file.
"""

from __future__ import annotations

import os
from pathlib import Path

from siridb_fast.errors import SpoolError
from siridb_fast.spool.schema import log_path

__all__ = ["Presence"]


class Presence:
    """The files of one spool, as they were when it was opened.

    Args:
        path: Of the spool, which SQLite has open.

    Raises:
        SpoolError: One of them is not there, or cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._files: dict[Path, int] = {}
        try:
            for file in (path, log_path(path)):
                self._files[file] = os.open(file, os.O_RDONLY)
        except OSError as exc:
            self.close()
            raise SpoolError(f"{path}: cannot be opened: {exc.strerror}") from exc

    def is_deleted(self) -> bool:
        """Tell whether somebody has deleted one of the files.

        Raises:
            SpoolError: It was moved, or another one has its name, or nobody can tell.
        """
        return any([_is_deleted(path, file) for path, file in self._files.items()])  # noqa: C419 - all

    def close(self) -> None:
        """End this, once SQLite has closed the file: its locks end with any close."""
        while self._files:
            os.close(self._files.popitem()[1])


def _is_deleted(path: Path, file: int) -> bool:
    opened = os.fstat(file)
    try:
        found = path.stat()
    except FileNotFoundError:
        if opened.st_nlink == 0:
            return True
        raise SpoolError(f"{path}: was moved away, or unmounted, while it was open") from None
    except OSError as exc:
        raise SpoolError(f"{path}: cannot be found: {exc.strerror}") from exc
    if not os.path.samestat(opened, found):
        raise SpoolError(f"{path}: another file has taken its place while it was open")
    return False
