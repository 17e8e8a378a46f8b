"""`BatchWriter`: single points, ticks and arrays in; packages as the server likes them out.

This module is the surface: what may be called, and when. Points wait in the coalescer, and the
engine moves them from there to the servers.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

from siridb_fast.batching._coalescer import Coalescer
from siridb_fast.columns.given import checked_columns, grouped_rows
from siridb_fast.columns.likely_times import LikelyTimes
from siridb_fast.concurrency.fork import Home, Unpicklable
from siridb_fast.concurrency.loops import leaving_timeout
from siridb_fast.concurrency.process_end import before_end
from siridb_fast.connection.config import Target, config_of, describe
from siridb_fast.delivery.report import Delivery, Report
from siridb_fast.errors import ConfigError, WriterClosedError
from siridb_fast.writer._point_intake import PointIntake
from siridb_fast.writer._ticker import Ticker
from siridb_fast.writer.closing import deliver_last, stop_engine
from siridb_fast.writer.column_intake import ColumnIntake
from siridb_fast.writer.leaving import Leaver, begin_leaving, drop_points, warn_of_dropped
from siridb_fast.writer.lifecycle import NOT_YET_OPEN, State
from siridb_fast.writer.options import WriterKeywords, WriterOptions

if TYPE_CHECKING:
    from siridb_fast.delivery.stats import Stats
    from siridb_fast.writer.engine import Engine

__all__ = ["BatchWriter"]

POINTS_BETWEEN_TURNS = 256  # of the event loop, which drain() gives at least so often


class BatchWriter(Unpicklable, PointIntake):
    """Takes points one by one, in ticks or in arrays, and delivers them in large packages.

    An async context manager: entering it connects, leaving it delivers everything, or raises
    `DeliveryError` with what was not. It has connections of its own. The plain calls, `write`,
    `write_tick` and those of `series` and `ticker`, may be made in any thread.
    Options have the defaults of `siridb_fast.writer.options.WriterOptions`.

    Args:
        target: A `SiriDBClient`, which may be closed, its ``config``, or a URL; None for
            ``SIRIDB_URL``.
        linger: Seconds that a point waits at most for others of its series, if a server is there.
        max_buffered: Bytes of points and packages at most; 16 a point and up to 48 a series with
            points. Series take about 300 bytes each on top, names included, also without points.
        package_bytes: The size of a full package.
        max_rate: Points a second at most, so that others get served too; None: no limit.
        on_full: Without room in memory: ``"wait"`` for it, which a plain call on the event loop's
            own thread cannot: there it raises `BufferFullError`; ``"raise"`` that everywhere;
            ``"drop_oldest"`` gives up the oldest points that were not sent, ``"drop_newest"``
            those of the call. What is given up is reported and counted; see docs/full-stores.md.
        wait_for_server: Where no server is there yet, or the database is not: seconds that `open`
            goes on trying, or ``"in_background"``: it does not wait, and points do, in memory or
            in the ``spool``; that needs ``time_precision``. A server that refuses the user is an
            error all the same.
        connections: To each host; by default 2 over TCP, 1 over a unix socket.
        window: Packages in flight on each; by default 1 over TCP, 2 over a unix socket.
        delivery_timeout: Seconds from the sealing of a package until it is given up.
        on_doubt: A package whose connection was lost, or that was not answered in time, may or may
            not be stored: ``"verify"`` which of its points are, and send the others again;
            ``"report"`` it; or ``"resend"`` all of it. By default the client's, or else to verify.
        on_doubt_fallback: ``"report"`` or ``"resend"``, if the user may not select or show.
        durability: When points count as delivered: once ``"acked"``, or once they are ``"safe"``
            from the death of the server's process.
        late: ``"compare"``: a point that is not newer than all of its series is stored only if
            it is not there already; see docs/late-points.md. None: equal points are stored again.
        on_conflict: Another value at the time of one that is stored, or came before:
            ``"keep"`` it beside, or ``"refuse"`` it, which needs ``late="compare"``.
        spool: A file for packages that no server has taken yet: its path, or `SpoolOptions`.
        journal: A file that has every point within milliseconds: its path; see docs/journal.md.
        sentinel: The series that gets an integer point now and then for ``"safe"``.
        on_missing: NaN and None, and NaT among the timestamps of columns: ``"keep"`` (NaN is sent,
            the others are refused), ``"drop"`` the point, ``"error"``.
        on_precision_loss: A time that is finer than the database's precision: ``"error"`` or
            ``"floor"``.
        on_type: A value of another type than its series has: ``"error"`` or ``"cast"``. A whole
            number is always taken for a float series.
        time_precision: The database's, for a user who may not show it; else it has to be that.
        buffer_size: The database's, in bytes, if it is not to be asked.
        max_idle_series: Series without points that are remembered.
        on_delivery: Called with a `Delivered` for each acknowledged package, in the event loop.
        on_error: Called with a `Failure` for each series with points not delivered, or in doubt.
        on_persisted: Called with how many points are in the journal by now, in the event loop.

    Raises:
        ConfigError: An option or the URL makes no sense.
    """

    _is_bound, _may_be_whole = False, False  # to the first servers; floats in integer series

    def __init__(self, target: Target = None, **options: Unpack[WriterKeywords]) -> None:
        self._options = WriterOptions.of(options)
        self._config = config_of(target)
        coalescer = Coalescer(
            clock=time.monotonic,
            max_buffered=self._options.max_buffered,
            linger=self._options.linger,
            package_bytes=self._options.full_package_bytes,
            max_idle=self._options.max_idle_series,
        )
        rules = self._options.rules(self._options.time_precision)
        super().__init__(coalescer, rules, self._options.on_type == "cast")
        coalescer.on_blocked = self._on_blocked
        self._state = State.NEW
        self._likely_times = LikelyTimes()
        self._home = Home("writer")  # and then where it is opened
        self._engine: Engine | None = None
        self._column_intake: ColumnIntake | None = None
        self._last_report, self._last_turn = Report(0, 0, 0, 0.0), 0

    @classmethod
    def from_config(cls, path: str | os.PathLike[str], **options: Unpack[WriterKeywords]) -> Self:
        """Make a writer of a TOML file, whose keys are the options above.

        ``url`` (without it ``SIRIDB_URL``) has no password: that is in the file ``password_file``
        or in the variable ``password_env``. ``time_precision`` is ``"s"`` … ``"ns"``, ``spool`` a
        path or a table of `SpoolOptions`, ``on_error`` a path or a table of `DeadLetters`. Paths
        are relative to the file's folder. ``options`` go before those of the file.

        Raises:
            ConfigError: Names the file, the key and what was expected.
        """
        from siridb_fast.writer.config_file import read_config  # few need it, and TOML

        return cls((config := read_config(path, options)).target, **config.options)

    def __repr__(self) -> str:
        return f"<BatchWriter to {describe(self._config)}: {self._state.value}>"

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
        report = await self.close(leaving_timeout(self._options.delivery_timeout, exc))
        report.require_complete(exc)

    async def open(self, timeout: float | None = None) -> None:
        """Connect and ask for the database's time precision and buffer size.

        Args:
            timeout: Seconds to connect and log in; None: as `SiriDBClient.connect`.

        Raises:
            SiriDBError, OSError: No server can be reached, or none lets the user in.
        """
        if self._state is not State.NEW:
            raise WriterClosedError(f"the writer is {self._state.value}")
        self._state = State.OPENING
        self._home = Home("writer")
        try:
            # All that delivers, which takes as long to import as the rest: here at the latest, as
            # another version may be installed before it is needed.
            from siridb_fast.writer.engine import Engine

            engine = Engine(
                self._config,
                self._options,
                self._coalescer,
                is_bound=self._is_bound,
                likely_times=self._likely_times,
            )
            await engine.connect(timeout)
            if self._state is not State.OPENING:
                engine.stop()
                raise WriterClosedError("the writer was closed meanwhile")
        except BaseException:
            if self._state is State.OPENING:
                self._state = State.NEW
            raise
        self._set_rules(self._options.rules(engine.time_precision))
        self._column_intake = ColumnIntake(
            self._coalescer,
            engine.admission,
            self._rules,
            self._options.on_type,
            may_be_whole=self._may_be_whole,
        )
        self._engine = engine
        self._state = State.OPEN
        self._coalescer.notify = engine.notify
        engine.start(self._column_intake)
        before_end(self, BatchWriter._begin_leaving)

    async def close(self, timeout: float | None = None) -> Report:
        """Deliver what is pending and close the connections.

        Args:
            timeout: Seconds; None for ``delivery_timeout``, and more with a ``max_rate``.

        Returns:
            What became of all points since the last report. What could not be delivered in time is
            in ``rejected``, what was with a server then in ``in_doubt``. With a spool both are
            there, for the next writer, and count as ``spooled``; what was in it already is waited
            for too, as long as a server is connected.
        """
        engine = self._engine
        if engine is None or self._state is State.CLOSED or not self._home.is_here:
            self._state = State.CLOSED
            return Report(0, 0, 0, 0.0)
        if engine.loop.is_closed():
            self._give_up()
            return engine.accounts.end_period()
        if self._state is State.CLOSING:
            await engine.waiters.wait_until(lambda: self._state is State.CLOSED)
            return self._last_report
        self._state = State.CLOSING
        self._coalescer.close()
        engine.waiters.wake()
        try:
            await deliver_last(engine, timeout)
        finally:
            self._state = State.CLOSED
            self._last_report = stop_engine(engine)
        await engine.wait_stopped()
        return self._last_report

    def _begin_leaving(self) -> Callable[[], None] | None:
        # At the end of the process.
        if (engine := self._engine_to_close) is None:
            return None
        return begin_leaving(Leaver(repr(self), engine, self._leave, self._give_up))

    @property
    def _engine_to_close(self) -> Engine | None:
        engine: Engine | None = getattr(self, "_engine", None)
        is_open = engine is not None and self._state is not State.CLOSED
        return engine if is_open and self._home.is_here else None

    async def _leave(self, timeout: float) -> None:
        if self._engine is not None and self._state is State.CLOSING:
            self._engine.flusher.hasten(timeout)
        await self.close(timeout)

    def _give_up(self) -> int:
        # Without the event loop; returns how many points are lost.
        if (engine := self._engine_to_close) is None:
            return 0
        self._state = State.CLOSED
        self._coalescer.close()
        return drop_points(engine, repr(self))

    def __del__(self) -> None:
        if self._engine_to_close is not None:
            warn_of_dropped(self, self._give_up())

    @property
    def time_precision(self) -> int | None:
        """The database's, SECOND … NANOSECOND; None if it is not known."""
        return self._rules.time_precision

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
                it is in the report.
            WriterClosedError: The writer is not open, or was closed meanwhile.
        """
        return await self.write_many({series: (timestamps, values)})

    async def write_many(self, columns: Mapping[str, tuple[object, object]]) -> Delivery:
        """Take columns of many series, ``{name: (timestamps, values)}``; see `write_arrays`."""
        self._check_open()
        return await self._require_intake().deliver(checked_columns(columns, self._rules))

    async def write_rows(
        self, names: Sequence[str], codes: object, timestamps: object, values: object
    ) -> Delivery:
        """Take points of many series, mixed: that of row i is of the series ``names[codes[i]]``.

        Args:
            names: Of the series.
            codes: Shape (n,), any integer dtype.
            timestamps: Shape (n,), as for `write_arrays`.
            values: Shape (n,), as for `write_arrays`; all of one type.

        Returns:
            A `Delivery`, as `write_arrays` does.

        Raises:
            ColumnError: Names the series, and the row as index. Nothing of the call was taken.
            WriterClosedError: The writer is not open, or was closed meanwhile.
        """
        self._check_open()
        return await self._require_intake().deliver(
            [grouped_rows(names, codes, timestamps, values, self._rules)]
        )

    async def drain(self) -> None:
        """Wait until there is room for a tick: one point of every series, or a sixteenth of all.

        Call it once for each tick or round of a loop; it also gives the event loop its turn.
        """
        engine = self._check_open()
        if self._coalescer.accepted >= self._last_turn + POINTS_BETWEEN_TURNS:
            self._last_turn = self._coalescer.accepted
            await asyncio.sleep(0)
        if not self._has_ease():
            await engine.waiters.wait_until(self._has_ease)

    async def flush(self, timeout: float | None = None) -> Report:
        """Send all that is pending and wait until its fate is known.

        Args:
            timeout: Seconds; None for ``delivery_timeout``, and more with a ``max_rate``.

        Returns:
            What became of all points since the last report.

        Raises:
            RequestTimeout: Not in time. Nothing is lost by that: the writer goes on.
            WriterClosedError: The writer is not open.
        """
        engine = self._check_open()
        await engine.flusher.deliver_all(timeout)
        return engine.accounts.end_period()

    async def persisted(self) -> None:
        """Wait until all that was written before is on disk, in the ``journal``; see there.

        Raises:
            ConfigError: The writer has no journal.
            WriterClosedError: The writer is not open, or was closed meanwhile.
        """
        if (journal := self._check_open().journal) is None:
            raise ConfigError("persisted() needs a journal: BatchWriter(journal=PATH)")
        await journal.persisted()

    def stats(self) -> Stats:
        """Return the figures of this writer since it was opened."""
        if self._engine is None:
            raise WriterClosedError("the writer is not open yet")
        return self._engine.figures.stats()

    # ---- inside

    def _require_intake(self) -> ColumnIntake:
        self._check_open()
        assert self._column_intake is not None  # noqa: S101 - it comes with the engine
        return self._column_intake

    def _check_open(self) -> Engine:
        self._home.require()
        if self._engine is None or self._state is not State.OPEN:
            not_yet = "not open yet" if self._state in NOT_YET_OPEN else "closed"
            raise WriterClosedError(f"the writer is {not_yet}")
        if self._engine.loop.is_closed():
            raise WriterClosedError("the event loop of the writer is closed")
        return self._engine

    def _on_blocked(self, need: int) -> None:
        # There is no room for a point, a disk is full, or the writer is closed.
        self._check_open().full_stores.on_blocked(need)

    def _forget_types(self) -> None:  # from any thread
        engine = self._engine
        if engine is not None and self._state is State.OPEN and not engine.loop.is_closed():
            engine.forget_types()

    def _has_ease(self) -> bool:
        # What is left is enough for new chunks of all series (coalescer, `chunk_limit`).
        return self._coalescer.buffered_bytes * 16 <= self._options.max_buffered * 15
