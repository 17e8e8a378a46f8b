"""One load of a file into a database at a time: locks that end with whoever has them.

All of them are bytes of one file of the user, each at the place that follows from the file to load
and the database. The kernel gives them back when the process ends, however it ends. Two loads of
one process exclude each other too.

What a lock costs grows with the locks that a load has. So one of many files in a folder locks the
folder, which others share who lock files in it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import tempfile
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Self

from siridb_fast.concurrency.fork import own
from siridb_fast.errors import FileError
from siridb_fast.loading.database_id import DatabaseId
from siridb_fast.loading.state_folder import state_folder

__all__ = ["FileLocks"]

MANY = 500  # files of one folder
LOCK_NAME = "loads.lock"
FLOCK = struct.Struct("@hhqqi4x")  # struct flock: type, whence, start, length, pid
OPEN = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
TAKEN = (errno.EACCES, errno.EAGAIN)


class FileLocks:
    """The locks of one load; a context manager, which gives them back.

    Args:
        files: That it reads; none of them twice.
        database: That it writes to.

    Raises:
        FileError: Another load has one of them, into the same database.
    """

    def __init__(self, files: Iterable[Path], database: DatabaseId) -> None:
        self._file = _open()
        own(self)  # a child of a fork would keep them beyond the end of its parent
        try:
            for folder, some in _by_folder(files).items():
                is_whole = len(some) > MANY
                self._lock(folder, database, is_shared=not is_whole)
                for file in () if is_whole else some:
                    self._lock(file, database)
        except BaseException:
            self.release()
            raise

    def _lock(self, path: Path, database: DatabaseId, *, is_shared: bool = False) -> None:
        for place in _places(path, database):
            if not _try_lock(self._file, place, is_shared=is_shared):
                text = "another load of it into this database is under way"
                raise FileError(text, file=str(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.release()

    def release(self) -> None:
        """Give all of them back."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def disown(self) -> None:
        """Close the file in a child of a fork; the parent has the locks until it ends."""
        self.release()


def _open() -> int:
    # Whoever has no folder for it, or may not write there, has one for the time being.
    temporary = Path(tempfile.gettempdir()) / f"siridb_fast-{os.getuid()}"
    for folder in (state_folder(), temporary):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(folder / LOCK_NAME, OPEN, 0o600)
        except OSError as exc:
            error = exc
    text = f"the locks of loads cannot be opened: {error.strerror}"
    raise FileError(text, file=str(temporary / LOCK_NAME))


def _by_folder(files: Iterable[Path]) -> dict[Path, list[Path]]:
    found: dict[Path, list[Path]] = {}
    for file in files:
        found.setdefault(file.resolve().parent, []).append(file)
    return found


def _places(file: Path, database: DatabaseId) -> list[int]:
    # Of each server that is known: another load may know some of them.
    known = sorted(database.servers) or [f"{database.hosts}/{database.name}"]
    name = os.fsencode(file.resolve())
    return [_number(one.encode() + b"\0" + name) for one in known]


def _number(key: bytes) -> int:
    return int.from_bytes(blake2b(key, digest_size=8).digest()) >> 2  # of 62 bits


def _try_lock(file: int, place: int, *, is_shared: bool) -> bool:
    try:
        if hasattr(fcntl, "F_OFD_SETLK"):
            kind = fcntl.F_RDLCK if is_shared else fcntl.F_WRLCK
            lock = FLOCK.pack(kind, os.SEEK_SET, place, 1, 0)
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, lock)
        else:  # it excludes other processes alone
            kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
            fcntl.lockf(file, kind | fcntl.LOCK_NB, 1, place)
    except OSError as exc:
        if exc.errno in TAKEN:
            return False
        raise
    return True
