"""Points of a spool as rows of a file: series, timestamp, value; package by package.

Knows nothing of the command line. Rules: no value changes its type; the memory that is taken is
that of some packages, however many there are.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from siridb_fast.cli.errors import UsageFault
from siridb_fast.cli.output.grid import as_text
from siridb_fast.cli.output.write import text_of
from siridb_fast.columns._decode import decode_points
from siridb_fast.columns.iso_times import iso
from siridb_fast.columns.time_units import UNITS
from siridb_fast.errors import UnpackError

if TYPE_CHECKING:
    import pyarrow as pa

    from siridb_fast.spool.reader import SpoolReader

__all__ = ["ExportFormat", "Exporter", "unit_of"]

COLUMNS = ("series", "timestamp", "value")
EXACT = 2**53  # integers up to here are floats, too
KINDS = {"f": "floats", "i": "integers", "O": "texts"}


class ExportFormat(Enum):
    """The forms of a file of points."""

    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class Run:
    """Points of one series, out of one package."""

    series: str
    timestamps: np.ndarray[Any, np.dtype[np.int64]]
    values: np.ndarray[Any, Any]


class Exporter:
    """All points of a spool, once.

    Args:
        reader: Of the spool.
        form: Of the file.
        unit: Of the timestamps (s, ms, us, ns); None writes them as integers.
    """

    def __init__(self, reader: SpoolReader, form: ExportFormat, unit: str | None) -> None:
        self._reader = reader
        self._form = form
        self._unit = unit
        self.packages = self.points = self.undecodable = 0
        self._last: int | None = None  # what a writer adds later may be of another type

    def write(self, file: BinaryIO) -> None:
        """Write all rows.

        Raises:
            UsageFault: They do not fit one column of a Parquet file.
        """
        if self._form is ExportFormat.PARQUET:
            self._write_parquet(file)
            return
        with text_of(file) as text:
            if self._form is ExportFormat.CSV:
                writer = csv.writer(text, lineterminator="\n")
                writer.writerow(COLUMNS)
                for run in self._runs():
                    writer.writerows(self._rows(run))
                return
            comma = ""
            text.write("[")
            for run in self._runs():
                for row in self._rows(run):
                    cells = dict(zip(COLUMNS, (*row[:2], _finite(row[2])), strict=True))
                    text.write(f"{comma}\n{json.dumps(cells)}")
                    comma = ","
            text.write("\n]\n")

    def _runs(self) -> Iterator[Run]:
        self.packages = self.points = self.undecodable = 0
        last = 0
        for package in self._reader.packages():
            if self._last is not None and package.id > self._last:
                continue
            last = max(last, package.id)
            try:
                decoded = decode_points(package.payload)
            except UnpackError:
                self.undecodable += 1
                continue
            self.packages += 1
            for name, (timestamps, values) in decoded.items():
                self.points += len(timestamps)
                yield Run(str(as_text(name)), timestamps, values)
        self._last = last

    def _rows(self, run: Run) -> Iterator[tuple[str, Any, Any]]:
        times = self._times(run)
        values = run.values.tolist()
        if run.values.dtype.kind == "O":
            values = map(as_text, values)
        return zip([run.series] * len(times), times, values, strict=True)

    def _times(self, run: Run) -> list[Any]:
        if self._unit is None:
            return list(run.timestamps.tolist())
        return iso(run.timestamps, self._unit)

    def _write_parquet(self, file: BinaryIO) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pa.schema(
            [
                ("series", pa.dictionary(pa.int32(), pa.string())),
                ("timestamp", pa.timestamp(self._unit, "UTC") if self._unit else pa.int64()),
                ("value", self._value_type()),
            ]
        )
        with pq.ParquetWriter(file, schema) as writer:
            for runs in _gathered(self._runs()):
                writer.write_table(_table(runs, schema))

    def _value_type(self) -> pa.DataType:
        # All packages are read once before, so that the file has the type they need.
        import pyarrow as pa

        kinds = set()
        is_exact = True
        for run in self._runs():
            kinds.add(run.values.dtype.kind)
            _require_utf8(run)
            if run.values.dtype.kind == "i":
                is_exact = is_exact and bool(
                    np.all((run.values >= -EXACT) & (run.values <= EXACT))
                )
        if (kinds == {"f", "i"} and is_exact) or kinds <= {"f"}:
            return pa.float64()
        if len(kinds) == 1:
            return pa.int64() if kinds == {"i"} else pa.string()
        found = " and ".join(sorted(KINDS.get(kind, kind) for kind in kinds))
        raise UsageFault(
            f"{found} do not fit one column of a Parquet file without a change; use csv or json"
        )


def unit_of(precision: str | int | None) -> str | None:
    """Return the unit of a database's precision, which may be SECOND … NANOSECOND."""
    if isinstance(precision, int):
        return UNITS[precision] if 0 <= precision < len(UNITS) else None
    return precision if precision in UNITS else None


def _require_utf8(run: Run) -> None:
    values = run.values.tolist() if run.values.dtype.kind == "O" else []
    for text in (run.series, *values):
        if not isinstance(text, str) or not _is_utf8(text):
            raise UsageFault(
                f"series {run.series!r} has a text that is not UTF-8, as texts of a Parquet file "
                "are; use csv or json"
            )


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _gathered(runs: Iterator[Run], points: int = 500_000) -> Iterator[list[Run]]:
    # A row group of the file for each package would make it slow to read.
    group: list[Run] = []
    count = 0
    for run in runs:
        group.append(run)
        count += len(run.timestamps)
        if count >= points:
            yield group
            group, count = [], 0
    if group:
        yield group


def _table(runs: list[Run], schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    names = list(dict.fromkeys(run.series for run in runs))
    numbers = {name: number for number, name in enumerate(names)}
    counts = [len(run.timestamps) for run in runs]
    indices = np.repeat(np.array([numbers[run.series] for run in runs], np.int32), counts)
    series = pa.DictionaryArray.from_arrays(pa.array(indices), pa.array(names, pa.string()))
    stamps = pa.array(np.concatenate([run.timestamps for run in runs])).cast(schema.field(1).type)
    values = [pa.array(run.values).cast(schema.field(2).type) for run in runs]
    return pa.Table.from_arrays([series, stamps, pa.chunked_array(values)], schema=schema)


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value
