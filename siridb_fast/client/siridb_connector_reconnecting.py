"""The connection of the siridb-connector package that comes back when it is lost.

New programs use `SiriDBClient`, which has several hosts and sends nothing twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Unpack

from siridb_fast.client.database import Database
from siridb_fast.client.options import InsertKeywords
from siridb_fast.client.siridb_connector import Login, SiriDBProtocol, connection_of, drop, log_in
from siridb_fast.concurrency.tasks import begin_task, cancel_task
from siridb_fast.connection.connection import Connection
from siridb_fast.connection.hosts import DEFAULT_PORT, Host
from siridb_fast.errors import ConnectionLost, PoolError, RequestTimeout, ServerError
from siridb_fast.protocol import _wire
from siridb_fast.query.paging import PointArrays

if TYPE_CHECKING:
    from siridb_fast.protocol._wire import PayloadBytes

__all__ = ["SiriDBConn"]

logger = logging.getLogger("siridb_fast")


class SiriDBConn:
    """One connection that is made again when it is lost; requests wait for it and are sent again.

    As in siridb-connector a request that was in flight is sent again too, so points may be
    stored twice; `SiriDBClient` does that only with ``on_doubt="resend"``.
    """

    MAX_RECONNECT_WAIT_TIME = 60
    MAX_RECONNECT_TIMEOUT = 10
    MAX_WRITE_RETRY = 120
    RECONNECT_ATTEMPT = 3

    def __init__(
        self,
        username: str,
        password: str,
        dbname: str,
        server: str,
        port: int = DEFAULT_PORT,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._login = Login((username, password, dbname), Host(server, port))
        self._connection: Connection | None = None
        self._reconnecting: asyncio.Task[None] | None = None
        self._database = Database(self._request)

    def __del__(self) -> None:
        drop(self, getattr(self, "_connection", None))

    def is_connected(self) -> bool:
        """Tell whether requests can be sent."""
        return self._connection is not None and self._connection.is_connected

    async def connect(self, timeout: float = 120) -> None:
        """Connect, trying until it works or the time is up, and ping the server."""
        try:
            async with asyncio.timeout(timeout):
                await self._request(_wire.REQ_PING, b"", timeout)
        except TimeoutError as exc:
            raise RequestTimeout(f"no connection to {self._login.host} in time") from exc

    async def insert(
        self, data: object, timeout: float = 300, **options: Unpack[InsertKeywords]
    ) -> Any:
        """Insert lists and arrays; see `SiriDBClient.insert`."""
        return await self._database.insert(data, timeout, options)

    async def query(
        self, query: str | bytes, time_precision: int | None = None, timeout: float = 60
    ) -> Any:
        """Run a query; see `SiriDBClient.query`."""
        return await self._database.query(query, time_precision, timeout)

    async def query_arrays(
        self, query: str | bytes, time_precision: int | None = None, timeout: float = 60
    ) -> PointArrays:
        """Run a select; see `SiriDBClient.query_arrays`."""
        return await self._database.query_arrays(query, time_precision, timeout)

    def close(self) -> None:
        """Close the connection."""
        if self._reconnecting is not None:
            cancel_task(self._reconnecting)
        if self._connection is not None:
            self._connection.close()

    async def wait_closed(self) -> None:
        """Wait until the connection is gone."""
        if self._connection is not None:
            await self._connection.wait_closed()

    async def _request(
        self,
        type_: int,
        payload: PayloadBytes,
        timeout: float,
        *,
        is_raw: bool = False,
        require: Callable[[], None] | None = None,
    ) -> Any:
        for attempt in range(1, self.MAX_WRITE_RETRY + 1):
            if not self.is_connected():
                await self._reconnect()
            connection = self._connection
            try:
                if connection is None:
                    raise ConnectionLost(f"there is no connection to {self._login.host}")
                if require is not None:
                    require()
                return await connection.request(type_, payload, timeout, is_raw=is_raw)
            except (ServerError, PoolError, OSError) as exc:
                if attempt == self.MAX_WRITE_RETRY:
                    raise
                logger.debug("%s: %s; trying again", self._login.host, exc)
                if attempt % self.RECONNECT_ATTEMPT == 0 and connection is not None:
                    connection.close()
                await asyncio.sleep(1.0)
        raise ConnectionLost(f"there is no connection to {self._login.host}")

    async def _reconnect(self) -> None:
        # One attempt after another, by one task for all who wait.
        if self._reconnecting is None or self._reconnecting.done():
            self._reconnecting = begin_task(self._keep_trying())
        reconnecting = self._reconnecting
        await asyncio.wait([reconnecting])
        if reconnecting.cancelled():
            raise ConnectionLost("the connection was closed")
        reconnecting.result()

    async def _keep_trying(self) -> None:
        wait, timeout = 1, 2
        while True:
            try:
                self._connection = connection_of(
                    await log_in(self._login, SiriDBProtocol, timeout)
                )
                self._database.forget()
            except (OSError, ServerError) as exc:
                logger.error("no connection to %s: %s; next in %d s", self._login.host, exc, wait)
            else:
                return
            await asyncio.sleep(wait)
            wait = min(wait * 2, self.MAX_RECONNECT_WAIT_TIME)
            timeout = min(timeout + 1, self.MAX_RECONNECT_TIMEOUT)
