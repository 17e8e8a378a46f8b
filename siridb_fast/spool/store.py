"""Packages on disk until a server has them: the store, for one writer per file.

Knows nothing of series, servers and event loops. Rules: what `put` returned for survives the
death of the process; whatever is wrong with the file costs the packages it hits, and nobody else.
Calls block, and let other threads run meanwhile.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from siridb_fast.errors import SpoolError
from siridb_fast.spool.lock import SpoolLock
from siridb_fast.spool.log_replay import PAGE_SIZE
from siridb_fast.spool.open import check_path, open_spool, recover
from siridb_fast.spool.options import SpoolOptions
from siridb_fast.spool.presence import Presence
from siridb_fast.spool.room import check_room
from siridb_fast.spool.salvage import bring_back, set_aside
from siridb_fast.spool.schema import (
    DamagedSpoolError,
    NewPackage,
    Precision,
    Settings,
    Spooled,
    Sync,
    insert,
    is_damage,
    is_full,
    note_sent,
    read_packages,
    size_of,
    unusable,
    write_settings,
)

if TYPE_CHECKING:
    from siridb_fast.protocol._wire import PayloadBytes

__all__ = ["NewPackage", "Spool", "Spooled"]

T = TypeVar("T")

MIB = 1024 * 1024
MAX_BYTES = 1024 * MIB
READ_BYTES = 4 * MIB
SPARE_PAGES = 64 * MIB // PAGE_SIZE  # that stay free in the file, for packages to come
SHRINK_PAGES = 16 * MIB // PAGE_SIZE  # that are given back at once

logger = logging.getLogger("siridb_fast")


class Spool:
    """Packages on disk, in the order in which they came. A context manager.

    A damaged file never stops whoever opens it: it is renamed to ``<path>.damaged-<n>``, and every
    package that can still be read is there, noted as sent, because nobody knows. So are all
    packages of a file whose log is gone, or which the machine's end may have taken back in time.

    Use it from one thread at a time; the properties may be read by any.

    Args:
        path: Of the file. It is made if there is none; its folder is not.
        dbname: The database that the packages are for; None takes what the file says.
        time_precision: Of the database, likewise.
        servers: The uuids of its servers, with blanks between, likewise; if none of them is what
            the file says, that is logged, as it is another database.
        max_bytes: Of all payloads. The file takes some 10 % more, and its log up to 64 MiB.
        max_age: Seconds, for `expire`.
        sync: What survives the end of the machine, a power failure: with ``"full"`` everything,
            with ``"normal"`` all but the last moments. Both survive the end of the process.
        clock: Wall clock, in seconds.

    Raises:
        SpoolLockedError: Another writer has it open.
        SpoolError: It cannot be written, or it is for another database or precision.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        dbname: str | None = None,
        time_precision: Precision | None = None,
        servers: str | None = None,
        max_bytes: int = MAX_BYTES,
        max_age: float | None = None,
        sync: Sync = "normal",
        clock: Callable[[], float] = time.time,
    ) -> None:
        SpoolOptions(path, max_bytes=max_bytes, max_age=max_age, sync=sync)  # checks them
        self._path = Path(path).resolve()
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._clock = clock
        self._wanted = Settings(dbname, time_precision, sync=sync, servers=servers)
        self._pid = os.getpid()
        self._closed = False
        self._damaged = 0
        self._next = 1
        self._oldest: float | None = None
        check_path(self._path)
        self._lock = SpoolLock(self._path)
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """Of the file."""
        return self._path

    @property
    def dbname(self) -> str | None:
        """The database that the packages are for; None if nobody ever said."""
        return self._settings.dbname

    @property
    def time_precision(self) -> Precision | None:
        """The precision of the database; None if nobody ever said."""
        return self._settings.time_precision

    @property
    def packages(self) -> int:
        """How many there are."""
        return self._packages

    @property
    def points(self) -> int:
        """How many all packages have."""
        return self._points

    @property
    def bytes(self) -> int:
        """Of all payloads."""
        return self._bytes

    @property
    def room(self) -> int:
        """How many bytes there may be more."""
        return self._max_bytes - self._bytes

    @property
    def oldest(self) -> float | None:
        """When the first package was written, in seconds of wall clock; None if there is none."""
        return self._oldest

    @property
    def last_id(self) -> int:
        """The id of the newest package that was ever here."""
        return self._next - 1

    @property
    def damaged(self) -> int:
        """How many damaged rows were found since this was opened."""
        return self._damaged

    def put(self, payload: PayloadBytes, points: int, *, is_sent: bool = False) -> int:
        """Store a package, and return its id; it is on disk when this returns.

        Raises:
            SpoolFullError: There is no room.
        """
        return self.put_many([(payload, points)], is_sent=is_sent)[0]

    def put_many(
        self, items: Iterable[tuple[PayloadBytes, int]], *, is_sent: bool = False
    ) -> list[int]:
        """Store packages, payloads and numbers of points, all of them or none; return their ids.

        Raises:
            SpoolFullError: There is no room for all.
        """
        return self.put_rows([NewPackage(*item, is_sent) for item in items])

    def put_rows(
        self, rows: Sequence[NewPackage], replacing: Sequence[int] = (), *, is_bounded: bool = True
    ) -> list[int]:
        """Store packages, all or none, in the place of others, which are gone then; return ids.

        Unless it ``is_bounded``, there may be more than ``max_bytes`` then.

        Raises:
            SpoolFullError: There is no room for all.
        """
        if is_bounded and not replacing:
            sizes = [size_of(row.payload) for row in rows]
            check_room(self._path, sizes, self._bytes, self._max_bytes)
        return self._run(lambda: self._put(rows, replacing))

    def mark_sent(self, ids: Iterable[int], server: str | None = None) -> None:
        """Note that packages are about to be sent: after a restart they are in doubt.

        ``server`` is the uuid of the one that they are sent to, if it is known.

        Raises:
            SpoolFullError: The disk has no room at all, not even for this; nothing was noted.
        """
        numbers = list(ids)
        self._run(lambda: self._note_sent(numbers, server))

    def remove(self, ids: Iterable[int]) -> None:
        """Remove packages; whoever is not there is left out.

        Raises:
            SpoolFullError: The disk has no room at all, not even for this; nothing was removed.
        """
        wanted = list(ids)
        self._run(lambda: self._remove(wanted))

    def read(self, after: int = 0, limit_bytes: int = READ_BYTES) -> list[Spooled]:
        """Return packages in order: one at least if there is any, others up to a size.

        Args:
            after: The id behind which to begin.
            limit_bytes: Of all payloads that are returned, if they are more than one.
        """
        return self._run(lambda: read_packages(self._base, after, limit_bytes))

    def expire(self, but: Container[int] = ()) -> list[Spooled]:
        """Remove some packages that are older than ``max_age``; return them.

        Those of these ids stay. Call it again until there are no more.
        """
        if self._max_age is None or self._oldest is None:
            return []
        limit = self._clock() - self._max_age
        if self._oldest >= limit:
            return []
        old = [row for row in self.read() if row.written_at < limit and row.id not in but]
        self.remove([row.id for row in old])
        return old

    def close(self) -> None:
        """Write all into the file, give back what it does not need, and let others open it."""
        if self._closed:
            return
        self._closed = True
        if os.getpid() != self._pid:
            return
        try:
            if self._packages:
                self._keep_file()
            self._shrink(0 if not self._packages else SPARE_PAGES)
            write_settings(self._base, replace(self._settings, opened_in=None))
            self._base.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except (SpoolError, sqlite3.Error) as exc:
            logger.warning("%s: not closed in order: %s", self._path, exc)
        finally:
            self._close_file()
            self._lock.release()

    def _put(self, rows: Sequence[NewPackage], replacing: Sequence[int]) -> list[int]:
        self._keep_file()
        now = self._clock()
        ids = list(range(self._next, self._next + len(rows)))
        with self._transaction():
            for number, row in zip(ids, rows, strict=True):
                insert(self._base, number, row, now)
            removed = self._delete(replacing)
        self._next += len(ids)
        self._packages += len(ids)
        self._points += sum(row.points for row in rows)
        self._bytes += sum(size_of(row.payload) for row in rows)
        self._discount(removed)
        if ids and self._oldest is None:
            self._oldest = now
        return ids

    def _note_sent(self, ids: list[int], server: str | None) -> None:
        with self._transaction():
            for number in ids:
                note_sent(self._base, number, server)

    def _delete(self, ids: Iterable[int]) -> list[tuple[int, int]]:
        # Return the points and the size of each that was there.
        removed = []
        for number in ids:
            removed += self._base.execute(
                "SELECT points, size FROM packages WHERE id = ?", (number,)
            ).fetchall()
            self._base.execute("DELETE FROM packages WHERE id = ?", (number,))
            self._base.execute("DELETE FROM sent WHERE id = ?", (number,))
        return removed

    def _discount(self, removed: list[tuple[int, int]]) -> None:
        self._packages -= len(removed)
        self._points -= sum(points for points, _ in removed)
        self._bytes -= sum(size for _, size in removed)
        if removed:
            self._oldest = self._first()

    def _remove(self, ids: list[int]) -> None:
        with self._transaction():
            removed = self._delete(ids)
        self._discount(removed)
        try:
            self._shrink(max(SPARE_PAGES, self._bytes // PAGE_SIZE))
        except sqlite3.Error as exc:
            if not is_full(exc):
                raise
            logger.debug("%s: cannot be made smaller now: %s", self._path, exc)

    def _first(self) -> float | None:
        row = self._base.execute("SELECT written_at FROM packages ORDER BY id LIMIT 1").fetchone()
        return None if row is None else float(row[0])

    def _shrink(self, spare: int) -> None:
        # What packages to come will use stays; the others go back to the disk, some at a time.
        (free,) = self._base.execute("PRAGMA freelist_count").fetchone()
        while free > spare:
            # executescript goes on to the end; execute gives back one page
            self._base.executescript(f"PRAGMA incremental_vacuum({SHRINK_PAGES})")
            free -= SHRINK_PAGES
            # and the file gets shorter when the log goes into it
            self._base.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _open(self) -> None:
        opened = open_spool(self._path, self._wanted)
        self._base, self._settings = opened.base, opened.settings
        self._presence = Presence(self._path)
        self._damaged += opened.damaged
        self._next = max(self._next, opened.last + 1)
        self._packages, self._points, self._bytes = opened.packages, opened.points, opened.bytes
        self._oldest = opened.oldest

    def _run(self, operation: Callable[[], T]) -> T:
        # A damaged file is replaced by one with all that is left, and then it is done again.
        self._check_usable()
        try:
            try:
                return operation()
            except (DamagedSpoolError, sqlite3.Error) as exc:
                if is_full(exc):
                    # what is in the log goes into the file, and the log begins anew
                    self._base.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                elif isinstance(exc, DamagedSpoolError) or is_damage(exc):
                    self._rebuild(str(exc))
                else:
                    raise
                return operation()
        except sqlite3.Error as exc:
            raise unusable(self._path, exc) from exc

    def _rebuild(self, reason: str) -> None:
        # Ids stay what they are, and none is used again.
        aside = set_aside(self._path)
        self._close_file()
        self._damaged += recover(self._path, aside, self._settings, reason).damaged
        self._open()

    def _keep_file(self) -> None:
        # What was deleted while it was open is made anew, before more is believed to be in it.
        if self._presence.is_deleted():
            bring_back(self._path, self._base, self._settings)
            self._close_file()
            self._open()

    def _close_file(self) -> None:
        self._base.close()
        self._presence.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._base.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._base.execute("COMMIT")
        except BaseException:
            if self._base.in_transaction:
                self._base.execute("ROLLBACK")
            raise

    def _check_usable(self) -> None:
        if os.getpid() != self._pid:
            raise SpoolError(
                f"{self._path}: process {self._pid} has this spool open; its child "
                f"{os.getpid()} cannot use it"
            )
        if self._closed:
            raise SpoolError(f"{self._path}: this spool is closed")
