"""Lines over UDP: each datagram is a text of its own.

Nothing holds a sender back, so what comes while there is no room is dropped, and counted. What
comes within a few milliseconds is taken together.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from siridb_fast.concurrency.tasks import begin_task
from siridb_fast.gateway.desk import BOM, Desk
from siridb_fast.gateway.errors import OverloadedError
from siridb_fast.gateway.rows import joined

__all__ = ["DatagramDoor"]

GATHERING = 0.01  # seconds
MOST = 8 * 1024 * 1024  # bytes that wait
SOCKET_BUFFER = 4 * 1024 * 1024


class DatagramDoor(asyncio.DatagramProtocol):
    """That of one address."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._waiting: list[bytes] = []
        self._size = 0
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self._is_stopped = False

    async def open(self) -> None:
        """Listen."""
        address = self.desk.config.address
        assert address is not None  # noqa: S101 - the file has to say it
        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, (address.host, address.port)
        )
        bound: Any = self._transport.get_extra_info("socket")
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER)
        host, port, *_ = bound.getsockname()
        self.desk.figures.place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def count(self) -> None:
        """Do nothing: there are no connections."""

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Keep a datagram until it is parsed, if there is room."""
        figures = self.desk.figures
        figures.requests += 1
        figures.bytes += len(data)
        if self._size + len(data) > MOST or self._is_stopped:
            self._drop(1)
            return
        self._waiting.append(data)
        self._size += len(data)
        if self._task is None or self._task.done():
            self._task = begin_task(self._work())

    async def stop(self) -> None:
        """Take what was received, and nothing more."""
        self._is_stopped = True
        if self._transport is not None:
            self._transport.close()
        if self._task is not None:
            await self._task

    async def _work(self) -> None:
        while self._waiting:
            await asyncio.sleep(GATHERING)
            datagrams, self._waiting, self._size = self._waiting, [], 0
            try:
                await self._take(datagrams)
            except OverloadedError:
                self._drop(len(datagrams))

    async def _take(self, datagrams: list[bytes]) -> None:
        text = self.desk.open()
        parts = []
        for data in datagrams:
            rows, _ = self.desk.read(text, _ended(data), is_last=True)
            parts.append(rows)
        await self.desk.take(joined(parts), b"".join(map(_ended, datagrams)), 1)

    def _drop(self, count: int) -> None:
        self.desk.figures.dropped += count
        self.desk.note("there is no room for more datagrams: they are dropped")


def _ended(data: bytes) -> bytes:
    # With an end of line, so that lines of all are counted on.
    data = data.removeprefix(BOM)
    return data if data.endswith(b"\n") else data + b"\n"
