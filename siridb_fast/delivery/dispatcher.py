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
from siridb_fast.delivery.doubt import DoubtResolver, Settled
from siridb_fast.delivery.durability import SentinelTracker
from siridb_fast.delivery.package import InsertResponse, Outcome, Package
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

GRANTED = 30.0  # seconds at least to send it again, once, if it is not stored

logger = logging.getLogger("siridb_fast")


class Dispatcher:
    """The packages of one writer.

    Args:
        cluster: Where they go.
        outcome: Who is told.
        delivery_timeout: Seconds from the sealing of a package until it is given up.
        on_doubt: ``"resend"`` a package that may be stored already, ``"report"`` it, or
            ``"verify"``: look it up.
        doubts: Looks it up.
    """

    def __init__(
        self,
        cluster: Cluster,
        outcome: Outcome,
        *,
        delivery_timeout: float,
        on_doubt: OnDoubt,
        doubts: DoubtResolver,
    ) -> None:
        self._cluster = cluster
        self._loop = cluster.loop
        self._outcome = outcome
        self._delivery_timeout = delivery_timeout
        self.on_doubt = on_doubt
        self._doubts = doubts
        self.safety: SentinelTracker | None = None  # None: what is acknowledged is delivered
        self.backlog: DiskQueue | None = None  # None: packages are in memory only
        self.outgoing = SendQueue(outcome, self._loop.time, delivery_timeout)
        self._in_flight: set[Package] = set()
        self._looked_up: set[Package] = set()
        self._backoff = Backoff()
        self._is_over = False
        self._timer: asyncio.TimerHandle | None = None
        self.retries = 0

    @property
    def ready(self) -> int:
        """How many packages wait for room, or for the disk."""
        waiting = self.backlog.waiting if self.backlog is not None else 0
        return len(self.outgoing.ready) + waiting

    @property
    def in_flight(self) -> int:
        """How many packages are with a server."""
        return len(self._in_flight)

    @property
    def unsafe_points(self) -> int:
        """How many points were acknowledged and are not safe."""
        return self.safety.points if self.safety is not None else 0

    def submit(self, batch: Batch) -> None:
        """Take a batch that was filled elsewhere; `pump` sends it."""
        package = self.outgoing.package(batch)
        if self.backlog is not None and self.backlog.is_always:
            is_connected = self._cluster.is_connected
            self.backlog.store(package, is_sent=is_connected, stays=is_connected)
        else:
            self.outgoing.ready.append(package)

    def pump(self) -> None:
        """Send packages as long as a connection has room and there is something to send."""
        if self._is_over:
            return
        self._expire()
        if self.backlog is not None and not self._cluster.is_connected:
            self._give_all_back(self.backlog)
        is_paused = self._loop.time() < self._backoff.until
        is_idle = False
        # In the spool's mode "always" fresh packages come by way of the disk.
        seals = self.backlog is None or not self.backlog.is_always
        while not is_paused:
            # Hosts that cannot serve are tried where no other is left; pauses are for that.
            connection = self._cluster.connection_with_room()
            if connection is None:
                break
            package = self.outgoing.next(seals=seals)
            if package is None:
                is_idle = not self._in_flight
                break
            self._cluster.take_turn()
            if not self._send(package, connection):
                self.outgoing.ready.appendleft(package)
                break
        if self.safety is not None:
            self.safety.tend(is_idle=is_idle)
        if self.backlog is not None:
            has_room = not is_paused and self._cluster.connection_with_room() is not None
            self.backlog.tend(len(self.outgoing.ready), has_room=has_room)
        self._set_timer(is_paused=is_paused)

    def stop(self) -> None:
        """Send no more."""
        self._is_over = True

    def surrender(self, backlog: DiskQueue) -> None:
        """Send no more, and leave everything to the backlog."""
        self._give_all_back(backlog)
        for package in self._in_flight:
            backlog.give_back(package, in_doubt=True)
        self._in_flight.clear()
        while (fresh := self.outgoing.seal_next()) is not None:
            backlog.store(fresh, is_sent=False)
        self.stop()

    def abandon(self, error: SiriDBError) -> None:
        """Give up: what waits is not delivered, what was with a server is in doubt."""
        self.stop()
        if self._timer is not None:
            self._timer.cancel()
        for package in self.outgoing.take_all():
            self.is_refused(package, error)
        for package in [*self._in_flight, *self._take_in_doubt()]:
            self.is_refused(package, package.error or error, in_doubt=True)
        self._in_flight.clear()

    # ---- for the backlog

    def recalled(self, package: Package, *, is_sent: bool) -> None:
        """Take a package that was on disk only; it may have been sent before."""
        if not is_sent:
            self.outgoing.recalled.append(package)
            return
        connection = self._cluster.select(try_inactive=True)
        if connection is None:
            assert self.backlog is not None  # noqa: S101 - it came from there
            self.backlog.give_back(package, in_doubt=True)
            return
        error = ConnectionLost("the package on disk had been sent before", in_doubt=True)
        self._is_in_doubt(package, connection, error)

    def is_spooled(self, package: Package) -> None:
        """Forget a package that is safe on disk now."""
        self._outcome.spooled(package)
        self._settle(package, is_final=False)

    def _give_all_back(self, backlog: DiskQueue) -> None:
        for package in self.outgoing.take_all():
            backlog.give_back(package, in_doubt=package.maybe_stored)
        for package in self._take_in_doubt():
            backlog.give_back(package, in_doubt=True)

    def _take_in_doubt(self) -> list[Package]:
        # What is looked up, and what was acknowledged but is not safe.
        self._doubts.stop()
        unsafe = self.safety.drop_all() if self.safety is not None else []
        looked_up = [*self._looked_up]
        self._looked_up.clear()
        return looked_up + unsafe

    # ---- sending

    def _send(self, package: Package, connection: Connection) -> bool:
        package.sent_at = time.monotonic()
        if self.safety is not None:
            package.receivers = self.safety.receivers(connection)
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

    def answered(
        self, package: Package, connection: Connection, error: SiriDBError | None
    ) -> None:
        """Take the outcome of a package; called by its answer, before the event loop goes on."""
        if package not in self._in_flight:
            return  # given up meanwhile
        self._in_flight.discard(package)
        FOLLOW_UPS[verdict_of(error)](self, package, connection, error)
        self.pump()

    def _is_delivered(self, package: Package, connection: Connection, _: object) -> None:
        self._backoff.reset()
        self._cluster.resume(connection)
        package.seconds = time.monotonic() - package.sent_at
        if self.safety is None or not package.receivers:
            self.is_stored(package, connection.name)
        else:
            self.safety.count_received(package, connection)
            package.deadline = self._loop.time() + self._delivery_timeout
            self.safety.add(package, connection)

    def is_stored(self, package: Package, host: str = "") -> None:
        """Take note that a package is stored for good."""
        self._outcome.delivered(package, host)
        self._settle(package)

    def is_lost(self, package: Package, connection: Connection) -> None:
        """Take note that the server ended before a package that it acknowledged was safe."""
        error = ConnectionLost(
            f"a server was restarted right after {connection.name} had acknowledged a package",
            in_doubt=True,
        )
        self._is_in_doubt(package, connection, error)

    def _go_elsewhere(self, package: Package, connection: Connection, error: SiriDBError) -> None:
        logger.debug("%s: %s; trying another server", connection.name, error)
        self._cluster.suspend(connection)
        if not self._cluster.has_active:
            self._backoff.begin(self._loop.time())
        self._go_again(package, error)

    def _go_later(self, package: Package, connection: Connection, error: SiriDBError) -> None:
        logger.debug("%s: %s; trying again", connection.name, error)
        if not isinstance(error, ConnectionLost):  # a pool has no server, so no server inserts
            self._backoff.begin(self._loop.time())
        self._go_again(package, error)

    def _is_rejected(self, package: Package, connection: Connection, error: SiriDBError) -> None:
        # The server names no series: cut the package until the bad one is alone.
        if not isinstance(error, InsertError) or len(package.batch) == 1:
            logger.error("%s refused a package: %s", connection.name, error)
            self.is_refused(package, error)
            return
        logger.debug("%s refused a package: %s; sending its halves", connection.name, error)
        package.error = error
        self._part(package, *package.batch.halves(), self._both_again)

    def _is_in_doubt(self, package: Package, connection: Connection, error: SiriDBError) -> None:
        is_hopeless = isinstance(error.__cause__, ProtocolError)  # it would come to the same again
        if self.on_doubt == "resend" and not is_hopeless:
            logger.warning("%s: %s; sending it again", connection.name, error)
            package.maybe_stored = True
            self._go_again(package, error)
        elif self.on_doubt == "verify":
            logger.warning("%s: %s; looking it up", connection.name, error)
            package.error = error
            self._looked_up.add(package)
            told = partial(self._is_looked_up, package)
            self._doubts.settle(package.batch, connection, package.deadline, told)
        else:
            logger.error("%s: %s; it is in doubt", connection.name, error)
            self.is_refused(package, error, in_doubt=True)

    def _is_looked_up(self, package: Package, settled: Settled | None, line: Connection) -> None:
        self._looked_up.discard(package)
        if settled is None:
            assert package.error is not None  # noqa: S101 - it is why there was a doubt
            self._give_up(package, package.error, in_doubt=True)
        elif settled.missing is None:
            self._is_found(package, line)
        elif settled.stored is None:
            self._is_missing(package)
        else:
            then = partial(self._is_partly_found, line)
            self._part(package, settled.stored, settled.missing, then)
        self.pump()

    def _is_partly_found(self, line: Connection, stored: Package, missing: Package) -> None:
        self._is_missing(missing)
        self._is_found(stored, line)

    def _is_missing(self, package: Package) -> None:
        self.retries += 1
        if not package.deadline_extended:  # it was with a server for so long, in vain
            package.deadline_extended = True
            package.deadline = max(package.deadline, self._loop.time() + GRANTED)
        self.outgoing.ready.appendleft(package)

    def _is_found(self, package: Package, line: Connection) -> None:
        if self.safety is not None:
            package.receivers = self.safety.receivers(line)
        if self.safety is None or not package.receivers:
            self.is_stored(package, line.name)
        else:  # it may be lost again
            package.deadline = self._loop.time() + self._delivery_timeout
            self.safety.add(package, line)

    def _part(
        self, package: Package, one: Batch, other: Batch, then: Callable[[Package, Package], None]
    ) -> None:
        first, second = self.outgoing.parts(package, one, other)
        if package.spool_id is None or self.backlog is None:
            then(first, second)
        else:
            self.backlog.part(package, (first, second), partial(then, first, second))

    def _both_again(self, first: Package, second: Package) -> None:
        self.outgoing.ready.extendleft((second, first))

    def _go_again(self, package: Package, error: SiriDBError) -> None:
        self.retries += 1
        package.error = error
        self.outgoing.ready.appendleft(package)

    def is_refused(self, package: Package, error: SiriDBError, *, in_doubt: bool = False) -> None:
        """Book a package that is given up."""
        self._outcome.failed(package, error, in_doubt=in_doubt or package.maybe_stored)
        self._settle(package)

    def _give_up(self, package: Package, error: SiriDBError, *, in_doubt: bool = False) -> None:
        # Not for what a server said about the package, but because none did.
        if self.backlog is not None:
            self.backlog.give_back(package, in_doubt=in_doubt or package.maybe_stored)
        else:
            self.is_refused(package, error, in_doubt=in_doubt)

    def _settle(self, package: Package, *, is_final: bool = True) -> None:
        if package.spool_id is not None and self.backlog is not None:
            self.backlog.let_go(package)
            if is_final:
                self.backlog.forget(package)
        self.outgoing.settle(package)

    # ---- time

    def _expire(self) -> None:
        for package in self.outgoing.take_late():
            error = package.error or RequestTimeout(
                f"no server took the package within {self._delivery_timeout:g} seconds"
                f"{self._cluster.failure_suffix}"
            )
            self._give_up(package, error)
        now = self._loop.time()
        for package in self.safety.expire(now) if self.safety is not None else ():
            unsafe = RequestTimeout(
                "the package was acknowledged, but in "
                f"{self._delivery_timeout:g} seconds no server told that it is safe"
            )
            self._give_up(package, unsafe, in_doubt=True)

    def _set_timer(self, *, is_paused: bool) -> None:
        # For the end of a pause, or of the patience with what waits.
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        times = [package.deadline for package in self.outgoing.ready]
        if is_paused:
            times.append(self._backoff.until)
        if self.safety is not None and self.safety.points:
            times.append(self.safety.deadline)
        if times:
            self._timer = self._loop.call_at(min(times), self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.pump()


FOLLOW_UPS: dict[Verdict, Callable[..., None]] = {
    Verdict.DELIVERED: Dispatcher._is_delivered,  # noqa: SLF001 - its own
    Verdict.RETRY_ELSEWHERE: Dispatcher._go_elsewhere,  # noqa: SLF001
    Verdict.RETRY_LATER: Dispatcher._go_later,  # noqa: SLF001
    Verdict.REJECTED: Dispatcher._is_rejected,  # noqa: SLF001
    Verdict.IN_DOUBT: Dispatcher._is_in_doubt,  # noqa: SLF001
}
