"""Files of points → record batches in the long form, each row a point.

The columns are ``series``, ``time`` and one of values for each type, as a query writes them. A
template has the parts of names that it asks for in the place of ``series``. Knows nothing of the
text, which a parser reads. This module needs pyarrow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from siridb_fast.columns.likely_times import likely_precision
from siridb_fast.columns.time_units import TimePrecision
from siridb_fast.columns.typed_values import SERIES, TIME, TYPED_VALUES
from siridb_fast.errors import FileError
from siridb_fast.files.arrow_constants import arrow_texts, arrow_values
from siridb_fast.files.arrow_schema import check_columns, chosen, encoded_schema, reading, sliced
from siridb_fast.files.base import ReadOptions, TableFile
from siridb_fast.files.csv.faults import SKIP_HINT
from siridb_fast.files.csv.lines import LineMap
from siridb_fast.files.paths import compression
from siridb_fast.files.points.labels import SeriesLabels
from siridb_fast.files.text_file import TextFile
from siridb_fast.formats._point_rows import NO_TIME, ValueKind
from siridb_fast.formats.points import BadLine, LineError, ParsedPoints, PointKey

__all__ = ["Parser", "PointsTable"]

BOM = b"\xef\xbb\xbf"
MAX_LINE = 64 * 1024 * 1024
SHOWN_BAD = 10
TIMELESS = "the line has no timestamp, and a file has no time of its own"
TYPES = {"float": pa.float64(), "integer": pa.int64(), "string": pa.string()}
VALUES = {name: TYPES[kind] for name, kind in TYPED_VALUES.items()}


class Parser(Protocol):
    """Reads one text, block by block."""

    @property
    def series(self) -> list[PointKey]:
        """By their numbers."""

    def parse(self, block: bytes, *, is_last: bool = False) -> ParsedPoints:
        """Return the points of a block, and how many bytes of it were read."""


class PointsTable(TableFile):
    """A file of points, as `siridb_fast.files.base.TableFile` says.

    Args:
        path: The file.
        options: What to read of it.
        what: What it is to be, for messages.
        parser: Makes a parser of it.
        labels: The parts of the names of its series, beside their tags.
        unit: Of the times that the parser gives.
    """

    reads_after_close = True

    def __init__(
        self,
        path: Path,
        options: ReadOptions,
        *,
        what: str,
        parser: Callable[[], Parser],
        labels: SeriesLabels,
        unit: str = "ns",
    ) -> None:
        super().__init__(path, options)
        self._what = what
        self._parser = parser
        self._labels = labels
        self._line_map = LineMap()
        self.first_bad: list[FileError] = []
        with reading(path, what):
            self.size = path.stat().st_size
        self.may_grow = compression(path) is None
        self._file = TextFile(path, what)
        try:
            names = labels.names_of(self._first_series())
        finally:
            self._file.close()
        values = [pa.field(name, kind) for name, kind in VALUES.items()]
        there = [*names, TIME, *VALUES]
        self._options = options = options.for_columns(
            [SERIES, TIME, *VALUES] if not options.names else there
        )
        check_columns(there, options, path)
        schema = pa.schema(
            [
                *((name, pa.string()) for name in options.names),
                (TIME, pa.timestamp(unit, "UTC")),
                *values,
            ]
        )
        kept = [name for name in schema.names if name not in options.ignore]
        self.schema = encoded_schema(schema, kept, options.names)

    @property
    def bytes_read(self) -> int:
        """The offset in the file."""
        return self._file.offset

    def batches(
        self, start: int = 0, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the batches from row ``start`` on; the rows before it are read as well."""
        self._line_map, self.bad_lines, self.first_bad = LineMap(), 0, []
        schema = chosen(self.schema, columns)
        skipped = start
        parser = self._parser()
        codes = self._labels.codes(parser.series, self._options.names, self.path)
        for parsed in self._blocks(parser):
            points = self._good(parsed)
            self._line_map.add(points.lines)
            columns_of = codes.columns(points.series)
            arrays = {**columns_of, **_values(points, schema)}
            batch = pa.RecordBatch.from_arrays([arrays[n] for n in schema.names], schema=schema)
            wanted = batch.slice(skipped)
            skipped -= batch.num_rows - wanted.num_rows
            yield from sliced(wanted, self._options.batch_bytes)
        self._file.close()

    def row_label(self, row: int) -> str:
        """Return the line of a row that was read; from 1."""
        line = self._line_map.line(row)
        return f"row {row}" if line is None else f"line {line}"

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    # ---- inside

    def _first_series(self) -> list[PointKey]:
        parser = self._parser()
        points = next((some for some in self._blocks(parser) if len(some) or some.bad), None)
        if points is None:
            raise FileError("the file has no point", file=str(self.path))
        if not len(points):
            self._good(points)
        return parser.series

    def _blocks(self, parser: Parser) -> Iterator[ParsedPoints]:
        self._file.close()
        self._file = TextFile(self.path, self._what)
        size = max(1, self._options.batch_bytes // 4)
        text = self._file.read(len(BOM)).removeprefix(BOM)
        while data := self._file.read(size):
            text += data
            points = self._parsed(parser, text)
            text = text[points.size :]
            yield points
            if len(text) > MAX_LINE:
                reason = f"a line is longer than {MAX_LINE:,} bytes, or a quote is not closed"
                raise FileError(reason, file=str(self.path))
        if text:
            yield self._parsed(parser, text, is_last=True)

    def _parsed(self, parser: Parser, text: bytes, *, is_last: bool = False) -> ParsedPoints:
        try:
            return parser.parse(text, is_last=is_last)
        except LineError as exc:  # of the text as a whole
            raise FileError(str(exc), file=str(self.path)) from None

    def _good(self, points: ParsedPoints) -> ParsedPoints:
        # Those that have a time; the lines that are wrong are reported, or an error.
        bad = list(points.bad)
        is_timeless = points.times == NO_TIME
        if is_timeless.any():
            lines = np.unique(points.lines[is_timeless]).tolist()
            bad += [BadLine(line, TIMELESS) for line in lines]
            points = points.where(~is_timeless)
        for one in sorted(bad):
            self._report(one)
        self._check_unit(points)
        return points

    def _check_unit(self, points: ParsedPoints) -> None:
        # Where nobody said the unit, and a time is likely in another one only.
        if self._options.unit is not None or not len(points):
            return
        for row in (int(points.times.argmin()), int(points.times.argmax())):
            time = int(points.times[row])
            likely = likely_precision(time)
            if likely is not None and likely != TimePrecision.NANOSECOND:
                raise FileError(
                    f"the timestamp {time} looks like one in {likely.unit}, and {self._what} has "
                    f"ns; unit={likely.unit!r} (--unit {likely.unit}) reads it so, unit='ns' "
                    "(--unit ns) takes it as it is",
                    file=str(self.path),
                    line=int(points.lines[row]),
                )

    def _report(self, bad: BadLine) -> None:
        hint = "" if self._options.skip_bad or bad.line == 1 else SKIP_HINT
        error = FileError(bad.reason + hint, file=str(self.path), line=bad.line)
        if not self._options.skip_bad:
            raise error
        self.bad_lines += 1
        if len(self.first_bad) < SHOWN_BAD:
            self.first_bad.append(error)


def _values(points: ParsedPoints, schema: pa.Schema) -> dict[str, pa.Array]:
    kinds, values = points.kinds, points.values
    return {
        TIME: arrow_values(points.times).view(schema.field(TIME).type),
        "value_float": arrow_values(values.view(np.float64), kinds == ValueKind.FLOAT),
        "value_integer": arrow_values(values, kinds == ValueKind.INTEGER),
        "value_text": _texts(points),
    }


def _texts(points: ParsedPoints) -> pa.Array:
    if not points.texts:
        return pa.nulls(len(points), pa.string())
    texts = arrow_texts([text.decode() for text in points.texts])
    return texts.take(arrow_values(points.values, points.kinds == ValueKind.TEXT))
