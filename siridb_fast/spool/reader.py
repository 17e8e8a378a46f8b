"""A spool that is only read, while somebody writes to it or after its writer has died.

Knows nothing of what is in packages. Rule: neither the file nor its log is changed; packages that
are removed meanwhile are left out, damaged ones are counted.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from siridb_fast.errors import SpoolError
from siridb_fast.spool.header import fault_of
from siridb_fast.spool.lock import holder_of
from siridb_fast.spool.log_replay import is_log_damaged, read_log
from siridb_fast.spool.open import check_path
from siridb_fast.spool.salvage import Salvage, damaged_files
from siridb_fast.spool.schema import (
    DamagedSpoolError,
    Settings,
    Spooled,
    connect,
    is_damage,
    log_path,
    read_packages,
    read_settings,
    side_files,
)

__all__ = ["Snapshot", "SpoolReader"]

READ_BYTES = 4 * 1024 * 1024
TOTALS = """
SELECT count(*), coalesce(sum(points), 0), coalesce(sum(size), 0), (SELECT count(*) FROM sent),
    (SELECT written_at FROM packages ORDER BY id LIMIT 1)
FROM packages
"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is in a spool at one moment; ``sent`` packages are in doubt if their writer is gone."""

    packages: int
    points: int
    bytes: int
    sent: int
    oldest: float | None


class SpoolReader:
    """A spool that is only read; a context manager. Not for the process that has it open to write.

    Args:
        path: Of the file, or of one that was set aside.

    Raises:
        SpoolError: There is none, or it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        check_path(self._path)
        if not self._path.exists():
            raise SpoolError(f"{path}: there is no such spool")
        self.damaged = 0
        self._base: sqlite3.Connection | None = None
        self._memory: BinaryIO | None = None
        try:
            self.holder = holder_of(self._path)
            self.fault = self._fault()
            self.settings = self._open()
        except SpoolError:
            raise
        except OSError as exc:
            raise SpoolError(f"{path}: cannot be read: {exc.strerror}") from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._base is not None:
            self._base.close()
        if self._memory is not None:
            self._memory.close()

    @property
    def path(self) -> Path:
        """Of the file."""
        return self._path

    @property
    def set_aside(self) -> list[Path]:
        """The damaged files in whose place it is."""
        return damaged_files(self._path)

    def snapshot(self) -> Snapshot:
        """Return what is in it; of a damaged file, what can be read."""
        if self._base is not None and self.fault is None:
            try:
                return Snapshot(*self._base.execute(TOTALS).fetchone())
            except sqlite3.Error as exc:
                self.fault = _damage(self._path, exc)
        return self._count()

    def packages(self) -> Iterator[Spooled]:
        """Yield each package, in order; from where the file is damaged on, in any order."""
        last = 0
        if self._base is not None and self.fault is None:
            try:
                while some := read_packages(self._base, last, READ_BYTES):
                    yield from some
                    last = some[-1].id
            except (DamagedSpoolError, sqlite3.Error) as exc:
                self.fault = _damage(self._path, exc)
            else:
                return
        salvage = Salvage(self._path)
        for package in salvage.packages():
            if package.id > last:
                yield package
        self.damaged = salvage.damaged

    def _count(self) -> Snapshot:
        packages = points = size = 0
        oldest: float | None = None
        for package in self.packages():
            packages += 1
            points += package.points
            size += len(package.payload)
            oldest = min(package.written_at, package.written_at if oldest is None else oldest)
        return Snapshot(packages, points, size, packages, oldest)

    def _sound_frames(self) -> int:
        # As SQLite has it in its shared memory (https://www.sqlite.org/walformat.html). That file
        # is closed last: with it, the process would lose the locks that it has there.
        self._memory = side_files(self._path)[1].open("rb")
        return int.from_bytes(self._memory.read(20)[16:], sys.byteorder)

    def _fault(self) -> str | None:
        # Of a file that is being written, its ends show nothing.
        return fault_of(self._path) if self.holder is None else None

    def _open(self) -> Settings:
        if self.fault is None:
            log = read_log(log_path(self._path))
            is_immutable = self.holder is None and not log.is_there
            try:
                self._base = connect(self._path, is_writer=False, is_immutable=is_immutable)
                settings = read_settings(self._base)
                is_checked = log.frames and self.holder is None
                if is_checked and is_log_damaged(log_path(self._path), log, self._sound_frames()):
                    raise DamagedSpoolError("its log is damaged")
            except (DamagedSpoolError, sqlite3.Error) as exc:
                self.fault = _damage(self._path, exc)
            else:
                return settings
        return Salvage(self._path).settings() or Settings()


def _damage(path: Path, error: sqlite3.Error | DamagedSpoolError) -> str:
    if isinstance(error, sqlite3.Error) and not is_damage(error):
        raise SpoolError(f"{path}: cannot be read: {error}") from error
    return str(error)
