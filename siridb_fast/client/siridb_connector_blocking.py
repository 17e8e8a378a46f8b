"""The blocking connection of siridb-connector, on our connection.

It runs an event loop of its own for the length of each call. Knows nothing of other servers and
of reconnecting; new programs use `BlockingClient`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from siridb_fast.client.blocking import BlockingWriter
from siridb_fast.client.database import Database
from siridb_fast.client.options import FrameKeywords, InsertKeywords
from siridb_fast.client.siridb_connector import (
    Protocol,
    SiriDBProtocol,
    connection_of,
    drop,
    log_in,
    login_of,
)
from siridb_fast.concurrency.fork import Home, Unpicklable
from siridb_fast.concurrency.loops import new_event_loop, refuse_running_loop
from siridb_fast.connection.config import Config
from siridb_fast.connection.connection import Connection
from siridb_fast.connection.hosts import DEFAULT_PORT
from siridb_fast.errors import ConnectionLost
from siridb_fast.protocol import _wire
from siridb_fast.protocol._qpack import packb
from siridb_fast.query.paging import PointArrays
from siridb_fast.writer.options import WriterKeywords

if TYPE_CHECKING:
    import pandas
    import pyarrow

    from siridb_fast.protocol._wire import PayloadBytes

__all__ = ["SiriDBConnection"]

FILES = {
    "servers.dat": _wire.REQ_FILE_SERVERS,
    "users.dat": _wire.REQ_FILE_USERS,
    "groups.dat": _wire.REQ_FILE_GROUPS,
}

T = TypeVar("T")


class SiriDBConnection(Unpicklable):
    """One blocking connection; made by `connect`."""

    def __init__(
        self,
        username: str,
        password: str | None = None,
        dbname: str | None = None,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        loop: asyncio.AbstractEventLoop | None = None,
        timeout: float = 10,
        protocol: Protocol = SiriDBProtocol,
    ) -> None:
        refuse_running_loop()
        self._home = Home("connection")
        self._owns_loop = loop is None
        self._loop = new_event_loop() if loop is None else loop
        self._database = Database(self._request)
        self._login = login_of(username, password, dbname, host, port)
        try:
            connecting = log_in(self._login, protocol, timeout)
            self._connection = connection_of(self._loop.run_until_complete(connecting))
        except BaseException:
            self._close_loop()
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

    def __del__(self) -> None:
        connection: Connection | None = getattr(self, "_connection", None)
        if connection is not None and self._owns_loop and self._home.is_here:
            was_closed = self._loop.is_closed()
            self._loop.close()
            if not was_closed:
                drop(self, connection)

    def insert(self, data: object, timeout: float = 600, **options: Unpack[InsertKeywords]) -> Any:
        """Insert lists and arrays; see `SiriDBClient.insert`."""
        return self._run(self._database.insert(data, timeout, options))

    def query(
        self, query: str | bytes, time_precision: int | None = None, timeout: float = 30
    ) -> Any:
        """Run a query; see `SiriDBClient.query`."""
        return self._run(self._database.query(query, time_precision, timeout))

    def query_arrays(
        self,
        query: str | bytes,
        time_precision: int | None = None,
        timeout: float = 30,
        *,
        all_points: bool = False,
    ) -> PointArrays:
        """Run a select; see `SiriDBClient.query_arrays`."""
        return self._run(
            self._database.query_arrays(query, time_precision, timeout, all_points=all_points)
        )

    def query_frame(
        self,
        query: str | bytes,
        time_precision: int | None = None,
        timeout: float = 30,
        **options: Unpack[FrameKeywords],
    ) -> pandas.DataFrame:
        """Run a select; see `SiriDBClient.query_frame`."""
        return self._run(self._database.query_frame(query, time_precision, timeout, options))

    def query_arrow(
        self,
        query: str | bytes,
        time_precision: int | None = None,
        timeout: float = 30,
        **options: Unpack[FrameKeywords],
    ) -> pyarrow.Table:
        """Run a select; see `SiriDBClient.query_arrow`."""
        return self._run(self._database.query_arrow(query, time_precision, timeout, options))

    def writer(
        self, *, handle_sigterm: bool = True, **options: Unpack[WriterKeywords]
    ) -> BlockingWriter:
        """Return an open writer to the same server; close it, or use it in a ``with`` block.

        Options are those of `BatchWriter`, and ``handle_sigterm`` of `BlockingWriter`.
        """
        (username, password, dbname), host = self._login
        config = Config(username=username, password=password, dbname=dbname, hosts=(host,))
        return BlockingWriter(config, handle_sigterm=handle_sigterm, **options)

    def close(self) -> None:
        """Close the connection, and the event loop if it is its own."""
        if self._loop.is_closed() or not self._home.is_here:
            return
        self._connection.close()
        self._loop.run_until_complete(self._connection.wait_closed())
        self._close_loop()

    def _register_server(self, server: object, timeout: float = 30) -> Any:
        """Register a new server; for SiriDB's own administration tool, with full rights."""
        return self._run(self._request(_wire.REQ_REGISTER_SERVER, packb(server), timeout))

    def _get_file(self, fn: str, timeout: float = 30) -> bytes:
        """Return one of the server's files; for SiriDB's administration tool, with full rights."""
        if fn not in FILES:
            raise FileNotFoundError(f"there is no file {fn!r}, only {', '.join(FILES)}")
        content: bytes = self._run(self._request(FILES[fn], b"", timeout))
        return content

    async def _request(
        self,
        type_: int,
        payload: PayloadBytes,
        timeout: float,
        *,
        is_raw: bool = False,
        require: Callable[[], None] | None = None,
    ) -> Any:
        if require is not None:
            require()
        return await self._connection.request(type_, payload, timeout, is_raw=is_raw)

    def _run(self, request: Coroutine[Any, Any, T]) -> T:
        try:
            self._home.require()
            refuse_running_loop()
            if self._loop.is_closed():
                raise ConnectionLost("the connection is closed")
            return self._loop.run_until_complete(request)
        finally:
            request.close()  # where it was not run

    def _close_loop(self) -> None:
        if self._owns_loop:
            self._loop.close()
