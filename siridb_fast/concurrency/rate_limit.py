"""How fast things may go on: so many points a second, on average.

Knows nothing of clocks and of what has points: times are given.
"""

from __future__ import annotations

from math import inf

__all__ = ["RateLimit"]

SLACK = 0.5  # seconds' worth of points that may follow at once on a time with fewer


class RateLimit:
    """After so many points comes a pause for as long as they take.

    Args:
        rate: Points a second at most; None: there is never a pause.
    """

    __slots__ = ("_rate", "until")

    def __init__(self, rate: float | None) -> None:
        self._rate = inf if rate is None else rate
        self.until = 0.0  # the end of the pause

    def take(self, points: int, now: float) -> float:
        """Let so many points go on; return for how many seconds none should follow."""
        self.until = max(self.until, now - SLACK) + points / self._rate
        return max(0.0, self.until - now)
