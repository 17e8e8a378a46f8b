"""Requests that wait for room in the window of one connection: first come, first served.

Knows the event loop's clock; knows nothing of what is sent.
"""

from __future__ import annotations

import asyncio
from collections import deque

__all__ = ["RoomQueue"]


class RoomQueue:
    """Those who wait for room."""

    __slots__ = ("_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def wait(self, deadline: float) -> bool:
        """Wait for a turn; return whether it came before the deadline.

        Where it did not, or this is cancelled, it may have come all the same: `offer` it again.
        """
        waiter = self._loop.create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout_at(None if deadline == float("inf") else deadline):
                await waiter
        except TimeoutError:
            return False
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
        return True

    def offer(self, room: int | None) -> None:
        """Let so many have their turn; None: all of them."""
        left = len(self._waiting) if room is None else room
        while self._waiting and left > 0:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                left -= 1
