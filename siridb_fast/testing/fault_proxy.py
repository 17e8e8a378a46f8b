"""A TCP proxy that does to connections what networks do: cuts, stalls, swallows, garbles.

::

    with FaultProxy(server.host, server.port) as proxy:
        ...                                       # connect to proxy.host, proxy.port
        proxy.cut(after=1000)                     # in the middle of a package
        proxy.black_hole()
        proxy.heal()

Works on bytes; knows nothing of packages. Its methods may be called from any thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

__all__ = ["Fault", "FaultProxy"]

CHUNK = 65_536
START_TIMEOUT = 10.0
RESET = struct.pack("ii", 1, 0)  # for SO_LINGER: close without saying goodbye
LONGEST_HEADER = 8

Direction = Literal["requests", "answers"]
Kind = Literal["cut", "reset", "corrupt", "stall", "black_hole", "throttle", "refuse"]
KINDS: tuple[Kind, ...] = ("cut", "reset", "corrupt", "stall", "black_hole", "throttle", "refuse")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that the proxy did, or was asked to do."""

    kind: str
    seconds: float  # since the proxy was started
    details: str = ""


@dataclass(slots=True)
class _Trap:
    """What happens to the connection on which so many more bytes pass in a direction."""

    kind: Kind
    direction: Direction
    left: int


@dataclass(slots=True, eq=False)
class _Link:
    """A connection of a client, and the one to the server."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    is_closed: bool = False

    def close(self, *, is_reset: bool) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        for writer in (self.client, self.server):
            raw = writer.get_extra_info("socket")
            if is_reset and raw is not None and raw.fileno() >= 0:
                with contextlib.suppress(OSError):
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort() if is_reset else writer.close()
        for task in self.tasks:
            task.cancel()


class FaultProxy:
    """Listens on a free port of loopback and passes bytes on; a context manager.

    Args:
        host: Of the server.
        port: Of the server; nobody need listen there.
        seed: For which bit `corrupt` turns, and for `play`.
    """

    def __init__(self, host: str, port: int, *, seed: int = 0) -> None:
        self._target = host, port
        self._random = random.Random(seed)  # noqa: S311 - no secret
        self._loop: asyncio.AbstractEventLoop  # while it runs
        self._thread = threading.Thread(target=self._main, name="fault-proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._trap: _Trap | None = None
        self._stalled_until = 0.0
        self._rate: float | None = None
        self._is_black = False
        self._started = time.monotonic()
        self.host = "127.0.0.1"
        self.port = 0
        self.faults: list[Fault] = []

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread.start()
        future = asyncio.run_coroutine_threadsafe(self._listen(), self._loop)
        future.result(START_TIMEOUT)
        return self

    def __exit__(self, *exc_info: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(START_TIMEOUT)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_TIMEOUT)

    # ---- faults

    def cut(self, after: int = 0, direction: Direction = "requests") -> None:
        """Close the connection on which so many more bytes have passed; at 0 all of them now."""
        self._set_trap("cut", after, direction)

    def reset(self, after: int = 0, direction: Direction = "requests") -> None:
        """Do as `cut`, but with a reset (RST) to both sides."""
        self._set_trap("reset", after, direction)

    def corrupt(self, after: int = 0, direction: Direction = "answers") -> None:
        """Turn a bit of the byte that comes after so many more."""
        self._set_trap("corrupt", after, direction)

    def stall(self, seconds: float) -> None:
        """Hold all bytes back for so long; none is lost."""
        self._do("stall", f"{seconds:g} s", lambda: self._stall_until(time.monotonic() + seconds))

    def throttle(self, bytes_per_second: float) -> None:
        """Pass no more than so many bytes a second on, in each direction of a connection."""
        self._do("throttle", f"{bytes_per_second:g} B/s", lambda: self._set_rate(bytes_per_second))

    def black_hole(self) -> None:
        """Accept connections and bytes, but pass nothing on, until `heal`.

        What has been swallowed is gone: `heal` resets the connections that were there.
        """
        self._do("black_hole", "", self._turn_black)

    def refuse(self) -> None:
        """Refuse new connections and close those that are there, until `heal`."""
        self._call(self._refuse())
        self._note("refuse", "")

    def heal(self) -> None:
        """Pass everything on again."""
        self._call(self._heal())
        self._note("heal", "")

    def play(
        self,
        seconds: float,
        *,
        every: float = 5.0,
        lasting: float = 1.0,
        kinds: Sequence[Kind] = KINDS,
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        """Do one fault after another, as the seed says, and heal each; this blocks.

        Args:
            seconds: For how long.
            every: Seconds between faults, on average.
            lasting: Seconds until a fault is healed.
            kinds: Which faults.
            is_over: Tells that it shall end before.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end and not is_over():
            time.sleep(every * self._random.uniform(0.5, 1.5))
            self.strike(self._random.choice(list(kinds)), lasting)
            time.sleep(lasting)
            self.heal()

    def strike(self, kind: Kind, lasting: float = 1.0) -> None:
        """Do a fault of a kind; how exactly, the seed says.

        Raises:
            ValueError: There is no such kind.
        """
        if kind not in KINDS:
            raise ValueError(f"a fault is one of {', '.join(KINDS)}, got {kind!r}")
        chance = self._random
        in_package = chance.randrange(1, 200_000)
        after = chance.choice([1, LONGEST_HEADER - 1, LONGEST_HEADER, in_package])
        direction: Direction = chance.choice(["requests", "answers"])
        if direction == "answers":
            after = chance.randrange(1, 2 * LONGEST_HEADER)
        if kind in ("cut", "reset"):
            self._set_trap(kind, after, direction)
        elif kind == "corrupt":
            self._set_trap(kind, chance.randrange(2 * LONGEST_HEADER), "answers")
        elif kind == "stall":
            self.stall(lasting)
        elif kind == "throttle":
            self.throttle(chance.choice([1_000, 100_000]))
        elif kind == "black_hole":
            self.black_hole()
        else:
            self.refuse()

    # ---- in the thread

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
        tasks = [task for link in self._links for task in link.tasks]
        self._close_all(is_reset=True)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self._close_all(is_reset=False)

    async def _heal(self) -> None:
        self._trap, self._rate, self._stalled_until = None, None, 0.0
        if self._is_black:
            self._is_black = False
            self._close_all(is_reset=True)
        if self._server is None:
            await self._listen()

    def _turn_black(self) -> None:
        self._is_black = True

    def _stall_until(self, moment: float) -> None:
        self._stalled_until = moment

    def _set_rate(self, rate: float) -> None:
        self._rate = rate

    def _set_trap(self, kind: Kind, after: int, direction: Direction) -> None:
        def arm() -> None:
            if after or kind == "corrupt":
                self._trap = _Trap(kind, direction, after)
            else:
                self._close_all(is_reset=kind == "reset")

        self._do(kind, f"after {after:,} bytes of {direction}", arm)

    def _close_all(self, *, is_reset: bool) -> None:
        for link in list(self._links):
            link.close(is_reset=is_reset)
        self._links.clear()

    def _do(self, kind: str, details: str, action: Callable[[], None]) -> None:
        async def act() -> None:
            action()

        self._call(act())
        self._note(kind, details)

    def _call(self, coroutine: Coroutine[None, None, None]) -> None:
        if not self._thread.is_alive():
            coroutine.close()
            raise RuntimeError("the proxy does not run; use it in a `with` block")
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(START_TIMEOUT)

    def _note(self, kind: str, details: str) -> None:
        self.faults.append(Fault(kind, time.monotonic() - self._started, details))

    # ---- bytes

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(writer, far_writer)
        self._links.add(link)
        link.tasks = [
            self._loop.create_task(self._pass(link, reader, far_writer, "requests")),
            self._loop.create_task(self._pass(link, far_reader, writer, "answers")),
        ]
        await asyncio.wait(link.tasks)
        self._links.discard(link)

    async def _pass(
        self,
        link: _Link,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        direction: Direction,
    ) -> None:
        try:
            while data := await reader.read(CHUNK):
                await self._pass_part(link, data, writer, direction)
        except ConnectionError:
            link.close(is_reset=True)
        else:
            link.close(is_reset=False)

    async def _pass_part(
        self, link: _Link, data: bytes, writer: asyncio.StreamWriter, direction: Direction
    ) -> None:
        while self._stalled_until > time.monotonic():  # noqa: ASYNC110 - heal() may end it
            await asyncio.sleep(0.01)
        sender = link.client if direction == "requests" else link.server
        if self._is_black or link.is_closed or _was_reset(sender):  # what was on the way is gone
            return
        if self._rate is not None:
            await asyncio.sleep(min(len(data) / self._rate, 1.0))
        trap = self._trap
        if trap is not None and trap.direction == direction:
            data = self._trapped(trap, data)
        writer.write(data)
        await writer.drain()
        if trap is not None and trap is not self._trap and trap.left < 0:
            link.close(is_reset=trap.kind == "reset")

    def _trapped(self, trap: _Trap, data: bytes) -> bytes:
        if len(data) <= trap.left:
            trap.left -= len(data)
            return data
        self._trap = None
        if trap.kind == "corrupt":
            changed = bytearray(data)
            changed[trap.left] ^= 1 << self._random.randrange(8)
            return bytes(changed)
        cut, trap.left = data[: trap.left], -1
        return cut


def _was_reset(writer: asyncio.StreamWriter) -> bool:
    raw = writer.get_extra_info("socket")
    if raw is None or raw.fileno() < 0:
        return True
    return bool(raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
