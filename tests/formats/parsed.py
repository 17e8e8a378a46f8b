"""What a parser found, as plain tuples."""

from typing import Any

import numpy as np

from siridb_fast.formats._point_rows import NO_TIME, ValueKind
from siridb_fast.formats.points import ParsedPoints, PointKey

__all__ = ["found", "rows_of"]

Row = tuple[PointKey, int | None, Any, int]


def rows_of(series: list[PointKey], points: ParsedPoints) -> list[Row]:
    """Return (key, time, value, line) of each point; no time is None."""
    rows = []
    arrays = (points.series, points.times, points.values, points.kinds, points.lines)
    for number, time, value, kind, line in zip(*(a.tolist() for a in arrays), strict=True):
        at = None if time == NO_TIME else time
        rows.append((series[number], at, _value(points, kind, value), line))
    return rows


def found(parser: Any, text: bytes, size: int | None = None) -> tuple[list[Row], list[Any]]:
    """Return the points of a text and its bad lines, read in blocks of ``size`` bytes."""
    rows, bad, rest = [], [], b""
    size = size or max(1, len(text))
    for start in range(0, len(text), size):
        block = rest + text[start : start + size]
        points = parser.parse(block)
        rest = block[points.size :]
        rows += rows_of(parser.series, points)
        bad += points.bad
    points = parser.parse(rest, is_last=True)
    assert points.size == len(rest)
    return rows + rows_of(parser.series, points), [*bad, *points.bad]


def _value(points: ParsedPoints, kind: int, value: int) -> Any:
    if kind == ValueKind.FLOAT:
        return float(np.int64(value).view(np.float64))
    return value if kind == ValueKind.INTEGER else points.texts[value].decode()
