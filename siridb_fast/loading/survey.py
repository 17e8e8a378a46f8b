"""What a load would write, found by reading and checking all of its input.

Knows nothing of servers and of how points are read: it is given the points, portion by portion.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from siridb_fast.columns.rows import MixedRows
from siridb_fast.loading.frame_reader import FramePoints

__all__ = ["Survey"]

SHOWN_SERIES, SHOWN_POINTS = 10, 3
SHOWN_ROWS = 1000  # of many series, which are looked through for the first points of some
Point = tuple[int, str]  # its time, in the database's precision, and its value

NumpyArray = np.ndarray[Any, np.dtype[Any]]


class Survey:
    """What a load would write: found by reading all of it, without sending anything."""

    def __init__(self) -> None:
        self.rows = self.points = self.missing = self.unnamed = self.expired = 0
        self.first: int | None = None
        self.last: int | None = None
        self.types: dict[str, str] = {}
        self.points_of: dict[str, list[Point]] = {}  # the first few of the first few series
        self.expired_series: tuple[str, ...] = ()
        self.time_precision: int | None = None

    def add(self, points: FramePoints) -> None:
        """Take note of a portion."""
        self.rows += points.rows
        self.missing += points.missing
        self.unnamed += points.unnamed
        for column in points.columns:
            timestamps, _ = column.plain()  # of those that are not missing
            self._add(len(timestamps), timestamps)
        for mixed in points.mixed:
            self._add(len(mixed), mixed.timestamps)
        self._keep_first(points)
        self.types |= {column.name: column.type for column in points.columns}
        for mixed in points.mixed:
            self.types |= dict.fromkeys(mixed.present(), mixed.type)

    def _keep_first(self, points: FramePoints) -> None:
        for column in points.columns:
            if self._has_room(column.name):
                timestamps, values = column.plain()
                first = slice(SHOWN_POINTS)
                self._keep(column.name, timestamps[first].tolist(), list(values[first]))
        for mixed in points.mixed:
            for index in _first_of(mixed):
                name = mixed.names[mixed.codes[index]]
                if self._has_room(name):
                    self._keep(name, [int(mixed.timestamps[index])], [mixed.values[index]])

    def _has_room(self, series: str) -> bool:
        if series in self.points_of:
            return len(self.points_of[series]) < SHOWN_POINTS
        return len(self.points_of) < SHOWN_SERIES

    def _keep(self, series: str, timestamps: Sequence[int], values: Sequence[Any]) -> None:
        kept = self.points_of.setdefault(series, [])
        room = SHOWN_POINTS - len(kept)
        kept += list(zip(timestamps[:room], map(_shown_value, values[:room]), strict=True))

    def _add(self, points: int, timestamps: NumpyArray) -> None:
        self.points += points
        if len(timestamps):
            low, high = int(timestamps.min()), int(timestamps.max())
            self.first = low if self.first is None else min(self.first, low)
            self.last = high if self.last is None else max(self.last, high)


def _first_of(mixed: MixedRows) -> Iterator[int]:
    # The rows that are looked through.
    if mixed.cycle is None:
        yield from range(min(SHOWN_ROWS, len(mixed)))
        return
    for start in range(0, min(len(mixed), SHOWN_SERIES * mixed.cycle), mixed.cycle):
        yield from range(start, start + min(SHOWN_POINTS, mixed.cycle))


def _shown_value(value: Any) -> str:
    if isinstance(value, bytes):
        return repr(value.decode("utf-8", "replace"))
    return repr(value.item() if isinstance(value, np.generic) else value)
