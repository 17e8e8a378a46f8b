"""A server that does what a test scripts, for what no real server can be brought to do.

Knows how a package is framed, nothing of what is in it, and shares no code with the client under
test. Rules: whatever a handler raises reaches the test; nothing is left running after the exit.

A package is an 8-byte little-endian header (payload length u32, pid u16, type u8, type ^ 255)
and the payload.
"""

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

__all__ = ["PeerClosed", "ScriptedPackage", "ScriptedPeer", "ScriptedServer"]

HEADER = struct.Struct("<IHBB")
AUTH = 2
AUTH_SUCCESS = 2
HOST = "127.0.0.1"


class PeerClosed(ConnectionError):
    """The client closed the connection, or lost it."""


@dataclass(frozen=True, slots=True)
class ScriptedPackage:
    """A package as the client sent it."""

    pid: int
    type: int
    payload: bytes


class ScriptedPeer:
    """One client's connection, seen from the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read_package(self, timeout: float = 5) -> ScriptedPackage:
        """Read the next package.

        Raises:
            PeerClosed: the client is gone.
            TimeoutError: no whole package came within `timeout` seconds.
            ValueError: the check byte does not belong to the type.
        """
        try:
            return await asyncio.wait_for(self._read_package(), timeout)
        except TimeoutError as error:
            raise TimeoutError(f"no whole package came within {timeout:g} s") from error

    async def accept_auth(self, timeout: float = 5) -> ScriptedPackage:
        """Read the package that authenticates the client, and accept it whatever it says.

        Raises:
            ValueError: it is another package; and as for `read_package`.
        """
        package = await self.read_package(timeout)
        if package.type != AUTH:
            raise ValueError(f"expected an AUTH package, type {AUTH}, not type {package.type}")
        await self.send(package.pid, AUTH_SUCCESS)
        return package

    async def send(self, pid: int, kind: int, payload: bytes = b"") -> None:
        """Send a package."""
        await self.send_raw(HEADER.pack(len(payload), pid, kind, kind ^ 255) + payload)

    async def send_raw(self, data: bytes) -> None:
        """Send bytes that may be anything: half a package, several, or none."""
        self._writer.write(data)
        try:
            await self._writer.drain()
        except ConnectionError as error:
            raise PeerClosed("the client is gone") from error

    async def close(self) -> None:
        """Send what is left, then close the connection (FIN)."""
        self._writer.close()
        with suppress(ConnectionError):  # a client that reset the connection closed it as well
            await self._writer.wait_closed()

    def abort(self) -> None:
        """Drop the connection at once and unsent data with it; the client gets a reset (RST)."""
        linger_no_time = struct.pack("ii", 1, 0)
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_no_time)
        self._writer.transport.abort()

    async def _read_package(self) -> ScriptedPackage:
        length, pid, kind, check = HEADER.unpack(await self._read(HEADER.size))
        if check != kind ^ 255:
            raise ValueError(f"type {kind} has check byte {check}, not {kind ^ 255}")
        return ScriptedPackage(pid, kind, await self._read(length))

    async def _read(self, size: int) -> bytes:
        try:
            return await self._reader.readexactly(size)
        except asyncio.IncompleteReadError as error:
            text = f"the client closed after {len(error.partial)} of {size} expected bytes"
            raise PeerClosed(text) from error
        except ConnectionError as error:
            raise PeerClosed("the client reset the connection") from error


Handler = Callable[[ScriptedPeer], Awaitable[None]]


class ScriptedServer:
    """Listens on loopback and runs a coroutine of the test for every connection.

    ::

        async def refuse(peer: ScriptedPeer) -> None:
            await peer.accept_auth()
            package = await peer.read_package()
            await peer.send(package.pid, 66, error)

        async with ScriptedServer(refuse) as server:
            ...  # connect to server.host, server.port

    A connection ends when its handler returns. On exit of the context, handlers that still run
    are cancelled, and what handlers raised is raised, unless it says that the client is gone.

    Args:
        handler: called with the `ScriptedPeer` of each connection.
        unix_path: a unix socket to listen on as well.
    """

    def __init__(
        self, handler: Handler, *, unix_path: str | os.PathLike[str] | None = None
    ) -> None:
        self._handler = handler
        self._unix_path = unix_path
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._errors: list[Exception] = []

    async def __aenter__(self) -> Self:
        self._servers.append(await asyncio.start_server(self._connected, HOST, 0))
        if self._unix_path is not None:
            self._servers.append(await asyncio.start_unix_server(self._connected, self._unix_path))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._close()
        if not self._errors:
            return
        if exc is None:
            raise self._failure()
        for error in self._errors:  # the test fails already, and this may be why
            exc.add_note(f"a handler of the scripted server raised {error!r}")

    @property
    def host(self) -> str:
        """The address the server listens on."""
        return HOST

    @property
    def port(self) -> int:
        """The TCP port the server listens on."""
        return int(self._servers[0].sockets[0].getsockname()[1])

    @property
    def errors(self) -> tuple[Exception, ...]:
        """What handlers have raised so far, other than that the client is gone."""
        return tuple(self._errors)

    async def join(self, timeout: float = 5) -> None:
        """Wait until the handlers of all connections so far have returned.

        Raises:
            TimeoutError: one still runs after `timeout` seconds.
        """
        if self._tasks:
            _, running = await asyncio.wait(self._tasks, timeout=timeout)
            if running:
                raise TimeoutError(f"{len(running)} handlers still run after {timeout:g} s")

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(ScriptedPeer(reader, writer)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, peer: ScriptedPeer) -> None:
        try:
            await self._handler(peer)
        except PeerClosed:
            pass
        except Exception as error:  # noqa: BLE001 - saved for the test, and raised at the exit
            self._errors.append(error)
        finally:
            await peer.close()

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()

    def _failure(self) -> Exception:
        if len(self._errors) == 1:
            return self._errors[0]
        return ExceptionGroup("handlers of the scripted server failed", self._errors)
