"""Late points on their way: compared with the database in large groups, then sent or dropped.

A package of late points is in doubt from the beginning. It is not asked about before every package
that may have equal points, and came before it, has its fate: what those have stored is found then.
Packages that wait are asked about together, by one task. Of points that the database does not have
the first of equal ones is sent; the others wait for that, and are compared again. If conflicts are
refused, of those at one time the first is sent, and a point at the time of another value never is.
Knows packages and how to ask; knows nothing of why points are late.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from siridb_fast.columns._decode import decode_points
from siridb_fast.concurrency.quiet_log import QuietLog
from siridb_fast.concurrency.tasks import begin_task, cancel_task
from siridb_fast.connection.cluster import Cluster
from siridb_fast.connection.connection import Connection
from siridb_fast.connection.server_process import ServerProcess
from siridb_fast.delivery.batch_parts import split_batch
from siridb_fast.delivery.late_points import Comparison, compare, stored_nearby
from siridb_fast.delivery.missing_points import Arrays
from siridb_fast.delivery.package import Package, Part
from siridb_fast.delivery.packages import Packages
from siridb_fast.delivery.states import PackageEvent, PackageState
from siridb_fast.delivery.stats import LateStats
from siridb_fast.errors import ConflictError, PoolError, RequestTimeout, SiriDBError
from siridb_fast.query.server_queries import ServerQueries

__all__ = ["LateComparer", "late_event"]

POINTS_AT_ONCE = 200_000  # of a group, each in memory a few times
LOOK_TIMEOUT = 60.0  # seconds for one group
RETRY_INTERVAL = 0.1  # seconds until a group is asked about again
TURN_INTERVAL = 0.05  # seconds between two looks at what goes before

S, E = PackageState, PackageEvent

logger = logging.getLogger("siridb_fast")
NumpyArray = np.ndarray[Any, np.dtype[Any]]


class LateComparer:
    """Compares the late points of one writer.

    Args:
        cluster: Its connections.
        packages: All of the writer.
        queries: Asks the servers.
        receivers_of: Returns the processes that may lose what is found over a connection.
        on_looked_up: Called with each package that is still in doubt when it was compared, and
            what became of it: found, missing, partly found (then it has its parts), or late.
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
        self._log = QuietLog(cluster.loop.time)
        self._waiting: list[Package] = []
        self._task: asyncio.Task[None] | None = None
        self._compared = self._stored = self._beside = self._refused = 0
        # Whether nothing is on disk only: what is there goes before late points.
        self.is_disk_drained: Callable[[], bool] = lambda: True

    def stats(self) -> LateStats:
        """Return the figures."""
        waiting = sum(one.batch.points for one in self._waiting if one.state is S.IN_DOUBT)
        return LateStats(
            compared=self._compared,
            already_stored=self._stored,
            beside=self._beside,
            waiting=waiting,
            refused=self._refused,
        )

    def takes(self, package: Package) -> bool:
        """Take a package in doubt to compare it, if it was never sent."""
        is_taken = package.is_late and not package.was_on_disk
        if is_taken:
            self._waiting.append(package)
        return is_taken

    def check(self) -> None:
        """Begin with the next group, if nothing goes before it any more."""
        self._waiting = [one for one in self._waiting if one.state is S.IN_DOUBT]
        if self._task is not None and not self._task.done():
            if not self._waiting:  # they have gone to disk, or were given up
                cancel_task(self._task)
            return
        if self._waiting and self._cluster.is_connected and self.is_disk_drained():
            group = self._next_group()
            if group:
                self._task = begin_task(self._settle(group), self._cluster.loop)

    async def wait_for_turn(self, package: Package) -> None:
        """Wait until nothing goes before a package that came back from disk."""
        names = set(package.batch.names)
        while True:
            others = (one for one in self._packages.unfinished() if _goes_before(one, package))
            if all(names.isdisjoint(one.batch.names) for one in others):
                return
            await asyncio.sleep(TURN_INTERVAL)

    # ---- inside

    def _next_group(self) -> list[Package]:
        # The first of those that wait, up to one that has to wait for others.
        self._waiting.sort(key=lambda one: one.number)
        others = sorted(
            (one for one in self._packages.unfinished() if not _is_waiting(one)),
            key=lambda one: one.number,
            reverse=True,
        )
        group: list[Package] = []
        before: set[str] = set()  # series of packages that go before the next one
        points = 0
        for package in self._waiting:
            while others and others[-1].number <= package.number:
                before.update(others.pop().batch.names)
            points += package.batch.points
            if not before.isdisjoint(package.batch.names) or (group and points > POINTS_AT_ONCE):
                break
            group.append(package)
        return group

    async def _settle(self, group: list[Package]) -> None:
        # However it ends, those that are still in doubt are asked about again.
        try:
            while group := [one for one in group if one.state is S.IN_DOUBT]:
                try:
                    async with asyncio.timeout(LOOK_TIMEOUT):
                        await self._compare(group)
                except (SiriDBError, TimeoutError) as exc:
                    self._log.log(logging.DEBUG, "late points are not compared yet: %r", exc)
                except Exception:
                    logger.exception("comparing late points; trying again")
                else:
                    break
                self._give_up_old(group)
                await asyncio.sleep(RETRY_INTERVAL)
        finally:
            self._notify()

    def _give_up_old(self, group: Iterable[Package]) -> None:
        now = self._cluster.loop.time()
        for package in group:
            if package.deadline <= now and package.state is S.IN_DOUBT:
                package.error = RequestTimeout(
                    "no server told in time whether late points are stored already"
                    f"{self._cluster.failure_suffix}"
                )
                self._on_looked_up(package, E.LATE)

    async def _compare(self, group: Sequence[Package]) -> None:
        points = [decode_points(one.batch.buffer) for one in group]
        connections = await self._connections()
        receivers = self._receivers_of(connections[0])  # those of now: one may end meanwhile
        results: list[Comparison] | None = None
        for connection in connections:
            ask = partial(self._queries.select, at=connection)
            there = await stored_nearby(points, ask)
            some = compare(points, there, refuses=self._packages.refuses_conflicts)
            results = some if results is None else [*map(Comparison.with_another, results, some)]
        assert results is not None  # noqa: S101 - there is a connection
        for package, arrays, result in zip(group, points, results, strict=True):
            if package.state is S.IN_DOUBT:
                package.connection, package.receivers = connections[0], receivers
                self._take(package, arrays, result)

    async def _connections(self) -> list[Connection]:
        # To a server, which asks the other pools; to all, where pools have several: one may lag.
        at = self._cluster.select(try_inactive=True)
        if at is None:
            raise PoolError("no server can be asked whether late points are stored")
        pools = await self._queries.pools_by_server(at=at)
        if len(set(pools.values())) == len(pools):
            return [at]
        found = [self._cluster.connection_to_server(uuid) for uuid in pools]
        return [one for one in found if one is not None] or [at]

    def _take(self, package: Package, arrays: Arrays, result: Comparison) -> None:
        event = late_event(package, arrays, result)
        if event is None:
            return  # it waits on
        kinds = (result.stored, result.refused, result.again)
        stored, refused, again = map(_count, kinds)
        is_left = event is E.PARTLY_FOUND and bool(stored) + bool(refused) + bool(again) > 1
        if is_left:  # all but the first of these is compared once more
            refused = 0 if stored else refused
        self._compared += (stored or refused) if is_left else package.batch.points - again
        self._stored += stored
        self._refused += refused
        self._beside += 0 if is_left else _count(result.beside)
        self._on_looked_up(package, event)


def late_event(package: Package, arrays: Arrays, result: Comparison) -> PackageEvent | None:
    """Return what became of a package, which gets its parts if it is not all alike.

    What is stored is parted from the rest first, then what is refused, then what has to wait until
    one like it is stored. None is returned if that is so for all.

    Args:
        package: In doubt.
        arrays: Its points.
        result: What is known of them.
    """
    conflicts = None
    rest = None if _count(result.again) else E.MISSING
    if _count(result.stored):
        masks, event = result.stored, E.FOUND
        rest = None if _count(result.refused) else rest
    elif _count(result.refused):
        masks, event = result.refused, E.CONFLICTING
        conflicts = _conflicts_of(arrays, result)
    elif rest is None:
        masks, event, rest = {name: ~mask for name, mask in result.again.items()}, E.MISSING, None
    else:
        return E.MISSING
    others = {name: ~mask for name, mask in masks.items()}
    resolution = split_batch(package.batch, arrays, others)
    if resolution.missing is None:
        package.conflicts = conflicts
        return event
    if resolution.stored is None:
        return rest
    package.parts = (
        Part(resolution.stored, S.IN_DOUBT, event, conflicts),
        Part(resolution.missing, S.IN_DOUBT, rest),
    )
    return E.PARTLY_FOUND


def _conflicts_of(arrays: Arrays, result: Comparison) -> dict[str, SiriDBError]:
    """Return why the points of each series are refused; of the others there is nothing."""
    found: dict[str, SiriDBError] = {}
    for name, mask in result.refused.items():
        if mask.any():
            times, values = arrays[name]
            given = times, values, result.others[name]
            found[name] = ConflictError(name, *(_plain(some[mask]) for some in given))
    return found


def _plain(values: NumpyArray) -> list[Any]:
    return [
        one.decode("utf-8", "replace") if isinstance(one, bytes) else one
        for one in values.tolist()
    ]


def _is_waiting(package: Package) -> bool:
    return package.is_late and package.state is S.IN_DOUBT and not package.was_on_disk


def _goes_before(one: Package, package: Package) -> bool:
    # Of two that came back from disk, in that order; one that was split has the number of both.
    if one is package or not one.was_on_disk:
        return False
    return one.number < package.number or (one.number == package.number and not one.is_late)


def _count(masks: dict[str, NumpyArray]) -> int:
    return int(np.concatenate(list(masks.values())).sum())
