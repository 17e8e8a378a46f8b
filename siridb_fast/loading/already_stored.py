"""The points of a frame that the database does not hold already: only these are to be sent.

Knows the forms that points of frames have; how they are compared is in `missing_points`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from siridb_fast.columns.column import point_column
from siridb_fast.columns.rows import group_rows
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.delivery.missing_points import Arrays, Ask, missing_points
from siridb_fast.loading.frame_reader import FramePoints

__all__ = ["arrays_of", "not_stored"]

NumpyArray = np.ndarray[Any, np.dtype[Any]]


async def not_stored(
    points: FramePoints,
    ask: Ask,
    rules: ColumnRules,
    is_new: Callable[[str], bool] = lambda _: False,
) -> FramePoints:
    """Return those of the points that the database does not hold.

    Args:
        points: In the database's precision.
        ask: Runs a select and returns its answer as arrays.
        rules: How the points were read.
        is_new: Tells whether a series has no points but those that this load has sent.
    """
    ours = arrays_of(points)
    new = {name for name in ours if is_new(name)}
    asked = {name: pair for name, pair in ours.items() if name not in new}
    missing = await missing_points(asked, ask)
    columns = []
    for name, (timestamps, values) in ours.items():
        which = slice(None) if name in new else missing[name]
        columns.append(point_column(name, timestamps[which], values[which], rules))
    stored = sum(int((~is_missing).sum()) for is_missing in missing.values())
    return FramePoints(points.rows, columns, [], points.missing, already_stored=stored)


def arrays_of(points: FramePoints) -> Arrays:
    """Return the timestamps and values of each series, however often it comes."""
    found: dict[str, list[tuple[NumpyArray, NumpyArray]]] = {}
    for column in points.columns:
        timestamps, values = column.plain()
        found.setdefault(column.name, []).append((timestamps, _as_array(values)))
    for mixed in points.mixed:
        rows = group_rows(mixed)
        values = _as_array(rows.values)
        for name, start, stop in rows.bounds():
            pair = rows.timestamps[start:stop], values[start:stop]
            found.setdefault(name, []).append(pair)
    joined = {
        name: (
            np.concatenate([timestamps for timestamps, _ in pairs]),
            np.concatenate([values for _, values in pairs]),
        )
        for name, pairs in found.items()
    }
    return {name: pair for name, pair in joined.items() if len(pair[0])}


def _as_array(values: NumpyArray | list[bytes]) -> NumpyArray:
    return np.array(values, object) if isinstance(values, list) else values
