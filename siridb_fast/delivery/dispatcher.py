"""Packages on their way: which connection each takes, and what an answer means for it.

Whatever happens to a package is reported as an event, and one `check` follows: it sends what is
ready while a connection has room, and starts what is due elsewhere. There is no task or timer for
a package. Knows nothing of series, runs or users.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from math import inf
from typing import TYPE_CHECKING

from siridb_fast.batching._batch import Batch
from siridb_fast.concurrency.backoff import Backoff
from siridb_fast.concurrency.quiet_log import QuietLog
from siridb_fast.concurrency.rate_limit import RateLimit
from siridb_fast.connection.cluster import Cluster
from siridb_fast.connection.connection import Connection
from siridb_fast.connection.server_process import ServerProcess
from siridb_fast.delivery.doubt import DoubtResolver
from siridb_fast.delivery.durability import SentinelTracker
from siridb_fast.delivery.package import InsertResponse, Package, Part
from siridb_fast.delivery.packages import Packages
from siridb_fast.delivery.send_queue import SendQueue
from siridb_fast.delivery.states import PackageEvent, PackageState
from siridb_fast.delivery.verdicts import Verdict, verdict_of
from siridb_fast.errors import ConnectionLost, RequestTimeout, SiriDBError
from siridb_fast.protocol import _wire
from siridb_fast.query.server_queries import ServerQueries

if TYPE_CHECKING:  # it brings sqlite3, for those who have a spool
    from siridb_fast.delivery.disk_queue import DiskQueue

__all__ = ["Dispatcher"]

DEADLINE_EXTENSION = 30.0  # seconds at least to send it again, once, if it is not stored

S, E = PackageState, PackageEvent
NEEDS_SERVER = (S.READY, S.IN_DOUBT, S.ACKNOWLEDGED)
UNANSWERED = (S.IN_FLIGHT, S.IN_DOUBT, S.ACKNOWLEDGED, S.SPLITTING, S.SPOOLING)

logger = logging.getLogger("siridb_fast")


class Dispatcher:
    """The packages of one writer, and the connections that they take.

    Args:
        cluster: Where they go.
        packages: All of them.
        send_queue: Says which is next.
        queries: Asks what the database has of those that are in doubt.
        delivery_timeout: Seconds from an acknowledgement until the package has to be safe.
        max_rate: Points a second that may leave; None: all that servers have room for.
        notify: Called to have `check` called soon.
        on_checked: Called after each `check`.
    """

    def __init__(
        self,
        cluster: Cluster,
        packages: Packages,
        send_queue: SendQueue,
        queries: ServerQueries,
        *,
        delivery_timeout: float,
        max_rate: float | None,
        notify: Callable[[], None],
        on_checked: Callable[[], None],
    ) -> None:
        self._cluster = cluster
        self._loop = cluster.loop
        self._packages = packages
        self._send_queue = send_queue
        self._delivery_timeout = delivery_timeout
        self._rate_limit = RateLimit(max_rate)
        self._on_checked = on_checked
        self.doubts = DoubtResolver(
            cluster, packages, queries, self._receivers_of, self.on_looked_up, notify
        )
        self.sentinels: SentinelTracker | None = None  # None: what is acknowledged is delivered
        self.on_outdated: Callable[[Package], None] = lambda _: None  # have it `Packages.refit`
        self.disk_queue: DiskQueue | None = None  # None: packages are in memory only
        self._backoff = Backoff()
        self._log = QuietLog(time.monotonic)
        self._is_stopped = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """How many packages wait for room, or for the disk."""
        return self._packages.count(S.READY, S.SPOOLING)

    @property
    def is_connected(self) -> bool:
        """Tell whether a server is there."""
        return self._cluster.is_connected

    def submit(self, batch: Batch, generation: int) -> None:
        """Take a batch that was filled elsewhere, of types of a generation; `check` sends it."""
        self._send_queue.add(batch, generation=generation)

    def check(self) -> None:
        """Do what is due now; called after whatever has happened."""
        if self._is_stopped:
            return
        is_paused = True
        try:
            is_paused = self._do_what_is_due()
        except BaseException as exc:  # memory is short, for one; what waits goes on all the same
            self._backoff.begin(self._loop.time())
            if not isinstance(exc, Exception):
                raise
            logger.exception("packages were not sent; trying again")
        finally:
            self._set_timer(is_paused=is_paused)
            self._on_checked()

    def _do_what_is_due(self) -> bool:
        # Return whether sending is paused.
        if self.sentinels is not None:
            self.sentinels.check_processes()
        self._give_up_late()
        if self.disk_queue is not None and not self._cluster.is_connected:
            self._leave_on_disk()
        for package in self._packages.in_state(S.SPLITTING):
            if not package.is_on_disk:
                self.split(package)
        self.doubts.check()
        is_paused = self._loop.time() < self._backoff.until
        is_idle = not is_paused and self._send_ready()
        if self.sentinels is not None:
            self.sentinels.check(is_idle=is_idle)
        if self.disk_queue is not None:
            may_send = not (is_paused or self._is_rate_paused())
            has_room = may_send and self._cluster.connection_with_room() is not None
            self.disk_queue.check(has_room=has_room)
        return is_paused

    def stop(self) -> None:
        """Send no more."""
        self._is_stopped = True

    def leave_all_on_disk(self) -> None:
        """Send no more, and leave everything to the disk."""
        self.stop()
        self._leave_on_disk()
        for package in self._packages.in_state(S.IN_FLIGHT):
            self._packages.move(package, E.CLOSED)
        self.doubts.check()
        while self._send_queue.seal_next(S.SPOOLING) is not None:
            pass

    def abandon(self, error: SiriDBError) -> None:
        """Give up: what waits is not delivered, what was with a server may be."""
        self.stop()
        if self._timer is not None:
            self._timer.cancel()
        for package in self._packages.in_state(S.READY):
            self._packages.move(package, E.CLOSED, error)
        for state in UNANSWERED:
            for package in self._packages.in_state(state):
                self._packages.move(package, E.CLOSED, package.error or error)
        self.doubts.check()

    # ---- what others report

    def on_response(
        self, package: Package, connection: Connection, error: SiriDBError | None
    ) -> None:
        """Act on the answer to a package, at once: the event loop has not gone on."""
        if package.state is not S.IN_FLIGHT or package.connection is not connection:
            return  # given up meanwhile
        try:
            HANDLERS[verdict_of(error)](self, package, connection, error)
        except Exception:
            logger.exception("the answer to a package was not dealt with")
        finally:
            if package.state is S.IN_FLIGHT:
                doubt = SiriDBError("the answer to the package was not dealt with")
                self._on_doubt(package, E.NO_ANSWER, doubt)
            self.check()

    def on_looked_up(self, package: Package, event: PackageEvent) -> None:
        """Take what the database says of a package in doubt: found, missing, or partly found."""
        if event is E.FOUND:
            self._on_found(package)
        elif event is E.MISSING:
            self._on_missing(package)
        elif event is E.CANNOT_TELL:
            error = ConnectionLost(
                f"{package.error}; and nobody can tell whether what is stored are these points, "
                "or equal ones that the writer had sent before",
                in_doubt=True,
            )
            self._log.log(logging.ERROR, "%s: %s", package.host, error)
            self._packages.move(package, event, error)
        else:
            self._packages.move(package, event)

    def on_recalled(self, package: Package) -> None:
        """Take a package that was read from disk; it may have been sent before."""
        if package.maybe_stored:
            error = ConnectionLost("the package on disk had been sent before", in_doubt=True)
            self._on_doubt(package, E.RECALLED, error)
        else:
            self._packages.move(package, E.RECALLED)

    def on_lost(self, package: Package) -> None:
        """Take note that a server has ended before a package that it acknowledged was safe."""
        error = ConnectionLost(
            f"a server was restarted right after {package.host} had acknowledged a package",
            in_doubt=True,
        )
        self._on_doubt(package, E.PROCESS_ENDED, error)

    def split(self, package: Package, row_ids: Iterable[int | None] = (None, None)) -> None:
        """Put its two parts in the place of a package; ``row_ids`` are theirs on disk."""
        children, parts = self._packages.split(package, row_ids), package.parts or ()
        for child, part in reversed([*zip(children, parts, strict=True)]):
            if part.event is not None:
                self.on_looked_up(child, part.event)

    # ---- sending

    def _send_ready(self) -> bool:
        # Return whether nothing is ready, nor on its way. Hosts that cannot serve are tried where
        # no other is left; pauses are for that.
        while (connection := self._cluster.connection_with_room()) is not None:
            if self._is_rate_paused():
                return not self._packages.count(S.IN_FLIGHT)
            package = self._send_queue.next()
            if package is None:
                return not self._packages.count(S.IN_FLIGHT)
            self._cluster.take_turn()
            if not self._send(package, connection):
                break
        if not self._packages.count(S.IN_FLIGHT):  # whose answers would say that there is room
            self._cluster.want_room()
        return False

    def _send(self, package: Package, connection: Connection) -> bool:
        if package.generation != self._packages.generation:  # its series may have other types
            self.on_outdated(package)
            return False
        package.sent_at = time.monotonic()
        package.receivers = self._receivers_of(connection)
        try:
            connection.send_for(
                InsertResponse(self, package, connection),
                _wire.REQ_INSERT,
                package.batch.buffer,
                package.deadline,
                is_raw=True,
            )
        except (ConnectionLost, RequestTimeout) as exc:  # nothing of it was sent
            package.error = package.error or exc
            return False
        except BaseException:  # it may be sent in part
            connection.abort()
            raise
        package.connection = connection
        package.server = None if connection.process is None else connection.process.uuid
        self._packages.move(package, E.SENT)
        self._pause_after(package)
        return True

    def _receivers_of(self, connection: Connection) -> tuple[ServerProcess, ...]:
        # The processes that may lose what is sent to a server, or found there.
        return () if self.sentinels is None else self.sentinels.receivers(connection)

    def _is_rate_paused(self) -> bool:
        return self._rate_limit.until > self._loop.time()

    def _pause_after(self, package: Package) -> None:
        # Others wait for their turn meanwhile, not for a server.
        pause = self._rate_limit.take(package.batch.points, self._loop.time())
        if pause:
            for state in (S.READY, S.SPOOLING):
                for other in self._packages.in_state(state):
                    other.deadline += pause

    # ---- answers

    def _on_acknowledged(self, package: Package, connection: Connection, _: object) -> None:
        self._backoff.reset()
        self._cluster.resume(connection)
        package.seconds = time.monotonic() - package.sent_at
        if self.sentinels is not None:
            self.sentinels.count_received(package, connection)
        package.deadline = self._loop.time() + self._delivery_timeout
        self._packages.move(package, E.STORED)

    def _on_server_error(
        self, package: Package, connection: Connection, error: SiriDBError
    ) -> None:
        logger.debug("%s: %s; trying another server", connection.name, error)
        self._cluster.suspend(connection)
        if not self._cluster.has_active:
            self._backoff.begin(self._loop.time())
        self._packages.move(package, E.CANNOT_SERVE, error)

    def _on_pool_error(self, package: Package, connection: Connection, error: SiriDBError) -> None:
        logger.debug("%s: %s; trying again", connection.name, error)
        if not isinstance(error, ConnectionLost):  # a pool has no server, so no server inserts
            self._backoff.begin(self._loop.time())
        self._packages.move(package, E.CANNOT_SERVE, error)

    def _on_refused(self, package: Package, connection: Connection, error: SiriDBError) -> None:
        # The server names no series: the package is split until the bad one is alone.
        package.error = error
        if package.can_be_split:
            logger.debug("%s refused a package: %s; sending its halves", connection.name, error)
            one, other = package.batch.halves()
            package.parts = Part(one, S.READY), Part(other, S.READY)
        else:
            self._log.log(logging.ERROR, "%s refused a package: %s", connection.name, error)
        self._packages.move(package, E.REFUSED)

    def _on_no_answer(self, package: Package, _: Connection, error: SiriDBError) -> None:
        self._on_doubt(package, E.NO_ANSWER, error)

    # ---- doubts

    def _on_doubt(self, package: Package, event: PackageEvent, error: SiriDBError) -> None:
        state = self._packages.move(package, event, error)
        if event is E.PROCESS_ENDED and state is not S.UNKNOWN:
            return  # `SentinelTracker` says it of all at once
        prefix = f"{package.host}: " if package.host else ""
        if state is S.IN_DOUBT:
            self._log.log(logging.WARNING, "%s%s; looking it up", prefix, error)
        elif state is S.READY:
            self._log.log(logging.WARNING, "%s%s; sending it again", prefix, error)
        else:
            self._log.log(logging.ERROR, "%s%s; it is in doubt", prefix, error)

    def _on_missing(self, package: Package) -> None:
        if not package.deadline_extended:  # it was with a server for so long, in vain
            package.deadline_extended = True
            package.deadline = max(package.deadline, self._loop.time() + DEADLINE_EXTENSION)
        self._packages.move(package, E.MISSING)

    def _on_found(self, package: Package) -> None:
        package.deadline = self._loop.time() + self._delivery_timeout
        self._packages.move(package, E.FOUND)

    # ---- time

    def _give_up_late(self) -> None:
        now = self._loop.time()
        for package in self._packages.late(S.READY, now):
            error = package.error or RequestTimeout(
                f"no server took the package within {self._delivery_timeout:g} seconds"
                f"{self._cluster.failure_suffix}"
            )
            self._packages.move(package, E.LATE, error)
        for package in self._packages.late(S.ACKNOWLEDGED, now):
            not_safe = RequestTimeout(
                "the package was acknowledged, but in "
                f"{self._delivery_timeout:g} seconds no server told that it is safe"
            )
            self._packages.move(package, E.LATE, not_safe)

    def _leave_on_disk(self) -> None:
        for state in NEEDS_SERVER:
            for package in self._packages.in_state(state):
                self._packages.move(package, E.NO_SERVER)

    def _set_timer(self, *, is_paused: bool) -> None:
        # For the end of a pause of whatever kind, or the deadline of what waits.
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        at = self._packages.first_deadline()
        if is_paused:
            at = min(at, self._backoff.until)
        if self._is_rate_paused():
            at = min(at, self._rate_limit.until)
        if at < inf:
            self._timer = self._loop.call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.check()


HANDLERS: dict[Verdict, Callable[..., None]] = {
    Verdict.DELIVERED: Dispatcher._on_acknowledged,  # noqa: SLF001 - its own
    Verdict.RETRY_ELSEWHERE: Dispatcher._on_server_error,  # noqa: SLF001
    Verdict.RETRY_LATER: Dispatcher._on_pool_error,  # noqa: SLF001
    Verdict.REJECTED: Dispatcher._on_refused,  # noqa: SLF001
    Verdict.IN_DOUBT: Dispatcher._on_no_answer,  # noqa: SLF001
}
