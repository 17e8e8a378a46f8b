"""A model around a real dispatcher: servers, a disk and a clock that a test decides about.

The dispatcher, its packages, its look-ups and its disk queue are the real ones. A server stores a
package, answers it, or both, or neither, as it is told; the disk takes rows, or does not. Time is
virtual: it goes on when nothing else can happen. At the end `Model.check` compares the one fate of
each point with what is stored.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast
from unittest import mock

import numpy as np

import siridb_fast.delivery.doubt
import siridb_fast.delivery.equal_points
from siridb_fast import ConnectionLost, InsertError, PoolError, ServerError
from siridb_fast.batching._batch import Batch
from siridb_fast.batching._repeat import Repeat, note_run
from siridb_fast.batching._series import Series
from siridb_fast.columns.column import point_column
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.connection.server_process import ServerProcess
from siridb_fast.delivery.accounts import Accounts
from siridb_fast.delivery.batch_parts import batch_of
from siridb_fast.delivery.disk_queue import DiskQueue
from siridb_fast.delivery.dispatcher import Dispatcher
from siridb_fast.delivery.durability import SentinelTracker
from siridb_fast.delivery.package import Package
from siridb_fast.delivery.packages import Packages
from siridb_fast.delivery.recall import Recaller
from siridb_fast.delivery.send_queue import SendQueue
from siridb_fast.delivery.states import FATES, PackageEvent, PackageState, Policy
from tests.delivery.model_parts import (
    CONNECTIONS,
    Cluster,
    Disk,
    Point,
    VirtualClock,
    points_of,
)

__all__ = ["DELIVERY_TIMEOUT", "Model"]

DELIVERY_TIMEOUT = 100.0
S, E = PackageState, PackageEvent


class Model:
    """See above.

    Args:
        on_doubt: Of the writer.
        has_spool: Whether it has a spool.
        is_safe: Whether its durability is "safe".
    """

    def __init__(self, on_doubt: Any = "verify", has_spool: bool = False, is_safe: bool = False):
        self.loop = VirtualClock()
        asyncio.set_event_loop(self.loop)
        self.on_doubt = on_doubt
        self.is_safe = is_safe
        self.process = ServerProcess("uuid", 0, 0.0, 0.0, 0)
        self.sentinels: list[asyncio.Future[Any]] = []
        self.pending: list[list[Point]] = []  # fresh points, by package
        self.written: list[Point] = []
        self.stored: Counter[Point] = Counter()
        self.unsafe: Counter[Point] = Counter()  # stored, and lost with the process
        self.lookup_error: BaseException | None = None
        self.seen: set[tuple[PackageState, PackageEvent, PackageState]] = set()
        self.fates: dict[Point, list[str]] = {}
        self.memory = [0, 0]
        self.closed = False
        self.callback_errors: list[BaseException] = []  # that the user's callbacks raise
        self.raised: list[BaseException] = []  # what the event loop is to raise
        self.notified = False
        self.accounts = Accounts(self.loop.time, self._on_booked, self._on_booked, self._raise)
        self.packages = Packages(Policy(on_doubt, has_spool=False), self.accounts, self._count)
        self._watch()
        self.cluster = cast("Any", Cluster(self))
        queue = SendQueue(self.packages, self, self.loop.time, DELIVERY_TIMEOUT)  # type: ignore[arg-type]
        self.dispatcher = Dispatcher(
            self.cluster, self.packages, queue, self,  # type: ignore[arg-type]
            max_rate=None,
            delivery_timeout=DELIVERY_TIMEOUT, notify=self.notify, on_checked=lambda: None,
        )  # fmt: skip
        if is_safe:
            self.dispatcher.sentinels = SentinelTracker(
                self.cluster, self.packages, sentinel="sentinel", now=lambda: 1,
                pools=1, known_processes=lambda: [self.process],
                on_lost=self.dispatcher.on_lost, notify=self.notify,
            )  # fmt: skip
        self.disk: Any = None
        if has_spool:
            self._open_disk(Disk(), queue)
        self._patch = mock.patch.multiple(
            siridb_fast.delivery.doubt, missing_points=self._missing_points
        )
        self._patch_equal = mock.patch.multiple(
            siridb_fast.delivery.equal_points, stored_points=self._stored_points
        )
        self._patch.start()
        self._patch_equal.start()

    def _open_disk(self, disk: Any, queue: SendQueue) -> None:
        self.disk = disk

        with self.in_loop():
            self.recaller = recaller = Recaller(
                disk, self.packages, queue, max_buffered=1_000_000,
                refit=lambda payload: self.refit(payload),
                on_recalled=self.dispatcher.on_recalled, on_unreadable=lambda *_: None,
                notify=self.notify,
            )  # fmt: skip
            self.dispatcher.disk_queue = DiskQueue(
                disk, self.packages, queue, recaller,
                is_connected=lambda: self.cluster.is_connected, is_memory_short=lambda: False,
                on_split=self.dispatcher.split, notify=self.notify,
            )  # fmt: skip
        self.packages.policy = Policy(self.on_doubt, has_spool=True)

    @contextlib.contextmanager
    def in_loop(self) -> Any:
        """Let a block think that the event loop runs."""
        asyncio.events._set_running_loop(self.loop)
        try:
            yield
        finally:
            asyncio.events._set_running_loop(None)

    # ---- what the dispatcher asks for

    def take(self, _: float, batch: Batch, late: Batch | None = None) -> bool:
        """Move fresh points into a batch, as a coalescer does."""
        if not self.pending:
            return False
        self._fill(batch, self.pending.pop(0))
        return True

    def _fill(self, batch: Batch, points: Sequence[Point]) -> None:
        for name, timestamp in points:
            times, values = np.array([timestamp]), np.array([float(timestamp)])
            batch.append_column(point_column(name, times, values, ColumnRules()), 0, 1)

    async def refit(self, payload: bytes) -> Batch:
        """Give the points of a package from disk the types of their series."""
        return batch_of(payload)

    async def active_tasks(self, **_: object) -> int:
        """Tell that the server works on nothing but the question and our packages."""
        return 1

    async def pools_by_server(self, **_: object) -> dict[str, int]:
        """Tell that there is one server."""
        return {"uuid": 0}

    async def select(self, *_: object, **__: object) -> Any:
        """Only `missing_points` selects, which is the model's own."""
        raise AssertionError

    async def _missing_points(self, arrays: Any, _: Callable[..., Awaitable[Any]]) -> Any:
        await asyncio.sleep(0)
        if self.lookup_error is not None:
            raise self.lookup_error.with_traceback(None)  # or it grows for ever
        return {
            name: np.array([not self.stored[name, int(at)] for at in times])
            for name, (times, _) in arrays.items()
        }

    async def _stored_points(self, arrays: Any, ask: Callable[..., Awaitable[Any]]) -> Any:
        missing = await self._missing_points(arrays, ask)
        return {
            name: (times[~missing[name]], values[~missing[name]])
            for name, (times, values) in arrays.items()
        }

    def repeat(self, name: str, timestamp: int) -> None:
        """Let a point be one that nobody knows of whether an equal one was delivered before."""
        repeats: list[Repeat] = []
        series = Series(name)
        note_run(series, timestamp, timestamp + 1, repeats)
        note_run(series, timestamp, timestamp, repeats)
        batch = Batch()
        batch.repeats.extend(repeats)
        self.packages.repeats.begin(batch, self.packages.last_number, lambda _: False)

    def notify(self) -> None:
        """Have the dispatcher check soon."""
        if not self.notified:
            self.notified = True
            self.loop.call_soon(self._check)

    def _check(self) -> None:
        self.notified = False
        self.dispatcher.check()

    def _count(self, size: int, points: int) -> None:
        self.memory[0] += size
        self.memory[1] += points

    def _on_booked(self, _: object) -> None:
        if self.callback_errors:
            raise self.callback_errors.pop()

    def _raise(self, exception: BaseException) -> None:
        self.raised.append(exception)

    def _watch(self) -> None:
        # Note each move, and each fate of a point.
        move = self.packages.move

        def noting(package: Package, event: PackageEvent, error: Any = None) -> PackageState:
            before = package.state
            after = move(package, event, error)
            self.seen.add((before, event, after))
            if after in FATES and after is not S.SPLIT:
                fate = after.name
                if after is S.DROPPED and package.maybe_stored:
                    fate = "UNKNOWN"
                for point in points_of(bytes(package.batch.buffer)):
                    self.fates.setdefault(point, []).append(fate)
            return after

        self.packages.move = noting  # type: ignore[method-assign]

    # ---- what a test does

    def write(self, *points: Point) -> None:
        """Write points that leave as one package."""
        self.pending.append(list(points))
        self.written += points
        self.notify()
        self.loop.settle()

    def batch(self, *points: Point) -> Batch:
        """Return a batch of points that are written past the coalescer."""
        self.written += points
        batch = Batch()
        self._fill(batch, points)
        return batch

    def answer(self, number: int, outcome: str) -> bool:
        """Answer the oldest package of a connection; return whether there is one.

        ``"ack"``: stored; ``"lost"`` and ``"silent"``: stored, nobody says so; ``"vanished"``: not
        stored, nobody says so; ``"part"``: the first series is stored, nobody says so;
        ``"refused"``, ``"busy"`` and ``"no pool"``: not stored, as the server says.
        """
        connection = self.cluster.connections[number % CONNECTIONS]
        if not connection.unanswered:
            return False
        sink, points = connection.unanswered.pop(0)
        if outcome in ("ack", "lost"):
            self._store(points)
        elif outcome == "part":
            self._store(dict(list(points.items())[:1]))
        errors: dict[str, Exception] = {
            "refused": InsertError("refused"),
            "busy": ServerError("busy"),
            "no pool": PoolError("no pool"),
        }
        lost = ConnectionLost("no answer", in_doubt=True)
        with self.in_loop():
            if outcome == "ack":
                sink.set_result(None)
            else:
                sink.set_exception(errors.get(outcome, lost))
        self.loop.settle()
        return True

    def cut(self, number: int, outcome: str) -> None:
        """Lose a connection with what is on it, each package by the same outcome."""
        connection = self.cluster.connections[number % CONNECTIONS]
        connection.is_up = False
        while self.answer(number, outcome):
            pass
        self.notify()
        self.loop.settle()

    def connect(self) -> None:
        """Have all connections there."""
        for connection in self.cluster.connections:
            connection.is_up = True
            if self.is_safe:
                connection.process = self.process
        self.notify()
        self.loop.settle()

    def restart(self) -> None:
        """Kill the server and start it again: what is not safe is lost."""
        for number in range(CONNECTIONS):
            self.cut(number, "vanished")
        self.stored -= self.unsafe
        self.unsafe.clear()
        self.process.is_over = True
        self.process = ServerProcess("uuid", 0, self.loop.now, self.loop.now, 0)
        self.connect()

    def answer_sentinel(self) -> bool:
        """Answer the oldest sentinel; return whether there is one."""
        if not self.sentinels:
            return False
        sentinel = self.sentinels.pop(0)
        self.unsafe.clear()
        sentinel.set_result(None)
        self.loop.settle()
        return True

    def mend(self) -> None:
        """Let servers and disk work from now on, until nothing waits any more."""
        self.lookup_error = None
        if self.disk is not None:
            self.disk.error = None
        self.connect()
        for _ in range(100):
            answered = [self.answer(number, "ack") for number in range(CONNECTIONS)]
            if not any(answered) and not self.answer_sentinel():
                self.loop.advance(2.0)

    def close(self) -> None:
        """Close the writer, as its engine does."""
        self.closed = True
        if self.dispatcher.disk_queue is not None:
            closing = self.loop.create_task(self._close_disk(self.dispatcher.disk_queue))
            while not closing.done():
                self.loop.advance(1.0)
            closing.result()
        left = {point for points in self.pending for point in points}  # the engine books these
        self.written = [point for point in self.written if point not in left]
        self.packages.policy = Policy(self.on_doubt, has_spool=False)
        with self.in_loop():
            self.dispatcher.abandon(ConnectionLost("closed"))
        self.loop.settle()

    async def _close_disk(self, disk_queue: DiskQueue) -> None:
        self.dispatcher.leave_all_on_disk()
        await disk_queue.close(30.0)

    def _store(self, points: dict[Point, float]) -> None:
        self.stored.update(points.keys())
        if self.is_safe:
            self.unsafe.update(points.keys())

    # ---- the end

    def check(self) -> None:
        """Compare fates with what is stored; nothing may be left over."""
        self._patch.stop()
        self._patch_equal.stop()
        rows = [] if self.disk is None else [payload for payload, _, _ in self.disk.rows.values()]
        on_disk = Counter(point for payload in rows for point in points_of(payload))
        for point in self.written:
            fates = self.fates.get(point, [])
            there = (fates, on_disk[point], self.stored[point])
            if fates and self.disk is not None and self.disk.error is not None:
                on_disk[point] = 0  # the disk does not even remove: the next writer looks it up
            assert len(fates) + on_disk[point] == 1, (point, there)
            if self.on_doubt != "resend":
                assert self.stored[point] <= 1, (point, there)
            if fates == ["DELIVERED"]:
                assert self.stored[point] >= 1, (point, there)
            elif fates in (["REJECTED"], ["DROPPED"]):
                assert self.stored[point] == 0, (point, there)
        assert self.memory == [0, 0]
        for state in S:
            if state not in FATES:
                assert (self.packages.in_state(state), self.packages.points(state)) == ([], 0)
                assert self.packages.memory_bytes(state) == 0
        total = self.accounts.total
        booked = total.points + total.rejected_points + total.in_doubt_points
        assert booked == sum(map(len, self.fates.values()))
        tasks = asyncio.all_tasks(self.loop)
        assert not tasks, tasks
        self.loop.close()
