"""How long packages take until they are delivered, counted by size.

One count for each package, none for a point. Knows nothing of packages and clocks: seconds are
given.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

__all__ = ["LATENCY_BOUNDS", "LatencyCounts", "LatencyStats"]

LATENCY_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


@dataclass(frozen=True, slots=True)
class LatencyStats:
    """How long packages took from their oldest point until they were delivered.

    ``packages[i]`` took at most ``bounds[i]`` seconds and more than the bound before; the last of
    them, which has no bound, took longer than all. ``seconds`` is the sum. Of arrays that are sent
    at once, and of packages that come back from disk, only the server's answer counts.
    """

    bounds: tuple[float, ...]
    packages: tuple[int, ...]
    seconds: float


class LatencyCounts:
    """Those of one writer."""

    def __init__(self) -> None:
        self._packages = [0] * (len(LATENCY_BOUNDS) + 1)
        self._seconds = 0.0

    def count(self, seconds: float) -> None:
        """Count one package."""
        self._packages[bisect_left(LATENCY_BOUNDS, seconds)] += 1
        self._seconds += seconds

    def stats(self) -> LatencyStats:
        """Return what was counted so far."""
        return LatencyStats(LATENCY_BOUNDS, tuple(self._packages), self._seconds)
