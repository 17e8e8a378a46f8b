"""A writer's spool, and the thread that works on it beside the event loop.

Knows the spool's calls; knows nothing of when packages go to disk or come back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from siridb_fast.concurrency.quiet_log import QuietLog
from siridb_fast.concurrency.workers import WorkThread
from siridb_fast.delivery.disk_errors import DiskErrors
from siridb_fast.delivery.journal_recovery import Recovery, move_to_spool
from siridb_fast.journal.file import JournalFile
from siridb_fast.spool.options import SpoolOptions
from siridb_fast.spool.store import NewPackage, Spool, Spooled

__all__ = ["SpoolThread"]

CLOSE_TIMEOUT = 5.0


class SpoolThread:
    """A spool, and the thread that works on it.

    Its calls raise what those of `Spool` raise; each is done before the next.
    """

    def __init__(self, options: SpoolOptions) -> None:
        self.options = options
        self.errors = DiskErrors()
        self._log = QuietLog(time.monotonic)
        self._thread = WorkThread("siridb_fast-spool")
        self._spool: Spool | None = None
        self._is_ended = False

    async def open(self, dbname: str, time_precision: str, servers: str | None) -> None:
        """Open the file, or make it, for a database; ``servers`` as for `Spool`.

        Raises:
            SpoolError: It cannot be used, or another writer has it.
        """

        def make() -> Spool:
            return Spool(
                self.options.path,
                dbname=dbname,
                time_precision=time_precision,
                servers=servers,
                max_bytes=self.options.max_bytes,
                max_age=self.options.max_age,
                sync=self.options.file_sync,
            )

        self._spool = await self._thread.call(make)

    @property
    def spool(self) -> Spool:
        """The spool; its properties may be read."""
        assert self._spool is not None  # noqa: S101 - open() was first
        return self._spool

    async def recover(self, journal: JournalFile) -> Recovery:
        """Put what a killed writer has left in its journal into the spool.

        Raises:
            SpoolError, OSError: The disk does not take it.
        """
        return await self._thread.call(move_to_spool, journal, self.spool)

    async def put(self, rows: Sequence[NewPackage], replacing: Sequence[int] = ()) -> list[int]:
        """Store packages, all or none, instead of those of some ids; return their ids."""
        return await self._thread.call(self.spool.put_rows, rows, replacing)

    async def remove(self, ids: Sequence[int]) -> None:
        """Remove packages."""
        await self._thread.call(self.spool.remove, ids)

    async def read(self, after: int, limit_bytes: int) -> list[Spooled]:
        """Return the next packages."""
        return await self._thread.call(self.spool.read, after, limit_bytes)

    async def mark_sent(self, number: int) -> None:
        """Note that a package is about to be sent, to nobody knows whom yet."""
        await self._thread.call(self.spool.mark_sent, [number])

    def note_server(self, number: int, server: str) -> None:
        """Note whom a package was sent to, before it is read again; if not, all are asked."""
        self._thread.call(self.spool.mark_sent, [number], server).add_done_callback(
            self._log_failure
        )

    async def take_old(self, known: frozenset[int]) -> list[Spooled]:
        """Remove packages that are too old; return them."""
        return await self._thread.call(self.spool.expire, known)

    async def take_first(self, size: int, known: frozenset[int]) -> list[Spooled]:
        """Remove the oldest packages, of so many bytes at least if there are; return them."""

        def take() -> list[Spooled]:
            rows = [row for row in self.spool.read(0, size) if row.id not in known]
            self.spool.remove([row.id for row in rows])
            return rows

        return await self._thread.call(take)

    def end(self) -> None:
        """Close the file after what was begun."""
        if not self._is_ended and self._spool is not None:
            self._thread.call(self._spool.close)
        self._is_ended = True
        self._thread.end()

    async def close(self) -> None:
        """Close the file and end the thread; wait for that, but not for long."""
        self.end()
        await self._thread.close(CLOSE_TIMEOUT)

    def _log_failure(self, noted: asyncio.Future[None]) -> None:
        if not noted.cancelled() and (error := noted.exception()) is not None:
            text = "it was not noted whom a package was sent to: %s"
            self._log.log(logging.WARNING, text, error)
