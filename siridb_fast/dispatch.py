"""Packages on their way: which connection each takes, and what follows from its answer.

A package goes out when a connection has room in its window. Its answer says delivered, refused, or
that it has to go again: to another server, later, or not at all if it may be stored already. There
is no task or timer for a package. Knows nothing of series, runs or users.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol

from siridb_fast import _wire
from siridb_fast._batch import Batch
from siridb_fast._buffer import PackageBuffer
from siridb_fast.cluster import Cluster
from siridb_fast.config import OnDoubt
from siridb_fast.connection import Connection
from siridb_fast.delivery import Verdict, verdict_of
from siridb_fast.doubt import Doubts, Settled
from siridb_fast.errors import (
    ConnectionLost,
    InsertError,
    ProtocolError,
    RequestTimeout,
    SiriDBError,
)
from siridb_fast.packages import Package
from siridb_fast.safety import Safety

__all__ = ["Dispatcher", "Outcome"]

FIRST_PAUSE = 0.1  # seconds until a package goes again; twice as long each time
LONGEST_PAUSE = 5.0
LOOK_TIMEOUT = 30.0  # seconds at least to look up a package that is in doubt
KEPT_BUFFERS = 4  # of packages that were settled, for the next ones

logger = logging.getLogger("siridb_fast")


class Outcome(Protocol):
    """Who is told what became of packages, and asked for the next."""

    def fill(self, batch: Batch) -> bool:
        """Put what should leave next into an empty batch; tell whether there is anything."""

    def held(self, package: Package) -> None:
        """Take note of the memory that a new package holds."""

    def delivered(self, package: Package, host: str) -> None:
        """Take note of a package that is stored."""

    def failed(self, package: Package, error: SiriDBError, *, in_doubt: bool) -> None:
        """Take note of a package that was not delivered, or may not have been."""

    def released(self, package: Package) -> None:
        """Take note that the memory of a package is free."""


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
        doubts: Doubts,
    ) -> None:
        self._cluster = cluster
        self._loop = cluster.loop
        self._outcome = outcome
        self._delivery_timeout = delivery_timeout
        self.on_doubt = on_doubt
        self._doubts = doubts
        self.safety: Safety | None = None  # None: what is acknowledged is delivered
        self._ready: deque[Package] = deque()
        self._in_flight: set[Package] = set()
        self._looked_up: set[Package] = set()
        self._unsettled: dict[int, int] = {}  # number: packages of that number, in order
        self._last_number = 0
        self._buffers: list[PackageBuffer] = []
        self._pause = 0.0
        self._paused_until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.retries = 0

    @property
    def ready(self) -> int:
        """How many packages wait for room."""
        return len(self._ready)

    @property
    def in_flight(self) -> int:
        """How many packages are with a server."""
        return len(self._in_flight)

    @property
    def unsafe_points(self) -> int:
        """How many points were acknowledged and are not safe."""
        return self.safety.points if self.safety is not None else 0

    @property
    def last_number(self) -> int:
        """The number of the newest package; they count up from 1."""
        return self._last_number

    def is_settled(self, number: int) -> bool:
        """Tell whether the fate of every package up to this number is known."""
        return not self._unsettled or next(iter(self._unsettled)) > number

    def new_batch(self) -> Batch:
        """Return an empty batch, in the memory of a former one if there is any."""
        for i, buffer in enumerate(self._buffers):
            if buffer.is_free:
                return Batch(self._buffers.pop(i))
        return Batch()

    def submit(self, batch: Batch) -> None:
        """Take a batch that was filled elsewhere; `pump` sends it."""
        self._ready.append(self._package(batch))

    def pump(self) -> None:
        """Send packages as long as a connection has room and there is something to send."""
        self._expire()
        is_paused = self._loop.time() < self._paused_until
        is_idle = False
        while not is_paused:
            # Hosts that cannot serve are tried where no other is left; pauses are for that.
            if not self._cluster.has_room(try_inactive=True):
                break
            package = self._next()
            if package is None:
                is_idle = not self._in_flight
                break
            connection = self._cluster.select(try_inactive=True, needs_room=True)
            if connection is None or not self._send(package, connection):
                self._ready.appendleft(package)
                break
        if self.safety is not None:
            self.safety.tend(is_idle=is_idle)
        self._set_timer(is_paused=is_paused)

    def abandon(self, error: SiriDBError) -> None:
        """Give up: what waits is not delivered, what was with a server is in doubt."""
        if self._timer is not None:
            self._timer.cancel()
        while self._ready:
            self._fail(self._ready.popleft(), error)
        self._doubts.stop()
        unsafe = self.safety.drop_all() if self.safety is not None else []
        for package in [*self._in_flight, *self._looked_up, *unsafe]:
            self._fail(package, package.error or error, in_doubt=True)
        self._in_flight.clear()
        self._looked_up.clear()

    # ---- sending

    def _next(self) -> Package | None:
        if self._ready:
            return self._ready.popleft()
        batch = self.new_batch()
        try:
            is_filled = self._outcome.fill(batch)
        except MemoryError:
            if not len(batch):
                raise
            logger.exception("a package goes out with the %d points that it has", batch.points)
            is_filled = True
        if not is_filled:
            self._keep(batch.buffer)
            return None
        return self._package(batch)

    def _package(self, batch: Batch) -> Package:
        self._last_number += 1
        self._unsettled[self._last_number] = 1
        deadline = self._loop.time() + self._delivery_timeout
        package = Package(batch, self._last_number, deadline, len(batch.seal()))
        self._outcome.held(package)
        return package

    def _send(self, package: Package, connection: Connection) -> bool:
        package.sent_at = self._loop.time()
        try:
            connection.send_for(
                _PackageAnswer(self, package, connection),
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
        self._pause = 0.0
        self._cluster.resume(connection)
        package.seconds = self._loop.time() - package.sent_at
        if self.safety is None or connection.process is None:
            self.is_stored(package, connection.name)
        else:
            package.deadline = self._loop.time() + self._delivery_timeout
            self.safety.add(package, connection)

    def is_stored(self, package: Package, host: str = "") -> None:
        """Take note that a package is stored for good."""
        self._outcome.delivered(package, host)
        self._settle(package)

    def is_lost(self, package: Package, connection: Connection) -> None:
        """Take note that the server ended before a package that it acknowledged was safe."""
        error = ConnectionLost(
            f"{connection.name} was restarted right after it had acknowledged a package",
            in_doubt=True,
        )
        self._is_in_doubt(package, connection, error)

    def _go_elsewhere(self, package: Package, connection: Connection, error: SiriDBError) -> None:
        logger.debug("%s: %s; trying another server", connection.name, error)
        self._cluster.suspend(connection)
        if not self._cluster.has_active:
            self._back_off()
        self._go_again(package, error)

    def _go_later(self, package: Package, connection: Connection, error: SiriDBError) -> None:
        logger.debug("%s: %s; trying again", connection.name, error)
        if not isinstance(error, ConnectionLost):  # a pool has no server, so no server inserts
            self._back_off()
        self._go_again(package, error)

    def _is_rejected(self, package: Package, connection: Connection, error: SiriDBError) -> None:
        # The server names no series: cut the package until the bad one is alone.
        if not isinstance(error, InsertError) or len(package.batch) == 1:
            logger.error("%s refused a package: %s", connection.name, error)
            self._fail(package, error)
            return
        logger.debug("%s refused a package: %s; sending its halves", connection.name, error)
        one, other = package.batch.halves()
        first = Package(one, package.number, package.deadline, package.held // 2, error=error)
        second = replace(first, batch=other, held=package.held - first.held)
        self._unsettled[package.number] += 1
        self._ready.extendleft((second, first))

    def _is_in_doubt(self, package: Package, connection: Connection, error: SiriDBError) -> None:
        is_hopeless = isinstance(error.__cause__, ProtocolError)  # it would come to the same again
        if self.on_doubt == "resend" and not is_hopeless:
            logger.warning("%s: %s; sending it again", connection.name, error)
            package.is_in_doubt = True
            self._go_again(package, error)
        elif self.on_doubt == "verify":
            logger.warning("%s: %s; looking it up", connection.name, error)
            package.error = error
            self._looked_up.add(package)
            deadline = max(package.deadline, self._loop.time() + LOOK_TIMEOUT)
            told = partial(self._is_looked_up, package)
            self._doubts.settle(package.batch, connection, deadline, told)
        else:
            logger.error("%s: %s; it is in doubt", connection.name, error)
            self._fail(package, error, in_doubt=True)

    def _is_looked_up(self, package: Package, settled: Settled | None, line: Connection) -> None:
        self._looked_up.discard(package)
        if settled is None:
            assert package.error is not None  # noqa: S101 - it is why there was a doubt
            self._fail(package, package.error, in_doubt=True)
        else:
            stored, missing = self._parted(package, settled)
            if missing is not None:
                self.retries += 1
                self._ready.appendleft(missing)
            if stored is not None:
                self._is_found(stored, line)
        self.pump()

    def _is_found(self, package: Package, line: Connection) -> None:
        if self.safety is None or line.process is None:
            self.is_stored(package, line.name)
        else:  # it may be lost again
            package.deadline = self._loop.time() + self._delivery_timeout
            self.safety.add(package, line)

    def _parted(self, package: Package, settled: Settled) -> tuple[Package | None, Package | None]:
        stored, missing = settled.stored, settled.missing
        if stored is None or missing is None:
            return (package, None) if missing is None else (None, package)
        self._unsettled[package.number] += 1
        held = min(package.held, len(missing.buffer))
        rest = replace(package, batch=missing, held=held)
        return replace(package, batch=stored, held=package.held - held), rest

    def _go_again(self, package: Package, error: SiriDBError) -> None:
        self.retries += 1
        package.error = error
        self._ready.appendleft(package)

    def _fail(self, package: Package, error: SiriDBError, *, in_doubt: bool = False) -> None:
        self._outcome.failed(package, error, in_doubt=in_doubt or package.is_in_doubt)
        self._settle(package)

    def _settle(self, package: Package) -> None:
        self._unsettled[package.number] -= 1
        if not self._unsettled[package.number]:
            del self._unsettled[package.number]
        self._keep(package.batch.buffer)
        self._outcome.released(package)

    def _keep(self, buffer: PackageBuffer) -> None:
        if len(self._buffers) < KEPT_BUFFERS:
            self._buffers.append(buffer)

    # ---- time

    def _back_off(self) -> None:
        # Once for all packages that were in flight. With jitter, so that many writers do not come
        # back at the same moment.
        if self._loop.time() < self._paused_until:
            return
        self._pause = min(self._pause * 2, LONGEST_PAUSE) or FIRST_PAUSE
        pause = self._pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        self._paused_until = self._loop.time() + pause

    def _expire(self) -> None:
        now = self._loop.time()
        for package in [package for package in self._ready if package.deadline <= now]:
            self._ready.remove(package)
            error = package.error or RequestTimeout(
                f"no server took the package within {self._delivery_timeout:g} seconds"
            )
            self._fail(package, error)
        for package in self.safety.expire(now) if self.safety is not None else ():
            unsafe = RequestTimeout(
                "the package was acknowledged, but in "
                f"{self._delivery_timeout:g} seconds no server told that it is safe"
            )
            self._fail(package, unsafe, in_doubt=True)

    def _set_timer(self, *, is_paused: bool) -> None:
        # For the end of a pause, or of the patience with what waits.
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        times = [package.deadline for package in self._ready]
        if is_paused:
            times.append(self._paused_until)
        if self.safety is not None and self.safety.points:
            times.append(self.safety.deadline)
        if times:
            self._timer = self._loop.call_at(min(times), self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.pump()


class _PackageAnswer:
    # Tells the dispatcher at once. A future would do so in the next round of the event loop: the
    # server would wait for its next package so long.

    __slots__ = ("_connection", "_dispatcher", "_package")

    def __init__(self, dispatcher: Dispatcher, package: Package, connection: Connection) -> None:
        self._dispatcher = dispatcher
        self._package = package
        self._connection = connection

    def done(self) -> bool:
        return False

    def set_result(self, _: object, /) -> None:
        self._dispatcher.answered(self._package, self._connection, None)

    def set_exception(self, exception: BaseException, /) -> None:
        if not isinstance(exception, SiriDBError):
            raise exception
        self._dispatcher.answered(self._package, self._connection, exception)


FOLLOW_UPS: dict[Verdict, Callable[..., None]] = {
    Verdict.DELIVERED: Dispatcher._is_delivered,  # noqa: SLF001 - its own
    Verdict.RETRY_ELSEWHERE: Dispatcher._go_elsewhere,  # noqa: SLF001
    Verdict.RETRY_LATER: Dispatcher._go_later,  # noqa: SLF001
    Verdict.REJECTED: Dispatcher._is_rejected,  # noqa: SLF001
    Verdict.IN_DOUBT: Dispatcher._is_in_doubt,  # noqa: SLF001
}
