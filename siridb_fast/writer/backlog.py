"""What waits while no server is connected, and when all of that has left: two lines of the log.

Knows a writer's figures; knows nothing of how points leave. The clock is given.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from siridb_fast.concurrency.quiet_log import QuietLog
from siridb_fast.writer.figures import Figures

__all__ = ["Backlog"]


class Backlog:
    """That of one writer.

    Args:
        figures: Say what is pending.
        is_connected: Tells whether a server is there.
        clock: Returns seconds, as `time.monotonic`.
    """

    def __init__(
        self,
        figures: Figures,
        is_connected: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._figures = figures
        self._is_connected = is_connected
        self._clock = clock
        self._log = QuietLog(clock)
        self._was_connected = True
        self._back_at: float | None = None  # None: nothing is caught up with
        self._points = 0  # that waited then

    def text(self) -> str:
        """Return what waits, to be put behind a message; empty if nothing."""
        points, spool = self._figures.points_in_memory, self._figures.spool()
        if spool is not None and spool.points:
            return f"; {points:,} points wait in memory, {spool.points:,} in the spool"
        return f"; {points:,} points wait" if points else ""

    def check(self) -> None:
        """Say that what waited for a server has left, once it has; call this now and then."""
        if not self._is_connected():
            self._was_connected, self._back_at = False, None
            return
        if not self._was_connected:
            self._was_connected = True
            self._begin()
        if self._back_at is not None and self._has_left(self._back_at):
            seconds = self._clock() - self._back_at
            text = "caught up: %s points that waited for a server have left within %.0f s"
            self._log.log(logging.WARNING, text, f"{self._points:,}", seconds)
            self._back_at = None

    def _begin(self) -> None:
        spool = self._figures.spool()
        self._points = self._figures.points_in_memory + (0 if spool is None else spool.points)
        self._back_at = self._clock() if self._points else None

    def _has_left(self, back_at: float) -> bool:
        # Nothing is left of what was there then; on disk, times are those of the wall clock.
        if self._figures.oldest_since <= back_at:
            return False
        spool = self._figures.spool()
        return spool is None or spool.oldest_age < self._clock() - back_at or not spool.packages
