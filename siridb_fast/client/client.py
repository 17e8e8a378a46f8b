"""`SiriDBClient`: the client of siridb-connector, with arrays.

Holds a cluster of connections and the database's requests together; all their details are
elsewhere.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from siridb_fast.client.binding import ClusterBinding, State
from siridb_fast.client.database import Database
from siridb_fast.client.load_data import load_data, verify_data
from siridb_fast.client.options import FrameKeywords, InsertKeywords
from siridb_fast.concurrency.fork import Unpicklable
from siridb_fast.connection.config import Config, OnDoubt, config_of, describe, parse_url
from siridb_fast.connection.failover import request_with_failover
from siridb_fast.connection.hosts import parse_hostlist
from siridb_fast.connection.password import Password
from siridb_fast.connection.stats import ClientStats
from siridb_fast.delivery.report import Report
from siridb_fast.loading.options import LoadKeywords, LoadOptions
from siridb_fast.query.paging import PointArrays
from siridb_fast.writer.options import WriterKeywords
from siridb_fast.writer.writer import BatchWriter

if TYPE_CHECKING:
    import ssl as tls

    import pandas
    import pyarrow

    from siridb_fast.loading.verification import Verification
    from siridb_fast.protocol._wire import PayloadBytes

__all__ = ["SiriDBClient"]


class SiriDBClient(Unpicklable):
    """A client of one SiriDB database, with a connection to each server it is given.

    Takes what that of siridb-connector takes. It belongs to the event loop that `connect` runs in;
    after that loop has ended, another may call `connect`.

    Args:
        username: A user of the database.
        password: Its password, or a function, plain or ``async``, that returns it: called before
            each log-in, also of connections that come back.
        dbname: The database.
        hostlist: Of each server ``(host, port)`` or ``(host, port, {"weight": 1..9, "backup":
            bool})``. A host with a ``/`` is the path of the server's unix socket. A server of
            higher weight is chosen more often, a backup only if no other is available.
        loop: The event loop that `connect` will be called in, if that is to be checked.
        keepalive: Every ``keepalive_interval`` seconds ask each server to log the user in again.
            One that does not answer within as many again, or 15, is taken for gone; one that has
            dropped the database is left: it goes on acknowledging points, which are lost.
        timeout: Seconds to connect to a server.
        inactive_time: Seconds that a server which cannot serve is left alone.
        max_wait_retry: Seconds between attempts to connect again at most: 1, 2, 4, 8 …
        ssl: A TLS context, where a TLS proxy is in front of the servers.
        window: Requests in flight on one connection at most; more wait for their turn.
        max_answer: Bytes of one answer at most; a larger one ends the connection.
        on_doubt: If a connection is lost while an insert is with the server, it may be stored or
            not: ``"resend"`` sends it to another server, as siridb-connector does, at the risk
            of storing it twice; otherwise `insert` raises `ConnectionLost`. Writers obey it too.

    Raises:
        ConfigError: An argument makes no sense.
    """

    def __init__(
        self,
        username: str,
        password: Password,
        dbname: str,
        hostlist: Iterable[object],
        loop: asyncio.AbstractEventLoop | None = None,
        keepalive: bool = True,
        timeout: float = 10,
        inactive_time: float = 30,
        max_wait_retry: float = 90,
        *,
        keepalive_interval: float = 45,
        ssl: tls.SSLContext | None = None,
        window: int = 128,
        max_answer: int = 512 * 1024 * 1024,
        on_doubt: OnDoubt | None = None,
    ) -> None:
        self._set_up(
            Config(
                username=username,
                password=password,
                dbname=dbname,
                hosts=parse_hostlist(hostlist),
                keepalive=keepalive,
                keepalive_interval=keepalive_interval,
                timeout=timeout,
                inactive_time=inactive_time,
                max_wait_retry=max_wait_retry,
                window=window,
                max_answer=max_answer,
                on_doubt=on_doubt,
                ssl=ssl,
            ),
            loop,
        )

    @classmethod
    def from_url(
        cls,
        url: str | None = None,
        *,
        password: Password | None = None,
        ssl: tls.SSLContext | None = None,
    ) -> Self:
        """Make a client of a URL, or of the environment variable ``SIRIDB_URL``.

        ``siridb://user:password@host[:port][,host[:port]…]/dbname?weight=3,1&backup=0,1&timeout=10``;
        ``?socket=/path`` for a unix socket. Without ``:password`` the URL has
        ``?password_file=/path``, a file that is read before each log-in; or ``password`` is given.

        Raises:
            ConfigError: Names the part that is wrong.
        """
        return cls.from_config(parse_url(url, password=password, ssl=ssl))

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """Make a client of the `config` of another, which may go to other processes."""
        client = cls.__new__(cls)
        client._set_up(config_of(config), None)  # noqa: SLF001 - its own class
        return client

    def _set_up(self, config: Config, loop: asyncio.AbstractEventLoop | None) -> None:
        self._config = config
        self._database = Database(self._request, self._on_drop)
        self._binding = ClusterBinding(config, loop, self._database.forget)
        self._writers: weakref.WeakSet[BatchWriter] = weakref.WeakSet()

    def __repr__(self) -> str:
        return f"<SiriDBClient {describe(self._config)}: {self._binding.state.value}>"

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        await self.wait_closed()

    @property
    def config(self) -> Config:
        """Where the database is, and all options."""
        return self._config

    @property
    def is_closed(self) -> bool:
        """Tell whether `close` was called and `connect` not since."""
        return self._binding.state is State.CLOSED

    @property
    def connected(self) -> bool:
        """Tell whether there is a connection to any server."""
        return self._binding.is_connected

    async def connect(self, timeout: float | None = None) -> list[BaseException | None]:
        """Connect to all servers; those that fail are tried again in the background until `close`.

        Args:
            timeout: Seconds for connecting and logging in. None: the client's ``timeout`` to
                connect, and up to 60 seconds to log in, because a server that is loading its
                databases makes that wait.

        Returns:
            For each server of the hostlist, in order: None, or why there is no connection to it.
        """
        return await self._binding.connect(timeout)

    async def open(self, timeout: float | None = None) -> None:
        """Connect, as entering ``async with`` does; one server is enough.

        Raises:
            SiriDBError, OSError: No server could be reached: why not the first.
        """
        await self._binding.open(timeout)

    def close(self) -> None:
        """Close all connections and stop trying to connect."""
        self._binding.close()
        self._database.accept_any()

    async def wait_closed(self) -> None:
        """Wait until the connections are gone, after `close`."""
        await self._binding.wait_closed()

    def stats(self) -> ClientStats:
        """Return how many connections there are, by host, and how often one was made again."""
        return self._binding.stats()

    async def insert(
        self, data: object, timeout: float = 300, **options: Unpack[InsertKeywords]
    ) -> dict[str, str]:
        """Insert points of any number of series.

        Args:
            data: ``{name: points}`` or ``[{"name": name, "points": points}]``. Points are
                ``[[timestamp, value], …]``, or a tuple ``(timestamps, values)`` of arrays of shape
                (n,), or of lists (of two items each these are refused: they may be two points).
                Timestamps are of any integer dtype in the database's precision, or datetime64;
                values of any integer dtype, float16, float32, float64, bool (sent as 0 and 1) or
                str. Arrays are read in place; points out of order are sorted. An empty pair adds
                nothing.
            timeout: Seconds for all of it.
            time_precision: SECOND … NANOSECOND, for a user who may not show that of the database;
                else it has to be that.
            on_missing: NaN and NaT in arrays. ``"keep"``: NaN is sent, NaT refused. ``"drop"``:
                the point is left out. ``"error"``: refused.
            on_precision_loss: A datetime64 finer than the database's precision: ``"error"`` or
                ``"floor"``.
            on_type: Arrays of another type than the series has (integer, float or string):
                ``"error"`` or ``"cast"``.

        Returns:
            ``{"success_msg": "Successfully inserted N point(s)."}``.

        Lists go in one package, which the server takes whole or refuses whole, and are not checked
        here. Arrays are all checked before the first byte is sent. If they need more than 1 MB
        (52,000 points) they go in several packages, each all or nothing; should one of them fail,
        ``points_inserted`` of the error tells how many points were acknowledged before.

        Raises:
            ColumnError: An array cannot be sent; names the series and the index. Also a
                `ValueError`.
            DatabaseChangedError: The database of a new connection is of another time precision, or
                has series of other types, than arrays were converted for. After `close` and
                `connect` it is taken as it is.
            PointsChangedError: Another client has made a new series at the same moment, with
                another type: the server has converted the points.
            InsertError: The server refused the package.
            PackingOverflowError: An integer in a list is outside 64 bits. Also an `OverflowError`.
            PoolError: No server is connected, or a pool has had none for the whole ``timeout``.
            ConnectionLost: While the insert was with the server: see ``on_doubt``.
            RequestTimeout: No answer in time. The points may be stored or with the server; what
                is not there by then never gets there, as the connection is closed. Also a
                `TimeoutError`.
            UserAuthError: The user may not insert.

        Cancelling gives up on the answer alone: until ``timeout`` is over, or the client is
        closed, the points may get to the server. Whoever wants to look whether they are stored
        and send them again takes a short ``timeout`` instead of `asyncio.wait_for`.
        """
        return await self._database.insert(data, timeout, options)  # type: ignore[no-any-return]

    async def insert_packed(self, payload: PayloadBytes, timeout: float = 300) -> dict[str, str]:
        """Insert a payload that `encode_insert` or `packb` has made; raises what `insert` does."""
        view = memoryview(payload).cast("B")
        return await self._database.insert_packed(view, timeout)  # type: ignore[no-any-return]

    async def query(
        self, query: str | bytes, time_precision: int | None = None, timeout: float = 60
    ) -> Any:
        """Run a query and return its answer as dicts and lists.

        Args:
            query: In SiriDB's query language.
            time_precision: SECOND … NANOSECOND for the answer's timestamps, None for the
                database's. The server's conversion is inexact, as it multiplies by a C float: see
                `query_arrays`.
            timeout: Seconds.

        Returns:
            As the reference driver: a dict for most queries. That of one that says ``timeit`` has
            its timing under ``__timeit__``, in the place of a series of that name, if there is
            one; `query_arrays` has the series.

        Raises:
            QueryError: The server refused the query; `SelectLimitError` if it selects more points
                than the server's ``select_points_limit``.
            PoolError: No server is connected, or a pool has had none for the whole ``timeout``.
            RequestTimeout: No answer in time. Also a `TimeoutError`.
            UserAuthError: The user may not do this.
        """
        return await self._database.query(query, time_precision, timeout)

    async def query_arrays(
        self,
        query: str | bytes,
        time_precision: int | None = None,
        timeout: float = 60,
        *,
        all_points: bool = False,
    ) -> PointArrays:
        """Run a select and return ``{name: (timestamps, values)}`` as arrays.

        Args:
            query: A select.
            time_precision: SECOND … NANOSECOND for the timestamps, converted exactly and cut where
                they are finer; None for the database's.
            timeout: Seconds.

        Returns:
            Timestamps are int64 of shape (n,). Values are float64, int64 or object (str), also
            (n,). A name or a text that is not UTF-8, as other clients may store it, is bytes.

        Raises:
            UnpackError: The answer holds no points, as that of a list or a count of series.
            SelectLimitError: It selects more points than the server's ``select_points_limit``, and
                ``all_points`` is not given, or the points are those of a ``merge as``. Nothing is
                ever cut silently.

        Also raises what `query` does.
        """
        ask = self._database.query_arrays
        return await ask(query, time_precision, timeout, all_points=all_points)

    async def query_frame(
        self,
        query: str | bytes,
        time_precision: int | None = None,
        timeout: float = 60,
        **options: Unpack[FrameKeywords],
    ) -> pandas.DataFrame:
        """Run a select and return its points as a frame of pandas (`siridb_fast[pandas]`).

        Args:
            query: A select.
            time_precision: SECOND … NANOSECOND for the times, converted exactly and cut where they
                are finer; None for the database's. It becomes the unit of the times.
            timeout: Seconds.
            form: ``"wide"``: a row for each time, a column for each series, the times as index
                ``time`` of dtype ``datetime64[unit, UTC]``. Where a series has no point: NaN among
                floats, NA among integers (``Int64`` then, else ``int64``), None among texts. Of
                several points of a series at one time, the k-th is in the k-th row of that time.
                ``"long"``: a row for each point, with columns ``series`` (categorical), ``time``
                and ``value`` (int64, float64 or text); of several types ``value_float``,
                ``value_integer`` and ``value_text``. Columns come in the order in which the query
                names the series, else in the server's; texts have the dtype of pandas.
            all_points: See `query_arrays`.

        Raises:
            TableError: The database's precision is unknown, as the user may not ask for it.
            ImportError: pandas is not installed.

        Also raises what `query_arrays` does.
        """
        return await self._database.query_frame(query, time_precision, timeout, options)

    async def query_arrow(
        self,
        query: str | bytes,
        time_precision: int | None = None,
        timeout: float = 60,
        **options: Unpack[FrameKeywords],
    ) -> pyarrow.Table:
        """Run a select and return its points as a table of Arrow (`siridb_fast[arrow]`).

        As `query_frame`, but ``time`` is a column of type ``timestamp[unit, UTC]``, gaps are
        nulls, ``series`` is ``dictionary<int32, string>`` and texts are ``string``. In the wide
        form the column of a series called "time" is ``time_`` (with more underscores if there is
        such a series too), its field's metadata gives the ``series``; `load` obeys it.
        """
        return await self._database.query_arrow(query, time_precision, timeout, options)

    async def load(self, data: object, **options: Unpack[LoadKeywords]) -> Report:
        """Load frames, columns or files, by connections of its own; see `siridb_fast.load`."""
        return await load_data(data, self, LoadOptions.of(options))

    async def verify(
        self, data: object, *, repair: bool = False, **options: Unpack[LoadKeywords]
    ) -> Verification:
        """Tell whether all of some data is stored, once; see `siridb_fast.verify`."""
        return await verify_data(data, self, LoadOptions.of(options), repair=repair)

    def writer(self, **options: Unpack[WriterKeywords]) -> BatchWriter:
        """Return a `BatchWriter` to the same servers, which has connections of its own."""
        writer = BatchWriter(self, **options)
        self._writers.add(writer)
        return writer

    def _on_drop(self) -> None:
        for writer in self._writers:
            writer._forget_types()  # noqa: SLF001 - made here

    async def _request(
        self, type_: int, payload: PayloadBytes, timeout: float, **options: Any
    ) -> Any:
        options["on_doubt"] = self._config.on_doubt
        return await request_with_failover(
            self._binding.here(), type_, payload, timeout, **options
        )
