"""Annotated CSV of InfluxDB → points: what its queries answer, and what its `influx write` takes.

A text of tables, each with lines of annotations (``#datatype``, ``#group``, ``#default``,
``#constant``), a header, and rows. Of an answer, ``_measurement``, ``_field``, ``_value`` and
``_time`` are what they say, and other columns of text are tags; where it is pivoted, there is no
``_value``, and each column of values is a field. Of what is to be written, the types say what the
columns are. Source: "Annotated CSV" and "Extended annotated CSV" in the reference of InfluxDB 2.
"""

from __future__ import annotations

import csv
import re

import numpy as np

from siridb_fast.formats.annotated_start import ANNOTATION
from siridb_fast.formats.annotated_table import Annotations, Cell, Row, Table
from siridb_fast.formats.points import BadLine, LineError, ParsedPoints, PointKey

__all__ = ["AnnotatedCsv"]

SURROGATE = re.compile("[\ud800-\udfff]")  # in the place of a byte that is no UTF-8
SHOWN = 40


class AnnotatedCsv:
    """Reads one text, block by block.

    Args:
        unit: Nanoseconds of one of a time that is a number.
    """

    def __init__(self, unit: int = 1) -> None:
        self._unit = unit
        self.series: list[PointKey] = []
        self._numbers: dict[PointKey, int] = {}
        self._line = 1
        self._annotations = Annotations()
        self._table: Table | None = None  # once its header was read
        self._fault: str | None = None  # why the rows of this table cannot be read

    def parse(self, block: bytes, *, is_last: bool = False) -> ParsedPoints:
        """Return the points of the whole records of a block, and how many bytes these are.

        What is behind them is to come again, before the next block.
        """
        size = len(block) if is_last else _end_of_records(block)
        found = _Points()
        first = self._line
        lines = block[:size].decode("utf-8", "surrogateescape").split("\n")
        records = csv.reader(f"{line}\n" for line in lines[: -1 if not lines[-1] else None])
        while True:
            try:
                cells = next(records)
                _require_text(cells)
                row = self._read(cells)
                if row is not None:
                    self._add(row, found)
            except StopIteration:
                return found.parsed(size)
            except (LineError, csv.Error) as exc:
                found.bad.append(BadLine(self._line, str(exc)))
            self._line = first + records.line_num

    def _read(self, cells: list[str]) -> Row | None:
        if not any(cells):
            self._end_table()
            return None
        annotation = ANNOTATION.match(cells[0])
        if annotation is not None:
            if self._table is not None or self._fault is not None:
                self._end_table()
            # In front of the columns, or in the cell of the first of them.
            rest = cells[0][annotation.end() :]
            self._annotations.add(annotation[1], [rest, *cells[1:]])
        elif self._fault is not None:
            raise LineError(self._fault)
        elif self._table is not None:
            return self._table.row(cells)
        elif not cells[0].startswith("#"):
            self._begin_table(cells)
        return None

    def _begin_table(self, header: list[str]) -> None:
        try:
            self._table = Table(header, self._annotations, self._unit)
        except LineError as exc:
            self._fault = str(exc)
            raise

    def _end_table(self) -> None:
        # The annotations of a table hold for the next one, if that has none.
        if self._table is not None or self._fault is not None:
            self._annotations = Annotations()
        self._table, self._fault = None, None

    def _add(self, row: Row, found: _Points) -> None:
        for name, cell in row.fields:
            key = PointKey(row.measurement, row.tags, name)
            number = self._numbers.setdefault(key, len(self.series))
            if number == len(self.series):
                self.series.append(key)
            found.add(number, row.time, cell, self._line)


class _Points:
    # Of one block.

    def __init__(self) -> None:
        self._series: list[int] = []
        self._times: list[int] = []
        self._kinds: list[int] = []
        self._values: list[int] = []
        self._lines: list[int] = []
        self._texts: list[bytes] = []
        self.bad: list[BadLine] = []

    def add(self, series: int, time: int, cell: Cell, line: int) -> None:
        value = cell.value
        if isinstance(value, str):
            self._texts.append(value.encode())
            value = len(self._texts) - 1
        elif isinstance(value, float):
            value = int(np.float64(value).view(np.int64))
        self._series.append(series)
        self._times.append(time)
        self._kinds.append(cell.kind)
        self._values.append(value)
        self._lines.append(line)

    def parsed(self, size: int) -> ParsedPoints:
        return ParsedPoints(
            np.array(self._series, np.int32),
            np.array(self._times, np.int64),
            np.array(self._values, np.int64),
            np.array(self._lines, np.int64),
            np.array(self._kinds, np.uint8),
            self._texts,
            self.bad,
            size,
        )


def _require_text(cells: list[str]) -> None:
    for cell in cells:
        if not cell.isascii() and SURROGATE.search(cell):
            raise LineError(f"{cell.encode('utf-8', 'surrogateescape')[:SHOWN]!r} is not UTF-8")
        if "\0" in cell:
            raise LineError(f"there is a NUL in {cell[:SHOWN]!r}")


def _end_of_records(block: bytes) -> int:
    # The end of the last line that ends outside of quotes.
    end = block.rfind(b"\n") + 1
    while end and block.count(b'"', 0, end) % 2:
        end = block.rfind(b"\n", 0, end - 1) + 1
    return end
