"""A log that says what lasts or repeats only after growing pauses.

Knows texts, levels and pauses; knows nothing of what they are about. The clock is given.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

__all__ = ["CALM", "GrowingPauses", "QuietLog"]

PAUSES = (10.0, 30.0, 60.0, 300.0)  # seconds after each line, and then always the last
CALM = 60.0  # seconds without anything to say, after which the next line is the first again

logger = logging.getLogger("siridb_fast")


class GrowingPauses:
    """When something that lasts may be said again: at once, then after 10, 30, 60, 300 … s."""

    def __init__(self) -> None:
        self._lines = 0
        self._next_at = -inf

    def take(self, now: float) -> bool:
        """Tell whether a line may be written now; if so, the next pause begins."""
        if now < self._next_at:
            return False
        self._next_at = now + PAUSES[min(self._lines, len(PAUSES) - 1)]
        self._lines += 1
        return True

    def reset(self) -> None:
        """Let the next line come at once, and a short pause after it."""
        self._lines = 0
        self._next_at = -inf


@dataclass(slots=True)
class _Repeated:
    """Lines of one text."""

    pauses: GrowingPauses = field(default_factory=GrowingPauses)
    last_at: float = -inf
    left_out: int = 0


class QuietLog:
    """Writes the lines of each text at once, then after growing pauses, and counts the others.

    Args:
        clock: Returns seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._by_text: dict[str, _Repeated] = {}

    def log(self, level: int, text: str, *args: object) -> None:
        """Write a line, if it is time for one with this text; else at the level DEBUG.

        ``text`` is a format, the same for lines that say the same of different things.
        """
        now = self._clock()
        repeated = self._by_text.setdefault(text, _Repeated())
        if now - repeated.last_at > CALM:
            repeated.pauses.reset()
        repeated.last_at = now
        if repeated.pauses.take(now):
            left_out, repeated.left_out = repeated.left_out, 0
            more = f" ({left_out:,} more like this since the last)" if left_out else ""
            logger.log(level, text + "%s", *args, more)
        else:
            repeated.left_out += 1
            logger.debug(text, *args)
