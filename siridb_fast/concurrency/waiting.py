"""Waiting: until something is true, in coroutines and threads; or as long as there is progress.

Knows event loops and threads; knows nothing of what is waited for.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["Waiters", "wait_while_progressing"]

LONGEST_WAIT = 1.0  # seconds until a thread checks by itself

T = TypeVar("T")


class Waiters:
    """Those who wait until something is true, in one event loop and in threads beside it.

    Whoever changes what may be waited for calls `wake`.

    Args:
        loop: That event loop.
        on_wait: Called in the thread of each who begins to wait, because it may take something to
            make it true.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_wait: Callable[[], None]) -> None:
        self._loop = loop
        self._on_wait = on_wait
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._condition = threading.Condition()
        self._threads = 0

    async def wait_until(self, is_true: Callable[[], bool]) -> None:
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

    def wait_in_thread(self, is_true: Callable[[], bool]) -> None:
        """Wait in a thread until the next `wake`; it may not be true even then."""
        with self._condition:
            self._threads += 1
            try:
                if not is_true():
                    self._on_wait()
                    self._condition.wait(LONGEST_WAIT)
            finally:
                self._threads -= 1

    def wake(self) -> None:
        """Wake those who wait for something that is true now; in the event loop's thread."""
        for is_true, waiter in self._waiters:
            if not waiter.done() and is_true():
                waiter.set_result(None)
        if self._threads:
            with self._condition:
                self._condition.notify_all()

    def end(self, error: Exception) -> None:
        """Wake all: those whose wait is over, and the others with an error."""
        self.wake()
        for _, waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(error)


async def wait_while_progressing(
    coroutine: Coroutine[Any, Any, T],
    progress: Callable[[], int | None],
    timeout: float,
    given_up: asyncio.Future[None],
) -> T:
    """Return what a coroutine returns; cancel it when there is no progress.

    Args:
        coroutine: Cancelled also if this is.
        progress: Returns a number that changes with every progress; None while something is under
            way that has a deadline of its own.
        timeout: Seconds without progress.
        given_up: Done when there is no use in waiting any longer.

    Raises:
        TimeoutError: There was no progress, or it was given up.
    """
    task = asyncio.get_running_loop().create_task(coroutine)
    try:
        while True:
            before = progress()
            done, _ = await asyncio.wait(
                (task, given_up), timeout=timeout, return_when=asyncio.FIRST_COMPLETED
            )
            if task in done:
                return task.result()
            if done or (before is not None and progress() == before):
                raise TimeoutError
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
