"""Packages of one writer on disk: which go there, and how they come back.

A package goes to disk before it is sent (`mode="always"`), or because memory is short or no
server is there. What is only on disk comes back, in order and a few at a time, once there is a
connection; what may have been sent before is looked up first. Knows the spool, in a thread of its
own; knows nothing of types, reports and what is in a package.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from siridb_fast.batching._batch import Batch
from siridb_fast.delivery.package import Package
from siridb_fast.delivery.send_queue import SendQueue
from siridb_fast.delivery.spool_thread import Incoming, SpoolThread
from siridb_fast.errors import SiriDBError, SpoolError, SpoolFullError, UnpackError
from siridb_fast.spool.store import Spooled

__all__ = ["DiskQueue", "PackageSender"]

MAX_READY = 4  # packages between the coalescer and the connections, in mode "always"
WRITE_BYTES = 8_000_000  # bytes
RECALLED_BYTES = 4_000_000  # in memory at once at most, of what comes back
RECALLED_PACKAGES = 8
GATHER_INTERVAL = 0.2  # seconds between packages without a server, so that they are not small
RETRY_INTERVAL = 1.0  # seconds after the disk did not take something

logger = logging.getLogger("siridb_fast")


class PackageSender(Protocol):
    """Where packages go that leave the disk queue, and come from: the dispatcher."""

    send_queue: SendQueue

    def on_recalled(self, package: Package, *, is_sent: bool) -> None:
        """Take a package that was on disk only; it may have been sent before."""

    def on_spooled(self, package: Package) -> None:
        """Forget a package that is on disk now."""

    def fail(self, package: Package, error: SiriDBError) -> None:
        """Book a package that is given up."""

    def send_ready(self) -> None:
        """Send packages as long as there is room for them."""


class DiskQueue:
    """The packages of one writer that are on disk.

    Args:
        thread: Has the spool.
        sender: Where packages come from and go to.
        is_connected: Tells whether a server is there.
        is_memory_short: Tells whether memory is short.
        max_buffered: Of the writer, of which an eighth is for what comes back.
        refit: Makes a batch of a payload whose series may have got another type meanwhile; None if
            nothing of it is left.
        on_dropped: Called with packages that are given up, and why.
        notify: Called when there may be something to do for those who wait.
    """

    def __init__(
        self,
        thread: SpoolThread,
        sender: PackageSender,
        *,
        is_connected: Callable[[], bool],
        is_memory_short: Callable[[], bool],
        max_buffered: int,
        refit: Callable[[bytes], Awaitable[Batch | None]],
        on_dropped: Callable[[Spooled, SpoolError], None],
        notify: Callable[[], None],
    ) -> None:
        self._thread = thread
        self._options = thread.options
        self._sender = sender
        self._is_connected = is_connected
        self._is_memory_short = is_memory_short
        self._refit = refit
        self._on_dropped = on_dropped
        self._notify = notify
        self._loop = asyncio.get_running_loop()
        self._incoming: deque[Incoming] = deque()
        self._incoming_bytes = 0
        self._in_memory: dict[int, int] = {}  # bytes of packages that are on disk too
        self._recalled_bytes = 0
        self._recalled_limit = min(RECALLED_BYTES, max_buffered // 8)
        self._recalled = 0
        self._unsent: set[int] = set()  # noted as sent, but known not to be stored
        self._gather_timer: asyncio.TimerHandle | None = None
        self._has_room = asyncio.Event()
        self._finished: list[int] = []
        self._has_more = thread.spool.packages > 0
        self._retry_timer: asyncio.TimerHandle | None = None
        self._write_task: asyncio.Task[None] | None = None
        self._read_task: asyncio.Task[None] | None = None
        self._splits: dict[asyncio.Task[None], Sequence[Package]] = {}

    @property
    def is_always(self) -> bool:
        """Tell whether every package goes to disk."""
        return self._options.mode == "always"

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing is on disk, or on its way there or back."""
        is_reading = self._has_more or (self._read_task is not None and not self._read_task.done())
        return not (self._incoming or self._in_memory or is_reading)

    @property
    def waiting(self) -> int:
        """How many packages are on their way to disk."""
        return len(self._incoming)

    @property
    def points(self) -> int:
        """How many points are on disk."""
        return self._thread.spool.points

    def check(self, ready: int, *, has_room: bool) -> None:
        """Fetch fresh packages to store, and packages to send; called often.

        Args:
            ready: How many packages wait for a connection.
            has_room: Whether a connection waits for a package.
        """
        is_connected = self._is_connected()
        if not is_connected and not self._is_memory_short() and self._wait_to_gather():
            return
        while self._takes_fresh(ready, is_connected=is_connected, has_room=has_room):
            package = self._sender.send_queue.seal_next()
            if package is None:
                break
            is_sent = self.is_always and is_connected
            self.store(package, is_sent=is_sent, stays=is_sent)
        self._start_writing()
        if is_connected and self._has_more and (self._read_task is None or self._read_task.done()):
            self._has_more = False
            self._read_task = self._loop.create_task(self._recall())

    def store(self, package: Package, *, is_sent: bool, stays: bool = False) -> None:
        """Write a package to disk; then it ``stays`` to be sent, or leaves memory."""
        self._incoming.append(Incoming(package, is_sent, stays))
        self._incoming_bytes += package.memory_bytes
        self._start_writing()

    def spool(self, package: Package, *, in_doubt: bool) -> None:
        """Let a package that could not be delivered now leave memory for the disk."""
        if package.spool_id is None:
            self.store(package, is_sent=in_doubt)
        else:
            if not in_doubt:
                self._unsent.add(package.spool_id)
            self._sender.on_spooled(package)
            self._has_more = True

    def on_released(self, package: Package) -> None:
        """Count the memory of a package that is on disk as free."""
        assert package.spool_id is not None  # noqa: S101 - the dispatcher checks
        self._in_memory.pop(package.spool_id, None)
        if package.was_on_disk:
            self._recalled_bytes -= package.memory_bytes
            self._recalled -= 1
            self._has_room.set()

    def remove(self, package: Package) -> None:
        """Remove a package from disk, because its fate is known."""
        assert package.spool_id is not None  # noqa: S101 - the dispatcher checks
        self._finished.append(package.spool_id)
        self._start_writing()

    def split(self, package: Package, halves: Sequence[Package], then: Callable[[], None]) -> None:
        """Replace a package on disk by its halves; go on ``then``."""
        task = self._loop.create_task(self._split(package, halves, then))
        self._splits[task] = halves
        task.add_done_callback(self._on_split_done)

    async def close(self, timeout: float) -> None:
        """Store what was given to `store`, and close the file."""
        tasks = [task for task in (self._read_task, *self._splits) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for halves in self._splits.values():  # the whole package is on disk
            for half in halves:
                self._sender.on_spooled(half)
        await self._write_all(self._loop.time() + timeout)
        for item in self._incoming:
            error = SpoolError("the package was not written to disk in time")
            self._sender.fail(item.package, error)
        self._incoming.clear()
        await self._thread.close()

    # ---- to disk

    def _takes_fresh(self, ready: int, *, is_connected: bool, has_room: bool) -> bool:
        if self._incoming_bytes >= WRITE_BYTES or self._retry_timer is not None:
            return False
        if not is_connected:
            return True
        if self.is_always:
            return len(self._incoming) + ready < MAX_READY
        return self._is_memory_short() and not has_room

    async def _write_all(self, deadline: float) -> None:
        while (self._incoming or self._finished) and self._loop.time() < deadline:
            self._start_writing()
            if self._write_task is not None and not self._write_task.done():
                await asyncio.wait([self._write_task], timeout=deadline - self._loop.time())
            else:
                await asyncio.sleep(RETRY_INTERVAL / 10)
        if self._write_task is not None:
            self._write_task.cancel()

    def _wait_to_gather(self) -> bool:
        # Tell whether it is too early for the next packages; begin to wait if not. Only the timer
        # decides: by the clock, it may be a hair early.
        if self._gather_timer is not None:
            return True
        self._gather_timer = self._loop.call_later(GATHER_INTERVAL, self._on_gathered)
        return False

    def _on_gathered(self) -> None:
        self._gather_timer = None
        self._notify()

    def _start_writing(self) -> None:
        if self._write_task is not None and not self._write_task.done():
            return
        if (self._incoming or self._finished) and self._retry_timer is None:
            self._write_task = self._loop.create_task(self._write())

    async def _write(self) -> None:
        try:
            while self._incoming or self._finished:
                done, self._finished = self._finished, []
                if done:
                    await self._remove(done)
                items = self._next_items()
                if items:
                    await self._put(items)
                self._sender.send_ready()
        except SpoolError as exc:
            logger.error("%s", exc)
            self._retry_timer = self._loop.call_later(RETRY_INTERVAL, self._on_retry)
            self._send_unspooled()

    def _on_retry(self) -> None:
        self._retry_timer = None
        self._sender.send_ready()

    async def _remove(self, ids: list[int]) -> None:
        try:
            await self._thread.remove(ids)
        except BaseException:
            self._finished += ids
            raise

    def _next_items(self) -> list[Incoming]:
        items: list[Incoming] = []
        size = 0
        for item in self._incoming:
            size += item.package.memory_bytes
            if items and size > min(WRITE_BYTES, self._thread.spool.room):
                break
            items.append(item)
        return items

    async def _put(self, items: list[Incoming]) -> None:
        await self._drop_old()
        try:
            ids = await self._thread.put(items)
        except SpoolFullError as exc:
            if self._options.on_full != "drop_oldest" or not await self._make_room(items, exc):
                raise
            return
        for item, number in zip(items, ids, strict=True):
            self._incoming.popleft()
            self._incoming_bytes -= item.package.memory_bytes
            item.package.spool_id = number
            if item.stays:
                self._in_memory[number] = item.package.memory_bytes
                self._sender.send_queue.ready.append(item.package)
            else:
                self._sender.on_spooled(item.package)
                self._has_more = True

    def _send_unspooled(self) -> None:
        # What the disk does not take is sent all the same while a server is there.
        if not self._is_connected():
            return
        staying = [item for item in self._incoming if item.stays]
        self._incoming = deque(item for item in self._incoming if not item.stays)
        for item in staying:
            self._incoming_bytes -= item.package.memory_bytes
            self._sender.send_queue.ready.append(item.package)

    async def _make_room(self, items: list[Incoming], error: SpoolFullError) -> bool:
        size = sum(item.package.memory_bytes for item in items)
        rows = await self._thread.take_first(size, frozenset(self._in_memory))
        for row in rows:
            self._on_dropped(row, error)
        return bool(rows)

    async def _drop_old(self) -> None:
        if self._options.max_age is None:
            return
        for row in await self._thread.take_old(frozenset(self._in_memory)):
            error = SpoolError(f"no server took it within {self._options.max_age:g} seconds")
            self._on_dropped(row, error)

    def _on_split_done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            del self._splits[task]

    async def _split(
        self, package: Package, halves: Sequence[Package], then: Callable[[], None]
    ) -> None:
        assert package.spool_id is not None  # noqa: S101 - the dispatcher checks
        while True:
            try:
                ids = await self._thread.put(
                    [Incoming(half, is_sent=True) for half in halves], (package.spool_id,)
                )
            except SpoolError as exc:
                logger.error("%s", exc)
                await asyncio.sleep(RETRY_INTERVAL)
                continue
            self._in_memory.pop(package.spool_id, None)
            for half, number in zip(halves, ids, strict=True):
                half.spool_id = number
                self._in_memory[number] = half.memory_bytes
            then()
            self._sender.send_ready()
            return

    # ---- back

    async def _recall(self) -> None:
        after = 0
        try:
            while True:
                await self._drop_old()
                known = frozenset(self._in_memory).union(self._finished)
                rows = await self._thread.read(after, self._recalled_limit)
                if not rows:
                    break
                after = rows[-1].id
                new = [row for row in rows if row.id not in known]
                self._in_memory.update((row.id, 0) for row in new)
                for row in new:
                    await self._recall_one(row)
        except SiriDBError as exc:
            logger.error("%s", exc)
            self._has_more = True
            await asyncio.sleep(RETRY_INTERVAL)
        self._notify()

    async def _recall_one(self, row: Spooled) -> None:
        size = len(row.payload)
        while self._recalled and (
            self._recalled_bytes + size > self._recalled_limit
            or self._recalled >= RECALLED_PACKAGES
        ):
            self._has_room.clear()
            await self._has_room.wait()
        try:
            batch = await self._refit(row.payload)
        except UnpackError as exc:
            self._on_dropped(row, SpoolError(f"package {row.id} of the spool is no insert: {exc}"))
            batch = None
        if batch is None:
            del self._in_memory[row.id]
            self._finished.append(row.id)
            self._start_writing()
            return
        package = self._sender.send_queue.make_package(batch)
        package.spool_id, package.was_on_disk = row.id, True
        self._in_memory[row.id] = package.memory_bytes
        self._recalled_bytes += package.memory_bytes
        self._recalled += 1
        is_sent = row.is_sent and row.id not in self._unsent
        self._unsent.discard(row.id)
        if not row.is_sent:
            await self._thread.mark_sent(row.id)
        self._sender.on_recalled(package, is_sent=is_sent)
        self._sender.send_ready()
