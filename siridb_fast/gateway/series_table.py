"""The series of one parser: what they are called, and what becomes of their points.

Names are made once for each series, whose number the parser gives. Knows nothing of the database,
but for the types that somebody notes here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, Protocol, cast

import numpy as np

from siridb_fast.formats.points import LineError, ParsedPoints, PointKey
from siridb_fast.gateway.naming import SeriesTemplate
from siridb_fast.gateway.rules import Rule, ruled

__all__ = ["Parser", "SeriesTable", "SeriesTables", "SeriesType"]

MAX_SERIES = 1_000_000
FIRST = 1024

NumpyArray = np.ndarray[Any, np.dtype[Any]]


class SeriesType(IntEnum):
    """The type of a series, as far as it is known; and what is no type of a series."""

    UNKNOWN = 0
    FLOAT = 1
    INTEGER = 2
    STRING = 3

    @classmethod
    def of(cls, name: str | None) -> SeriesType:
        """Return that of a name; None is unknown."""
        return cls.UNKNOWN if name is None else cls[name.upper()]


class Keys(Protocol):
    """Gives series numbers."""

    series: list[PointKey]


class Parser(Keys, Protocol):
    """Reads texts."""

    line: int

    def parse(self, block: bytes, *, is_last: bool = False) -> ParsedPoints:
        """Return the points of the whole lines of a block, and how many bytes these are."""
        ...


class SeriesTable:
    """The series of one parser.

    Args:
        parser: Gives them numbers.
        template: Names them.
        rules: Change the names, and leave series out.
        numbers_are_floats: Of series that are new, if no rule says another type.
    """

    def __init__(
        self,
        parser: Parser | Keys,
        template: SeriesTemplate,
        rules: Sequence[Rule],
        *,
        numbers_are_floats: bool,
    ) -> None:
        self.parser = parser
        self._template = template
        self._rules = rules
        self.numbers_are_floats = numbers_are_floats
        self.names: list[str] = []  # by number; empty where a series is left out
        self.refused: dict[int, str] = {}  # why
        self.left_out = np.zeros(FIRST, np.bool_)  # by a rule, or refused
        self.has_left_out = False
        self.fixed = np.zeros(FIRST, np.uint8)  # types, by rules
        self.line = 1  # the next one of what was parsed last
        self._types = np.zeros(FIRST, np.uint8)  # of the database
        self._generation = -1  # of the writer that has told them
        self._owners: dict[str, PointKey] = {}

    def parse(self, block: bytes, *, line: int, is_last: bool) -> ParsedPoints:
        """Parse a block whose first line has a number, and learn the series in it."""
        parser = cast(Parser, self.parser)
        parser.line = line
        points = parser.parse(block, is_last=is_last)
        self.line = parser.line
        self.learn()
        return points

    def learn(self) -> None:
        """Name the series that the parser has met since."""
        if len(self.parser.series) > len(self.names):
            self._learn(self.parser.series[len(self.names) :])

    def types_in(self, generation: int) -> NumpyArray:
        """Return the types that are known in a generation of the writer."""
        if generation != self._generation:
            self._types[:] = SeriesType.UNKNOWN
            self._generation = generation
        return self._types

    # ---- inside

    def _learn(self, keys: Sequence[PointKey]) -> None:
        while len(self.names) + len(keys) > len(self._types):
            self._types = _doubled(self._types)
            self.fixed = _doubled(self.fixed)
            self.left_out = _doubled(self.left_out)
        for key in keys:
            number = len(self.names)
            try:
                name, type_ = self._named(key)
            except LineError as exc:
                name, type_ = "", None
                self.refused[number] = str(exc)
            self.names.append(name)
            self.fixed[number] = SeriesType.of(type_)
            if not name:
                self.left_out[number] = self.has_left_out = True

    def _named(self, key: PointKey) -> tuple[str, str | None]:
        name = self._template.name(key)
        if self._template.tells_apart and self._owners.setdefault(name, key) != key:
            raise LineError(f"another series has the name {name!r} too: {self._owners[name]}")
        found = ruled(name, self._rules)
        return found.name or "", found.type


class SeriesTables:
    """The table of one kind of lines, and a new one when it has too many series.

    Args:
        make: Makes it.
        max_series: Of one table.
    """

    def __init__(self, make: Callable[[], SeriesTable], max_series: int = MAX_SERIES) -> None:
        self._make = make
        self._max_series = max_series
        self._table = make()

    @property
    def current(self) -> SeriesTable:
        """The one that has room."""
        if len(self._table.names) > self._max_series:
            self._table = self._make()
        return self._table


def _doubled(array: NumpyArray) -> NumpyArray:
    return np.concatenate([array, np.zeros_like(array)])
