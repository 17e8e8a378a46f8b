"""The client and the writer for programs without an event loop.

Each is its asyncio twin in a background thread with an event loop: the same servers, options and
errors. Calls may come from any thread.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from siridb_fast.client.client import SiriDBClient
from siridb_fast.client.load_data import load_data
from siridb_fast.client.options import FrameKeywords, InsertKeywords
from siridb_fast.concurrency.fork import Unpicklable
from siridb_fast.concurrency.loops import (
    LoopThread,
    leaving_timeout,
    refuse_running_loop,
    run,
)
from siridb_fast.concurrency.termination import begin_handling, end_handling
from siridb_fast.connection.config import Config, Target
from siridb_fast.connection.password import Password
from siridb_fast.delivery.accounts import Stats
from siridb_fast.delivery.report import Delivery, Report
from siridb_fast.errors import ConnectionLost, WriterClosedError
from siridb_fast.loading.options import LoadKeywords, LoadOptions
from siridb_fast.query.paging import PointArrays
from siridb_fast.writer.options import WriterKeywords, WriterOptions
from siridb_fast.writer.writer import BatchWriter

if TYPE_CHECKING:
    import ssl as tls

    import pandas
    import pyarrow

    from siridb_fast.protocol._wire import PayloadBytes
    from siridb_fast.writer._point_intake import SeriesHandle
    from siridb_fast.writer._ticker import Ticker

__all__ = ["BlockingClient", "BlockingDelivery", "BlockingWriter", "load"]

PLAIN_CALLS = ("write", "write_tick", "series", "ticker")


class BlockingClient(Unpicklable):
    """A client of one database; made by `connect` from a URL. A context manager.

    Raises:
        SiriDBError, OSError: No server can be reached, or none lets the user in.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        password: Password | None = None,
        timeout: float | None = None,
        ssl: tls.SSLContext | None = None,
    ) -> None:
        self._client = SiriDBClient.from_url(url, password=password, ssl=ssl)
        self._thread = LoopThread(ConnectionLost("the client is closed"), "client")
        self._thread.open(self._client.open(timeout))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Blocking{repr(self._client).removeprefix('<SiriDB')}"

    @property
    def config(self) -> Config:
        """Where the database is, and all options."""
        return self._client.config

    @property
    def connected(self) -> bool:
        """Tell whether there is a connection to any server."""
        return self._client.connected

    def insert(
        self, data: object, timeout: float = 300, **options: Unpack[InsertKeywords]
    ) -> dict[str, str]:
        """Insert lists and arrays; see `SiriDBClient.insert`."""
        return self._thread.call(self._client.insert(data, timeout, **options))

    def insert_packed(self, payload: PayloadBytes, timeout: float = 300) -> dict[str, str]:
        """Insert what `encode_insert` has made; see `SiriDBClient.insert_packed`."""
        return self._thread.call(self._client.insert_packed(payload, timeout))

    def query(
        self, query: str | bytes, time_precision: int | None = None, timeout: float = 60
    ) -> Any:
        """Run a query; see `SiriDBClient.query`."""
        return self._thread.call(self._client.query(query, time_precision, timeout))

    def query_arrays(
        self,
        query: str | bytes,
        time_precision: int | None = None,
        timeout: float = 60,
        *,
        all_points: bool = False,
    ) -> PointArrays:
        """Run a select; see `SiriDBClient.query_arrays`."""
        return self._thread.call(
            self._client.query_arrays(query, time_precision, timeout, all_points=all_points)
        )

    def query_frame(
        self,
        query: str | bytes,
        time_precision: int | None = None,
        timeout: float = 60,
        **options: Unpack[FrameKeywords],
    ) -> pandas.DataFrame:
        """Run a select; see `SiriDBClient.query_frame`."""
        return self._thread.call(
            self._client.query_frame(query, time_precision, timeout, **options)
        )

    def query_arrow(
        self,
        query: str | bytes,
        time_precision: int | None = None,
        timeout: float = 60,
        **options: Unpack[FrameKeywords],
    ) -> pyarrow.Table:
        """Run a select; see `SiriDBClient.query_arrow`."""
        return self._thread.call(
            self._client.query_arrow(query, time_precision, timeout, **options)
        )

    def load(self, data: object, **options: Unpack[LoadKeywords]) -> Report:
        """Load whole frames, columns or streams of them; see `siridb_fast.load`."""
        return load(data, self, **options)

    def writer(
        self, *, handle_sigterm: bool = True, **options: Unpack[WriterKeywords]
    ) -> BlockingWriter:
        """Return an open writer to the same servers; close it, or use it in a ``with`` block.

        Options are those of `BatchWriter`, and ``handle_sigterm`` of `BlockingWriter`.
        """
        return BlockingWriter(self.config, handle_sigterm=handle_sigterm, **options)

    def close(self) -> None:
        """Close all connections; writers are not affected."""
        if not self._thread.is_closed:
            self._thread.call(self._close())
            self._thread.close()

    def __del__(self) -> None:
        thread: LoopThread | None = getattr(self, "_thread", None)
        if thread is not None and not thread.is_closed:
            warnings.warn(f"{self!r} was dropped; close it", ResourceWarning, 1, self)
            thread.finish(self._close())

    async def _close(self) -> None:
        self._client.close()
        await self._client.wait_closed()


class BlockingDelivery(Unpicklable):
    """The points of one call on their way."""

    __slots__ = ("_delivery", "_thread")

    def __init__(self, delivery: Delivery, thread: LoopThread) -> None:
        self._delivery = delivery
        self._thread = thread

    def __repr__(self) -> str:
        return repr(self._delivery)

    @property
    def is_done(self) -> bool:
        """Tell whether the report is there."""
        return self._delivery.is_done

    def wait(self) -> Report:
        """Wait for the report."""
        return self._thread.call(self._wait())

    async def _wait(self) -> Report:
        return await self._delivery


class BlockingWriter(Unpicklable):
    """A `BatchWriter` in a background thread; open from the start. A context manager.

    `write`, `write_tick`, `series` and `ticker` of an object are those of its `BatchWriter`. Where
    there is no room, points wait (``on_full="wait"``) or `BufferFullError` is raised
    (``"raise"``).

    While a writer is open that was made in the main thread, SIGTERM raises `SystemExit` (143)
    there, so that the ``with`` block is left, or the program ends, as with Ctrl+C: what was taken
    is delivered. Not so with ``handle_sigterm=False``, nor where SIGTERM has a handler.
    """

    def __init__(
        self, config: Config, *, handle_sigterm: bool = True, **options: Unpack[WriterKeywords]
    ) -> None:
        self._writer = BatchWriter(config, **options)
        self._delivery_timeout = WriterOptions(**options).delivery_timeout
        self._thread = LoopThread(WriterClosedError("the writer is closed"), "writer")
        self._thread.open(self._writer.open())
        # In front of the methods of the class: the compiled ones, which no Python step precedes.
        vars(self).update({name: getattr(self._writer, name) for name in PLAIN_CALLS})
        if handle_sigterm:
            begin_handling(self._writer)  # which lives until it is closed, if this is dropped

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        report = self.close(leaving_timeout(self._delivery_timeout, exc))
        report.require_complete(exc)

    def __repr__(self) -> str:
        return f"<Blocking{repr(self._writer).removeprefix('<Batch')}"

    def write(self, series: str, timestamp: object, value: object) -> None:
        """Take one point; see `BatchWriter.write`."""
        self._writer.write(series, timestamp, value)

    def write_tick(self, timestamp: object, values: Mapping[str, object]) -> None:
        """Take ``{series: value}``, one point of each series; see `BatchWriter.write_tick`."""
        self._writer.write_tick(timestamp, values)

    def series(self, name: str) -> SeriesHandle:
        """Return a handle of one series; see `BatchWriter.series`."""
        return self._writer.series(name)

    def ticker(self, names: Iterable[str]) -> Ticker:
        """Return a handle of many series that always get a value together, as an array."""
        return self._writer.ticker(names)

    def write_arrays(self, series: str, timestamps: object, values: object) -> BlockingDelivery:
        """Take a column of points of one series; see `BatchWriter.write_arrays`."""
        return self.write_many({series: (timestamps, values)})

    def write_many(self, columns: Mapping[str, tuple[object, object]]) -> BlockingDelivery:
        """Take columns of many series; see `BatchWriter.write_many`."""
        return BlockingDelivery(self._thread.call(self._writer.write_many(columns)), self._thread)

    def flush(self, timeout: float | None = None) -> Report:
        """Send all that is pending and wait until its fate is known; see `BatchWriter.flush`."""
        return self._thread.call(self._writer.flush(timeout))

    def stats(self) -> Stats:
        """Return the figures of this writer since it was opened."""
        return self._writer.stats()

    def close(self, timeout: float | None = None) -> Report:
        """Deliver what is pending and close the connections; see `BatchWriter.close`."""
        if self._thread.is_closed:
            return Report(0, 0, 0, 0.0)
        try:
            return self._thread.call(self._writer.close(timeout))
        finally:
            self._thread.close()
            end_handling(self._writer)

    def __del__(self) -> None:
        thread: LoopThread | None = getattr(self, "_thread", None)
        if thread is None or thread.is_closed:
            return
        if self._writer._engine_to_close is not None:  # noqa: SLF001
            stats = self._writer.stats()
            warnings.warn(
                f"{self!r} was dropped with {stats.buffered + stats.in_flight:,} points not "
                "delivered, which are delivered in the background now; close it",
                ResourceWarning,
                stacklevel=1,
                source=self,
            )
        thread.finish(self._writer.close())


def load(data: object, target: Target = None, **options: Unpack[LoadKeywords]) -> Report:
    """Load whole frames, columns or streams of them, and wait until all is delivered.

    Args:
        data: One of

            - a frame of pandas, Polars (also lazy) or pyarrow, or anything else with an Arrow C
              stream; a numpy structured array; a dict of columns, if ``time`` names one of them;
            - a dict ``{name: (timestamps, values)}``;
            - the path of a file (Parquet, Feather, Arrow, CSV), of a folder, or a pattern;
            - a dataset or a scanner of pyarrow;
            - an iterable of frames, or of ``(name, timestamps, values)``. It is read in another
              thread, a few items ahead, so that it may be longer than memory.

            Nothing of it is modified.
        target: A URL, a client, its ``config``, or None for ``SIRIDB_URL``.
        time: The column of times: dates of any unit and time zone (those without one are UTC),
            Python's datetime, text, or numbers. By default the index or the only column of dates.
            Of CSV files also several: of a date and a time, or of year, month, day and hour.
        series: How series are named: a template of columns, as ``"{host}.{metric}"``, or a
            function whose arguments are named as columns are. ``{column}`` stands for the name of
            the value column; of files ``{file}``, ``{stem}``, ``{folder}`` and keys of partitions
            come from the path. By default that name alone: a wide frame.
        values: The columns of values. By default all that are neither times nor in ``series``.
        ignore: Columns that are not read. One that no point can come of, as a list or bytes, is an
            error if it is neither ignored nor left out of ``values``.
        unit: Of times that are integers: ``"s"``, ``"ms"``, ``"us"`` or ``"ns"``; by default the
            database's precision.
        on_missing: NaN, None, NaT, NA and nulls: ``"drop"`` leaves out the cell, or the row
            where the time is missing; ``"keep"`` sends NaN and refuses the others; ``"error"``.
        on_precision_loss: A time that is finer than the database's precision: ``"error"`` or
            ``"floor"``.
        on_type: Values of another type than their series has: ``"error"`` or ``"cast"``. Integers
            are taken for a series of floats where they are exact.
        on_doubt: As for `BatchWriter`.
        time_precision: The database's, if it is not to be asked.
        max_buffered: Bytes of points and packages at most, beside what is read ahead.
        max_rate: Points a second at most, so that others get served too.
        timeout: Seconds to connect and log in; by default as `SiriDBClient.connect` does.
        delivery_timeout: Seconds from the sealing of a package until it is given up.
        types: Of columns: ``"float"``, ``"integer"``, ``"string"``, ``"bool"``, ``"time"`` or
            ``"mixed"`` (numbers of some series and texts of others); of durations and times of day
            ``"s"``, ``"ms"``, ``"us"`` or ``"ns"``: their number, as a float. By default what they
            are, and in CSV files what the first lines look like.
        skip_bad: Leave out bad lines of CSV files.
        skip_bad_files: Leave out files that cannot be loaded by their heads, with a warning: empty
            ones, and those without the column of times or another one that is named.
        delimiter: Of CSV files; ``" "`` is any run of blanks. It is found by default, as are the
            next ones.
        decimal: The decimal sign of the numbers in CSV files, ``"."`` or ``","``.
        thousands: What stands between groups of three digits; ``" "`` is any kind of blank.
        encoding: Of CSV files, as Python names it.
        skip_rows: Lines of CSV files above the header.
        comment: What lines begin with that are passed over; ``""``: there are none.
        header: Whether the first line of CSV files has the names of the columns.
        column_names: Names of the columns of CSV files, in place of those of a header.
        units_row: Whether a line of units follows the header.
        nulls: Texts that stand for a missing value in CSV files, beside the usual ones.
        time_format: Of times that are text: ``"iso"``, ``"epoch"``, or a format of `strptime`.
        time_zone: An IANA name, of times that name no zone; UTC by default.
        fold: Which of the two a local time is that exists twice: ``"earlier"``, ``"later"``, or
            ``"error"``, the default.
        progress: True shows a line on stderr; a function is called with a `Progress` ten times a
            second.

    Returns:
        A `Report`, also with rows, series, missing cells, and points too old to be kept.

    Raises:
        ColumnError: Something cannot be sent; names column, series and row (as ``index``). Nothing
            of its frame was sent; what came before is delivered (``points_inserted``).
        DeliveryError: Not all was delivered; has the ``report``.
        ConfigError: An option makes no sense.
        FileError: A file cannot be read, or not be sent; names the line or row.
        ImportError: Arrow data or files without pyarrow.
    """
    chosen = LoadOptions.of(options)
    refuse_running_loop("await siridb_fast.SiriDBClient.from_url(url).load(data)")
    return run(load_data(data, target, chosen))
