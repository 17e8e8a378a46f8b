"""Packages that a server has acknowledged and may still lose: with its process.

SiriDB answers an insert when all but the last write of it has left the process (server-facts 4).
A point to another series, the sentinel, pushes that out too. So a package is safe once a sentinel
that was sent after its acknowledgement has been acknowledged by the same process. Knows
connections and processes; knows nothing of what is in a package.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import Any

from siridb_fast.columns.time_units import TimePrecision
from siridb_fast.connection.cluster import Cluster
from siridb_fast.connection.connection import Connection
from siridb_fast.connection.server_process import ServerProcess
from siridb_fast.delivery.package import Package
from siridb_fast.errors import SiriDBError
from siridb_fast.protocol import _wire
from siridb_fast.protocol._qpack import packb
from siridb_fast.protocol.pools import name_in_pool

__all__ = ["SentinelTracker", "clock_of"]

SAFE_BYTES = 4_000_000  # so many are held until a sentinel goes out in the middle of a load
SENTINEL_TIMEOUT = 10.0
PAUSE = 0.5  # seconds after a sentinel that was not acknowledged

logger = logging.getLogger("siridb_fast")


@dataclass(slots=True, eq=False)
class _Entry:
    """A package between acknowledged and safe."""

    package: Package
    connection: Connection
    unsafe_in: int  # so many processes; 0 once its fate is decided


@dataclass(slots=True, eq=False)
class _Acknowledged:
    """The packages that one process may still lose, in the order of their acknowledgements."""

    entries: deque[_Entry] = field(default_factory=deque)
    bytes: int = 0
    gone: int = 0  # how many have left `entries`
    is_asked: bool = False  # a sentinel is on its way, or was in vain just now

    def take(self) -> _Entry:
        entry = self.entries.popleft()
        self.bytes -= entry.package.held
        self.gone += 1
        return entry


class SentinelTracker:
    """The packages of one writer between acknowledged and safe.

    In a cluster of several pools the server that acknowledges a package may have passed points of
    it on to others, each of which may lose them: it is safe when it is in all of these.

    Args:
        cluster: Where they were sent.
        sentinel: The name of the series that sentinels go to; in a cluster of several pools a
            suffix is added, so that each pool has one of its own.
        now: Returns the time in the database's precision.
        pools: Returns how many pools there are.
        known: Returns the last known process of each host.
        on_safe: Called with each package that is safe.
        on_lost: Called with each that a process has lost, and its connection.
        work: Called when it may be time to look again.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        sentinel: str,
        now: Callable[[], int],
        pools: Callable[[], int],
        known: Callable[[], Iterable[ServerProcess]],
        on_safe: Callable[[Package], None],
        on_lost: Callable[[Package, Connection], None],
        work: Callable[[], None],
    ) -> None:
        self._cluster = cluster
        self._sentinel = sentinel
        self._now = now
        self._pools = pools
        self._known = known
        self._on_safe = on_safe
        self._on_lost = on_lost
        self._work = work
        self._of_processes: dict[ServerProcess, _Acknowledged] = {}
        self._count = 0
        self.points = 0  # acknowledged and not safe

    @property
    def deadline(self) -> float:
        """When the patience with the first of them ends; infinity if there is none."""
        firsts = (held.entries[0] for held in self._of_processes.values() if held.entries)
        return min((entry.package.deadline for entry in firsts), default=inf)

    def receivers(self, connection: Connection) -> tuple[ServerProcess, ...]:
        """Return the processes that may get points of a package that is sent now."""
        process = connection.process
        if process is None or self._pools() == 1:
            return () if process is None else (process,)
        known = list(self._known())
        there = [one for one in known if self._cluster.connection_behind(one) is not None]
        pools = {one.pool for one in there}
        absent = [one for one in known if one.pool not in pools]
        return tuple(dict.fromkeys([process, *there, *absent]))

    def add(self, package: Package, connection: Connection) -> None:
        """Take a package that was acknowledged over a connection."""
        entry = _Entry(package, connection, len(package.receivers))
        self.points += package.batch.points
        for process in package.receivers:
            held = self._of_processes.setdefault(process, _Acknowledged())
            held.entries.append(entry)
            held.bytes += package.held

    def count_received(self, package: Package, connection: Connection) -> None:
        """Count the points that a process acknowledged, to tell it from the next one."""
        if connection.process is not None and self._pools() == 1:
            connection.process.received += package.batch.points

    def tend(self, *, is_idle: bool) -> None:
        """Send the sentinels that are due, and give up what no process will make safe.

        ``is_idle`` tells that no more packages are on their way.
        """
        for process, held in list(self._of_processes.items()):
            if process.is_over:
                del self._of_processes[process]
                while held.entries:  # a sentinel may be answered yet, that covers them
                    entry = held.take()
                    if self._decide(entry):
                        self._on_lost(entry.package, entry.connection)
            elif held.entries and not held.is_asked and (is_idle or held.bytes >= SAFE_BYTES):
                self._ask(process, held)

    def expire(self, now: float) -> list[Package]:
        """Take out and return the packages for which it is too late."""
        late = []
        for held in self._of_processes.values():
            while held.entries and held.entries[0].package.deadline <= now:
                entry = held.take()
                if self._decide(entry):
                    late.append(entry.package)
        return late

    def drop_all(self) -> list[Package]:
        """Forget all of them; return them."""
        return self.expire(inf)

    def _decide(self, entry: _Entry) -> bool:
        # Whether this is the one that decides its fate; no other process matters from then on.
        is_open = entry.unsafe_in > 0
        if is_open:
            entry.unsafe_in = 0
            self.points -= entry.package.batch.points
        return is_open

    def _is_safe_in_one(self, entry: _Entry) -> None:
        if entry.unsafe_in > 1:
            entry.unsafe_in -= 1
        elif self._decide(entry):
            self._on_safe(entry.package)

    def _ask(self, process: ServerProcess, held: _Acknowledged) -> None:
        connection = self._cluster.connection_behind(process)
        if connection is None:
            return
        name = name_in_pool(self._sentinel, process.pool, self._pools())
        self._count += 1
        payload = packb({name: [[self._now(), self._count]]})
        deadline = self._cluster.loop.time() + SENTINEL_TIMEOUT
        try:
            sent = connection.send(_wire.REQ_INSERT, payload, deadline, is_urgent=True)
        except SiriDBError as exc:
            logger.debug("%s: no sentinel: %s", connection.name, exc)
            return
        held.is_asked = True
        covered = held.gone + len(held.entries)
        sent.add_done_callback(partial(self._answered, process, held, covered))

    def _answered(
        self, process: ServerProcess, held: _Acknowledged, covered: int, sent: asyncio.Future[Any]
    ) -> None:
        if sent.cancelled():
            held.is_asked = False
            return
        error = sent.exception()
        if error is None:
            held.is_asked = False
            process.received += 1
            while held.gone < covered:
                self._is_safe_in_one(held.take())
        else:
            logger.warning("a sentinel was not acknowledged: %s", error)
            self._cluster.loop.call_later(PAUSE, self._may_ask_again, held)
        self._work()

    def _may_ask_again(self, held: _Acknowledged) -> None:
        held.is_asked = False
        self._work()


def clock_of(time_precision: int) -> Callable[[], int]:
    """Return a function that tells the time in that precision, SECOND … NANOSECOND."""
    divisor = TimePrecision(time_precision).nanoseconds
    return lambda: time.time_ns() // divisor
