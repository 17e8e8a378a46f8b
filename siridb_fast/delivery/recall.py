"""Packages of one writer that are on disk, and how they come back.

What is only on disk is read in order and a few at a time, while a server is connected; what may
have been sent before is looked up first. Knows the spool, in a thread of its own; knows nothing of
types, and nothing of how packages get to disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from siridb_fast.batching._batch import Batch
from siridb_fast.concurrency.rate_limit import RateLimit
from siridb_fast.concurrency.tasks import begin_task, cancel_task
from siridb_fast.delivery.batch_parts import batch_of
from siridb_fast.delivery.package import Package
from siridb_fast.delivery.packages import Packages
from siridb_fast.delivery.send_queue import SendQueue
from siridb_fast.delivery.spool_thread import SpoolThread
from siridb_fast.delivery.states import PackageEvent, PackageState
from siridb_fast.errors import ColumnError, SpoolError, UnpackError
from siridb_fast.spool.store import Spooled

__all__ = ["Recaller"]

RECALLED_BYTES = 4_000_000  # in memory at once at most
RECALLED_PACKAGES = 8
RETRY_INTERVAL = 1.0  # seconds after something could not be read
NOT_READ = "packages were not read from the spool"


class Recaller:
    """Reads packages from disk, and removes rows that have no use any more.

    Args:
        thread: Has the spool.
        packages: All of the writer.
        send_queue: Makes packages.
        max_buffered: Of the writer, of which an eighth is for what comes back.
        refit: Makes a batch of a payload whose series may have got another type meanwhile; None if
            nothing of it is left.
        on_recalled: Called with each package that was read.
        on_unreadable: Called with a row that no writer made, and why.
        notify: Called when there may be something to do.
    """

    def __init__(
        self,
        thread: SpoolThread,
        packages: Packages,
        send_queue: SendQueue,
        *,
        max_buffered: int,
        refit: Callable[[bytes], Awaitable[Batch | None]],
        on_recalled: Callable[[Package], None],
        on_unreadable: Callable[[Spooled, SpoolError], None],
        notify: Callable[[], None],
    ) -> None:
        self._thread = thread
        self._packages = packages
        self._send_queue = send_queue
        self._max_bytes = min(RECALLED_BYTES, max_buffered // 8)
        self._refit = refit
        self._on_recalled = on_recalled
        self._on_unreadable = on_unreadable
        self._notify = notify
        self._loop = asyncio.get_running_loop()
        self._has_more = thread.spool.packages > 0
        self._has_room = asyncio.Event()
        self._read_rows: set[int] = set()  # that are about to become packages
        self.useless_rows: list[int] = []  # whose packages have their fate
        self._unsent: set[int] = set()  # noted as sent, but known not to be stored
        self._rate_limit = RateLimit(thread.options.max_rate)
        self._task: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()  # of rows that are being read, or removed: not both

    @property
    def is_busy(self) -> bool:
        """Tell whether there may be packages on disk only."""
        return self._has_more or (self._task is not None and not self._task.done())

    def take_note(self) -> None:
        """Take note of packages that are on disk only, and of rows that have no use."""
        for package in self._packages.take_left_on_disk():
            self._has_more = True
            if package.spool_id is None:
                continue
            if not package.maybe_stored:
                self._unsent.add(package.spool_id)
            elif package.server is not None:
                self._thread.note_server(package.spool_id, package.server)
        self.useless_rows += self._packages.take_useless_rows()
        self._has_room.set()

    def start(self) -> None:
        """Read what there is, a few packages at a time."""
        if self._has_more and (self._task is None or self._task.done()):
            self._has_more = False
            self._task = begin_task(self._recall(), self._loop)

    async def stop(self) -> None:
        """Read no more."""
        if self._task is not None:
            cancel_task(self._task)
            await asyncio.wait([self._task])

    async def remove_useless_rows(self) -> None:
        """Remove rows whose packages have their fate."""
        self.take_note()
        rows = list(self.useless_rows)
        if rows:
            await self._thread.remove(rows)
            gone = set(rows)  # until now they were not to be read again
            self.useless_rows = [row for row in self.useless_rows if row not in gone]

    # ---- packages that are given up

    async def drop_old(self) -> None:
        """Give up packages that are too old, and only on disk."""
        max_age = self._thread.options.max_age
        if max_age is not None:
            async with self._lock:
                for row in await self._thread.take_old(self._used_rows()):
                    self._drop(row, SpoolError(f"no server took it within {max_age:g} seconds"))

    async def drop(self, size: int, error: SpoolError) -> bool:
        """Give up the oldest packages, so many bytes at least; return whether there are any."""
        async with self._lock:
            rows = await self._thread.take_first(size, self._used_rows())
            for row in rows:
                self._drop(row, error)
        return bool(rows)

    def _drop(self, row: Spooled, error: SpoolError) -> None:
        try:
            batch = batch_of(row.payload)
        except (UnpackError, ColumnError):  # no writer made that
            self._on_unreadable(row, error)
            return
        package = self._package_of(row, batch)
        self._packages.move(package, PackageEvent.DISCARDED, error)

    # ---- packages that come back

    async def _recall(self) -> None:
        # Whatever goes wrong, it is tried again: the packages are on disk.
        after = 0
        try:
            while True:
                await self.drop_old()
                rows = await self._read(after)
                if not rows:
                    break
                after = rows[-1].id
                await self._recall_rows([row for row in rows if row.id in self._read_rows])
            self._thread.errors.on_done(NOT_READ)
        except Exception as exc:  # noqa: BLE001 - whatever it is, the packages must come back
            self._thread.errors.on_error(NOT_READ, exc)
            self._has_more = True
            await asyncio.sleep(RETRY_INTERVAL)
        finally:
            self._notify()

    async def _read(self, after: int) -> list[Spooled]:
        # The next rows; those that are about to become packages are noted, and not dropped.
        async with self._lock:
            rows = await self._thread.read(after, self._max_bytes)
            used = self._used_rows()
            self._read_rows.update(row.id for row in rows if row.id not in used)
            return rows

    async def _recall_rows(self, rows: list[Spooled]) -> None:
        try:
            for row in rows:
                await self._wait_for_room(len(row.payload))
                await self._recall_one(row)
                self._thread.errors.on_done(NOT_READ)
                self._read_rows.discard(row.id)
                self._notify()
        finally:
            self._read_rows.clear()

    async def _wait_for_room(self, size: int) -> None:
        packages = self._packages
        while packages.recalled_count and (
            packages.recalled_bytes + size > self._max_bytes
            or packages.recalled_count >= RECALLED_PACKAGES
        ):
            self._has_room.clear()
            await self._has_room.wait()

    async def _recall_one(self, row: Spooled) -> None:
        try:
            batch = await self._refit(row.payload)
        except UnpackError as exc:
            error = SpoolError(f"package {row.id} of the spool is no insert: {exc}")
            self._on_unreadable(row, error)
            batch = None
        if batch is None:
            self.useless_rows.append(row.id)
            return
        if not row.is_sent or row.server is not None:
            # It may be sent to another one, and then nobody has the time to note that before.
            await self._thread.mark_sent(row.id)
        self._on_recalled(self._package_of(row, batch))
        self._notify()
        await asyncio.sleep(self._rate_limit.take(batch.points, self._loop.time()))

    def _package_of(self, row: Spooled, batch: Batch) -> Package:
        package = self._send_queue.add(batch, PackageState.ON_DISK, spool_id=row.id)
        package.maybe_stored = row.is_sent and row.id not in self._unsent
        self._unsent.discard(row.id)
        package.server = row.server
        return package

    def _used_rows(self) -> frozenset[int]:
        # Whose packages are in memory, or have their fate, up to this very moment: a row that
        # is not known any more is taken for another package, sent before.
        self.take_note()
        used = self._packages.rows_in_memory()
        return frozenset(used.union(self._read_rows, self.useless_rows))
