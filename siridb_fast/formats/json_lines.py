"""Lines of JSON → points: ``{"series": …, "timestamp": …, "value": …}``.

A timestamp is an integer in whatever unit the caller knows; without one, whoever reads it gives
one. Many lines are read at once, and one by one only where one of them is wrong. Knows nothing of
files and connections.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from siridb_fast.formats._point_rows import NO_TIME
from siridb_fast.formats.json_values import (
    INT64,
    SHOWN,
    bits_of,
    checked_text,
    refuse_constant,
    shown,
)
from siridb_fast.formats.points import BadLine, LineError, ParsedPoints, PointKey

__all__ = ["JsonLines"]

KEYS = {"series", "timestamp", "value"}
FORM = '{"series": …, "timestamp": …, "value": …}'


class JsonLines:
    """Reads the lines of one text, block by block; of many, if ``line`` is set in between.

    Attributes:
        series: By their numbers; what a line calls its series is the measurement.
        line: The next one that is read.
    """

    def __init__(self, line: int = 1) -> None:
        self.series: list[PointKey] = []
        self.line = line
        self._numbers: dict[str, int] = {}

    def parse(self, block: bytes, *, is_last: bool = False) -> ParsedPoints:
        """Return the points of the whole lines of a block, and how many bytes these are."""
        size = len(block) if is_last else block.rfind(b"\n") + 1
        rows = _Rows()
        bad: list[BadLine] = []
        self._read(block[:size], rows, bad)
        return rows.parsed(bad, size)

    # ---- inside

    def _read(self, text: bytes, rows: _Rows, bad: list[BadLine]) -> None:
        lines = [
            (number, line)
            for number, line in enumerate(text.split(b"\n"), self.line)
            if line and not line.isspace()
        ]
        self.line += text.count(b"\n") + (bool(text) and not text.endswith(b"\n"))
        for (number, _), found in zip(lines, _objects([line for _, line in lines]), strict=True):
            try:
                self._add(rows, number, found)
            except LineError as exc:
                bad.append(BadLine(number, str(exc)))

    def _add(self, rows: _Rows, line: int, found: Any) -> None:
        if isinstance(found, LineError):
            raise found
        if type(found) is not dict or not KEYS.issuperset(found):
            raise LineError(f"expected {FORM}, got {shown(found)}")
        series, value = found.get("series"), found.get("value")
        if type(series) is not str or not series:
            raise LineError(f"series is a text, got {shown(series)}")
        time = found.get("timestamp", NO_TIME)
        if type(time) is not int or time not in INT64:
            raise LineError(f"timestamp is an integer of 64 bits, got {shown(time)}")
        kind, bits = bits_of(value, rows.texts)
        number = self._numbers.get(series)
        if number is None:
            number = self._new_series(series)
        rows.series.append(number)
        rows.times.append(time)
        rows.values.append(bits)
        rows.lines.append(line)
        rows.kinds.append(kind)

    def _new_series(self, series: str) -> int:
        checked_text(series)
        number = self._numbers[series] = len(self.series)
        self.series.append(PointKey(series, ()))
        return number


class _Rows:
    # The points of a block, a list for each column: a tuple for each point would cost more.

    def __init__(self) -> None:
        self.series: list[int] = []
        self.times: list[int] = []
        self.values: list[int] = []
        self.lines: list[int] = []
        self.kinds: list[int] = []
        self.texts: list[bytes] = []

    def parsed(self, bad: list[BadLine], size: int) -> ParsedPoints:
        return ParsedPoints(
            np.array(self.series, np.int32),
            np.array(self.times, np.int64),
            np.array(self.values, np.int64),
            np.array(self.lines, np.int64),
            np.array(self.kinds, np.uint8),
            self.texts,
            bad,
            size,
        )


def _objects(lines: list[bytes]) -> list[Any]:
    # What each line says, or what is wrong with it.
    try:
        found = json.loads(b"[" + b",".join(lines) + b"]", parse_constant=refuse_constant)
        if len(found) == len(lines) and all(line.strip().endswith(b"}") for line in lines):
            return list(found)
    except (ValueError, RecursionError):
        pass
    return [_object(line) for line in lines]


def _object(line: bytes) -> Any:
    try:
        return json.loads(line, parse_constant=refuse_constant)
    except LineError as exc:
        return exc
    except UnicodeDecodeError:
        return LineError(f"{line[:SHOWN]!r} is not UTF-8")
    except (ValueError, RecursionError):
        return LineError(f"expected {FORM}, got {_text(line)}")


def _text(line: bytes) -> str:
    return repr(line[:SHOWN].decode("utf-8", "replace").strip())
