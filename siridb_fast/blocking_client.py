"""The client and the writer for programs without an event loop.

Each is its asyncio twin in a background thread with an event loop: the same servers, options and
errors. Calls may come from any thread.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from siridb_fast.client import SiriDBClient
from siridb_fast.config import Config
from siridb_fast.database import InsertKeywords, PointArrays
from siridb_fast.delivery import Delivery, Report
from siridb_fast.errors import ConnectionLost, WriterClosedError
from siridb_fast.ledger import Stats
from siridb_fast.running import LoopThread
from siridb_fast.writer import BatchWriter
from siridb_fast.writer_options import WriterKeywords

if TYPE_CHECKING:
    import ssl as tls

    from siridb_fast._intake import SeriesHandle
    from siridb_fast._ticker import Ticker
    from siridb_fast._wire import Payload

__all__ = ["BlockingClient", "BlockingDelivery", "BlockingWriter"]


class BlockingClient:
    """A client of one database; made by `connect` from a URL. A context manager.

    Raises:
        SiriDBError, OSError: No server can be reached, or none lets the user in.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        timeout: float | None = None,
        ssl: tls.SSLContext | None = None,
    ) -> None:
        self._client = SiriDBClient.from_url(url, ssl=ssl)
        self._thread = LoopThread(ConnectionLost("the client is closed"))
        try:
            self._thread.call(self._client.open(timeout))
        except BaseException:
            self._thread.close()
            raise

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

    def insert_packed(self, payload: Payload, timeout: float = 300) -> dict[str, str]:
        """Insert what `encode_insert` has made; see `SiriDBClient.insert_packed`."""
        return self._thread.call(self._client.insert_packed(payload, timeout))

    def query(
        self, query: str | bytes, time_precision: int | None = None, timeout: float = 60
    ) -> Any:
        """Run a query; see `SiriDBClient.query`."""
        return self._thread.call(self._client.query(query, time_precision, timeout))

    def query_arrays(
        self, query: str | bytes, time_precision: int | None = None, timeout: float = 60
    ) -> PointArrays:
        """Run a select; see `SiriDBClient.query_arrays`."""
        return self._thread.call(self._client.query_arrays(query, time_precision, timeout))

    def writer(self, **options: Unpack[WriterKeywords]) -> BlockingWriter:
        """Return an open writer to the same servers; close it, or use it in a ``with`` block.

        Options are those of `BatchWriter`.
        """
        return BlockingWriter(self.config, **options)

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


class BlockingDelivery:
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


class BlockingWriter:
    """A `BatchWriter` in a background thread; open from the start. A context manager.

    ``write``, ``write_tick``, ``series`` and ``ticker`` are those of `BatchWriter`. Where there is
    no room, they wait (``on_full="wait"``) or raise `BufferFullError` (``"raise"``).
    """

    def __init__(self, config: Config, **options: Unpack[WriterKeywords]) -> None:
        self._writer = BatchWriter(_ConfigHolder(config), **options)
        self._thread = LoopThread(WriterClosedError("the writer is closed"))
        try:
            self._thread.call(self._writer.open())
        except BaseException:
            self._thread.close()
            raise
        # The compiled methods themselves: no Python comes in between.
        self.write: Callable[[str, Any, Any], None] = self._writer.write
        self.write_tick: Callable[[Any, Mapping[str, Any]], None] = self._writer.write_tick
        self.series: Callable[[str], SeriesHandle] = self._writer.series
        self.ticker: Callable[[Any], Ticker] = self._writer.ticker

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        report = self.close()
        report.require_complete(exc)

    def __repr__(self) -> str:
        return f"<Blocking{repr(self._writer).removeprefix('<Batch')}"

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

    def __del__(self) -> None:
        thread: LoopThread | None = getattr(self, "_thread", None)
        if thread is not None and not thread.is_closed:
            stats = self._writer.stats()
            warnings.warn(
                f"{self!r} was dropped with {stats.buffered + stats.in_flight:,} points not "
                "delivered, which are delivered in the background now; close it",
                ResourceWarning,
                stacklevel=1,
                source=self,
            )
            thread.finish(self._writer.close())


class _ConfigHolder:
    def __init__(self, config: Config) -> None:
        self.config = config
