"""A thread that calls one function after another for an event loop.

Knows threads and the event loop; knows nothing of what is called.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from siridb_fast.concurrency.fork import Home

__all__ = ["WorkThread"]

T = TypeVar("T")

logger = logging.getLogger("siridb_fast")


class WorkThread:
    """A thread that calls one function after another for the event loop that it is made in.

    A program may end while a function still runs, if that does not end: nobody has to wait for it.
    """

    def __init__(self, name: str) -> None:
        self._home = Home("thread")
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        threading.Thread(target=self._main, name=name, daemon=True).start()

    def call(self, function: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Let it call a function; the future has the result."""
        self._home.require()
        future: asyncio.Future[T] = self._loop.create_future()

        def call() -> None:
            try:
                result = function(*args)
            except BaseException as exc:  # noqa: BLE001 - goes to who waits
                self._resolve(future, future.set_exception, exc)
            else:
                self._resolve(future, future.set_result, result)

        self._calls.put(call)
        return future

    async def close(self, timeout: float) -> None:
        """End it after what it was given, and wait for that, but no longer than this."""
        self.end()
        await asyncio.wait([self._ended], timeout=timeout)

    def end(self) -> None:
        """End it after what it was given."""
        self._calls.put(None)

    def _main(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
        self._resolve(self._ended, self._ended.set_result, None)

    def _resolve(
        self, future: asyncio.Future[Any], setter: Callable[[Any], None], outcome: object
    ) -> None:
        try:
            self._loop.call_soon_threadsafe(_set, future, setter, outcome)
        except RuntimeError:
            logger.debug("the event loop was closed before this was done")


def _set(future: asyncio.Future[Any], setter: Callable[[Any], None], outcome: object) -> None:
    if not future.done():
        setter(outcome)
