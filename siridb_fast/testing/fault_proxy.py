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
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Literal, Self

from siridb_fast.testing.link import Direction, Link

__all__ = ["Fault", "FaultProxy"]

START_TIMEOUT = 10.0
LONGEST_HEADER = 8

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


class FaultProxy:
    """Listens on a free port of loopback and passes bytes on; a context manager.

    Args:
        host: Of the server.
        port: Of the server; nobody need listen there.
        seed: For which bit `corrupt` turns, and for `play`.
        others: Further servers, as host and port: each connection goes to the next of all that
            takes it, as with a balancer.
    """

    def __init__(
        self, host: str, port: int, *, seed: int = 0, others: Sequence[tuple[str, int]] = ()
    ) -> None:
        self._targets = deque([(host, port), *others])
        self._random = random.Random(seed)  # noqa: S311 - no secret
        self._loop: asyncio.AbstractEventLoop  # while it runs
        self._thread = threading.Thread(target=self._main, name="fault-proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._links: dict[Link, None] = {}  # in the order in which they were made
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

    def hold(self, connections: int | None = None, *, takes: bool = False) -> None:
        """Pass nothing on over the connections that are there, in no direction, until `heal`.

        As a path that is dead for a while: it neither loses bytes nor tells anybody. New
        connections are no part of it.

        Args:
            connections: How many of them, the oldest first; None for all.
            takes: Whether bytes are taken all the same, and held here; else they stay in the
                kernels, most of them in the client's.

        What is held of a connection that was reset meanwhile is gone, as on any path of TCP.
        """

        def hold() -> None:
            for link in list(self._links)[:connections]:
                link.hold(takes=takes)

        self._do("hold", "all" if connections is None else f"{connections} connections", hold)

    @property
    def is_trapped(self) -> bool:
        """Whether a `cut`, `reset` or `corrupt` waits for its bytes."""
        return self._trap is not None

    @property
    def held_bytes(self) -> int:
        """How many bytes of requests are held here."""
        return sum(link.held_bytes for link in list(self._links))

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
        for link in [link for link in self._links if link.is_held]:
            link.release()
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
        far_side = await self._connect()
        if far_side is None:
            writer.transport.abort()
            return
        link = Link((reader, writer), far_side, self._pass_on)
        self._links[link] = None
        await asyncio.wait(link.tasks)
        self._links.pop(link, None)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for _ in range(len(self._targets)):
            target = self._targets[0]
            self._targets.rotate(-1)
            with contextlib.suppress(OSError):
                return await asyncio.open_connection(*target)
        return None

    async def _pass_on(self, link: Link, data: bytes, direction: Direction) -> None:
        while self._stalled_until > time.monotonic():  # noqa: ASYNC110 - heal() may end it
            await asyncio.sleep(0.01)
        if self._is_black or link.is_closed:  # what was on the way is gone
            return
        if link.was_reset(direction):
            link.close(is_reset=True)
            return
        if self._rate is not None:
            await asyncio.sleep(min(len(data) / self._rate, 1.0))
        trap = self._trap
        if trap is not None and trap.direction == direction:
            data = self._trapped(trap, data)
        await link.write(data, direction)
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
