"""Packages of one writer that go to disk.

A package goes to disk because memory is short or no server is there. Knows the spool, in a thread
of its own; knows nothing of types, reports and what is in a package. How packages come back is in
`recall`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from siridb_fast.concurrency.tasks import begin_task, cancel_task
from siridb_fast.delivery.package import Package
from siridb_fast.delivery.packages import Packages
from siridb_fast.delivery.recall import Recaller
from siridb_fast.delivery.send_queue import SendQueue
from siridb_fast.delivery.spool_thread import SpoolThread
from siridb_fast.delivery.states import PackageEvent, PackageState
from siridb_fast.errors import SpoolError, SpoolFullError
from siridb_fast.spool.store import NewPackage

__all__ = ["DiskQueue"]

WRITE_BYTES = 8_000_000  # bytes
GATHER_INTERVAL = 0.2  # seconds between packages without a server, so that they are not small
RETRY_INTERVAL = 1.0  # seconds after the disk did not take something
NOT_WRITTEN = "packages were not written to the spool, or removed from it"
NOT_SPLIT = "a package was not split in the spool"

S, E = PackageState, PackageEvent


class DiskQueue:
    """Writes packages to disk, and removes those from there that have their fate.

    Args:
        thread: Has the spool.
        packages: All of the writer.
        send_queue: Makes packages of fresh points.
        recaller: Reads what is on disk only.
        is_connected: Tells whether a server is there.
        is_memory_short: Tells whether memory is short.
        on_split: Called with a package, and the ids of its two parts that are on disk now.
        on_full: Called with why a package finds no room, and with None once none waits for any.
        notify: Called when it may be time to `check` again.
    """

    def __init__(
        self,
        thread: SpoolThread,
        packages: Packages,
        send_queue: SendQueue,
        recaller: Recaller,
        *,
        is_connected: Callable[[], bool],
        is_memory_short: Callable[[], bool],
        on_split: Callable[[Package, list[int]], None],
        on_full: Callable[[str | None], None] = lambda _: None,
        notify: Callable[[], None],
    ) -> None:
        self._thread = thread
        self._options = thread.options
        self._packages = packages
        self._send_queue = send_queue
        self._recaller = recaller
        self._is_connected = is_connected
        self._is_memory_short = is_memory_short
        self._on_split = on_split
        self._on_full = on_full
        self._notify = notify
        self._loop = asyncio.get_running_loop()
        self._gather_timer: asyncio.TimerHandle | None = None
        self._retry_timer: asyncio.TimerHandle | None = None
        self._write_task: asyncio.Task[None] | None = None
        self._split_tasks: dict[Package, asyncio.Task[None]] = {}

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing is on disk, or on its way there or back."""
        is_writing = self._packages.count(S.SPOOLING) > 0 or bool(self._packages.rows_in_memory())
        return not (is_writing or self._recaller.is_busy)

    def is_drained(self) -> bool:
        """Tell whether nothing is on disk only, nor has come back from there without a fate."""
        self._recaller.take_note()
        return not (self._recaller.is_busy or self._packages.recalled_count)

    def check(self, *, has_room: bool) -> None:
        """Have written to disk and read from there what is due.

        ``has_room`` tells whether a connection waits for a package.
        """
        self._recaller.take_note()
        is_connected = self._is_connected()
        if is_connected or self._is_memory_short() or self._begin_gathering():
            self._seal_fresh(is_connected=is_connected, has_room=has_room)
        self._start_writing()
        self._start_splits()
        if not self._packages.count(S.SPOOLING):
            self._on_full(None)
        if is_connected:
            self._recaller.start()

    async def close(self, timeout: float) -> None:
        """Write what is to be on disk, and close the file."""
        splits = list(self._split_tasks.values())
        for task in splits:
            cancel_task(task)
        await asyncio.gather(*splits, self._recaller.stop(), return_exceptions=True)
        for package in self._packages.in_state(S.SPLITTING):
            self._packages.move(package, E.CLOSED)
        self._recaller.take_note()
        await self._write_all(self._loop.time() + timeout)
        for package in self._packages.in_state(S.SPOOLING):
            error = SpoolError("the package was not written to disk in time")
            self._packages.move(package, E.CLOSED, error)
        await self._thread.close()

    # ---- fresh points

    def _seal_fresh(self, *, is_connected: bool, has_room: bool) -> None:
        while self._takes_fresh(is_connected=is_connected, has_room=has_room):
            if self._send_queue.seal_next(S.SPOOLING) is None:
                break

    def _takes_fresh(self, *, is_connected: bool, has_room: bool) -> bool:
        if self._packages.memory_bytes(S.SPOOLING) >= WRITE_BYTES or self._retry_timer is not None:
            return False
        return not is_connected or (self._is_memory_short() and not has_room)

    def _begin_gathering(self) -> bool:
        # Return whether it was not begun yet. Only the timer ends it: by the clock, it may be a
        # hair early.
        if self._gather_timer is not None:
            return False
        self._gather_timer = self._loop.call_later(GATHER_INTERVAL, self._on_gathered)
        return True

    def _on_gathered(self) -> None:
        self._gather_timer = None
        self._notify()

    # ---- to disk

    def _start_writing(self) -> None:
        is_writing = self._write_task is not None and not self._write_task.done()
        if not is_writing and self._has_work() and self._retry_timer is None:
            self._write_task = begin_task(self._write(), self._loop)

    def _has_work(self) -> bool:
        return self._packages.count(S.SPOOLING) > 0 or bool(self._recaller.useless_rows)

    async def _write(self) -> None:
        # Whatever goes wrong, it is tried again: the packages wait in memory.
        try:
            while self._has_work():
                await self._recaller.remove_useless_rows()
                packages = self._next_packages()
                if packages:
                    await self._put(packages)
                self._thread.errors.on_done(NOT_WRITTEN)
                self._notify()
        except Exception as exc:  # noqa: BLE001 - whatever it is, the package must go on
            self._thread.errors.on_error(NOT_WRITTEN, exc)
            if isinstance(exc, SpoolFullError):
                self._on_full(str(exc))
            self._retry_timer = self._loop.call_later(RETRY_INTERVAL, self._on_retry)
            self._send_unspooled()
        finally:
            self._notify()

    def _on_retry(self) -> None:
        self._retry_timer = None
        self._notify()

    def _next_packages(self) -> list[Package]:
        packages: list[Package] = []
        size = 0
        for package in self._packages.in_state(S.SPOOLING):
            size += package.memory_bytes
            if packages and size > min(WRITE_BYTES, self._thread.spool.room):
                break
            packages.append(package)
        return packages

    async def _put(self, packages: list[Package]) -> None:
        await self._recaller.drop_old()
        try:
            ids = await self._thread.put([_row_of(package) for package in packages])
        except SpoolFullError as exc:
            if not await self._drop_for(packages, exc):
                raise
            return
        for package, row_id in zip(packages, ids, strict=True):
            if package.state is S.SPOOLING:
                package.spool_id = row_id
                self._packages.move(package, E.WRITTEN)
            else:  # given up meanwhile
                self._recaller.useless_rows.append(row_id)

    async def _drop_for(self, packages: list[Package], error: SpoolFullError) -> bool:
        # Give up packages for want of room, as the options say; tell whether there are any.
        if self._options.on_full == "drop_oldest":
            size = sum(package.memory_bytes for package in packages)
            return await self._recaller.drop(size, error)
        if self._options.on_full == "drop_newest":
            for package in packages:
                if package.state is S.SPOOLING:
                    self._packages.move(package, E.DISCARDED, error)
        return self._options.on_full == "drop_newest"

    def _send_unspooled(self) -> None:
        # What the disk does not take is sent all the same while a server is there.
        if self._is_connected():
            for package in self._packages.in_state(S.SPOOLING):
                if not package.maybe_stored:
                    self._packages.move(package, E.DISK_FAILED)

    async def _write_all(self, deadline: float) -> None:
        while self._has_work() and self._loop.time() < deadline:
            if self._retry_timer is not None and self._packages.policy.has_journal:
                break  # what the disk does not take is in the journal
            self._start_writing()
            if self._write_task is not None and not self._write_task.done():
                await asyncio.wait([self._write_task], timeout=deadline - self._loop.time())
            else:
                await asyncio.sleep(RETRY_INTERVAL / 10)
        if self._write_task is not None:
            cancel_task(self._write_task)

    # ---- packages that are split

    def _start_splits(self) -> None:
        for package in self._packages.in_state(S.SPLITTING):
            if package.is_on_disk and package not in self._split_tasks:
                self._split_tasks[package] = begin_task(self._split(package), self._loop)

    async def _split(self, package: Package) -> None:
        # Its two parts take its place on disk before they do in memory.
        try:
            assert package.parts is not None  # noqa: S101 - it is splitting
            assert package.spool_id is not None  # noqa: S101 - it is on disk
            rows = [
                NewPackage(part.batch.buffer, part.batch.points, is_sent=True)
                for part in package.parts
            ]
            row_ids = await self._thread.put(rows, (package.spool_id,))
            self._thread.errors.on_done(NOT_SPLIT)
            if package.state is S.SPLITTING:
                self._on_split(package, row_ids)
        except Exception as exc:  # noqa: BLE001 - whatever it is, the package must go on
            self._thread.errors.on_error(NOT_SPLIT, exc)
            await asyncio.sleep(RETRY_INTERVAL)
        finally:
            del self._split_tasks[package]
            self._notify()


def _row_of(package: Package) -> NewPackage:
    # Whom it goes to is not known before it is sent, and not noted as long as it is in memory.
    batch, server = package.batch, package.server
    if package.maybe_stored:
        return NewPackage(batch.buffer, batch.points, is_sent=True, server=server)
    return NewPackage(batch.buffer, batch.points)
