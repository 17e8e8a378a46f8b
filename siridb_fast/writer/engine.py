"""What is behind a writer that is open: it moves points from the coalescer to the servers.

Wakes the pump when there is something to send, and those who wait when there is room or when all
is done. Knows the event loop; knows nothing of bytes, and nothing of how points come in but for
whole columns.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from math import inf

from siridb_fast.batching._batch import Batch
from siridb_fast.batching._coalescer import Coalescer
from siridb_fast.columns.time_units import UNITS
from siridb_fast.concurrency.fork import own
from siridb_fast.concurrency.waiting import Waiters
from siridb_fast.connection.cluster import Cluster, first_failure
from siridb_fast.connection.config import Config
from siridb_fast.connection.connection import Connection
from siridb_fast.delivery.accounts import Accounts, Stats
from siridb_fast.delivery.disk_queue import DiskQueue
from siridb_fast.delivery.dispatcher import Dispatcher
from siridb_fast.delivery.doubt import DoubtResolver, batch_of
from siridb_fast.delivery.durability import SentinelTracker, clock_of
from siridb_fast.delivery.package import Package
from siridb_fast.delivery.report import Failure, OpenDelivery, Report
from siridb_fast.delivery.spool_thread import SpoolThread
from siridb_fast.errors import (
    AuthenticationError,
    ConfigError,
    RequestTimeout,
    SiriDBError,
    SpoolError,
    UnknownDatabaseError,
    UnpackError,
    WriterClosedError,
)
from siridb_fast.query.server_queries import ASSUMED_BUFFER_POINTS, ServerQueries
from siridb_fast.spool.store import Spooled
from siridb_fast.writer.admission import Admission
from siridb_fast.writer.handshake import DatabaseFacts, Handshake
from siridb_fast.writer.options import IN_BACKGROUND, WriterOptions
from siridb_fast.writer.series_types import SeriesTypeResolver

__all__ = ["Engine"]

CLOSE_TIMEOUT = 1.0
FATAL = (AuthenticationError, ConfigError)  # no patience helps, but a database may come yet
SPOOL_TIMEOUT = 30.0  # to write what memory holds to disk

logger = logging.getLogger("siridb_fast")


class Engine:
    """The moving parts of one writer; made in the event loop that they run in."""

    def __init__(self, config: Config, options: WriterOptions, coalescer: Coalescer) -> None:
        self._config = config
        self._options = options
        self._coalescer = coalescer
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        on_doubt = options.on_doubt or config.on_doubt or "verify"
        self._cluster = Cluster(
            config, per_host=options.per_host, on_change=self.notice, handshake=self._run_handshake
        )
        self.queries = ServerQueries(
            self._cluster, time_precision=options.time_precision, buffer_size=options.buffer_size
        )
        self._handshake = Handshake(self.queries, options, on_doubt, self._on_facts)
        self._facts = DatabaseFacts(options.time_precision, ASSUMED_BUFFER_POINTS, True, 1)
        self._dispatcher = Dispatcher(
            self._cluster,
            self,
            delivery_timeout=options.delivery_timeout,
            on_doubt=on_doubt,
            doubts=DoubtResolver(self._cluster, self.queries, lambda: self._dispatcher.in_flight),
        )
        self._settler = SeriesTypeResolver(
            coalescer,
            self.queries.types,
            casts=options.on_type == "cast",
            refuse=self.fail,
            on_settled=self.work,
        )
        self._ledger = Accounts(time.monotonic, options.on_delivery, options.on_error)
        self._spool: SpoolThread | None = None
        self._backlog: DiskQueue | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._looked_at = -inf  # when the coalescer was last asked for what is due
        self._is_noticed = False
        self._is_running = False
        self._points_in_packages = 0
        self.gate = Waiters(self._loop, self.notice)
        self.entrance = self._new_entrance()
        own(self)

    def _new_entrance(self) -> Admission:
        parts, size = (self._coalescer, self._dispatcher, self.gate), self._options.package_bytes
        return Admission(*parts, size, work=self.work, fail=self.fail)

    # ---- life

    @property
    def is_dead(self) -> bool:
        """Tell whether the event loop was closed, without the writer."""
        return self._loop.is_closed()

    @property
    def is_this_thread(self) -> bool:
        """Tell whether the event loop runs in this thread."""
        return threading.get_ident() == self._thread

    @property
    def points_left(self) -> int:
        """How many points are pending or on their way."""
        return self._coalescer.points + self._points_in_packages

    async def connect(self, timeout: float | None = None) -> None:
        """Connect, and learn about the database; without one there is, go on by ``options``.

        Raises:
            SiriDBError, OSError: No server can be reached, or none lets the user in.
        """
        try:
            await self._reach(timeout)
            await self._open_spool()
        except BaseException:
            self._cluster.close()
            if self._spool is not None:
                await self._spool.close()
            raise

    @property
    def time_precision(self) -> int | None:
        """The database's, SECOND … NANOSECOND, if it is known."""
        return self._facts.time_precision

    async def _reach(self, timeout: float | None) -> None:
        patience = self._options.wait_for_server
        if patience == IN_BACKGROUND and timeout is None:
            timeout = self._config.timeout
        results = await self._cluster.connect(timeout)
        if self._cluster.is_connected:
            return
        failure = first_failure(results)
        if isinstance(failure, FATAL) and not isinstance(failure, UnknownDatabaseError):
            raise failure
        if patience == IN_BACKGROUND:
            logger.warning("no server is there yet; points wait for one: %s", failure)
        elif not await self._cluster.wait_connected(patience):
            raise self._cluster.failure or failure

    def _on_facts(self, facts: DatabaseFacts) -> None:
        # Before the first connection is used.
        self._facts = facts
        self._coalescer.set_buffer(facts.buffer_points)
        self._ledger.buffer_points = facts.buffer_points
        dispatcher, options = self._dispatcher, self._options
        if not facts.may_select:
            fallback = options.on_doubt_fallback
            logger.warning("the user may not select: packages in doubt: %r", fallback)
            dispatcher.on_doubt = fallback
        if options.durability == "safe":
            assert facts.time_precision is not None  # noqa: S101 - the handshake checks
            dispatcher.safety = SentinelTracker(
                self._cluster,
                sentinel=options.sentinel,
                now=clock_of(facts.time_precision),
                pools=lambda: self._facts.pools,
                known=self._handshake.known_processes,
                on_safe=dispatcher.is_stored,
                on_lost=dispatcher.is_lost,
                work=self.notice,
            )

    async def _open_spool(self) -> None:
        options = self._options.spool_options
        if options is None:
            return
        if self.time_precision is None:
            raise ConfigError("spool= needs the right to show, or time_precision=")
        self._spool = SpoolThread(options)
        await self._spool.open(self._config.dbname, UNITS[self.time_precision])

    def start(self, refit: Callable[[bytes], Awaitable[Batch | None]]) -> None:
        """Take points from now on.

        ``refit`` gives the points of a package that was on disk the types that their series have.
        """
        options = self._options
        if self._spool is not None:
            self._backlog = self._dispatcher.backlog = DiskQueue(
                self._spool,
                self._dispatcher,
                is_connected=lambda: self._cluster.is_connected,
                is_short=lambda: self._coalescer.is_crowded,
                max_buffered=options.max_buffered,
                refit=refit,
                on_dropped=self._is_dropped,
                notice=self.notice,
            )
        self._is_running = True
        self._ledger.start()
        self._coalescer.open(self._facts.buffer_points)
        self.notice()

    def _is_dropped(self, row: Spooled, error: SpoolError) -> None:
        try:
            series = batch_of(row.payload).series()
        except UnpackError:  # no writer made that
            series = [("", row.points)]
        for name, points in series:
            self.fail(Failure(name, points, error), [])

    def fail(self, failure: Failure, waiting: list[tuple[OpenDelivery, int]]) -> None:
        """Book points that will not be delivered, and tell the deliveries that wait for them."""
        self._ledger.fail(failure, waiting)

    def stop(self) -> None:
        """Close the connections; book whatever is left as not delivered."""
        self._is_running = False
        error = WriterClosedError("the writer was closed before the points were delivered")
        for name, points, waiting in self._coalescer.drop_all():
            self._ledger.fail(Failure(name, points, error), waiting)
        self._dispatcher.abandon(error)
        self._settler.stop()
        self._cluster.close()
        if self._spool is not None:
            self._spool.end()
        if self._timer is not None:
            self._timer.cancel()

    def disown(self) -> None:
        """Take and send nothing more; called in a child of a fork."""
        self._is_running = False
        self._coalescer.close()
        self._dispatcher.stop()

    async def wait_stopped(self) -> None:
        """Wait until the connections are gone, but not for long."""
        try:
            await asyncio.wait_for(self._cluster.wait_closed(), CLOSE_TIMEOUT)
        except TimeoutError:
            logger.warning("a connection is not closed after %s seconds", CLOSE_TIMEOUT)

    async def save_rest(self) -> None:
        """Leave what is not delivered in the spool, if there is one, and close that."""
        if self._backlog is None:
            return
        self._settler.stop()
        self._settler.postpone()
        self._coalescer.flush(time.monotonic())
        self._dispatcher.surrender(self._backlog)
        await self._backlog.close(SPOOL_TIMEOUT)

    async def deliver_all(self, timeout: float | None, *, with_backlog: bool = False) -> None:
        """Send what is pending now, and wait until its fate is known.

        With a spool, its fate may be to be there. ``with_backlog`` waits for what is there too, as
        long as a server is connected.

        Raises:
            RequestTimeout: Not in time; it goes on all the same.
        """
        timeout = self._options.delivery_timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(timeout):
                self.work()
                newest = self._settler.newest
                await self.gate.wait_until(
                    lambda: newest is None or self._coalescer.is_resolved(newest)
                )
                now = time.monotonic()
                self._coalescer.flush(now)
                self.work()
                await self.gate.wait_until(lambda: self._coalescer.oldest_since > now)
                number = self._dispatcher.outgoing.last_number
                await self.gate.wait_until(lambda: self._dispatcher.outgoing.is_settled(number))
                if with_backlog:
                    await self.gate.wait_until(self._has_no_backlog)
        except TimeoutError:
            raise RequestTimeout(
                f"{self.points_left:,} points are not delivered after {timeout:g} seconds"
                f"{self._cluster.failure_suffix}"
            ) from None

    def _has_no_backlog(self) -> bool:
        backlog = self._backlog
        return backlog is None or backlog.is_empty or not self._cluster.is_connected

    def end_period(self) -> Report:
        """Return the report of all points since the last one."""
        return self._ledger.end_period()

    def stats(self) -> Stats:
        """Return the figures since the start."""
        total, fast = self._ledger.total, self._ledger.fast
        return Stats(
            written=self._coalescer.accepted + self.entrance.direct_points,
            buffered=self._coalescer.points,
            in_flight=self._points_in_packages,
            unsafe=self._dispatcher.unsafe_points,
            spooled=self._backlog.points if self._backlog is not None else 0,
            delivered=total.points,
            fast=fast,
            slow=total.points - fast,
            rejected=total.rejected_points,
            in_doubt=total.in_doubt_points,
            packages=total.packages,
            packages_in_flight=self._dispatcher.in_flight,
            retries=self._dispatcher.retries,
            bytes=total.bytes,
            series=self._coalescer.series_count,
            settled=self._settler.settled,
            buffered_bytes=self._coalescer.buffered_bytes,
            max_buffered=self._options.max_buffered,
        )

    # ---- what the dispatcher tells and asks

    def fill(self, batch: Batch) -> bool:
        """Move what should leave next into a batch; called by the dispatcher."""
        return self._coalescer.take(time.monotonic(), batch)

    def held(self, package: Package) -> None:
        """Count the memory of a new package; called by the dispatcher."""
        self._coalescer.sealed_bytes += package.held
        self._points_in_packages += package.batch.points

    def delivered(self, package: Package, host: str) -> None:
        """Book a package that is stored; called by the dispatcher."""
        self._ledger.delivered(package.batch, host, package.seconds)

    def spooled(self, package: Package) -> None:
        """Book a package that is on disk only; called by the dispatcher."""
        if not package.was_on_disk:
            self._ledger.spooled(package.batch)

    def failed(self, package: Package, error: SiriDBError, *, in_doubt: bool) -> None:
        """Book a package that was not delivered; called by the dispatcher."""
        self._ledger.failed(package.batch, error, in_doubt=in_doubt)

    def released(self, package: Package) -> None:
        """Use the memory of a package again; called by the dispatcher."""
        self._coalescer.sealed_bytes -= package.held
        self._points_in_packages -= package.batch.points
        self.gate.wake()
        self._set_timer()

    # ---- waking

    def notice(self) -> None:
        """Wake the event loop, for which there may be something to do; from any thread."""
        if self._is_noticed or not self._is_running:
            return
        self._is_noticed = True
        try:
            if self.is_this_thread:
                self._loop.call_soon(self.work)
            else:
                self._loop.call_soon_threadsafe(self.work)
        except RuntimeError:
            self._coalescer.close()  # to refuse what comes from now on
            raise WriterClosedError("the event loop of the writer is closed") from None

    def work(self) -> None:
        """Send what should leave, and let go those who wait for what is true now."""
        self._is_noticed = False
        if self._is_running:
            self._looked_at = time.monotonic()
            if self._backlog is not None and not self._cluster.is_connected:
                self._settler.postpone()
            else:
                self._settler.start(may_ask=self._cluster.is_connected)
            self._dispatcher.pump()
            self.gate.wake()
            self._set_timer()

    def _set_timer(self) -> None:
        # For the oldest point, unless it was due already when there was last a look: then an
        # answer or a connection is waited for. It may have become due since, or a timer be early.
        if self._timer is None and self._is_running:
            due = self._coalescer.oldest_since + self._options.linger
            if self._looked_at < due < inf:
                delay = max(0.0, due - time.monotonic())
                self._timer = self._loop.call_later(delay, self._linger_is_over)

    def _linger_is_over(self) -> None:
        self._timer = None
        self.work()

    # ---- the servers

    async def _run_handshake(self, connection: Connection) -> None:
        await self._handshake.run(connection)
