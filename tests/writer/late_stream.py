"""A stream of points that clients of a gateway send, and send again, cut and ordered otherwise.

And what a database has to hold then: each point once. Seeded; knows nothing of writers.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.fix_server import Database

__all__ = ["FIRST", "Point", "Stream", "points_of", "require_once"]

FIRST = 1_600_000_000_000_000_000
SENTINEL = "siridb_fast.sentinel"  # of writers that are safe
SPECIAL = [0.0, -0.0, float("nan"), float("inf"), 1e300, 1.5]


@dataclass(frozen=True, slots=True)
class Point:
    """One point; values of a series have one type."""

    series: str
    timestamp: int
    value: Any


class Stream:
    """Points of several series, in order of time, of all types of values.

    Some share a time with another value; some times are not in order.
    """

    def __init__(
        self, seed: int, *, points: int = 400, series: int = 9, types: str = "fis"
    ) -> None:
        self.random = random.Random(seed)
        self.points = [self._point(i, i % series, types) for i in range(points)]

    def _point(self, index: int, series: int, types: str) -> Point:
        type_ = types[series % len(types)]
        time = FIRST + index * 1000 - self.random.choice([0, 0, 0, 7_000, 50_000])
        if self.random.random() < 0.1:
            time = FIRST + index // 20 * 20_000  # beside others
        number = self.random.randrange(4)
        value: Any = number
        if type_ == "f":
            value = self.random.choice(SPECIAL) if self.random.random() < 0.2 else number / 2
        elif type_ == "s":
            value = f"text {number} ü"
        return Point(f"{type_}{series}", time, value)

    def bodies(self, copies: int = 3) -> list[list[Point]]:
        """Return the points in bodies: cut in several ways, some lost, about in order of time."""
        found: list[tuple[float, list[Point]]] = []
        for copy in range(copies):
            start = 0
            while start < len(self.points):
                size = self.random.choice([1, 3, 20, 90])
                body = self.points[start : start + size]
                if copy == 0 or self.random.random() < 0.7:  # of the others some are lost
                    place = start + self.random.uniform(0, 150) * (copy + self.random.random())
                    found.append((place, body))
                start += size
        for _, body in found:
            if self.random.random() < 0.3:
                self.random.shuffle(body)
        return [body for _, body in sorted(found, key=lambda one: one[0])]


def points_of(points: Sequence[Point]) -> dict[str, tuple[np.ndarray, Any]]:
    """Return points as the columns of their series."""
    by_series: dict[str, list[Point]] = {}
    for point in points:
        by_series.setdefault(point.series, []).append(point)
    return {
        name: (
            np.array([one.timestamp for one in some], np.int64),
            np.array([one.value for one in some], object if name[0] == "s" else None),
        )
        for name, some in by_series.items()
    }


def _key(series: str, timestamp: int, value: Any) -> tuple[str, int, Any]:
    if isinstance(value, float):
        value = "nan" if value != value else value + 0.0
    return series, timestamp, value


def _keys(points: Sequence[Point]) -> Iterator[tuple[str, int, Any]]:
    for one in points:
        yield _key(one.series, one.timestamp, one.value)


async def require_once(database: Database, points: Sequence[Point]) -> None:
    """Assert that the database holds each of these points once, and nothing else."""
    async with database.client() as client:
        arrays = await client.query_arrays("select * from *")
    stored = Counter(
        _key(name, int(time), value)
        for name, (times, values) in arrays.items()
        if name != SENTINEL
        for time, value in zip(times.tolist(), values.tolist(), strict=True)
    )
    expected = set(_keys(points))
    assert not {key: n for key, n in stored.items() if n > 1}
    assert sorted(expected - set(stored)) == []
    assert not set(stored) - expected
