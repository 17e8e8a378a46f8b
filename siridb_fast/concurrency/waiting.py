"""Waiting until something is true: for coroutines of one event loop, and for threads.

Whoever changes what may be waited for calls `look`; whoever begins to wait is told of, because it
may take work to make it true.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

__all__ = ["Waiters"]

LONGEST_TURN = 1.0  # seconds until a thread looks for itself


class Waiters:
    """Those who wait in one event loop, and in threads beside it.

    Args:
        loop: That event loop.
        on_wait: Called in the thread of each who begins to wait.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_wait: Callable[[], None]) -> None:
        self._loop = loop
        self._on_wait = on_wait
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._condition = threading.Condition()
        self._threads = 0

    async def until(self, is_true: Callable[[], bool]) -> None:
        """Wait in a coroutine until it is true.

        Raises:
            Exception: What `end` was called with.
        """
        while not is_true():
            entry = is_true, self._loop.create_future()
            self._waiters.append(entry)
            try:
                self._on_wait()
                await entry[1]
            finally:
                self._waiters.remove(entry)

    def hold_thread(self, is_true: Callable[[], bool]) -> None:
        """Wait in a thread until somebody has looked; it may not be true even then."""
        with self._condition:
            self._threads += 1
            try:
                if not is_true():
                    self._on_wait()
                    self._condition.wait(LONGEST_TURN)
            finally:
                self._threads -= 1

    def look(self) -> None:
        """Let go those who wait for something that is true now; in the event loop's thread."""
        for is_true, waiter in self._waiters:
            if not waiter.done() and is_true():
                waiter.set_result(None)
        if self._threads:
            with self._condition:
                self._condition.notify_all()

    def end(self, error: Exception) -> None:
        """Let go all: those whose wait is over, and the others with an error."""
        self.look()
        for _, waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(error)
