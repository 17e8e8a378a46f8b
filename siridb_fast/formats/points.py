"""What a parser of a text protocol gives: points in arrays, and the lines that are wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

__all__ = ["BadLine", "LineError", "ParsedPoints", "PointKey"]

NumpyArray = np.ndarray[Any, np.dtype[Any]]


class LineError(ValueError):
    """A line is wrong; the text says what was expected, and what came."""


class BadLine(NamedTuple):
    """A line that gave no point, from 1, and what is wrong with it."""

    line: int
    reason: str


class PointKey(NamedTuple):
    """What a text calls a series.

    Attributes:
        measurement: Of line protocol; of Graphite, the path.
        tags: Names and values, sorted.
        field: Of line protocol; of Graphite there is none.
    """

    measurement: str
    tags: tuple[tuple[str, str], ...]
    field: str = ""


@dataclass(frozen=True, slots=True)
class ParsedPoints:
    """The points of a block of text, in the order of their lines; all arrays have shape (n,).

    Attributes:
        series: int32, the number of each point's `PointKey` with the parser.
        times: int64, in the unit of the text; ``NO_TIME`` where a line says none.
        values: int64: the bits of a float64, an integer, or an index of ``texts``.
        lines: int64, where each point stands, from 1.
        kinds: uint8, a ``ValueKind``.
        texts: UTF-8.
        bad: Lines that gave no point.
        size: Bytes of the block that were read.
    """

    series: NumpyArray
    times: NumpyArray
    values: NumpyArray
    lines: NumpyArray
    kinds: NumpyArray
    texts: list[bytes]
    bad: list[BadLine]
    size: int

    def __len__(self) -> int:
        return len(self.series)

    def where(self, is_wanted: NumpyArray) -> ParsedPoints:
        """Return some of the points; bool, shape (n,)."""
        names = ("series", "times", "values", "lines", "kinds")
        return replace(self, **{name: getattr(self, name)[is_wanted] for name in names})
