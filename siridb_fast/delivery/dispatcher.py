"""Packages on their way: which connection each takes, and what follows from its answer.

A package goes out when a connection has room in its window. Its answer says delivered, refused, or
that it has to go again: to another server, later, or not at all if it may be stored already. There
is no task or timer for a package. Knows nothing of series, runs or users.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial

from siridb_fast.batching._batch import Batch
from siridb_fast.concurrency.backoff import Backoff
from siridb_fast.connection.cluster import Cluster
from siridb_fast.connection.config import OnDoubt
from siridb_fast.connection.connection import Connection
from siridb_fast.delivery.disk_queue import DiskQueue
from siridb_fast.delivery.doubt import DoubtResolver, Resolution
from siridb_fast.delivery.durability import SentinelTracker
from siridb_fast.delivery.package import InsertResponse, Package, PackageDelegate
from siridb_fast.delivery.send_queue import SendQueue
from siridb_fast.delivery.verdicts import Verdict, verdict_of
from siridb_fast.errors import (
    ConnectionLost,
    InsertError,
    ProtocolError,
    RequestTimeout,
    SiriDBError,
)
from siridb_fast.protocol import _wire

__all__ = ["Dispatcher"]

DEADLINE_EXTENSION = 30.0  # seconds at least to send it again, once, if it is not stored

logger = logging.getLogger("siridb_fast")


class Dispatcher:
    """The packages of one writer.

    Args:
        cluster: Where they go.
        delegate: Gives fresh points, and is told what becomes of packages.
        delivery_timeout: Seconds from the sealing of a package until it is given up.
        on_doubt: ``"resend"`` a package that may be stored already, ``"report"`` it, or
            ``"verify"``: look it up.
        doubt_resolver: Looks it up.
    """

    def __init__(
        self,
        cluster: Cluster,
        delegate: PackageDelegate,
        *,
        delivery_timeout: float,
        on_doubt: OnDoubt,
        doubt_resolver: DoubtResolver,
    ) -> None:
        self._cluster = cluster
        self._loop = cluster.loop
        self._delegate = delegate
        self._delivery_timeout = delivery_timeout
        self.on_doubt = on_doubt
        self._doubt_resolver = doubt_resolver
        self.sentinels: SentinelTracker | None = None  # None: what is acknowledged is delivered
        self.disk_queue: DiskQueue | None = None  # None: packages are in memory only
        self.send_queue = SendQueue(delegate, self._loop.time, delivery_timeout)
        self._in_flight: set[Package] = set()
        self._in_doubt: set[Package] = set()
        self._backoff = Backoff()
        self._is_stopped = False
        self._timer: asyncio.TimerHandle | None = None
        self.retries = 0

    @property
    def ready(self) -> int:
        """How many packages wait for room, or for the disk."""
        waiting = self.disk_queue.waiting if self.disk_queue is not None else 0
        return len(self.send_queue.ready) + waiting

    @property
    def in_flight(self) -> int:
        """How many packages are with a server."""
        return len(self._in_flight)

    @property
    def acknowledged_points(self) -> int:
        """How many points were acknowledged and may still be lost."""
        return self.sentinels.points if self.sentinels is not None else 0

    def submit(self, batch: Batch) -> None:
        """Take a batch that was filled elsewhere; `send_ready` sends it."""
        package = self.send_queue.make_package(batch)
        if self.disk_queue is not None and self.disk_queue.is_always:
            is_connected = self._cluster.is_connected
            self.disk_queue.store(package, is_sent=is_connected, stays=is_connected)
        else:
            self.send_queue.ready.append(package)

    def send_ready(self) -> None:
        """Send packages as long as a connection has room and there is something to send."""
        if self._is_stopped:
            return
        self._expire()
        if self.disk_queue is not None and not self._cluster.is_connected:
            self._spool_waiting(self.disk_queue)
        is_paused = self._loop.time() < self._backoff.until
        is_idle = False
        # In the spool's mode "always" fresh packages come by way of the disk.
        seals = self.disk_queue is None or not self.disk_queue.is_always
        while not is_paused:
            # Hosts that cannot serve are tried where no other is left; pauses are for that.
            connection = self._cluster.connection_with_room()
            if connection is None:
                break
            package = self.send_queue.next(seals=seals)
            if package is None:
                is_idle = not self._in_flight
                break
            self._cluster.take_turn()
            if not self._send(package, connection):
                self.send_queue.ready.appendleft(package)
                break
        if self.sentinels is not None:
            self.sentinels.check(is_idle=is_idle)
        if self.disk_queue is not None:
            has_room = not is_paused and self._cluster.connection_with_room() is not None
            self.disk_queue.check(len(self.send_queue.ready), has_room=has_room)
        self._set_timer(is_paused=is_paused)

    def stop(self) -> None:
        """Send no more."""
        self._is_stopped = True

    def spool_all(self, disk_queue: DiskQueue) -> None:
        """Send no more, and put everything on disk."""
        self._spool_waiting(disk_queue)
        for package in self._in_flight:
            disk_queue.spool(package, in_doubt=True)
        self._in_flight.clear()
        while (fresh := self.send_queue.seal_next()) is not None:
            disk_queue.store(fresh, is_sent=False)
        self.stop()

    def abandon(self, error: SiriDBError) -> None:
        """Give up: what waits is not delivered, what was with a server is in doubt."""
        self.stop()
        if self._timer is not None:
            self._timer.cancel()
        for package in self.send_queue.take_all():
            self.fail(package, error)
        for package in [*self._in_flight, *self._take_in_doubt()]:
            self.fail(package, package.error or error, in_doubt=True)
        self._in_flight.clear()

    # ---- for the disk queue

    def on_recalled(self, package: Package, *, is_sent: bool) -> None:
        """Take a package that was on disk only; it may have been sent before."""
        if not is_sent:
            self.send_queue.recalled.append(package)
            return
        connection = self._cluster.select(try_inactive=True)
        if connection is None:
            assert self.disk_queue is not None  # noqa: S101 - it came from there
            self.disk_queue.spool(package, in_doubt=True)
            return
        error = ConnectionLost("the package on disk had been sent before", in_doubt=True)
        self._on_in_doubt(package, connection, error)

    def on_spooled(self, package: Package) -> None:
        """Forget a package that is on disk now."""
        self._delegate.on_spooled(package)
        self._finish(package, is_final=False)

    def _spool_waiting(self, disk_queue: DiskQueue) -> None:
        for package in self.send_queue.take_all():
            disk_queue.spool(package, in_doubt=package.maybe_stored)
        for package in self._take_in_doubt():
            disk_queue.spool(package, in_doubt=True)

    def _take_in_doubt(self) -> list[Package]:
        # What is looked up, and what was acknowledged and may still be lost.
        self._doubt_resolver.stop()
        acknowledged = self.sentinels.take_all() if self.sentinels is not None else []
        in_doubt = [*self._in_doubt]
        self._in_doubt.clear()
        return in_doubt + acknowledged

    # ---- sending

    def _send(self, package: Package, connection: Connection) -> bool:
        package.sent_at = time.monotonic()
        if self.sentinels is not None:
            package.receivers = self.sentinels.receivers(connection)
        try:
            connection.send_for(
                InsertResponse(self, package, connection),
                _wire.REQ_INSERT,
                package.batch.buffer,
                package.deadline,
                is_raw=True,
            )
        except (ConnectionLost, RequestTimeout) as exc:
            package.error = package.error or exc
            return False
        self._in_flight.add(package)
        return True

    # ---- answers

    def on_response(
        self, package: Package, connection: Connection, error: SiriDBError | None
    ) -> None:
        """Act on the answer to a package, at once: the event loop has not gone on."""
        if package not in self._in_flight:
            return  # given up meanwhile
        self._in_flight.discard(package)
        HANDLERS[verdict_of(error)](self, package, connection, error)
        self.send_ready()

    def _on_acknowledged(self, package: Package, connection: Connection, _: object) -> None:
        self._backoff.reset()
        self._cluster.resume(connection)
        package.seconds = time.monotonic() - package.sent_at
        if self.sentinels is None or not package.receivers:
            self.on_stored(package, connection.name)
        else:
            self.sentinels.count_received(package, connection)
            package.deadline = self._loop.time() + self._delivery_timeout
            self.sentinels.add(package, connection)

    def on_stored(self, package: Package, host: str = "") -> None:
        """Book a package that is stored for good."""
        self._delegate.on_delivered(package, host)
        self._finish(package)

    def on_lost(self, package: Package, connection: Connection) -> None:
        """Look up a package that was acknowledged and is not safe: its server has ended."""
        error = ConnectionLost(
            f"a server was restarted right after {connection.name} had acknowledged a package",
            in_doubt=True,
        )
        self._on_in_doubt(package, connection, error)

    def _retry_elsewhere(
        self, package: Package, connection: Connection, error: SiriDBError
    ) -> None:
        logger.debug("%s: %s; trying another server", connection.name, error)
        self._cluster.suspend(connection)
        if not self._cluster.has_active:
            self._backoff.begin(self._loop.time())
        self._retry(package, error)

    def _retry_later(self, package: Package, connection: Connection, error: SiriDBError) -> None:
        logger.debug("%s: %s; trying again", connection.name, error)
        if not isinstance(error, ConnectionLost):  # a pool has no server, so no server inserts
            self._backoff.begin(self._loop.time())
        self._retry(package, error)

    def _on_rejected(self, package: Package, connection: Connection, error: SiriDBError) -> None:
        # The server names no series: cut the package until the bad one is alone.
        if not isinstance(error, InsertError) or len(package.batch) == 1:
            logger.error("%s refused a package: %s", connection.name, error)
            self.fail(package, error)
            return
        logger.debug("%s refused a package: %s; sending its halves", connection.name, error)
        package.error = error
        self._split(package, *package.batch.halves(), self._retry_both)

    def _on_in_doubt(self, package: Package, connection: Connection, error: SiriDBError) -> None:
        is_hopeless = isinstance(error.__cause__, ProtocolError)  # it would come to the same again
        if self.on_doubt == "resend" and not is_hopeless:
            logger.warning("%s: %s; sending it again", connection.name, error)
            package.maybe_stored = True
            self._retry(package, error)
        elif self.on_doubt == "verify":
            logger.warning("%s: %s; looking it up", connection.name, error)
            package.error = error
            self._in_doubt.add(package)
            on_resolved = partial(self._on_resolved, package)
            self._doubt_resolver.resolve(package.batch, connection, package.deadline, on_resolved)
        else:
            logger.error("%s: %s; it is in doubt", connection.name, error)
            self.fail(package, error, in_doubt=True)

    def _on_resolved(
        self, package: Package, resolution: Resolution | None, connection: Connection
    ) -> None:
        self._in_doubt.discard(package)
        if resolution is None:
            assert package.error is not None  # noqa: S101 - it is why there was a doubt
            self._give_up(package, package.error, in_doubt=True)
        elif resolution.missing is None:
            self._on_found(package, connection)
        elif resolution.stored is None:
            self._on_missing(package)
        else:
            then = partial(self._on_partly_found, connection)
            self._split(package, resolution.stored, resolution.missing, then)
        self.send_ready()

    def _on_partly_found(self, connection: Connection, stored: Package, missing: Package) -> None:
        self._on_missing(missing)
        self._on_found(stored, connection)

    def _on_missing(self, package: Package) -> None:
        self.retries += 1
        if not package.deadline_extended:  # it was with a server for so long, in vain
            package.deadline_extended = True
            package.deadline = max(package.deadline, self._loop.time() + DEADLINE_EXTENSION)
        self.send_queue.ready.appendleft(package)

    def _on_found(self, package: Package, connection: Connection) -> None:
        if self.sentinels is not None:
            package.receivers = self.sentinels.receivers(connection)
        if self.sentinels is None or not package.receivers:
            self.on_stored(package, connection.name)
        else:  # it may be lost again
            package.deadline = self._loop.time() + self._delivery_timeout
            self.sentinels.add(package, connection)

    def _split(
        self, package: Package, one: Batch, other: Batch, then: Callable[[Package, Package], None]
    ) -> None:
        first, second = self.send_queue.split(package, one, other)
        if package.spool_id is None or self.disk_queue is None:
            then(first, second)
        else:
            self.disk_queue.split(package, (first, second), partial(then, first, second))

    def _retry_both(self, first: Package, second: Package) -> None:
        self.send_queue.ready.extendleft((second, first))

    def _retry(self, package: Package, error: SiriDBError) -> None:
        self.retries += 1
        package.error = error
        self.send_queue.ready.appendleft(package)

    def fail(self, package: Package, error: SiriDBError, *, in_doubt: bool = False) -> None:
        """Book a package that is given up."""
        self._delegate.on_failed(package, error, in_doubt=in_doubt or package.maybe_stored)
        self._finish(package)

    def _give_up(self, package: Package, error: SiriDBError, *, in_doubt: bool = False) -> None:
        # Not for what a server said about the package, but because none did.
        if self.disk_queue is not None:
            self.disk_queue.spool(package, in_doubt=in_doubt or package.maybe_stored)
        else:
            self.fail(package, error, in_doubt=in_doubt)

    def _finish(self, package: Package, *, is_final: bool = True) -> None:
        if package.spool_id is not None and self.disk_queue is not None:
            self.disk_queue.on_released(package)
            if is_final:
                self.disk_queue.remove(package)
        self.send_queue.finish(package)

    # ---- time

    def _expire(self) -> None:
        for package in self.send_queue.take_expired():
            error = package.error or RequestTimeout(
                f"no server took the package within {self._delivery_timeout:g} seconds"
                f"{self._cluster.failure_suffix}"
            )
            self._give_up(package, error)
        now = self._loop.time()
        for package in self.sentinels.take_expired(now) if self.sentinels is not None else ():
            not_safe = RequestTimeout(
                "the package was acknowledged, but in "
                f"{self._delivery_timeout:g} seconds no server told that it is safe"
            )
            self._give_up(package, not_safe, in_doubt=True)

    def _set_timer(self, *, is_paused: bool) -> None:
        # For the end of a pause, or the deadline of what waits.
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        times = [package.deadline for package in self.send_queue.ready]
        if is_paused:
            times.append(self._backoff.until)
        if self.sentinels is not None and self.sentinels.points:
            times.append(self.sentinels.deadline)
        if times:
            self._timer = self._loop.call_at(min(times), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.send_ready()


HANDLERS: dict[Verdict, Callable[..., None]] = {
    Verdict.DELIVERED: Dispatcher._on_acknowledged,  # noqa: SLF001 - its own
    Verdict.RETRY_ELSEWHERE: Dispatcher._retry_elsewhere,  # noqa: SLF001
    Verdict.RETRY_LATER: Dispatcher._retry_later,  # noqa: SLF001
    Verdict.REJECTED: Dispatcher._on_rejected,  # noqa: SLF001
    Verdict.IN_DOUBT: Dispatcher._on_in_doubt,  # noqa: SLF001
}
