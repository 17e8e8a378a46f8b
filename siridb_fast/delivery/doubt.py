"""Resolving doubts: which points of a package are stored, and which have to be sent again.

A package is in doubt when it may have been stored, in whole or in part, and no answer tells. The
servers that can tell (`witnesses`) are asked, once they have stopped working on the package; what
none of them has is missing. Knows packages and connections; knows nothing of why there is a doubt,
nor of what follows from its end.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import Any

import numpy as np

from siridb_fast.columns._decode import decode_points
from siridb_fast.concurrency.quiet_log import QuietLog
from siridb_fast.concurrency.tasks import begin_task, cancel_task
from siridb_fast.connection.cluster import Cluster
from siridb_fast.connection.connection import Connection
from siridb_fast.connection.server_process import ServerProcess
from siridb_fast.delivery.batch_parts import split_batch
from siridb_fast.delivery.equal_points import EqualPoints, Look, Notes
from siridb_fast.delivery.late_comparer import LateComparer, late_event
from siridb_fast.delivery.late_points import Comparison, compare, stored_nearby
from siridb_fast.delivery.missing_points import Arrays, Ask, missing_points
from siridb_fast.delivery.package import Package, Part
from siridb_fast.delivery.packages import Packages
from siridb_fast.delivery.states import PackageEvent, PackageState
from siridb_fast.delivery.stats import LookupStats
from siridb_fast.delivery.witnesses import Witnesses, WitnessFinder
from siridb_fast.errors import SiriDBError
from siridb_fast.query.server_queries import ServerQueries

__all__ = ["DoubtResolver", "LookupTurns"]

LOOKUP_TIMEOUT = 30.0  # seconds to look up a package since the last answer, or a server's restart
LONGEST_LOOKUP = 600.0  # seconds, however slow the answers are and often servers restart
FIRST_LOOK = 8.0  # seconds for one look, then twice as many: one passed on to a dead server hangs
RETRY_INTERVAL = 0.1  # seconds between two queries for the same points
ERROR_INTERVAL = 1.0  # seconds after an error that is not the server's
BUSY_TIMEOUT = 10.0  # seconds that a server may go on working: it may be for other clients
CONCURRENT_LOOKUPS = 2  # each has the points of a package in memory three times

logger = logging.getLogger("siridb_fast")
NumpyArray = np.ndarray[Any, np.dtype[Any]]


@dataclass(slots=True)
class _Lookup:
    """What is known of a package while it is looked up."""

    package: Package
    deadline: float = inf  # on the loop's clock; later, if others are resolved meanwhile
    busy_until: float = inf  # from then on its server is not waited for any more
    look_timeout: float = FIRST_LOOK  # seconds
    missing: dict[str, NumpyArray] | None = None  # by the last answer
    processes: set[ServerProcess | None] = field(default_factory=set)  # that were asked
    has_progress: bool = False  # since `take_progress`

    def begin(self, now: float) -> None:
        """Count its time from now on."""
        self.deadline = max(self.package.deadline, now + LOOKUP_TIMEOUT)
        self.busy_until = now + BUSY_TIMEOUT

    def note(self, processes: set[ServerProcess | None]) -> None:
        """Note which processes of the servers are asked now; a new one has lost answers."""
        self.has_progress |= bool(self.processes) and not processes <= self.processes
        self.processes |= processes

    def take_progress(self) -> bool:
        """Tell once whether all servers have answered, or one has restarted."""
        had_progress, self.has_progress = self.has_progress, False
        return had_progress


class LookupTurns:
    """Whose turn it is to ask; the others wait for as long as doubts are being resolved."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._free = asyncio.Semaphore(CONCURRENT_LOOKUPS)
        self._last_progress = -inf

    async def acquire(self, deadline: float) -> float:
        """Wait for a turn; return when it ends, on the loop's clock.

        Raises:
            TimeoutError: The deadline is over, and no lookup has made progress for so long.
        """
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    await self._free.acquire()
            except TimeoutError:
                deadline = self._last_progress + LOOKUP_TIMEOUT
                if deadline <= self._loop.time():
                    raise
            else:
                return max(deadline, self._loop.time() + LOOKUP_TIMEOUT)

    def extend(self) -> float:
        """Give a turn its time again, as there is progress; return when it ends."""
        self._last_progress = self._loop.time()
        return self._last_progress + LOOKUP_TIMEOUT

    def release(self, *, is_resolved: bool) -> None:
        """End a turn; ``is_resolved`` says whether it was of use."""
        if is_resolved:
            self._last_progress = self._loop.time()
        self._free.release()


class DoubtResolver:
    """Looks up the packages of one writer that are in doubt.

    Args:
        cluster: Where they were sent.
        packages: All of the writer.
        queries: Asks the servers.
        receivers_of: Returns the processes that may lose what is found over a connection.
        on_looked_up: Called once with each package that is still in doubt when its look-up ends,
            and what became of it: found, missing, partly found (then it has its parts), or late.
        notify: Called after that.
    """

    def __init__(
        self,
        cluster: Cluster,
        packages: Packages,
        queries: ServerQueries,
        receivers_of: Callable[[Connection], tuple[ServerProcess, ...]],
        on_looked_up: Callable[[Package, PackageEvent], None],
        notify: Callable[[], None],
    ) -> None:
        self._cluster = cluster
        self._packages = packages
        self._queries = queries
        self._receivers_of = receivers_of
        self._on_looked_up = on_looked_up
        self._notify = notify
        self._witnesses = WitnessFinder(cluster, queries)
        self._turns = LookupTurns(cluster.loop)
        self._equal_points = EqualPoints(packages)
        self._log = QuietLog(cluster.loop.time)
        self._equal_lock = asyncio.Lock()
        self._query_lock = asyncio.Lock()  # active_tasks counts the queries of other look-ups
        self._tasks: dict[Package, asyncio.Task[PackageEvent]] = {}
        self._findings: Counter[PackageEvent] = Counter()
        self.late: LateComparer | None = None  # None: late points are sent as they come
        if packages.compares_late:
            self.late = LateComparer(
                cluster, packages, queries, receivers_of, on_looked_up, notify
            )

    def stats(self) -> LookupStats:
        """Return how many packages were looked up, by what was found."""
        found = self._findings
        return LookupStats(
            running=len(self._tasks),
            stored=found[PackageEvent.FOUND],
            missing=found[PackageEvent.MISSING],
            partly_stored=found[PackageEvent.PARTLY_FOUND],
            unknown=found[PackageEvent.CANNOT_TELL] + found[PackageEvent.LATE],
        )

    def check(self) -> None:
        """Begin to look up what is new in doubt; end what is so no longer."""
        for package in [one for one in self._tasks if one.state is not PackageState.IN_DOUBT]:
            cancel_task(self._tasks.pop(package))
            self._witnesses.release(package)
        now = self._cluster.loop.time()
        for package in self._packages.take_arrivals(PackageState.IN_DOUBT):
            if self.late is not None and self.late.takes(package):
                continue
            # From now on, not from its turn on: that others are waited for is time for it, too.
            lookup = _Lookup(package)
            lookup.begin(now)
            task = begin_task(self._look_up(lookup), self._cluster.loop)
            task.add_done_callback(partial(self._on_done, package))
            self._tasks[package] = task
        if self.late is not None:
            self.late.check()

    def _on_done(self, package: Package, task: asyncio.Task[PackageEvent]) -> None:
        # However the task has ended: without a fate the package would stay for ever.
        if self._tasks.get(package) is not task:
            return
        del self._tasks[package]
        self._witnesses.release(package)
        event = PackageEvent.LATE
        if task.cancelled():
            logger.error("the look-up of a package was cancelled")
        elif (exception := task.exception()) is not None:
            logger.error("the look-up of a package has failed: %r", exception)
        else:
            event = task.result()
        self._findings[event] += 1
        if package.state is PackageState.IN_DOUBT:
            self._on_looked_up(package, event)
        self._notify()

    async def _look_up(self, lookup: _Lookup) -> PackageEvent:
        event, package = None, lookup.package
        if package.is_late and self.late is not None:
            await self.late.wait_for_turn(package)
            lookup.begin(self._cluster.loop.time())
        try:
            async with asyncio.timeout_at(lookup.deadline):  # it needs no turn for that
                await self._witnesses.wait(package)
            end = await self._turns.acquire(lookup.deadline)
            last_end = end + LONGEST_LOOKUP
            try:
                async with asyncio.timeout_at(end) as turn:
                    while event is None:
                        event = await self._try(lookup)
                        if lookup.take_progress():
                            turn.reschedule(min(self._turns.extend(), last_end))
            finally:
                self._turns.release(is_resolved=event is not None)
        except TimeoutError:
            who = " at ".join(filter(None, (package.server, package.host))) or "no server"
            text = "%s did not tell in time what became of a package"
            self._log.log(logging.ERROR, text, who)
        return event or PackageEvent.LATE

    async def _try(self, lookup: _Lookup) -> PackageEvent | None:
        # One look; any error of it, of whatever class, is a reason to look again.
        pause = RETRY_INTERVAL
        try:
            async with asyncio.timeout(lookup.look_timeout):
                event = await self._compare(lookup)
            if event is not None:
                return event
        except TimeoutError:
            host = lookup.package.host
            logger.debug("%s has not told in %g s; asking again", host, lookup.look_timeout)
            lookup.missing = None
            lookup.look_timeout *= 2
        except SiriDBError as exc:
            logger.debug("%s: %s; asking again", lookup.package.host, exc)
            lookup.missing = None
        except Exception:
            logger.exception("looking up a package; trying again")
            lookup.missing, pause = None, ERROR_INTERVAL
        await asyncio.sleep(pause)
        return None

    async def _compare(self, lookup: _Lookup) -> PackageEvent | None:
        # A new process works on nothing. Of one that may, and where another one may have passed
        # points on, two answers have to agree.
        package, witnesses = lookup.package, await self._witnesses.find(lookup.package)
        connections = witnesses.connections
        if not connections:
            return None
        lookup.note({one.process for one in connections})
        receivers = self._receivers_of(connections[0])  # those of now: one may end meanwhile
        is_new = witnesses.is_alone and _is_new(connections[0], package.connection)
        may_be_busy = not is_new and self._cluster.loop.time() < lookup.busy_until
        async with self._query_lock if may_be_busy else nullcontext():
            is_idle = not may_be_busy or await self._are_idle(witnesses)
            arrays = decode_points(package.batch.buffer)
            notes = self._packages.repeats.notes_of(arrays)
            asks = [partial(self._queries.select, at=one) for one in connections]
            look = await self._look(arrays, notes, asks)
        before, lookup.missing = lookup.missing, None if look is None else look.missing
        if look is None:
            return None
        if witnesses.absent and not look.is_stored:
            lookup.missing = None
            return None
        lookup.has_progress = True
        is_sure = is_new or (look.is_stored and not notes)
        if is_sure or (is_idle and _are_equal(look.missing, before)):
            package.connection, package.receivers = connections[0], receivers
            return _event_of(package, arrays, look)
        return None

    async def _look(self, arrays: Arrays, notes: Notes, asks: Sequence[Ask]) -> Look | None:
        # Of packages that may have equal points one after the other: what one of them finds, the
        # next one does not.
        if notes:
            async with self._equal_lock:
                return await self._equal_points.look(arrays, notes, asks)
        if self.late is not None:
            return await self._look_at_late(arrays, asks)
        missing = {name: np.ones(len(pair[0]), np.bool_) for name, pair in arrays.items()}
        for ask in asks:  # what none of these servers has
            for name, mask in (await missing_points(arrays, ask)).items():
                missing[name] &= mask
        return Look(missing, {})

    async def _look_at_late(self, arrays: Arrays, asks: Sequence[Ask]) -> Look:
        # An equal point is the same point, however often the database has it.
        found: Comparison | None = None
        for ask in asks:
            there = await stored_nearby([arrays], ask)
            (one,) = compare([arrays], there, refuses=self._packages.refuses_conflicts)
            found = one if found is None else found.with_another(one)
        assert found is not None  # noqa: S101 - there is a server to ask
        return Look({name: ~mask for name, mask in found.stored.items()}, {}, found)

    async def _are_idle(self, witnesses: Witnesses) -> bool:
        # Whether they work on nothing but this question and our own packages.
        ours = 1 + self._packages.count(PackageState.IN_FLIGHT)
        for connection in witnesses.connections:
            if await self._queries.active_tasks(at=connection) > ours:
                return False
        if not witnesses.remote:
            return True
        tasks = await self._queries.tasks_by_server(at=witnesses.connections[0])
        return all(uuid in tasks and tasks[uuid] <= ours for uuid in witnesses.remote)


def _event_of(package: Package, arrays: Arrays, look: Look) -> PackageEvent:
    # What was found out; the parts of the package, if it was partly found. What cannot be told is
    # parted first; the rest is looked up again, by itself.
    if package.is_late and look.late is not None:
        event = late_event(package, arrays, look.late)
        assert event is not None  # noqa: S101 - of equal points one is the first
        return event
    events: tuple[PackageEvent | None, PackageEvent] = PackageEvent.FOUND, PackageEvent.MISSING
    masks = look.missing
    if any(mask.any() for mask in look.unclear.values()):
        events, masks = (None, PackageEvent.CANNOT_TELL), look.unclear
    resolution = split_batch(package.batch, arrays, masks)
    if resolution.stored is None:
        return events[1]
    if resolution.missing is None:
        return PackageEvent.FOUND
    package.parts = (
        Part(resolution.stored, PackageState.IN_DOUBT, events[0]),
        Part(resolution.missing, PackageState.IN_DOUBT, events[1]),
    )
    return PackageEvent.PARTLY_FOUND


def _is_new(current: Connection, former: Connection | None) -> bool:
    if former is None:
        return False
    processes = current.process, former.process
    return None not in processes and processes[0] is not processes[1]


def _are_equal(now: dict[str, NumpyArray], before: dict[str, NumpyArray] | None) -> bool:
    return before is not None and all(
        np.array_equal(mask, before[name]) for name, mask in now.items()
    )
