"""The same for programs without an event loop.

``SiriDBConnection`` runs an event loop of its own for the length of each call: uvloop where it is
installed. ``run`` does so for a program's main coroutine. No global event loop policy is ever set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from siridb_fast import _wire
from siridb_fast._qpack import packb
from siridb_fast.database import Database, InsertKeywords, PointArrays
from siridb_fast.errors import ConnectionLost
from siridb_fast.hosts import DEFAULT_PORT
from siridb_fast.reference import Protocol, SiriDBProtocol, dial, target_of

if TYPE_CHECKING:
    from siridb_fast._wire import Payload

try:
    import uvloop
except ImportError:  # there is none for Windows
    new_event_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
else:
    new_event_loop = uvloop.new_event_loop

__all__ = ["SiriDBConnection", "connect", "run"]

FILES = {
    "servers.dat": _wire.REQ_FILE_SERVERS,
    "users.dat": _wire.REQ_FILE_USERS,
    "groups.dat": _wire.REQ_FILE_GROUPS,
}

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
    """Run a coroutine to its end, like `asyncio.run`, on uvloop where it is installed."""
    with asyncio.Runner(debug=debug, loop_factory=new_event_loop) as runner:
        return runner.run(main)


class SiriDBConnection:
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
        _refuse_running_loop()
        self._owns_loop = loop is None
        self._loop = new_event_loop() if loop is None else loop
        self._database = Database(self._carry)
        target = target_of(username, password, dbname, host, port)
        try:
            self._protocol = self._loop.run_until_complete(dial(target, protocol, timeout))
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

    def insert(self, data: object, timeout: float = 600, **options: Unpack[InsertKeywords]) -> Any:
        """Insert lists and arrays; see `SiriDBClient.insert`."""
        return self._run(self._database.insert(data, timeout, options))

    def query(
        self, query: str | bytes, time_precision: int | None = None, timeout: float = 30
    ) -> Any:
        """Run a query; see `SiriDBClient.query`."""
        return self._run(self._database.query(query, time_precision, timeout))

    def query_arrays(
        self, query: str | bytes, time_precision: int | None = None, timeout: float = 30
    ) -> PointArrays:
        """Run a select; see `SiriDBClient.query_arrays`."""
        return self._run(self._database.query_arrays(query, time_precision, timeout))

    def close(self) -> None:
        """Close the connection, and the event loop if it is its own."""
        if self._loop.is_closed():
            return
        self._protocol.close()
        self._loop.run_until_complete(self._protocol.wait_closed())
        self._close_loop()

    def _register_server(self, server: object, timeout: float = 30) -> Any:
        """Register a new server; for SiriDB's own administration tool, with full rights."""
        return self._run(self._carry(_wire.REQ_REGISTER_SERVER, packb(server), timeout))

    def _get_file(self, fn: str, timeout: float = 30) -> bytes:
        """Return one of the server's files; for SiriDB's administration tool, with full rights."""
        if fn not in FILES:
            raise FileNotFoundError(f"there is no file {fn!r}, only {', '.join(FILES)}")
        content: bytes = self._run(self._carry(FILES[fn], b"", timeout))
        return content

    async def _carry(
        self, type_: int, payload: Payload, timeout: float, *, is_raw: bool = False
    ) -> Any:
        return await self._protocol.request(type_, payload, timeout, is_raw=is_raw)

    def _run(self, request: Coroutine[Any, Any, T]) -> T:
        try:
            _refuse_running_loop()
            if self._loop.is_closed():
                raise ConnectionLost("the connection is closed")
            return self._loop.run_until_complete(request)
        finally:
            request.close()  # where it was not run

    def _close_loop(self) -> None:
        if self._owns_loop:
            self._loop.close()


def connect(
    username: str,
    password: str | None = None,
    dbname: str | None = None,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    loop: asyncio.AbstractEventLoop | None = None,
    timeout: float = 10,
    protocol: Protocol = SiriDBProtocol,
) -> SiriDBConnection:
    """Return a blocking connection; a URL may stand for the first five arguments.

    Raises:
        AuthenticationError: Wrong user, password or database.
        OSError: No connection.
        RequestTimeout: No connection within ``timeout`` seconds.
    """
    return SiriDBConnection(username, password, dbname, host, port, loop, timeout, protocol)


def _refuse_running_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError("a blocking call in a running event loop; use SiriDBClient there")
