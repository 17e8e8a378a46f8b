"""When the engine of a writer checks what is due: soon, at a time, and from any thread.

Knows the event loop and its thread; knows nothing of what is checked.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from math import inf

__all__ = ["Wakeup"]


class Wakeup:
    """Has a function called in the event loop in which this is made.

    Args:
        check: What is called; it calls `begin` first.
    """

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._timer: asyncio.TimerHandle | None = None
        self._checked_at = -inf  # by `time.monotonic`
        self._is_soon = False

    @property
    def is_this_thread(self) -> bool:
        """Tell whether the event loop runs in this thread."""
        return threading.get_ident() == self._thread

    def begin(self) -> None:
        """Take note that the check has begun: what comes from now on needs another one."""
        self._is_soon = False
        self._checked_at = time.monotonic()

    def soon(self) -> None:
        """Have it checked in the next round of the loop; from any thread.

        Raises:
            RuntimeError: The event loop is closed.
        """
        if self._is_soon:
            return
        self._is_soon = True
        if self.is_this_thread:
            self._loop.call_soon(self._check)
        else:
            self._loop.call_soon_threadsafe(self._check)

    def at(self, due: float) -> None:
        """Have it checked at a time, by `time.monotonic`; nothing changes if one is set.

        Unless that was over at the last check already: then something else is waited for.
        """
        # It may have become due since, or the timer be early.
        if self._timer is None and self._checked_at < due < inf:
            delay = max(0.0, due - time.monotonic())
            self._timer = self._loop.call_later(delay, self._on_timer)

    def raise_later(self, exception: BaseException) -> None:
        """Raise it where the event loop deals with it, outside of what must not be cut short."""

        def throw() -> None:
            raise exception

        self._loop.call_soon(throw)

    def stop(self) -> None:
        """Set no timer any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _on_timer(self) -> None:
        self._timer = None
        self._check()
