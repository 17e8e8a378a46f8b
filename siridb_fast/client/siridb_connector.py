"""The asyncio names of the siridb-connector package, on our connection.

``SiriDBAsyncConnection`` is one connection, ``SiriDBProtocol`` the protocol under it, with the
hooks that subclasses fill in. New programs use `SiriDBClient`.
"""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack, cast

from siridb_fast.client.database import Database
from siridb_fast.client.options import InsertKeywords
from siridb_fast.concurrency.fork import Unpicklable
from siridb_fast.connection.config import Config, is_url, parse_url
from siridb_fast.connection.connection import Connection
from siridb_fast.connection.hosts import DEFAULT_PORT, Host
from siridb_fast.connection.keep_alive import KEEPALIVE_INTERVAL
from siridb_fast.connection.open import connect_protocol
from siridb_fast.errors import (
    ConfigError,
    ConnectionLost,
    RequestTimeout,
)
from siridb_fast.protocol import _wire
from siridb_fast.protocol._qpack import packb
from siridb_fast.query.paging import PointArrays

if TYPE_CHECKING:
    from siridb_fast.protocol._wire import PayloadBytes

__all__ = [
    "Login",
    "Protocol",
    "SiriDBAsyncConnection",
    "SiriDBProtocol",
    "async_connect",
    "async_server_info",
    "connection_of",
    "drop",
    "log_in",
    "login_of",
]

AUTH_TIMEOUT = 10.0
EMPTY_REQUESTS = frozenset(
    {
        _wire.REQ_PING,
        _wire.REQ_INFO,
        _wire.REQ_FILE_SERVERS,
        _wire.REQ_FILE_USERS,
        _wire.REQ_FILE_GROUPS,
    }
)

logger = logging.getLogger("siridb_fast")


class SiriDBProtocol(Unpicklable, asyncio.BaseProtocol):
    """The protocol of one connection, which logs in as soon as it is made.

    ``auth_future`` is the answer to that. Subclasses may fill in `on_connection_made`,
    `on_authenticated` and `on_connection_lost`. The transport is handed over to a `Connection`.
    """

    def __init__(self, username: str, password: str, dbname: str) -> None:
        self._connection = Connection(on_lost=self.connection_lost)
        self._credentials: tuple[str, str, str] | None = (username, password, dbname)
        self.auth_future: asyncio.Future[Any] | None = None
        self.transport: asyncio.Transport | None = None
        self.remote_ip = ""
        self.port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Log in; called by the event loop, which calls the connection from then on."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self._connection.connection_made(transport)
        self.transport.set_protocol(self._connection)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self.remote_ip, self.port = peer[:2]
            self._connection.name = str(Host(self.remote_ip, self.port))
        self.auth_future = self.send_package(
            _wire.REQ_AUTH, data=self._credentials, timeout=AUTH_TIMEOUT
        )
        self._credentials = None
        self.on_connection_made()

    def connection_lost(self, exc: Exception | None) -> None:
        """Report it; called once what was in flight has failed."""
        self.on_connection_lost(exc)

    def send_package(
        self, tipe: int, data: Any = None, is_binary: bool = False, timeout: float = 3600
    ) -> asyncio.Future[Any]:
        """Send a package; return the future of what its answer brings."""
        if is_binary:
            payload = data
        elif tipe in EMPTY_REQUESTS:
            payload = b""
        else:
            payload = packb(data)
        return asyncio.ensure_future(self._connection.request(tipe, payload, timeout))

    def on_connection_made(self) -> None:
        """Called once there is a connection, which is not authenticated yet."""

    def on_authenticated(self) -> None:
        """Called once the connection is authenticated."""

    def on_connection_lost(self, exc: Exception | None) -> None:
        """Called once the connection was lost (an exception) or closed (None)."""


Protocol = Callable[[str, str, str], SiriDBProtocol]


class Login(NamedTuple):
    """Where one connection leads, and as whom."""

    credentials: tuple[str, str, str]  # user, password, database
    host: Host


def connection_of(protocol: SiriDBProtocol) -> Connection:
    """Return the connection that a protocol's transport is handed over to."""
    return protocol._connection  # noqa: SLF001 - not for users


def login_of(
    username: str, password: str | None, dbname: str | None, host: str, port: int
) -> Login:
    """Return what the arguments of siridb-connector say, or a URL in the first of them."""
    if is_url(username) and password is None and dbname is None:
        config = parse_url(username)
        if not isinstance(config.password, str):
            raise ConfigError("one connection has its password in its URL, not in a file")
        credentials = (config.username, config.password, config.dbname)
        if config != Config(
            username=config.username,
            password=config.password,
            dbname=config.dbname,
            hosts=config.hosts[:1],
        ):
            raise ConfigError("one connection has one host and no options in its URL")
        return Login(credentials, config.hosts[0])
    if password is None or dbname is None:
        raise TypeError("username, password and dbname are needed, or a URL alone")
    return Login((username, password, dbname), Host(host, port))


async def log_in(login: Login, protocol: Protocol, timeout: float) -> SiriDBProtocol:
    """Return the protocol of a connection that is logged in.

    Raises:
        AuthenticationError: Wrong user, password or database.
        OSError: No connection.
        RequestTimeout: No connection within ``timeout`` seconds.
    """
    try:
        async with asyncio.timeout(timeout):
            made = await connect_protocol(login.host, lambda: protocol(*login.credentials))
    except TimeoutError:
        text = f"no connection to {login.host} within {timeout} seconds"
        raise RequestTimeout(text) from None
    assert made.auth_future is not None  # noqa: S101 - connection_made was called
    try:
        await made.auth_future
    except BaseException:
        connection_of(made).abort()
        raise
    made.on_authenticated()
    return made


class SiriDBAsyncConnection(Unpicklable):
    """One connection, without reconnecting; made by `async_connect`.

    A subclass may have a `connect` of its own, as with siridb-connector: all that it has to do is
    to set ``_protocol`` to a `SiriDBProtocol` that is connected and logged in.
    """

    # Of the class, as that of siridb-connector: a subclass need not call this one's __init__.
    _protocol: SiriDBProtocol | None = None
    _requests: _Requests | None = None

    async def connect(
        self,
        username: str,
        password: str | None = None,
        dbname: str | None = None,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        loop: asyncio.AbstractEventLoop | None = None,
        timeout: float = 10,
        keepalive: bool = False,
        protocol: Protocol = SiriDBProtocol,
    ) -> None:
        """Connect and log in; a URL may stand for the first five arguments."""
        login = login_of(username, password, dbname, host, port)
        self._protocol = await log_in(login, protocol, timeout)
        if keepalive:
            connection_of(self._protocol).keep_alive(KEEPALIVE_INTERVAL)

    def __del__(self) -> None:
        drop(self, None if self._protocol is None else connection_of(self._protocol))

    @property
    def connected(self) -> bool:
        """Tell whether requests can be sent."""
        return self._protocol is not None and connection_of(self._protocol).is_connected

    def close(self) -> None:
        """Close the connection."""
        if self._protocol is not None:
            connection_of(self._protocol).close()
            self._protocol = None

    async def query(
        self, query: str | bytes, time_precision: int | None = None, timeout: float = 3600
    ) -> Any:
        """Run a query; see `SiriDBClient.query`."""
        return await self._database.query(query, time_precision, timeout)

    async def query_arrays(
        self, query: str | bytes, time_precision: int | None = None, timeout: float = 3600
    ) -> PointArrays:
        """Run a select; see `SiriDBClient.query_arrays`."""
        return await self._database.query_arrays(query, time_precision, timeout)

    async def insert(
        self, data: object, timeout: float = 3600, **options: Unpack[InsertKeywords]
    ) -> Any:
        """Insert lists and arrays; see `SiriDBClient.insert`."""
        return await self._database.insert(data, timeout, options)

    async def _request(
        self,
        type_: int,
        payload: PayloadBytes,
        timeout: float,
        *,
        is_raw: bool = False,
        require: Callable[[], None] | None = None,
    ) -> Any:
        if self._protocol is None:
            raise ConnectionLost("the connection is closed")
        if require is not None:
            require()
        return await connection_of(self._protocol).request(type_, payload, timeout, is_raw=is_raw)

    @property
    def _database(self) -> Database:
        # What is known of a database lasts as long as the connection, whoever has made it.
        if self._requests is None or self._requests.protocol is not self._protocol:
            self._requests = _Requests(self._protocol, Database(self._request))
        return self._requests.database


class _Requests(NamedTuple):
    protocol: SiriDBProtocol | None
    database: Database


def drop(owner: object, connection: Connection | None) -> None:
    """Close a connection that its owner was forgotten with; warn of that."""
    if connection is not None and connection.is_connected:
        warnings.warn(f"{owner!r} was dropped; close it", ResourceWarning, 2, owner)
        connection.drop()


async def async_connect(
    username: str,
    password: str | None = None,
    dbname: str | None = None,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    loop: asyncio.AbstractEventLoop | None = None,
    timeout: float = 10,
    keepalive: bool = False,
    protocol: Protocol = SiriDBProtocol,
) -> SiriDBAsyncConnection:
    """Return one connection that is logged in; a URL may stand for the first five arguments."""
    connection = SiriDBAsyncConnection()
    await connection.connect(
        username, password, dbname, host, port, loop, timeout, keepalive, protocol
    )
    return connection


async def async_server_info(
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    loop: asyncio.AbstractEventLoop | None = None,
    timeout: float = 10,
) -> Any:
    """Ask a server for its information, without logging in.

    SiriDB 2 does not answer this request, so with it this raises `RequestTimeout`.
    """
    running = asyncio.get_running_loop()
    async with asyncio.timeout(timeout):
        made = (await running.create_connection(Connection, host, port))[1]
    try:
        return await made.request(_wire.REQ_INFO, b"", timeout)
    finally:
        made.abort()
        await made.wait_closed()
