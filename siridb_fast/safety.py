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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import Any

from siridb_fast import _wire
from siridb_fast._qpack import packb
from siridb_fast.cluster import Cluster
from siridb_fast.connection import Connection
from siridb_fast.errors import SiriDBError
from siridb_fast.packages import Package
from siridb_fast.pools import name_in_pool
from siridb_fast.processes import Process

__all__ = ["Safety", "clock_of"]

SAFE_BYTES = 4_000_000  # so many are held until a sentinel goes out in the middle of a load
SENTINEL_TIMEOUT = 10.0
PAUSE = 0.5  # seconds after a sentinel that was not acknowledged

logger = logging.getLogger("siridb_fast")


@dataclass(slots=True, eq=False)
class _Acknowledged:
    """The packages of one process that are not safe yet."""

    packages: deque[tuple[Package, Connection]] = field(default_factory=deque)
    bytes: int = 0
    points: int = 0
    gone: int = 0  # how many have left `packages`
    is_asked: bool = False  # a sentinel is on its way
    again_at: float = 0.0

    def is_due(self, now: float) -> bool:
        return bool(self.packages) and not self.is_asked and self.again_at <= now

    def take(self) -> Package:
        package, _ = self.packages.popleft()
        self.points -= package.batch.points
        self.bytes -= package.held
        self.gone += 1
        return package


class Safety:
    """The packages of one writer between acknowledged and safe.

    Args:
        cluster: Where they were sent.
        sentinel: The name of the series that sentinels go to; in a cluster of several pools a
            suffix is added, so that each pool has one of its own.
        now: Returns the time in the database's precision.
        on_safe: Called with each package that is safe.
        on_lost: Called with each whose process has ended before, and its connection.
        work: Called when it may be time to look again.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        sentinel: str,
        now: Callable[[], int],
        pools: Callable[[], int],
        on_safe: Callable[[Package], None],
        on_lost: Callable[[Package, Connection], None],
        work: Callable[[], None],
    ) -> None:
        self._cluster = cluster
        self._sentinel = sentinel
        self._now = now
        self._pools = pools
        self._on_safe = on_safe
        self._on_lost = on_lost
        self._work = work
        self._of_processes: dict[Process, _Acknowledged] = {}
        self._count = 0

    @property
    def points(self) -> int:
        """How many are acknowledged and not safe."""
        return sum(held.points for held in self._of_processes.values())

    @property
    def deadline(self) -> float:
        """When the patience with the first of them ends; infinity if there is none."""
        return min((package.deadline for package, _ in self._firsts()), default=inf)

    def add(self, package: Package, connection: Connection) -> None:
        """Take a package that was acknowledged over a connection."""
        process = connection.process
        assert process is not None  # noqa: S101 - the dispatcher looks
        held = self._of_processes.setdefault(process, _Acknowledged())
        held.packages.append((package, connection))
        held.bytes += package.held
        held.points += package.batch.points

    def count_received(self, package: Package, connection: Connection) -> None:
        """Count the points that a process acknowledged, to tell it from the next one."""
        if connection.process is not None and self._pools() == 1:
            connection.process.received += package.batch.points

    def tend(self, *, is_idle: bool) -> None:
        """Send the sentinels that are due, and give up what no process will make safe.

        ``is_idle`` tells that no more packages are on their way.
        """
        now = self._cluster.loop.time()
        for process, held in list(self._of_processes.items()):
            if process.is_over:
                del self._of_processes[process]
                lost = [*held.packages]
                held.gone += len(lost)  # a sentinel may be answered yet
                held.packages.clear()
                for package, connection in lost:
                    self._on_lost(package, connection)
            elif held.is_due(now) and (is_idle or held.bytes >= SAFE_BYTES):
                self._ask(process, held)

    def expire(self, now: float) -> list[Package]:
        """Take out and return the packages for which it is too late."""
        late = []
        for held in self._of_processes.values():
            while held.packages and held.packages[0][0].deadline <= now:
                late.append(held.take())
        return late

    def drop_all(self) -> list[Package]:
        """Forget all of them; return them."""
        return self.expire(inf)

    def _firsts(self) -> Iterator[tuple[Package, Connection]]:
        return (held.packages[0] for held in self._of_processes.values() if held.packages)

    def _ask(self, process: Process, held: _Acknowledged) -> None:
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
        covered = held.gone + len(held.packages)
        sent.add_done_callback(partial(self._answered, process, held, covered))

    def _answered(
        self, process: Process, held: _Acknowledged, covered: int, sent: asyncio.Future[Any]
    ) -> None:
        held.is_asked = False
        if sent.cancelled():
            return
        error = sent.exception()
        if error is None:
            process.received += 1
            while held.gone < covered:
                self._on_safe(held.take())
        else:
            logger.warning("a sentinel was not acknowledged: %s", error)
            held.again_at = self._cluster.loop.time() + PAUSE
            self._cluster.loop.call_later(PAUSE, self._work)
        self._work()


def clock_of(time_precision: int) -> Callable[[], int]:
    """Return a function that tells the time in that precision, SECOND … NANOSECOND."""
    divisor = 10 ** (9 - 3 * time_precision)
    return lambda: time.time_ns() // divisor
