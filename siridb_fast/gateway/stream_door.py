"""Lines over TCP, unix sockets and standard input.

A sender gets no answer, so it is held back instead: while there is no room its connection is not
read. It is never hung up on for what it sends: what is no line is refused, and what follows its
end is read again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import cast

from siridb_fast.concurrency.tasks import begin_task
from siridb_fast.errors import ConfigError
from siridb_fast.formats.points import BadLine
from siridb_fast.gateway.desk import BOM, Desk
from siridb_fast.gateway.errors import OverloadedError

__all__ = ["LineConnection", "StdinDoor", "StreamDoor", "free_socket_path"]

BATCH = 1024 * 1024  # bytes that are parsed together
GATHERING = 0.02  # seconds that they may take to come
MOST = 2 * BATCH  # bytes that wait; then the connection is not read
BACKLOG = 1024
CUT_OFF = "the connection ended within the line"
STDIN = 0

logger = logging.getLogger("siridb_fast")

ProtocolFactory = Callable[[], asyncio.BaseProtocol]


class LineReader:
    """Lines of one sender, from bytes as they come."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._text = desk.open()
        self._rest = b""
        self._is_skipping = False  # the rest of a line that is too long
        self._is_first = True

    async def take(self, data: bytes, *, is_last: bool = False) -> None:
        """Take the whole lines, once there is room for them."""
        desk, text = self._desk, self._text
        desk.figures.bytes += len(data)
        data = self._without_skipped(data)
        block = self._rest + data if self._rest else data
        if self._is_first:
            if len(block) < len(BOM) and not is_last:
                self._rest = block
                return
            block, self._is_first = block.removeprefix(BOM), False
        self._rest = b""
        while block:
            first = text.line
            rows, size = desk.read(text, block, is_last=is_last)
            await desk.take(rows, block, first, waits=True)
            block = block[size:]
            if len(block) <= desk.kiosk.limits.max_line:
                break
            block = self._cut(block)
        self._rest = block

    def end(self, reason: str) -> None:
        """Refuse what is left: it has no end, and may be a part of what was meant."""
        if self._rest.strip() and not self._is_skipping:
            self._desk.refuse([BadLine(self._text.line, reason)], self._rest, self._text.line)
        self._rest = b""

    def _cut(self, block: bytes) -> bytes:
        # Refuse what has no end so far: a line, or a text whose quote is not closed.
        desk, line = self._desk, self._text.line
        most = f"a line is longer than {desk.kiosk.limits.max_line:,} bytes (max_line)"
        begin, end, behind = block.partition(b"\n")
        if end:
            most += ", or a quote is not closed"
        desk.refuse([BadLine(line, most)], begin, line)
        desk.figures.lines += 1
        self._text.line += 1
        self._is_skipping = not end
        return behind

    def _without_skipped(self, data: bytes) -> bytes:
        if not self._is_skipping:
            return data
        _, end, behind = data.partition(b"\n")
        self._is_skipping = not end
        return behind


class LineConnection(asyncio.Protocol):
    """One connection: reads while there is room.

    Args:
        desk: Of its door.
        connections: Of its door; it is among them while it is open.
    """

    def __init__(self, desk: Desk, connections: set[LineConnection]) -> None:
        self._desk = desk
        self._connections = connections
        self._chunks: list[bytes] = []
        self._size = 0
        self._has_data = asyncio.Event()
        self._is_full = asyncio.Event()
        self._is_ended = False
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to read, if the door has room for one more."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's have another base
        if len(self._connections) >= self._desk.kiosk.limits.max_connections:
            self._desk.note("there are too many connections (max_connections)")
            self._transport.close()
            return
        self._connections.add(self)
        self._task = begin_task(self._work())

    def data_received(self, data: bytes) -> None:
        """Keep what comes until it is parsed."""
        self._chunks.append(data)
        self._size += len(data)
        self._has_data.set()
        if self._size >= BATCH:
            self._is_full.set()
        if self._size >= MOST and self._transport is not None:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Take what is there, and then hang up, so that the sender may wait for it."""
        assert self._transport is not None  # noqa: S101
        has_tls = self._transport.get_extra_info("ssl_object") is not None
        if not has_tls:  # which cannot be half closed
            self._end()
        return not has_tls

    def connection_lost(self, exc: Exception | None) -> None:
        """Take what came before."""
        self._end()

    async def finish(self) -> None:
        """Read no more, take what was read, and hang up."""
        if self._transport is not None:
            self._transport.pause_reading()
        self._end()
        if self._task is not None:
            await self._task

    def _end(self) -> None:
        self._is_ended = True
        self._has_data.set()
        self._is_full.set()

    async def _work(self) -> None:
        assert self._transport is not None  # noqa: S101
        reader = LineReader(self._desk)
        try:
            while not (self._is_ended and not self._size):
                await self._has_data.wait()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._is_full.wait(), GATHERING)
                await reader.take(self._taken())
            reader.end(CUT_OFF)
        except OverloadedError as exc:
            logger.warning("%s: a connection is closed: %s", self._desk.config.name, exc)
        finally:
            self._connections.discard(self)
            self._transport.close()

    def _taken(self) -> bytes:
        data = b"".join(self._chunks)
        self._chunks.clear()
        if self._size >= MOST and self._transport is not None and not self._is_ended:
            self._transport.resume_reading()
        self._size = 0
        if not self._is_ended:
            self._has_data.clear()
            self._is_full.clear()
        return data


class StreamDoor:
    """A door of TCP or of a unix socket.

    Args:
        desk: Of it.
        protocol: Makes that of each connection; None: they bring lines.
    """

    def __init__(self, desk: Desk, protocol: ProtocolFactory | None = None) -> None:
        self.desk = desk
        self._protocol = protocol or self.connection
        self._connections: set[LineConnection] = set()
        self._server: asyncio.Server | None = None

    def count(self) -> None:
        """Have the figures say how many connections there are."""
        self.desk.figures.connections = self.connections

    @property
    def connections(self) -> int:
        """How many bring lines."""
        return len(self._connections)

    def connection(self) -> LineConnection:
        """Return what reads the lines of a new connection."""
        return LineConnection(self.desk, self._connections)

    async def open(self) -> None:
        """Listen."""
        config, loop = self.desk.config, asyncio.get_running_loop()
        tls = None if config.tls is None else config.tls.context()
        if config.path is not None:
            free_socket_path(config.path)
            self._server = await loop.create_unix_server(
                self._protocol, str(config.path), backlog=BACKLOG
            )
        elif config.address is not None:
            self._server = await loop.create_server(
                self._protocol,
                config.address.host,
                config.address.port,
                ssl=tls,
                backlog=BACKLOG,
            )
            self.desk.figures.place = _listened(self._server)

    async def stop(self) -> None:
        """Let nobody in any more, and take what was read."""
        if self._server is None:
            return
        self._server.close()
        await asyncio.gather(*(one.finish() for one in [*self._connections]))
        if self.desk.config.path is not None:
            with suppress(OSError):
                self.desk.config.path.unlink()


class StdinDoor:
    """Lines from standard input, until it ends.

    Args:
        desk: Of it.
        on_end: Called then.
    """

    def __init__(self, desk: Desk, on_end: Callable[[], None]) -> None:
        self.desk = desk
        self._on_end = on_end
        self._is_stopped = False
        self._task: asyncio.Task[None] | None = None

    def count(self) -> None:
        """Do nothing: there are no connections."""

    async def open(self) -> None:
        """Begin to read."""
        self._task = begin_task(self._work())

    async def stop(self) -> None:
        """Take what was read."""
        self._is_stopped = True
        if self._task is not None:
            await self._task

    async def _work(self) -> None:
        reader = LineReader(self.desk)
        while not self._is_stopped:
            data = await self._read()
            if data is None:
                break
            if not data:
                await reader.take(b"", is_last=True)
                break
            await reader.take(data)
        self._on_end()

    async def _read(self) -> bytes | None:
        # In a thread that nobody waits for: what it reads may never come, and may be any file.
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes] = loop.create_future()

        def read() -> None:
            data = os.read(STDIN, BATCH)
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(_settle, future, data)

        threading.Thread(target=read, name="siridb-fast-stdin", daemon=True).start()
        while not self._is_stopped:
            done, _ = await asyncio.wait([future], timeout=0.2)
            if done:
                return future.result()
        return None


def _settle(future: asyncio.Future[bytes], data: bytes) -> None:
    if not future.done():
        future.set_result(data)


def free_socket_path(path: Path) -> None:
    """Remove the socket of a process that is gone.

    Raises:
        ConfigError: The path is something else, or somebody listens there.
    """
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise ConfigError(f"{path} is there, and is no socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise ConfigError(f"{path}: somebody listens there already")


def _listened(server: asyncio.Server) -> str:
    # Where it does, with the port that the system has given for 0.
    host, port, *_ = server.sockets[0].getsockname()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
