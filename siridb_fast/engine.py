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
from typing import Any

import numpy as np

from siridb_fast._appending import append_column, append_groups, append_texts, room_for
from siridb_fast._batch import Batch
from siridb_fast._coalescer import Coalescer
from siridb_fast._points import PointColumn
from siridb_fast._runs import Series
from siridb_fast.asking import ASSUMED_BUFFER_POINTS, Asking
from siridb_fast.backlog import Backlog
from siridb_fast.cluster import Cluster
from siridb_fast.columns import PRECISIONS
from siridb_fast.config import Config
from siridb_fast.delivery import Delivery, Failure, Report
from siridb_fast.dispatch import Dispatcher
from siridb_fast.doubt import Doubts, batch_of
from siridb_fast.errors import (
    BufferFullError,
    ColumnError,
    ConfigError,
    RequestTimeout,
    SiriDBError,
    SpoolError,
    UnpackError,
    WriterClosedError,
)
from siridb_fast.gate import Gate
from siridb_fast.greeting import Processes
from siridb_fast.hosts import Host
from siridb_fast.ledger import Ledger, Stats
from siridb_fast.packages import Package
from siridb_fast.safety import Safety, clock_of
from siridb_fast.settling import TypeSettler
from siridb_fast.spool import Spooled
from siridb_fast.spool_thread import SpoolThread
from siridb_fast.writer_options import WriterOptions

__all__ = ["Engine"]

CLOSE_TIMEOUT = 1.0
SPOOL_TIMEOUT = 30.0  # to write what memory holds to disk
READY_PACKAGES = 2  # of columns, beside those in flight: enough to keep the line busy

NumpyArray = np.ndarray[Any, np.dtype[Any]]

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
        asks_whom = on_doubt == "verify" or options.durability == "safe"
        self._cluster = Cluster(
            config,
            per_host=self._per_host,
            on_change=self.notice,
            greet=Processes().greet if asks_whom else None,
        )
        self.asking = Asking(self._cluster, options)
        self._dispatcher = Dispatcher(
            self._cluster,
            self,
            delivery_timeout=options.delivery_timeout,
            on_doubt=on_doubt,
            doubts=Doubts(self._cluster, self.asking, lambda: self._dispatcher.in_flight),
        )
        self._settler = TypeSettler(
            coalescer,
            self.asking.types,
            casts=options.on_type == "cast",
            refuse=self.fail,
            on_settled=self.work,
        )
        self._ledger: Ledger
        self._spool: SpoolThread | None = None
        self._backlog: Backlog | None = None
        self._buffer_points = ASSUMED_BUFFER_POINTS
        self._timer: asyncio.TimerHandle | None = None
        self._looked_at = -inf  # when the coalescer was last asked for what is due
        self._is_noticed = False
        self._is_running = False
        self._points_in_packages = 0
        self._pools = 1
        self._direct_points = 0  # that never were in the coalescer
        self.gate = Gate(self._loop)

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

    async def connect(self, timeout: float | None = None) -> int | None:
        """Connect and learn about the database; return its time precision if it is known.

        Raises:
            SiriDBError, OSError: No server can be reached, or none lets the user in.
        """
        try:
            await self._cluster.open(timeout)
            precision, self._buffer_points = await self.asking.settings()
            await self._prepare(precision)
            await self._open_spool(precision)
        except BaseException:
            self._cluster.close()
            if self._spool is not None:
                await self._spool.close()
            raise
        return precision

    async def _prepare(self, precision: int | None) -> None:
        # Learn whether doubts can be settled, and prepare to make sure of what is acknowledged.
        dispatcher, options = self._dispatcher, self._options
        if dispatcher.on_doubt == "verify" and not await self.asking.may_select():
            fallback = options.on_doubt_fallback
            logger.warning("the user may not select: packages in doubt: %r", fallback)
            dispatcher.on_doubt = fallback
        if options.durability == "acked":
            return
        if precision is None:
            raise ConfigError("durability='safe' needs the right to show, or time_precision=")
        self._pools = await self.asking.pools()
        dispatcher.safety = Safety(
            self._cluster,
            sentinel=options.sentinel,
            now=clock_of(precision),
            pools=lambda: self._pools,
            on_safe=dispatcher.is_stored,
            on_lost=dispatcher.is_lost,
            work=self.notice,
        )

    async def _open_spool(self, precision: int | None) -> None:
        options = self._options.spool_options
        if options is None:
            return
        if precision is None:
            raise ConfigError("spool= needs the right to show, or time_precision=")
        self._spool = SpoolThread(options)
        await self._spool.open(self._config.dbname, PRECISIONS[precision])

    def start(self, refit: Callable[[bytes], Awaitable[Batch | None]]) -> None:
        """Take points from now on.

        ``refit`` gives the points of a package that was on disk the types that their series have.
        """
        options = self._options
        self._ledger = Ledger(
            time.monotonic, self._buffer_points, options.on_delivery, options.on_error
        )
        if self._spool is not None:
            self._backlog = self._dispatcher.backlog = Backlog(
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
        self._coalescer.open(self._buffer_points)
        self.notice()

    def _is_dropped(self, row: Spooled, error: SpoolError) -> None:
        try:
            series = batch_of(row.payload).series()
        except UnpackError:  # no writer made that
            series = [("", row.points)]
        for name, points in series:
            self.fail(Failure(name, points, error), [])

    def fail(self, failure: Failure, waiting: list[tuple[Delivery, int]]) -> None:
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
        if timeout is None:
            timeout = self._options.delivery_timeout
        try:
            async with asyncio.timeout(timeout):
                self.work()
                newest = self._settler.newest
                await self.gate.until(lambda: newest is None or self._coalescer.is_settled(newest))
                now = time.monotonic()
                self._coalescer.flush(now)
                self.work()
                await self.gate.until(lambda: self._coalescer.oldest_since > now)
                number = self._dispatcher.last_number
                await self.gate.until(lambda: self._dispatcher.is_settled(number))
                if with_backlog:
                    await self.gate.until(self._has_no_backlog)
        except TimeoutError:
            raise RequestTimeout(
                f"{self.points_left:,} points are not delivered after {timeout:g} seconds"
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
            written=self._coalescer.accepted + self._direct_points,
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
            buffered_bytes=self._coalescer.buffered_bytes,
            max_buffered=self._options.max_buffered,
        )

    # ---- what the dispatcher tells and asks

    def fill(self, batch: Batch) -> bool:
        """Move what should leave next into a batch; called by the dispatcher."""
        return self._coalescer.take(time.monotonic(), batch)

    def held(self, package: Package) -> None:
        """Count the memory of a new package; called by the dispatcher."""
        self._coalescer.held_bytes += package.held
        self._points_in_packages += package.batch.points

    def delivered(self, package: Package, host: str) -> None:
        """Book a package that is stored; called by the dispatcher."""
        self._ledger.delivered(package.batch, host, package.seconds)

    def spooled(self, package: Package) -> None:
        """Book a package that is on disk only; called by the dispatcher."""
        if not package.is_recalled:
            self._ledger.spooled(package.batch)

    def failed(self, package: Package, error: SiriDBError, *, in_doubt: bool) -> None:
        """Book a package that was not delivered; called by the dispatcher."""
        self._ledger.failed(package.batch, error, in_doubt=in_doubt)

    def released(self, package: Package) -> None:
        """Use the memory of a package again; called by the dispatcher."""
        self._coalescer.held_bytes -= package.held
        self._points_in_packages -= package.batch.points
        self.gate.look()
        self._set_timer()

    # ---- columns

    @property
    def package_bytes(self) -> int:
        """The size of a full package."""
        return self._options.package_bytes

    async def settle(self, series: list[Series]) -> None:
        """Wait until the types of these series are known to be the database's."""
        if not all(map(self._coalescer.is_settled, series)):
            self.work()
            await self.gate.until(lambda: all(map(self._coalescer.is_settled, series)))

    async def coalesce(
        self,
        series: Series,
        column: PointColumn,
        delivery: Delivery,
        fit: Callable[[Series, PointColumn], PointColumn],
    ) -> None:
        """Append a column to the run of its series, once there is room.

        ``fit`` gives it the type of the series, which may have been learnt only now.
        """
        text_bytes = column.max_bytes if column.type == "string" else 0
        need = room_for(len(column), text_bytes=text_bytes)
        await self.gate.until(lambda: self._coalescer.may_take(need))
        self._check_running()
        if self._coalescer.type_of(series) != column.type:  # as the database told meanwhile
            try:
                column = fit(series, column)
            except ColumnError as exc:
                self._direct_points += len(column)
                delivery.expect(len(column))
                failure = Failure(series.name, len(column), exc)
                self.fail(failure, [(delivery, len(column))])
                return
        timestamps, values = column.plain()
        try:
            if isinstance(values, list):
                append_texts(self._coalescer, series, timestamps, values, delivery)
            else:
                bits = values.view(np.int64)
                append_column(self._coalescer, series, timestamps, bits, delivery)
        except BufferFullError:  # another thread was faster
            await self.coalesce(series, column, delivery, fit)
        else:
            delivery.expect(len(timestamps))

    async def append_groups(
        self,
        groups: list[Series],
        stops: NumpyArray,
        timestamps: NumpyArray,
        values: NumpyArray,
        delivery: Delivery,
    ) -> None:
        """Append points of many series to their runs, once there is room for all.

        Those of ``groups[i]`` end before ``stops[i]``; the series are settled, and of the type.
        """
        need = room_for(len(timestamps), len(groups))
        while True:
            await self.gate.until(lambda: self._coalescer.may_take(need))
            self._check_running()
            try:
                append_groups(self._coalescer, groups, stops, timestamps, values, delivery)
            except BufferFullError:  # another thread was faster
                continue
            delivery.expect(len(timestamps))
            return

    async def send(self, column: PointColumn, delivery: Delivery) -> None:
        """Send a column past the coalescer, of a settled series.

        It goes in even parts, encoded from the caller's memory when there is somewhere to send
        them.
        """
        package_bytes = self._options.package_bytes
        step = even_part(len(column), column.max_bytes, package_bytes)
        start = 0
        while start < len(column):
            await self.gate.until(self._takes_package)
            self._check_running()
            stop = max(start + 1, min(start + step, column.fit(start, package_bytes)))
            batch = self._dispatcher.new_batch()
            points = batch.append_column(column, start, stop)
            start = stop
            if points:
                batch.share(delivery, 0, points)
                delivery.expect(points)
                self._direct_points += points
                self._dispatcher.submit(batch)
                self._dispatcher.pump()

    def _takes_package(self) -> bool:
        return self._dispatcher.ready < READY_PACKAGES and self._coalescer.may_take(
            self._options.package_bytes
        )

    def _check_running(self) -> None:
        if not self._is_running or self._coalescer.is_closed:
            raise WriterClosedError("the writer was closed while this waited for room")

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
                self._settler.start()
            self._dispatcher.pump()
            self.gate.look()
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

    def _per_host(self, host: Host) -> tuple[int, int]:
        # Two packages with a host keep it busy while the next is made; more make its work slower
        # (benchmarks/ceiling.py).
        connections, window = (1, 2) if host.is_unix_socket else (2, 1)
        return self._options.connections or connections, self._options.window or window


def even_part(points: int, size: int, package_bytes: int) -> int:
    """Return how many points to send at a time, so that no package is left with a few."""
    packages = -(-size // package_bytes)
    return -(-points // packages)
