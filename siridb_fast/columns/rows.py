"""Rows of many series, mixed, to `SeriesRows`: the points of each series together.

Everything that can be wrong with timestamps and values is found here, before a point is taken, and
named by series and row. Runs in any thread, without an event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from siridb_fast.columns._grouping import group, present, scatter
from siridb_fast.columns.casting import cast_values, other_type, refuse_fractions, refuse_inexact
from siridb_fast.columns.column import is_missing, point_column
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.columns.time_units import SECOND
from siridb_fast.errors import ColumnError

__all__ = [
    "PLAIN_TYPES",
    "MixedRows",
    "SeriesRows",
    "are_plain",
    "group_rows",
    "has_nan",
    "has_nat",
    "missing_values",
    "mixed_points",
    "require_cast",
    "rows_of_columns",
]

PLAIN_TYPES = {np.dtype(np.float64): "float", np.dtype(np.int64): "integer"}

NumpyArray = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class MixedRows:
    """Points of many series in the order of their rows: that of row i is of ``names[codes[i]]``.

    Timestamps are int64 in the database's precision; values int64, float64 or a list of bytes, of
    ``type`` "integer", "float" or "string". ``rows`` says where each point was in what the
    caller gave; None: they are all that the caller gave from ``first_row`` on. With a ``cycle``
    the caller's rows begin anew after so many of these, as in columns one behind the other.
    """

    names: Sequence[str]
    codes: NumpyArray
    timestamps: NumpyArray
    values: NumpyArray | list[bytes]
    type: str
    rows: NumpyArray | None = None
    column: str | None = None  # of a frame, that the values are of
    first_row: int = 0
    cycle: int | None = None

    def __len__(self) -> int:
        return len(self.timestamps)

    def present(self) -> dict[str, int]:
        """Return the series that have points here, and the code of each."""
        codes = list(range(len(self.names)))
        if self.rows is not None:  # some of their rows may have been left out
            codes = present(self.codes, len(self.names))
        return {self.names[code]: code for code in codes}

    def row(self, index: int) -> int:
        """Return which row of the caller's this point was."""
        row = self.first_row + index if self.rows is None else int(self.rows[index])
        return row if self.cycle is None else row % self.cycle

    def slices(self, rows: int) -> Iterator[MixedRows]:
        """Yield the same in slices of so many rows; the names of each are those of all."""
        for start in range(0, len(self), rows):
            some = slice(start, start + rows)
            yield replace(
                self,
                codes=self.codes[some],
                timestamps=self.timestamps[some],
                values=self.values[some],
                rows=None if self.rows is None else self.rows[some],
                first_row=self.first_row + start,
            )


@dataclass(frozen=True, slots=True)
class SeriesRows:
    """Points of many series: those of ``names[i]`` end before ``stops[i]``, in their order."""

    names: list[str]
    stops: NumpyArray
    timestamps: NumpyArray
    values: NumpyArray | list[bytes]
    type: str
    indices: NumpyArray | None  # where each row went; None: nowhere else
    rows: NumpyArray | None  # as those of `MixedRows`
    first_row: int = 0
    cycle: int | None = None

    def __len__(self) -> int:
        return len(self.timestamps)

    def start(self, index: int) -> int:
        """Return where the points of ``names[index]`` start; of the index after all, the end."""
        return int(self.stops[index - 1]) if index else 0

    def bounds(self) -> list[tuple[str, int, int]]:
        """Return (name, start, stop) of each series."""
        stops = self.stops.tolist()
        return list(zip(self.names, [0, *stops][: len(stops)], stops, strict=True))

    def row(self, index: int) -> int:
        """Return which row of the caller's the point at this index was."""
        row = index if self.indices is None else int(np.flatnonzero(self.indices == index)[0])
        row = self.first_row + row if self.rows is None else int(self.rows[row])
        return row if self.cycle is None else row % self.cycle


def mixed_points(
    names: Sequence[str],
    codes: NumpyArray,
    timestamps: NumpyArray,
    values: NumpyArray,
    rules: ColumnRules,
    missing: NumpyArray | None = None,
    *,
    are_times_plain: bool = False,
) -> MixedRows:
    """Return points of many series, checked and converted, without those that are missing.

    Args:
        names: Of the series.
        codes: int8, int16 or int32, shape (n,): the index of each row's series in ``names``.
        timestamps: Shape (n,): integers in the database's precision, or datetime64.
        values: Shape (n,), of any dtype that `point_column` takes.
        rules: What to do about missing values and precision.
        missing: Bool, shape (n,): where a value is missing beside NaN, NaT and None.
        are_times_plain: Timestamps are known to be `are_plain`.

    Raises:
        ColumnError: Names the series and the row.
    """
    if not len(codes) == len(timestamps) == len(values):
        raise ColumnError(
            f"{len(codes)} codes, {len(timestamps)} timestamps and {len(values)} values"
        )
    rows = None
    is_missing_there = missing_values(timestamps, values, missing, rules)
    if is_missing_there is not None:
        _refuse_missing(names, codes, is_missing_there, rules)
        rows = np.flatnonzero(~is_missing_there)
        codes, timestamps, values = codes[rows], timestamps[rows], values[rows]
    codes = np.ascontiguousarray(codes)
    has_plain_values = values.dtype in PLAIN_TYPES and values.flags.c_contiguous
    if has_plain_values and (are_times_plain or are_plain(timestamps, rules)):
        return MixedRows(names, codes, timestamps, values, PLAIN_TYPES[values.dtype], rows)
    try:
        column = point_column("rows", timestamps, values, replace(rules, on_missing="keep"))
        plain_timestamps, plain_values = column.plain()
    except ColumnError as exc:
        raise _of_row(exc, names, codes, rows) from None
    return MixedRows(names, codes, plain_timestamps, plain_values, column.type, rows)


def rows_of_columns(names: Sequence[str], timestamps: NumpyArray, values: NumpyArray) -> MixedRows:
    """Return the points of columns of floats that share their timestamps, one behind the other.

    Args:
        names: Of the series, k of them.
        timestamps: Shape (n,), which `are_plain`.
        values: float64, shape (k, n).
    """
    columns, rows = values.shape
    return MixedRows(
        names,
        np.repeat(np.arange(columns, dtype=np.int32), rows),
        np.tile(timestamps, columns),
        values.ravel(),
        "float",
        cycle=rows,
    )


def are_plain(timestamps: NumpyArray, rules: ColumnRules) -> bool:
    """Tell whether timestamps can be sent just as they lie in memory."""
    if timestamps.dtype != np.int64 or not timestamps.flags.c_contiguous:
        return False
    if not len(timestamps):
        return True
    is_short = rules.time_precision == SECOND
    return bool(timestamps.min() >= 0 and not (is_short and timestamps.max() >= 2**32))


def group_rows(mixed: MixedRows) -> SeriesRows:
    """Return the same points with those of each series together."""
    codes = np.ascontiguousarray(mixed.codes, np.int32)
    present, stops, indices = group(codes, len(mixed.names))
    names = [mixed.names[code] for code in present.tolist()]
    timestamps, values = mixed.timestamps, mixed.values
    if indices is not None:
        timestamps = scatter(timestamps, indices)
        if isinstance(values, list):
            values = [values[row] for row in np.argsort(indices).tolist()]
        else:
            values = scatter(values.view(np.int64), indices).view(values.dtype)
    return SeriesRows(
        names,
        stops,
        timestamps,
        values,
        mixed.type,
        indices,
        mixed.rows,
        mixed.first_row,
        mixed.cycle,
    )


def require_cast(
    mixed: MixedRows,
    codes: Sequence[int],
    series_type: str,
    *,
    may_cast: bool,
    may_be_whole: bool = False,
) -> None:
    """Refuse values that cannot go into series of another type.

    Args:
        mixed: Points, of which those of ``codes`` are checked.
        codes: Of the series of the other type.
        series_type: That type.
        may_cast: Values that have a counterpart may be cast. Integers that are exact as floats
            always may.
        may_be_whole: So may floats that are whole.

    Raises:
        ColumnError: Names the series, and the row of the first value that cannot.
    """
    indices = np.flatnonzero(np.isin(mixed.codes, codes))
    check: Callable[[str, NumpyArray], None] | None = None
    if (series_type, mixed.type) == ("float", "integer"):
        check = refuse_inexact
    elif (series_type, mixed.type) == ("integer", "float") and may_be_whole:
        check = refuse_fractions
    if not may_cast and check is None:
        error = other_type(mixed.names[codes[0]], series_type, mixed.type)
        raise _at(mixed, int(indices[0]), error.text)
    if isinstance(mixed.values, list):
        values = np.array([mixed.values[index].decode() for index in indices.tolist()], object)
    else:
        values = mixed.values[indices]
    try:
        if may_cast:
            cast_values("", values, series_type)
        elif check is not None:
            check("", values)
    except ColumnError as exc:
        raise _at(mixed, int(indices[exc.index or 0]), exc.text) from None


def _at(mixed: MixedRows, index: int, text: str) -> ColumnError:
    where = "" if mixed.column is None else f"column {mixed.column!r}: "
    name = mixed.names[mixed.codes[index]]
    return ColumnError(where + text, series=name, index=mixed.row(index))


def missing_values(
    timestamps: NumpyArray, values: NumpyArray, missing: NumpyArray | None, rules: ColumnRules
) -> NumpyArray | None:
    """Return where a time or a value is missing, as bool of shape (n,); None if nowhere.

    A NaN that is to be sent is not missing.
    """
    found = [] if missing is None else [missing]
    if has_nat(timestamps):
        found.append(np.isnat(timestamps))
    if values.dtype.kind == "f" and rules.on_missing != "keep" and has_nan(values):
        found.append(np.isnan(values))
    elif values.dtype.kind == "O":
        found.append(np.fromiter(map(is_missing, values.tolist()), np.bool_, len(values)))
    found = [where for where in found if where.any()]
    return np.logical_or.reduce(found) if found else None


def has_nat(times: NumpyArray) -> bool:
    """Tell whether any of some datetime64 is missing; of other types none is."""
    return times.dtype.kind == "M" and len(times) > 0 and bool(np.isnat(times.min()))


def has_nan(floats: NumpyArray) -> bool:
    """Tell whether any float is missing."""
    return len(floats) > 0 and bool(np.isnan(floats.min()))


def _refuse_missing(
    names: Sequence[str], codes: NumpyArray, missing: NumpyArray, rules: ColumnRules
) -> None:
    if rules.on_missing == "drop":
        return
    row = int(missing.argmax())
    raise ColumnError(
        "a time or value is missing here; on_missing='drop' would leave it out",
        series=names[codes[row]],
        index=row,
    )


def _of_row(
    exc: ColumnError, names: Sequence[str], codes: NumpyArray, rows: NumpyArray | None
) -> ColumnError:
    # The same error, but of the series and the row that it is about.
    if exc.index is None:
        return ColumnError(exc.text)
    row = exc.index if rows is None else int(rows[exc.index])
    return ColumnError(exc.text, series=names[codes[exc.index]], index=row)
