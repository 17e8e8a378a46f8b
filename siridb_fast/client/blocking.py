"""The client and the writer for programs without an event loop.

Each is its asyncio twin in a background thread with an event loop: the same servers, options and
errors. Calls may come from any thread.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from siridb_fast.client.client import SiriDBClient
from siridb_fast.client.load_data import load, verify
from siridb_fast.client.options import FrameKeywords, InsertKeywords
from siridb_fast.concurrency.fork import Unpicklable
from siridb_fast.concurrency.loops import (
    LoopThread,
    leaving_timeout,
)
from siridb_fast.concurrency.termination import begin_handling, end_handling
from siridb_fast.connection.config import Config, Target
from siridb_fast.connection.password import Password
from siridb_fast.connection.stats import ClientStats
from siridb_fast.delivery.report import Delivery, Report
from siridb_fast.delivery.stats import Stats
from siridb_fast.errors import ConnectionLost, WriterClosedError
from siridb_fast.loading.options import LoadKeywords
from siridb_fast.query.paging import PointArrays
from siridb_fast.writer.options import WriterKeywords, WriterOptions
from siridb_fast.writer.writer import BatchWriter

if TYPE_CHECKING:
    import ssl as tls

    import pandas
    import pyarrow

    from siridb_fast.loading.verification import Verification
    from siridb_fast.protocol._wire import PayloadBytes
    from siridb_fast.writer._point_intake import SeriesHandle
    from siridb_fast.writer._ticker import Ticker

__all__ = ["BlockingClient", "BlockingDelivery", "BlockingWriter"]

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
        self._open(SiriDBClient.from_url(url, password=password, ssl=ssl), timeout)

    @classmethod
    def from_config(cls, config: Config, *, timeout: float | None = None) -> Self:
        """Make a client of the `config` of another, which may come from another process."""
        client = cls.__new__(cls)
        client._open(SiriDBClient.from_config(config), timeout)  # noqa: SLF001 - its own class
        return client

    def _open(self, client: SiriDBClient, timeout: float | None) -> None:
        self._client = client
        self._thread = LoopThread(ConnectionLost("the client is closed"), "client")
        self._thread.open(client.open(timeout))

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

    @property
    def is_closed(self) -> bool:
        """Tell whether `close` was called."""
        return self._client.is_closed

    def stats(self) -> ClientStats:
        """Return how many connections there are, by host; see `SiriDBClient.stats`."""
        return self._client.stats()

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

    def verify(
        self, data: object, *, repair: bool = False, **options: Unpack[LoadKeywords]
    ) -> Verification:
        """Tell whether all of some data is stored, each point once; see `siridb_fast.verify`."""
        return verify(data, self, repair=repair, **options)

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

    It is made of a URL, a client or its ``config``, as its twin is, and has the same options.
    `write`, `write_tick`, `series` and `ticker` of an object are those of its `BatchWriter`. Where
    there is no room, points wait (``on_full="wait"``), `BufferFullError` is raised (``"raise"``),
    or points are given up (``"drop_oldest"``, ``"drop_newest"``): see docs/full-stores.md.

    While a writer is open that was made in the main thread, SIGTERM raises `SystemExit` (143)
    there, so that the ``with`` block is left, or the program ends, as with Ctrl+C: what was taken
    is delivered. Not so with ``handle_sigterm=False``, nor where SIGTERM has a handler.
    """

    def __init__(
        self,
        target: Target = None,
        *,
        handle_sigterm: bool = True,
        **options: Unpack[WriterKeywords],
    ) -> None:
        self._writer = BatchWriter(target, **options)
        self._delivery_timeout = WriterOptions(**options).delivery_timeout
        self._thread = LoopThread(WriterClosedError("the writer is closed"), "writer")
        self._thread.open(self._writer.open())
        # In front of the methods of the class: the compiled ones, which no Python step precedes.
        vars(self).update({name: getattr(self._writer, name) for name in PLAIN_CALLS})
        if handle_sigterm:
            begin_handling(self._writer)  # which lives until it is closed, if this is dropped

    @classmethod
    def from_config(
        cls,
        path: str | os.PathLike[str],
        *,
        handle_sigterm: bool = True,
        **options: Unpack[WriterKeywords],
    ) -> Self:
        """Make an open writer of a TOML file; see `BatchWriter.from_config`."""
        from siridb_fast.writer.config_file import read_config  # few need it, and TOML

        config = read_config(path, options)
        return cls(config.target, handle_sigterm=handle_sigterm, **config.options)

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

    @property
    def time_precision(self) -> int | None:
        """The database's, SECOND … NANOSECOND; None if it is not known."""
        return self._writer.time_precision

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

    def write_rows(
        self, names: Sequence[str], codes: object, timestamps: object, values: object
    ) -> BlockingDelivery:
        """Take points of many series, mixed; see `BatchWriter.write_rows`."""
        delivery = self._thread.call(self._writer.write_rows(names, codes, timestamps, values))
        return BlockingDelivery(delivery, self._thread)

    def drain(self) -> None:
        """Wait until there is room for a point of every series; see `BatchWriter.drain`."""
        self._thread.call(self._writer.drain())

    def flush(self, timeout: float | None = None) -> Report:
        """Send all that is pending and wait until its fate is known; see `BatchWriter.flush`."""
        return self._thread.call(self._writer.flush(timeout))

    def persisted(self) -> None:
        """Wait until all that was written is on disk; see `BatchWriter.persisted`."""
        self._thread.call(self._writer.persisted())

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
