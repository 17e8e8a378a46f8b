"""A connection through a proxy: that of a client, and the one to the server for it.

It may be held, as a path that is dead for a while: bytes wait where they are, and so does the end
of either side. What a path holds of a connection that was reset is gone, also what a proxy's own
kernel has of it. Works on bytes; knows nothing of faults and packages.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from typing import Literal, cast

__all__ = ["Direction", "Link"]

CHUNK = 65_536
RESET = struct.pack("ii", 1, 0)  # for SO_LINGER: close without saying goodbye

Direction = Literal["requests", "answers"]


class Link:
    """Both connections; ``client`` and ``server`` are their streams.

    Args:
        client: Of the client.
        server: To the server.
        pass_on: Awaited with what has come from a direction, to write it to the other side.
    """

    def __init__(
        self,
        client: tuple[StreamReader, StreamWriter],
        server: tuple[StreamReader, StreamWriter],
        pass_on: Callable[[Link, bytes, Direction], Awaitable[None]],
    ) -> None:
        self._senders: dict[Direction, StreamWriter]
        self._writers: dict[Direction, StreamWriter]
        self._senders = {"requests": client[1], "answers": server[1]}
        self._writers = {"requests": server[1], "answers": client[1]}
        self._pass_on = pass_on
        self._held: dict[Direction, list[bytes]] = {"requests": [], "answers": []}
        self._takes = False
        self._free = asyncio.Event()
        self._free.set()
        self.is_closed = False
        self.tasks = [
            asyncio.create_task(self._pass(client[0], "requests")),
            asyncio.create_task(self._pass(server[0], "answers")),
        ]

    @property
    def is_held(self) -> bool:
        """Whether it passes nothing on."""
        return not self._free.is_set()

    @property
    def held_bytes(self) -> int:
        """How many bytes it has taken of the client and holds."""
        return sum(map(len, self._held["requests"]))

    def hold(self, *, takes: bool) -> None:
        """Pass nothing on until `release`.

        ``takes`` says whether bytes are taken all the same; else they stay with the kernels.
        """
        self._free.clear()
        self._takes = takes
        if not takes:
            for writer in self._senders.values():
                cast("asyncio.Transport", writer.transport).pause_reading()

    def release(self) -> None:
        """Pass on what was held, unless one of the sides has reset its connection."""
        if self.was_reset("requests") or self.was_reset("answers"):
            self.close(is_reset=True)
            return
        for direction, writer in self._writers.items():
            writer.write(b"".join(self._held[direction]))
            self._held[direction].clear()
            if not self._takes:
                transport = self._senders[direction].transport
                cast("asyncio.Transport", transport).resume_reading()
        self._free.set()

    def was_reset(self, direction: Direction) -> bool:
        """Tell whether the side that sends in this direction has reset; ask once, then `close`."""
        raw = self._senders[direction].get_extra_info("socket")
        if raw is None or raw.fileno() < 0:
            return True
        return bool(raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    async def write(self, data: bytes, direction: Direction) -> None:
        """Write to the side that is the target in this direction."""
        self._writers[direction].write(data)
        await self._writers[direction].drain()

    def close(self, *, is_reset: bool) -> None:
        """Close both connections; with a reset, nothing more of them arrives anywhere."""
        if self.is_closed:
            return
        self.is_closed = True
        for writer in self._writers.values():
            raw = writer.get_extra_info("socket")
            if is_reset and raw is not None and raw.fileno() >= 0:
                with contextlib.suppress(OSError):
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort() if is_reset else writer.close()
        for task in self.tasks:
            task.cancel()

    async def _pass(self, reader: StreamReader, direction: Direction) -> None:
        try:
            while data := await reader.read(CHUNK):
                if self.is_held and self._takes:
                    self._held[direction].append(data)
                    continue
                await self._free.wait()
                await self._pass_on(self, data, direction)
            await self._free.wait()  # the end comes behind what is held
        except ConnectionError:
            self.close(is_reset=True)
        else:
            self.close(is_reset=False)
