"""Points that are older than what the database keeps: counted while a load reads them.

Knows nothing of servers: it is given the limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from siridb_fast.loading.frame_reader import FramePoints

__all__ = ["Expiry"]

SHOWN_SERIES = 20

NumpyArray = np.ndarray[Any, np.dtype[Any]]


class Expiry:
    """Counts points that are older than what the database keeps.

    Args:
        limits: After how long numbers and texts expire, in the time precision; None: never.
        now: In the time precision.
    """

    def __init__(self, limits: tuple[int | None, int | None], now: int) -> None:
        numbers, texts = (None if limit is None else now - limit for limit in limits)
        self._oldest = {"integer": numbers, "float": numbers, "string": texts}
        self.points = 0
        self._series: dict[str, None] = {}

    @property
    def series(self) -> tuple[str, ...]:
        """The first series with such points."""
        return tuple(self._series)

    def add(self, points: FramePoints) -> None:
        """Count those of a portion."""
        for column in points.columns:
            if self._has_old(column.type, column.shown_timestamps):
                timestamps, _ = column.plain()  # of those that are not missing
                self._add(column.type, timestamps, [column.name])
        for mixed in points.mixed:
            self._add(mixed.type, mixed.timestamps, mixed.names, mixed.codes)

    def _has_old(self, type_: str, timestamps: NumpyArray) -> bool:
        oldest = self._oldest[type_]
        return oldest is not None and len(timestamps) > 0 and bool(timestamps.min() < oldest)

    def _add(
        self,
        type_: str,
        timestamps: NumpyArray,
        names: Sequence[str],
        codes: NumpyArray | None = None,
    ) -> None:
        if not self._has_old(type_, timestamps):
            return
        is_old = timestamps < self._oldest[type_]
        self.points += int(is_old.sum())
        found = [0] if codes is None else np.unique(codes[is_old]).tolist()
        for code in found[: SHOWN_SERIES - len(self._series)]:
            self._series[names[code]] = None
