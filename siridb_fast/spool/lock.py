"""One writer per spool: a lock that the kernel gives back when its process ends, however it ends.

Knows nothing of SQLite. Rule: the file of the lock stays, and says the pid of whoever holds it.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

from siridb_fast.concurrency.fork import own
from siridb_fast.errors import SpoolError, SpoolLockedError

__all__ = ["SpoolLock", "holder_of"]

PRIVATE = 0o600
ATTEMPTS = 10  # whoever asks for the holder has the lock for some microseconds
RETRY_INTERVAL = 0.01


class SpoolLock:
    """The lock of one spool, held until `release` or the end of this process.

    Args:
        path: Of the spool.

    Raises:
        SpoolLockedError: Another process, or another object of this one, has it.
        SpoolError: The file of the lock cannot be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = os.open(_lock_file(path), os.O_RDWR | os.O_CREAT, PRIVATE)
            os.fchmod(self._file, PRIVATE)
        except OSError as exc:
            raise SpoolError(f"{path}: cannot be locked: {exc.strerror}") from exc
        if not _try_lock(self._file):
            holder = _pid_in(self._file)
            os.close(self._file)
            raise SpoolLockedError(str(path), holder)
        _note_pid(self._file, os.getpid())
        self._pid = os.getpid()
        own(self)  # a child of a fork would keep it beyond the end of its parent

    def release(self) -> None:
        """Give the lock back."""
        if self._file >= 0 and os.getpid() == self._pid:
            _note_pid(self._file, None)
            fcntl.flock(self._file, fcntl.LOCK_UN)
        self.disown()

    def disown(self) -> None:
        """Close the file, so that the lock ends with the process that took it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def holder_of(path: Path) -> int | None:
    """Return the pid of the process that writes to a spool, 0 if it is not known; None: nobody."""
    try:
        file = os.open(_lock_file(path), os.O_RDONLY)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise SpoolError(f"{path}: the lock cannot be read: {exc.strerror}") from exc
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _pid_in(file) or 0
    else:
        return None
    finally:
        os.close(file)


def _lock_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _try_lock(file: int) -> bool:
    for attempt in range(ATTEMPTS):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if attempt + 1 < ATTEMPTS:
                time.sleep(RETRY_INTERVAL)
        else:
            return True
    return False


def _note_pid(file: int, pid: int | None) -> None:
    with suppress(OSError):  # a disk that is full, or gone: the lock is had all the same
        os.ftruncate(file, 0)
        if pid is not None:
            os.pwrite(file, str(pid).encode(), 0)


def _pid_in(file: int) -> int | None:
    text = os.pread(file, 32, 0)
    return int(text) if text.isdigit() else None
