"""Packages that a server has acknowledged and may still lose: with its process.

SiriDB answers an insert when all but the last write of it has left the process (server-facts 4).
A point to another series, the sentinel, pushes that out too. So a package is safe once a sentinel
that was sent after its acknowledgement has been acknowledged by the same process.
What a sentinel is and proves is in `sentinel`. Knows connections and processes; knows nothing of
what is in a package.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from siridb_fast.columns.time_units import TimePrecision
from siridb_fast.connection.cluster import Cluster
from siridb_fast.connection.connection import Connection
from siridb_fast.connection.server_process import ServerProcess
from siridb_fast.delivery.package import Package
from siridb_fast.delivery.packages import Packages
from siridb_fast.delivery.sentinel import SentinelSender
from siridb_fast.delivery.states import PackageEvent, PackageState

__all__ = ["SentinelTracker", "clock_of"]

SENTINEL_BYTES = 4_000_000  # of acknowledged packages, for a sentinel in the middle of a load
SENTINEL_TIMEOUT = 10.0
RETRY_INTERVAL = 0.5  # seconds after a sentinel that was not acknowledged

logger = logging.getLogger("siridb_fast")


@dataclass(slots=True, eq=False)
class _Entry:
    """A package, from one acknowledgement of it on."""

    package: Package
    processes_left: int  # that may still lose it


@dataclass(slots=True, eq=False)
class _ProcessQueue:
    """The packages that one process may still lose, in the order of their acknowledgements."""

    entries: deque[_Entry] = field(default_factory=deque)
    bytes: int = 0
    taken: int = 0  # how many have left `entries`
    has_sentinel: bool = False  # a sentinel is on its way, or was in vain just now

    def take(self) -> _Entry:
        entry = self.entries.popleft()
        self.bytes -= entry.package.memory_bytes
        self.taken += 1
        return entry


class SentinelTracker:
    """The packages of one writer between acknowledged and safe.

    In a cluster of several pools the server that acknowledges a package may have passed points of
    it on to others, each of which may lose them: it is safe when it is in all of these.

    Args:
        cluster: Where they were sent.
        packages: All of the writer.
        sentinel: The name of the series that sentinels go to, as for `SentinelSender`.
        now: Returns the time in the database's precision.
        pools: How many pools there are, as far as is known.
        known_processes: Returns the last known process of each host.
        on_lost: Called with each package that a process has lost.
        notify: Called when it may be time to `check` again.
    """

    def __init__(
        self,
        cluster: Cluster,
        packages: Packages,
        *,
        sentinel: str,
        now: Callable[[], int],
        pools: int,
        known_processes: Callable[[], Iterable[ServerProcess]],
        on_lost: Callable[[Package], None],
        notify: Callable[[], None],
    ) -> None:
        self._cluster = cluster
        self._packages = packages
        self._sender = SentinelSender(sentinel, now, pools, cluster.loop.time)
        self._known_processes = known_processes
        self._on_lost = on_lost
        self._notify = notify
        self._open_entries: dict[Package, _Entry] = {}
        self._by_process: dict[ServerProcess, _ProcessQueue] = {}

    def receivers(self, connection: Connection) -> tuple[ServerProcess, ...]:
        """Return the processes that may get points of a package that is sent now."""
        process = connection.process
        if process is None or self._sender.pools == 1:
            return () if process is None else (process,)
        return tuple(dict.fromkeys([process, *self._processes_of_pools()]))

    def _processes_of_pools(self) -> list[ServerProcess]:
        known = list(self._known_processes())
        there = [one for one in known if self._cluster.connection_behind(one) is not None]
        pools = {one.pool for one in there}
        absent = [one for one in known if one.pool not in pools]
        return [*there, *absent]

    def note_pools(self, pools: int) -> None:
        """Take note of how many pools there are by now."""
        self._sender.note_pools(pools)
        self._notify()

    def count_received(self, package: Package, connection: Connection) -> None:
        """Count the points that a process acknowledged, to tell it from the next one."""
        if connection.process is not None and self._sender.pools == 1:
            connection.process.received += package.batch.points

    def check_processes(self) -> None:
        """Report what processes that have ended have lost; forget what waits no longer."""
        self._take_acknowledged()
        self._add_receivers()
        lost: list[Package] = []
        for process, queue in list(self._by_process.items()):
            if process.is_over:
                del self._by_process[process]
            while queue.entries and (process.is_over or not self._is_open(queue.entries[0])):
                entry = queue.take()  # a sentinel may be answered yet, that covers it
                if self._close(entry):
                    lost.append(entry.package)
        self._report_lost(lost)

    def _report_lost(self, lost: list[Package]) -> None:
        if lost:
            points = sum(package.batch.points for package in lost)
            text = "%s acknowledged points of %d packages may be lost: a server was restarted"
            logger.warning(text, f"{points:,}", len(lost))
        for package in lost:
            self._on_lost(package)

    def check(self, *, is_idle: bool) -> None:
        """Send the sentinels that are due.

        ``is_idle`` says that no more packages are on their way.
        """
        self._take_acknowledged()
        self._cluster.seeker.need(self, self._unsafe_in())
        for process, queue in self._by_process.items():
            is_due = is_idle or queue.bytes >= SENTINEL_BYTES
            if process.is_over:
                self._notify()  # to `check_processes` again
            elif queue.entries and is_due and not queue.has_sentinel:
                self._send_sentinel(process, queue)

    def _unsafe_in(self) -> set[str]:
        queues = self._by_process.items()
        return {process.uuid for process, queue in queues if queue.entries and not process.is_over}

    def _take_acknowledged(self) -> None:
        for package in self._packages.take_arrivals(PackageState.ACKNOWLEDGED):
            entry = self._open_entries[package] = _Entry(package, len(package.receivers))
            for process in package.receivers:
                self._queue(entry, process)

    def _queue(self, entry: _Entry, process: ServerProcess) -> None:
        queue = self._by_process.setdefault(process, _ProcessQueue())
        queue.entries.append(entry)
        queue.bytes += entry.package.memory_bytes

    def _add_receivers(self) -> None:
        # Servers of pools that nobody knew of when the packages were sent, but those who sent them
        # on. A process that has begun since may have forgotten some.
        if self._sender.pools == 1:
            return
        processes = self._processes_of_pools()
        for entry in list(self._open_entries.values()):
            package = entry.package
            pools = {one.pool for one in package.receivers}
            missing = tuple(one for one in processes if one.pool not in pools)
            if not missing or not self._is_open(entry):
                continue
            package.receivers += missing
            if any(one.latest > package.sent_at for one in missing):
                self._close(entry)
                self._report_lost([package])
                continue
            entry.processes_left += len(missing)
            for process in missing:
                self._queue(entry, process)

    def _is_open(self, entry: _Entry) -> bool:
        # Whether the package has waited to be safe ever since it was acknowledged.
        is_last = self._open_entries.get(entry.package) is entry
        return is_last and entry.package.state is PackageState.ACKNOWLEDGED

    def _close(self, entry: _Entry) -> bool:
        # Return whether it was open.
        is_open = self._is_open(entry)
        if self._open_entries.get(entry.package) is entry:
            del self._open_entries[entry.package]
        return is_open

    def _on_safe_in_one(self, entry: _Entry) -> None:
        entry.processes_left -= 1
        if not entry.processes_left and self._close(entry):
            self._packages.move(entry.package, PackageEvent.SAFE)

    def _send_sentinel(self, process: ServerProcess, queue: _ProcessQueue) -> None:
        connection = self._cluster.connection_behind(process)
        if connection is None:
            return
        queue.has_sentinel = True
        covered = queue.taken + len(queue.entries)
        self._sender.send(process, connection, partial(self._on_end, queue, covered))

    def _on_end(self, queue: _ProcessQueue, covered: int, is_proved: bool) -> None:
        if is_proved:
            queue.has_sentinel = False
            while queue.taken < covered:
                self._on_safe_in_one(queue.take())
        elif not self._cluster.loop.is_closed():
            self._cluster.loop.call_later(RETRY_INTERVAL, self._allow_sentinel, queue)
        self._notify()

    def _allow_sentinel(self, queue: _ProcessQueue) -> None:
        queue.has_sentinel = False
        self._notify()


def clock_of(time_precision: int) -> Callable[[], int]:
    """Return a function that tells the time in that precision, SECOND … NANOSECOND."""
    divisor = TimePrecision(time_precision).nanoseconds
    return lambda: time.time_ns() // divisor
