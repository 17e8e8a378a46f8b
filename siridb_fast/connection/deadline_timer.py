"""One timer for the deadlines of many requests, set to the earliest.

Knows the event loop's clock; knows nothing of what is due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["DeadlineTimer"]


class DeadlineTimer:
    """Calls ``on_due`` at the earliest deadline; that includes the later ones again."""

    __slots__ = ("_at", "_handle", "_loop", "_on_due")

    def __init__(self, loop: asyncio.AbstractEventLoop, on_due: Callable[[], None]) -> None:
        self._loop = loop
        self._on_due: Callable[[], None] | None = on_due
        self._handle: asyncio.TimerHandle | None = None
        self._at = 0.0

    def include(self, deadline: float) -> None:
        """Be due at this deadline at the latest; it is on the loop's clock."""
        if self._handle is not None:
            if self._at <= deadline:
                return
            self._handle.cancel()
        self._at = deadline  # uvloop gives no when() if that is at once
        self._handle = self._loop.call_at(deadline, self._fire)

    def cancel(self) -> None:
        """Be due no more, for good."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._on_due = None  # so that its owner is freed at once

    def _fire(self) -> None:
        self._handle = None
        if self._on_due is not None:
            self._on_due()
