"""Packages that a server has acknowledged and may still lose: with its process.

SiriDB answers an insert when all but the last write of it has left the process (server-facts 4).
A point to another series, the sentinel, pushes that out too. So a package is safe once a sentinel
that was sent after its acknowledgement has been acknowledged by the same process.

Which series is a pool's own, and which servers may have points of a package, follow from the
number of pools; a pool can come without anybody telling. So the number is asked after each
sentinel, of the server that got it, and a sentinel is believed only if it is still the one that
the name was made for: pools only ever come. While a new pool takes over its series, a server sends
points of a series that it does not have on to another, and acknowledges them before they are
there; so where a new sentinel is stored is asked, too. Knows connections and processes; knows
nothing of what is in a package.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from siridb_fast.columns.time_units import TimePrecision
from siridb_fast.connection.cluster import Cluster
from siridb_fast.connection.connection import Connection
from siridb_fast.connection.server_process import ServerProcess
from siridb_fast.delivery.package import Package
from siridb_fast.delivery.packages import Packages
from siridb_fast.delivery.states import PackageEvent, PackageState
from siridb_fast.errors import ProtocolError, SiriDBError, UserAuthError
from siridb_fast.protocol import _wire
from siridb_fast.protocol._qpack import packb
from siridb_fast.protocol.pools import name_in_pool
from siridb_fast.query.select import quote
from siridb_fast.query.server_queries import COUNT_POOLS, pools_of

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


@dataclass(slots=True, eq=False)
class _Sentinel:
    """A sentinel on its way, and what it is worth."""

    process: ServerProcess
    queue: _ProcessQueue
    connection: Connection
    pools: int  # that it was made for
    covered: int  # entries of the queue that were acknowledged before it, and all before them


class SentinelTracker:
    """The packages of one writer between acknowledged and safe.

    In a cluster of several pools the server that acknowledges a package may have passed points of
    it on to others, each of which may lose them: it is safe when it is in all of these.

    Args:
        cluster: Where they were sent.
        packages: All of the writer.
        sentinel: The name of the series that sentinels go to; in a cluster of several pools a
            suffix is added, so that each pool has one of its own.
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
        self._sentinel = sentinel
        self._now = now
        self._pools = pools
        self._known_processes = known_processes
        self._on_lost = on_lost
        self._notify = notify
        self._open_entries: dict[Package, _Entry] = {}
        self._by_process: dict[ServerProcess, _ProcessQueue] = {}
        self._found_names: set[str] = set()  # of sentinels that are known to be in their pools
        self._count = 0

    def receivers(self, connection: Connection) -> tuple[ServerProcess, ...]:
        """Return the processes that may get points of a package that is sent now."""
        process = connection.process
        if process is None or self._pools == 1:
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
        if pools != self._pools:
            logger.warning("the database has %d pools now, it had %d", pools, self._pools)
            self._pools = pools
            self._found_names.clear()
            self._notify()

    def count_received(self, package: Package, connection: Connection) -> None:
        """Count the points that a process acknowledged, to tell it from the next one."""
        if connection.process is not None and self._pools == 1:
            connection.process.received += package.batch.points

    def check_processes(self) -> None:
        """Report what processes that have ended have lost; forget what waits no longer."""
        self._take_acknowledged()
        self._add_receivers()
        for process, queue in list(self._by_process.items()):
            if process.is_over:
                del self._by_process[process]
            while queue.entries and (process.is_over or not self._is_open(queue.entries[0])):
                entry = queue.take()  # a sentinel may be answered yet, that covers it
                if self._close(entry):
                    self._on_lost(entry.package)

    def check(self, *, is_idle: bool) -> None:
        """Send the sentinels that are due.

        ``is_idle`` says that no more packages are on their way.
        """
        self._take_acknowledged()
        for process, queue in self._by_process.items():
            is_due = is_idle or queue.bytes >= SENTINEL_BYTES
            if process.is_over:
                self._notify()  # to `check_processes` again
            elif queue.entries and is_due and not queue.has_sentinel:
                self._send_sentinel(process, queue)

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
        if self._pools == 1:
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
                self._on_lost(package)
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
        sentinel = _Sentinel(process, queue, connection, self._pools, queue.taken)
        if process.pool >= self._pools:  # it knows of one more
            self._ask_pools(sentinel)
            return
        try:
            name = self._name_in(process.pool)
        except ValueError as exc:  # a pool that owns no series: there are very many
            self._on_vain(sentinel, exc)
            return
        sentinel.covered += len(queue.entries)
        self._count += 1
        payload = packb({name: [[self._now(), self._count]]})
        self._send(sentinel, _wire.REQ_INSERT, payload, self._on_response)

    def _name_in(self, pool: int) -> str:
        # With the number of pools in it: under one that was used before it may be in another yet.
        pools = self._pools
        if pools == 1:
            return self._sentinel
        return name_in_pool(f"{self._sentinel}-of-{pools}", pool, pools)

    def _ask_pools(self, sentinel: _Sentinel) -> None:
        payload = packb((COUNT_POOLS, None))
        self._send(sentinel, _wire.REQ_QUERY, payload, self._on_pools)

    def _send(
        self,
        sentinel: _Sentinel,
        type_: int,
        payload: bytes,
        on_response: Callable[[_Sentinel, asyncio.Future[Any]], None],
    ) -> None:
        deadline = self._cluster.loop.time() + SENTINEL_TIMEOUT
        try:
            sent = sentinel.connection.send(
                type_, payload, deadline, is_urgent=True, may_come_late=True
            )
        except BaseException as exc:
            self._on_vain(sentinel, exc)
            if not isinstance(exc, SiriDBError):
                raise
        else:
            sentinel.queue.has_sentinel = True
            sent.add_done_callback(partial(self._on_sent, sentinel, on_response))

    def _on_sent(
        self,
        sentinel: _Sentinel,
        on_response: Callable[[_Sentinel, asyncio.Future[Any]], None],
        sent: asyncio.Future[Any],
    ) -> None:
        try:
            on_response(sentinel, sent)
        except BaseException:
            self._on_vain(sentinel, None)
            raise

    def _on_response(self, sentinel: _Sentinel, sent: asyncio.Future[Any]) -> None:
        error = _failure_of(sent)
        if error is None:
            sentinel.process.received += 1
            self._ask_pools(sentinel)
        else:
            self._on_vain(sentinel, error)

    def _on_pools(self, sentinel: _Sentinel, sent: asyncio.Future[Any]) -> None:
        # The number that the server knows of after the sentinel was stored.
        error = _failure_of(sent)
        try:
            pools = 0 if error is not None else pools_of(sent.result())
        except ProtocolError as exc:
            pools, error = 0, exc
        is_known = pools == sentinel.pools == self._pools
        if pools:
            self.note_pools(pools)
        pool = sentinel.process.pool
        if not is_known or pool >= pools:
            self._on_vain(sentinel, error)
        elif pools == 1 or self._name_in(pool) in self._found_names:
            self._on_proved(sentinel)
        else:
            payload = packb((f"list series pool {quote(self._name_in(pool))}", None))
            self._send(sentinel, _wire.REQ_QUERY, payload, self._on_found)

    def _on_found(self, sentinel: _Sentinel, sent: asyncio.Future[Any]) -> None:
        # In which pools the series of the sentinel is.
        error = _failure_of(sent)
        if isinstance(error, UserAuthError):
            logger.warning("the pool of a sentinel cannot be told: %s", error)
        elif error is not None or sent.result() != {
            "columns": ["pool"], "series": [[sentinel.process.pool]]
        }:  # fmt: skip
            self._on_vain(sentinel, error)
            return
        if sentinel.pools == self._pools:
            self._found_names.add(self._name_in(sentinel.process.pool))
        self._on_proved(sentinel)

    def _on_proved(self, sentinel: _Sentinel) -> None:
        queue = sentinel.queue
        queue.has_sentinel = False
        while queue.taken < sentinel.covered:
            self._on_safe_in_one(queue.take())
        self._notify()

    def _on_vain(self, sentinel: _Sentinel, error: BaseException | None) -> None:
        sentinel.queue.has_sentinel = True  # until it is time for the next one
        if isinstance(error, (SiriDBError, ValueError)):
            logger.warning("%s: no sentinel: %s", sentinel.connection.name, error)
        if not self._cluster.loop.is_closed():
            self._cluster.loop.call_later(RETRY_INTERVAL, self._allow_sentinel, sentinel.queue)
        self._notify()

    def _allow_sentinel(self, queue: _ProcessQueue) -> None:
        queue.has_sentinel = False
        self._notify()


def _failure_of(sent: asyncio.Future[Any]) -> BaseException | None:
    return asyncio.CancelledError() if sent.cancelled() else sent.exception()


def clock_of(time_precision: int) -> Callable[[], int]:
    """Return a function that tells the time in that precision, SECOND … NANOSECOND."""
    divisor = TimePrecision(time_precision).nanoseconds
    return lambda: time.time_ns() // divisor
