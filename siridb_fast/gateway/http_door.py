"""The door of HTTP, of aiohttp's server: its parser is in C, and knows chunks, pipelines and more.

It runs in our event loop, over TCP, TLS and unix sockets. What its paths mean is in the modules of
routes. On a unix socket both HTTP and bare lines are taken: what a connection begins with tells.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from aiohttp import web

from siridb_fast.gateway.desk import Desk
from siridb_fast.gateway.stream_door import LineConnection, StreamDoor

__all__ = ["HttpDoor", "Routes"]

REQUESTS = (b"POST /", b"GET /", b"HEAD /", b"OPTIONS /", b"PUT /", b"DELETE /")
LONGEST_START = max(map(len, REQUESTS))
TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
    b"Connection: close\r\n\r\n"
)

Routes = Callable[[web.Application], None]


class HttpDoor:
    """One address of HTTP.

    Args:
        desk: Whose configuration says where, and whose figures count.
        routes: Each adds its own.
        takes_lines: A connection may bring bare lines as well.
    """

    def __init__(self, desk: Desk, routes: list[Routes], *, takes_lines: bool = False) -> None:
        self.desk = desk
        app = web.Application()
        for add in routes:
            add(app)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            auto_decompress=False,
            keepalive_timeout=75.0,
        )
        self._takes_lines = takes_lines
        self._door = StreamDoor(desk, self._protocol)

    async def open(self) -> None:
        """Listen."""
        await self._runner.setup()
        await self._door.open()

    async def stop(self) -> None:
        """Let nobody in any more, and answer those who are."""
        await self._door.stop()
        await self._runner.cleanup()

    def count(self) -> None:
        """Count the connections."""
        server = self._runner.server
        lines = self._door.connections
        self.desk.figures.connections = lines + (0 if server is None else len(server.connections))

    def _protocol(self) -> asyncio.BaseProtocol:
        self.count()
        if self.desk.figures.connections >= self.desk.kiosk.limits.max_connections:
            self.desk.note("there are too many connections (max_connections)")
            return _TooMany()
        if self._takes_lines:
            return _Either(self._request, self._door.connection)
        return self._request()

    def _request(self) -> asyncio.Protocol:
        server = self._runner.server
        assert server is not None  # noqa: S101 - set up before it listens
        return server()


class _TooMany(asyncio.Protocol):
    # Answers that there is no room for a connection.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        to = cast(asyncio.Transport, transport)
        to.write(TOO_MANY)
        to.close()


class _Either(asyncio.Protocol):
    # Finds out what a connection brings, and hands it over.

    def __init__(
        self,
        request: Callable[[], asyncio.Protocol],
        lines: Callable[[], LineConnection],
    ) -> None:
        self._request = request
        self._lines = lines
        self._start = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's have another base

    def data_received(self, data: bytes) -> None:
        self._start += data
        is_request = self._start.startswith(REQUESTS)
        if not is_request and any(one.startswith(self._start) for one in REQUESTS):
            return  # too little to tell
        assert self._transport is not None  # noqa: S101
        protocol: asyncio.Protocol = self._request() if is_request else self._lines()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        if not self._transport.is_closing():
            protocol.data_received(self._start)
