"""What a load would write, found by reading and checking all of its input.

Knows nothing of servers and of how points are read: it is given the points, portion by portion.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from siridb_fast.loading.frame_reader import FramePoints

__all__ = ["Survey"]

NumpyArray = np.ndarray[Any, np.dtype[Any]]


class Survey:
    """What a load would write: found by reading all of it, without sending anything."""

    def __init__(self) -> None:
        self.rows = self.points = self.missing = self.expired = 0
        self.first: int | None = None
        self.last: int | None = None
        self.types: dict[str, str] = {}
        self.expired_series: tuple[str, ...] = ()
        self.time_precision: int | None = None

    def add(self, points: FramePoints) -> None:
        """Take note of a portion."""
        self.rows += points.rows
        self.missing += points.missing
        for column in points.columns:
            timestamps, _ = column.plain()  # of those that are not missing
            self._add(len(timestamps), timestamps)
        for mixed in points.mixed:
            self._add(len(mixed), mixed.timestamps)
        self.types |= {column.name: column.type for column in points.columns}
        for mixed in points.mixed:
            self.types |= dict.fromkeys(mixed.present(), mixed.type)

    def _add(self, points: int, timestamps: NumpyArray) -> None:
        self.points += points
        if len(timestamps):
            low, high = int(timestamps.min()), int(timestamps.max())
            self.first = low if self.first is None else min(self.first, low)
            self.last = high if self.last is None else max(self.last, high)
