"""An open loop: points come at a fixed rate, whatever becomes of those before.

Every millisecond all points are written that are due by then; what is late is made up for. So a
call that takes long delays those after it, as it would in a program.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from benchmarks.data.data import FIRST_SECOND, Array
from benchmarks.entrants.lap import Writing
from siridb_fast import BatchWriter, Delivered

__all__ = ["OpenLoop", "clock_cost"]

FIRST = FIRST_SECOND * 1_000_000_000
TURN = 0.001  # seconds between two readings of the clock
MOST_AT_ONCE = 0.01  # seconds of points, before the event loop has its turn
CLOCKS = 10_001


@dataclass(slots=True)
class OpenLoop:
    """So many points a second, for some seconds, of some series in turn.

    Args:
        rate: Points a second.
        seconds: For so long.
        names: Of the series.
        every: Of so many calls one is timed.
    """

    rate: int
    seconds: float
    names: list[str]
    every: int = 1
    elapsed: float = 0.0
    _began: float = 0.0
    _took: list[int] = field(default_factory=list)
    _acks: list[tuple[float, float, int]] = field(default_factory=list)

    @property
    def points(self) -> int:
        """How many come."""
        return int(self.rate * self.seconds)

    @property
    def calls(self) -> tuple[Array, Array]:
        """When calls were due, in seconds since the start, and what they took, in seconds."""
        took = np.array(self._took) / 1e9
        return np.arange(len(took)) * self.every / self.rate, took

    @property
    def acks(self) -> tuple[Array, Array]:
        """When packages were acknowledged, and the age of the oldest point of each."""
        whens, ages, _ = zip(*self._acks, strict=True)
        return np.array(whens), np.array(ages)

    @property
    def delays(self) -> Array:
        """The age of all points when they were acknowledged: that of the oldest in the package."""
        _, ages, points = zip(*self._acks, strict=True)
        return np.repeat(ages, points)

    def acknowledged(self, delivered: Delivered) -> None:
        """Note a package; to be called for each."""
        self._acks.append((time.monotonic() - self._began, delivered.latency, delivered.points))

    def make_series(self, writing: Writing) -> None:
        """Write a first point of each series, which is not counted."""

        async def write() -> None:
            for name in self.names:
                writing.writer.write(name, FIRST - 1, 0.0)
            await writing.writer.flush()
            self._acks.clear()

        writing.run(write())

    async def come(self, writer: BatchWriter) -> None:
        """Write all points, each when it is due; then flush."""
        most, written = int(self.rate * MOST_AT_ONCE), 0
        self._began = time.monotonic()
        while written < self.points:
            due = min(int((time.monotonic() - self._began) * self.rate), self.points)
            due = min(due, written + most)
            self._write(writer, written, due)
            written = due
            await writer.drain()
            await asyncio.sleep(TURN)
        self.elapsed = time.monotonic() - self._began
        report = await writer.flush()
        assert report.is_complete

    def _write(self, writer: BatchWriter, start: int, stop: int) -> None:
        clock, write, names, every = time.perf_counter_ns, writer.write, self.names, self.every
        count, took = len(names), self._took.append
        for i in range(start, stop):
            if i % every:
                write(names[i % count], FIRST + i, 0.5)
            else:
                began = clock()
                write(names[i % count], FIRST + i, 0.5)
                took(clock() - began)


def clock_cost() -> float:
    """Return the seconds that each timed call takes for the clock alone."""
    clock = time.perf_counter_ns
    return median(-clock() + clock() for _ in range(CLOCKS)) / 1e9
