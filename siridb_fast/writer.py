"""`BatchWriter`: single points and arrays in, the packages that the server takes fastest out.

Points wait in the coalescer until their runs are long enough or old enough; a package leaves when
a connection has room. This module holds the parts together: it wakes the pump when there is
something to send, and those who wait when there is room or all is done. Knows the event loop;
knows nothing of bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import partial
from math import inf
from types import TracebackType
from typing import Any, Protocol, Self, Unpack

import numpy as np

from siridb_fast import _wire
from siridb_fast._batch import Batch
from siridb_fast._coalescer import Coalescer
from siridb_fast._intake import Intake
from siridb_fast._points import PointColumn
from siridb_fast._qpack import packb
from siridb_fast._runs import Series
from siridb_fast._ticker import Ticker
from siridb_fast.carrying import carry
from siridb_fast.casting import fitted_column
from siridb_fast.catalog import Catalog
from siridb_fast.cluster import Cluster
from siridb_fast.columns import ColumnRules, point_column
from siridb_fast.config import Config, parse_url
from siridb_fast.connection import Connection
from siridb_fast.delivery import Delivery, Failure, Report
from siridb_fast.dispatch import Dispatcher, Package
from siridb_fast.errors import (
    BufferFullError,
    ColumnError,
    ConfigError,
    DeliveryError,
    RequestTimeout,
    SiriDBError,
    WriterClosedError,
)
from siridb_fast.hosts import Host
from siridb_fast.ledger import Ledger, Stats
from siridb_fast.settling import TypeSettler
from siridb_fast.writer_options import WriterKeywords, WriterOptions

__all__ = ["BatchWriter"]

QUERY_TIMEOUT = 30.0
ASSUMED_BUFFER_POINTS = 1023  # of a server that may not be asked: right up to 16 KiB a series
BUFFERED_POINT_BYTES = 16  # in the server's buffer of a series
READY_PACKAGES = 2  # of columns, beside those in flight: enough to keep the line busy
POINTS_BETWEEN_TURNS = 256  # of the event loop, which drain() gives at least so often
BLOCKED_TURN = 1.0  # seconds until a thread that waits for room looks again
EXACT_INTEGERS = 2**53

NumpyArray = np.ndarray[Any, np.dtype[Any]]

logger = logging.getLogger("siridb_fast")


class State(Enum):
    """Of a writer, in the order it goes through them."""

    NEW = "new"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class HasConfig(Protocol):
    """What is needed of a client."""

    @property
    def config(self) -> Config:
        """Where the database is."""


class BatchWriter(Intake):
    """Takes points one by one, in ticks or in arrays, and delivers them in large packages.

    An async context manager: entering it connects, leaving it delivers everything, or raises
    `DeliveryError` with what was not. It has connections of its own. The plain calls, `write`,
    `write_tick` and those of `series` and `ticker`, may be made in any thread.

    Args:
        target: A `SiriDBClient`, which may be closed, or a URL; None for ``SIRIDB_URL``.
        linger: Seconds that a point waits at most for others of its series, if a server is there.
        max_buffered: Bytes of points and packages at most; 16 a point and up to 48 a series with
            points. Series take about 300 bytes each on top, also when nothing of them waits.
        package_bytes: The size of a full package.
        on_full: Where there is no room in another thread than the event loop's: ``"wait"`` or
            ``"raise"`` `BufferFullError`. On the event loop's own thread it is always raised.
        connections: To each host; by default 2 over TCP, 1 over a unix socket.
        window: Packages in flight on each; by default 1 over TCP, 2 over a unix socket.
        delivery_timeout: Seconds from the sealing of a package until it is given up.
        on_doubt: A package whose connection was lost, or that was not answered in time, may or may
            not be stored: ``"report"`` it or ``"resend"`` it. By default the client's.
        on_missing: NaN, NaT and None: ``"keep"`` (NaN is sent, others refused), ``"drop"`` the
            point, ``"error"``.
        on_precision_loss: A time that is finer than the database's precision: ``"error"`` or
            ``"floor"``.
        on_type: A value of another type than its series has: ``"error"`` or ``"cast"``. A whole
            number is always taken for a float series.
        time_precision: The database's, if it is not to be asked.
        buffer_size: The database's, in bytes, if it is not to be asked.
        max_idle_series: Series that are remembered while they have no points.
        on_delivery: Called with a `Delivered` for each acknowledged package, in the event loop.
        on_error: Called with a `Failure` for each series with points not delivered, or in doubt.

    Raises:
        ConfigError: An option or the URL makes no sense.
    """

    def __init__(
        self, target: str | HasConfig | None = None, **options: Unpack[WriterKeywords]
    ) -> None:
        unknown = options.keys() - WriterOptions.__dataclass_fields__.keys()
        if unknown:
            raise ConfigError(f"a writer has no option {min(unknown)!r}")
        self._options = WriterOptions(**options)
        if target is None or isinstance(target, str):
            self._config = parse_url(target)
        else:
            self._config = target.config
        coalescer = Coalescer(
            clock=time.monotonic,
            max_buffered=self._options.max_buffered,
            linger=self._options.linger,
            package_bytes=self._options.package_bytes,
            max_idle=self._options.max_idle_series,
        )
        rules = self._options.rules(self._options.time_precision)
        super().__init__(coalescer, rules, self._options.on_type == "cast")
        coalescer.on_blocked = self._on_blocked
        coalescer.notify = self._notice
        self._state = State.NEW
        self._is_noticed = False
        self._thread = 0
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._room = threading.Condition()
        self._blocked_threads = 0
        self._next_turn = 0
        self._direct_points = 0
        self._points_in_packages = 0
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        hosts = ", ".join(map(str, self._config.hosts))
        return f"<BatchWriter to {self._config.dbname!r} at {hosts}: {self._state.value}>"

    # ---- life

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        report = await self.close()
        if report.is_complete:
            return
        if exc is None:
            raise DeliveryError(f"the writer was closed: {report}", report)
        exc.add_note(f"the writer was closed: {report}")

    async def open(self) -> None:
        """Connect and ask for the database's time precision and buffer size.

        Raises:
            SiriDBError, OSError: No server can be reached, or none lets the user in.
        """
        if self._state is not State.NEW:
            raise WriterClosedError(f"the writer is {self._state.value}")
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._cluster = Cluster(self._config, per_host=self._per_host, on_connected=self._notice)
        try:
            results = await self._cluster.connect()
            if not self._cluster.is_connected:
                raise next(result for result in results if result is not None)
            self._catalog = Catalog(self._ask)
            buffer_points = await self._learn()
        except BaseException:
            self._cluster.close()
            raise
        self._ledger = Ledger(
            time.monotonic, buffer_points, self._options.on_delivery, self._options.on_error
        )
        self._dispatcher = Dispatcher(
            self._cluster,
            self,
            delivery_timeout=self._options.delivery_timeout,
            on_doubt=self._options.on_doubt or self._config.on_doubt,
        )
        self._settler = TypeSettler(
            self._coalescer,
            partial(self._catalog.look_up, timeout=QUERY_TIMEOUT),
            casts=self._casts,
            refuse=self._refuse,
            on_settled=self._work,
        )
        self._coalescer.open(buffer_points)
        self._state = State.OPEN

    async def close(self, timeout: float | None = None) -> Report:
        """Deliver what is pending and close the connections.

        Args:
            timeout: Seconds; None for the writer's ``delivery_timeout``.

        Returns:
            What became of all points since the last report. What could not be delivered in time is
            in ``rejected``, what was with a server then in ``in_doubt``.
        """
        if self._state is State.NEW:
            self._state = State.CLOSED
            return Report(0, 0, 0, 0.0)
        if self._state is not State.OPEN:
            await self._until(lambda: self._state is State.CLOSED)
            return self._ledger.end_period()
        self._state = State.CLOSING
        self._coalescer.close()
        self._free_threads()
        try:
            with contextlib.suppress(RequestTimeout):
                await self._deliver_all(timeout)
        finally:
            self._end()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._cluster.wait_closed(), 1.0)
        report = self._ledger.end_period()
        if not report.is_complete:
            logger.error("the writer was closed: %s", report)
        return report

    def __del__(self) -> None:
        left = self._coalescer.points + getattr(self, "_points_in_packages", 0)
        if left:
            warnings.warn(
                f"{self!r} was dropped with {left:,} points not delivered; close it",
                ResourceWarning,
                stacklevel=1,
                source=self,
            )

    # ---- points

    def ticker(self, names: Iterable[str]) -> Ticker:
        """Return a handle of many series that always get a value together, as an array."""
        return Ticker(self, names)

    async def write_arrays(self, series: str, timestamps: object, values: object) -> Delivery:
        """Take a column of points of one series, once there is room for it.

        Args:
            series: Its name.
            timestamps: Shape (n,), any integer dtype in the database's precision, or datetime64.
            values: Shape (n,), any integer dtype, float16, float32, float64, bool or str.

        Returns:
            A `Delivery`; awaiting that gives the `Report` of these points. The arrays are free to
            change when this returns.

        Raises:
            ColumnError: Names the series and the index. Nothing of the call was taken. The type of
                a series that is new to the writer may turn out only later to be another one: then
                the report tells.
            WriterClosedError: The writer is not open, or was closed meanwhile.
        """
        return await self.write_many({series: (timestamps, values)})

    async def write_many(self, columns: Mapping[str, tuple[object, object]]) -> Delivery:
        """Take columns of many series, ``{name: (timestamps, values)}``; see `write_arrays`."""
        self._check_open()
        parts = [
            (self._coalescer.series(column.name), column)
            for column in [_column(name, pair, self._rules) for name, pair in columns.items()]
            if len(column)
        ]
        for _, column in parts:
            column.check()
        large = [series for series, column in parts if self._is_large(column)]
        if not all(map(self._coalescer.is_settled, large)):
            self._work()
            await self._until(lambda: all(map(self._coalescer.is_settled, large)))
        parts = [(series, self._fitted(series, column)) for series, column in parts]
        delivery = Delivery(self._loop.create_future, time.monotonic())
        try:
            for series, column in parts:
                if self._is_large(column):
                    await self._send_column(column, delivery)
                else:
                    await self._coalesce(series, column, delivery)
        finally:
            delivery.seal(time.monotonic())
        return delivery

    async def drain(self) -> None:
        """Wait until there is room for a tick: one point of every series, or an eighth of all.

        Call it once for each tick or round of a loop; it also gives the event loop its turn.
        """
        if self._coalescer.accepted >= self._next_turn:
            self._next_turn = self._coalescer.accepted + POINTS_BETWEEN_TURNS
            await asyncio.sleep(0)
        if not self._has_ease():
            await self._until(self._has_ease)

    async def flush(self, timeout: float | None = None) -> Report:
        """Send all that is pending and wait until its fate is known.

        Args:
            timeout: Seconds; None for the writer's ``delivery_timeout``.

        Returns:
            What became of all points since the last report.

        Raises:
            RequestTimeout: Not in time. Nothing is lost by that: the writer goes on.
            WriterClosedError: The writer is not open.
        """
        self._check_open()
        await self._deliver_all(timeout)
        return self._ledger.end_period()

    def stats(self) -> Stats:
        """Return the figures of this writer since it was opened."""
        if self._state is State.NEW:
            raise WriterClosedError("the writer is not open yet")
        total, fast = self._ledger.total, self._ledger.fast
        return Stats(
            written=self._coalescer.accepted + self._direct_points,
            buffered=self._coalescer.points,
            in_flight=self._points_in_packages,
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

    def delivered(self, package: Package, connection: Connection) -> None:
        """Book an acknowledged package; called by the dispatcher."""
        seconds = self._loop.time() - package.sent_at
        self._ledger.delivered(package.batch, connection.name, seconds)

    def failed(self, package: Package, error: SiriDBError, *, in_doubt: bool) -> None:
        """Book a package that was not delivered; called by the dispatcher."""
        self._ledger.failed(package.batch, error, in_doubt=in_doubt)

    def released(self, package: Package) -> None:
        """Use the memory of a package again; called by the dispatcher."""
        self._coalescer.held_bytes -= package.held
        self._points_in_packages -= package.batch.points
        self._wake_waiters()
        self._free_threads()
        self._set_timer()

    # ---- opening and closing

    def _per_host(self, host: Host) -> tuple[int, int]:
        # Two packages with a host keep it busy while the next is made; more make its work slower
        # (benchmarks/ceiling.py).
        connections, window = (1, 2) if host.is_unix_socket else (2, 1)
        return self._options.connections or connections, self._options.window or window

    async def _learn(self) -> int:
        # Set the rules for timestamps; return how many points the server buffers of a series.
        precision, buffer_size = self._options.time_precision, self._options.buffer_size
        if precision is None or buffer_size is None:
            shown = await self._catalog.settings(QUERY_TIMEOUT)
            precision = shown[0] if precision is None else precision
            buffer_size = shown[1] if buffer_size is None else buffer_size
        self.set_rules(self._options.rules(precision))
        return (
            ASSUMED_BUFFER_POINTS if buffer_size is None else buffer_size // BUFFERED_POINT_BYTES
        )

    async def _ask(self, text: str, timeout: float) -> object:
        query = packb((text, None))
        return await carry(self._cluster, _wire.REQ_QUERY, query, timeout, is_urgent=True)

    def _check_open(self) -> None:
        if self._state is not State.OPEN:
            not_yet = "not open yet" if self._state is State.NEW else "closed"
            raise WriterClosedError(f"the writer is {not_yet}")

    async def _deliver_all(self, timeout: float | None) -> None:
        if timeout is None:
            timeout = self._options.delivery_timeout
        now = time.monotonic()
        self._coalescer.flush(now)
        self._work()
        try:
            async with asyncio.timeout(timeout):
                await self._until(lambda: self._coalescer.oldest_since > now)
                number = self._dispatcher.last_number
                await self._until(lambda: self._dispatcher.is_settled(number))
        except TimeoutError:
            left = self._coalescer.points + self._points_in_packages
            raise RequestTimeout(
                f"{left:,} points are not delivered after {timeout:g} seconds"
            ) from None

    def _end(self) -> None:
        # Whatever is left now is booked as not delivered.
        self._state = State.CLOSED
        error = WriterClosedError("the writer was closed before the points were delivered")
        for name, points, waiting in self._coalescer.drop_all():
            self._ledger.fail(Failure(name, points, error), waiting)
        self._dispatcher.abandon(error)
        self._settler.stop()
        self._cluster.close()
        if self._timer is not None:
            self._timer.cancel()
        self._free_threads()
        self._wake_waiters()
        for _, waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(WriterClosedError("the writer is closed"))

    # ---- taking arrays

    def _fitted(self, series: Series, column: PointColumn) -> PointColumn:
        type_ = self._coalescer.type_of(series)
        if type_ is None:
            self._coalescer.pin(series, column.type)
            return column
        on_type = self._options.on_type
        if (type_, column.type) == ("float", "integer") and is_exact_as_float(column.shown_values):
            on_type = "cast"
        return fitted_column(column, type_, on_type, self._rules)

    async def _coalesce(self, series: Series, column: PointColumn, delivery: Delivery) -> None:
        text_bytes = column.max_bytes if column.type == "string" else 0
        need = self._coalescer.room_for(len(column), text_bytes)
        await self._until(lambda: self._coalescer.may_take(need))
        self._check_open()
        timestamps, values = column.plain()
        delivery.expect(len(timestamps))
        if isinstance(values, list):
            self._coalescer.extend_texts(series, timestamps, values, delivery)
        else:
            self._coalescer.extend(series, timestamps, values.view(np.int64), delivery)

    def _is_large(self, column: PointColumn) -> bool:
        # Large enough to be encoded from the caller's memory, past the coalescer.
        return column.max_bytes > self._options.package_bytes // 2

    async def _send_column(self, column: PointColumn, delivery: Delivery) -> None:
        # In even parts, encoded from the caller's memory when there is somewhere to send them.
        package_bytes = self._options.package_bytes
        step = even_part(len(column), column.max_bytes, package_bytes)
        start = 0
        while start < len(column):
            await self._until(self._takes_package)
            self._check_open()
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

    def _refuse(self, series: Series, error: ColumnError) -> None:
        failure = Failure(series.name, series.points, error)
        self._ledger.fail(failure, self._coalescer.drop(series))

    # ---- waking and waiting

    def _notice(self) -> None:
        # There may be something to do for the event loop; from any thread.
        if self._is_noticed or self._state is State.NEW:
            return
        self._is_noticed = True
        try:
            if threading.get_ident() == self._thread:
                self._loop.call_soon(self._work)
            else:
                self._loop.call_soon_threadsafe(self._work)
        except RuntimeError:
            raise WriterClosedError("the event loop of the writer is closed") from None

    def _work(self) -> None:
        self._is_noticed = False
        if self._state in (State.OPEN, State.CLOSING):
            self._settler.start()
            self._dispatcher.pump()
            self._wake_waiters()
            self._set_timer()

    def _set_timer(self) -> None:
        # For the oldest point, unless it is overdue: then an answer or a connection is waited for.
        if self._timer is None and self._state in (State.OPEN, State.CLOSING):
            delay = self._coalescer.oldest_since + self._options.linger - time.monotonic()
            if 0 < delay < inf:
                self._timer = self._loop.call_later(delay, self._linger_is_over)

    def _linger_is_over(self) -> None:
        self._timer = None
        self._work()

    async def _until(self, is_true: Callable[[], bool]) -> None:
        while not is_true():
            entry = is_true, self._loop.create_future()
            self._waiters.append(entry)
            try:
                await entry[1]
            finally:
                self._waiters.remove(entry)

    def _wake_waiters(self) -> None:
        for is_true, waiter in self._waiters:
            if not waiter.done() and is_true():
                waiter.set_result(None)

    def _has_ease(self) -> bool:
        return self._coalescer.buffered_bytes * 8 <= self._options.max_buffered * 7

    def _on_blocked(self, need: int) -> None:
        # There is no room for a point, or the writer is closed: wait, or refuse it.
        self._check_open()
        if self._options.on_full == "raise" or threading.get_ident() == self._thread:
            raise BufferFullError(
                f"no room for {need:,} bytes more, max_buffered is "
                f"{self._options.max_buffered:,}; await writer.drain() before you go on"
            )
        with self._room:
            self._blocked_threads += 1
            try:
                self._notice()
                if self._state is State.OPEN and not self._coalescer.may_take(need):
                    self._room.wait(BLOCKED_TURN)
            finally:
                self._blocked_threads -= 1

    def _free_threads(self) -> None:
        if self._blocked_threads:
            with self._room:
                self._room.notify_all()


def even_part(points: int, size: int, package_bytes: int) -> int:
    """Return how many points to send at a time, so that no package is left with a few."""
    packages = -(-size // package_bytes)
    return -(-points // packages)


def is_exact_as_float(values: NumpyArray) -> bool:
    """Tell whether all integers are doubles too."""
    return bool(((values >= -EXACT_INTEGERS) & (values <= EXACT_INTEGERS)).all())


def _column(name: str, pair: object, rules: ColumnRules) -> PointColumn:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise ColumnError(
            f"arrays come as a pair (timestamps, values), got {type(pair).__name__}",
            series=str(name),
        )
    return point_column(name, pair[0], pair[1], rules)
