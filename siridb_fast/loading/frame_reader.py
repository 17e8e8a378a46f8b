"""A frame → points: columns of one series each, or rows of many series.

Everything is read, checked and converted here, before the first byte of the frame is sent; what is
wrong is named by column, series and row. Runs in any thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import TYPE_CHECKING, Any

import numpy as np

from siridb_fast.columns._points import PointColumn
from siridb_fast.columns.column import plain_column, point_column, raw_series_name
from siridb_fast.columns.rows import (
    PLAIN_TYPES,
    MixedRows,
    are_plain,
    has_nan,
    mixed_points,
    rows_of_columns,
)
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.columns.time_units import UNITS
from siridb_fast.errors import ColumnError
from siridb_fast.files.csv.dialect import Dialect
from siridb_fast.loading.column_roles import ColumnRoles, find_typed_roles
from siridb_fast.loading.frames.base import Cells, Coded, Frame, OddColumnError
from siridb_fast.loading.frames.cells import VALUE_KINDS, are_texts, time_cells, value_cells
from siridb_fast.loading.frames.typed import typed_cells
from siridb_fast.loading.odd_columns import refuse_odd_columns
from siridb_fast.loading.options import LoadOptions
from siridb_fast.loading.series_names import SeriesNames, combine_labels
from siridb_fast.loading.short_columns import whole_columns

if TYPE_CHECKING:
    from siridb_fast.loading.series_kinds import SeriesKinds
    from siridb_fast.loading.text_times import TextTimes

__all__ = ["FramePoints", "FrameReader"]

NumpyArray = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class FramePoints:
    """The points of one frame: those of a wide one as columns, of a long one as mixed rows."""

    rows: int
    columns: list[PointColumn]
    mixed: list[MixedRows]
    missing: int  # cells that are left out
    unnamed: int = 0  # rows that are left out, as a label is missing
    already_stored: int = 0  # points that are left out, as the database has them


@dataclass(frozen=True, slots=True)
class _Timed:
    # The rows of a frame that have a time; int64 in the database's precision.
    timestamps: NumpyArray
    rows: NumpyArray | None  # which they are; None: all

    def of(self, array: NumpyArray) -> NumpyArray:
        return array if self.rows is None else array[self.rows]


@dataclass(frozen=True, slots=True)
class _Rows:
    # Of a column of values of many series: that of row i is of ``names[codes[i]]``.
    column: str
    names: Sequence[str]
    codes: NumpyArray
    timed: _Timed

    def error(self, exc: ColumnError) -> ColumnError:
        return _in_column(exc, f"column {self.column!r}", exc.series, self.timed.rows)


class FrameReader:
    """Reads the frames of one load.

    Args:
        options: Of the load.
        time_precision: The database's; None if it is not known.
    """

    def __init__(self, options: LoadOptions, time_precision: int | None) -> None:
        self._options = options
        self.rules = self._rules = options.rules(time_precision)
        self._names = SeriesNames(options.name_template)
        self._names_of_columns: dict[str, SeriesNames] = {}  # whose names have several levels
        self._wide_names: dict[tuple[str, str], str] = {}
        self._named_columns: tuple[ColumnRoles, list[str]] | None = None
        self._series_kinds: SeriesKinds | None = None
        self._text_times: TextTimes | None = None

    def read(self, frame: Frame, roles: ColumnRoles | None = None) -> FramePoints:
        """Return the points of a frame.

        Args:
            frame: The frame.
            roles: Of the columns to read; None: of all.

        Raises:
            ColumnError: Names column, series and row.
        """
        if roles is None:
            roles = find_typed_roles(frame, self._options)
        if roles.template is not self._names.template:  # as of the next file
            self._names = SeriesNames(roles.template)
            self._names_of_columns, self._wide_names = {}, {}
        timed = self._timed(roles.time, _cells(frame, roles, roles.time))
        columns_of_row = 1 if roles.is_typed else len(roles.values)
        cells = len(frame) * columns_of_row
        if roles.keys:
            keys = {key: frame.coded(key) for key in roles.keys}
            timed, unnamed = self._named(keys, timed)
            mixed = self._mixed(frame, roles, keys, timed)
            cells -= unnamed * columns_of_row
            return FramePoints(len(frame), [], mixed, cells - sum(map(len, mixed)), unnamed)
        mixed, roles = self._short(frame, roles, timed)
        columns = []
        for name, values in _values(frame, roles).items():
            series = self._name_of(roles, name)
            columns.append(self._column(series, name, values, timed))
        points = sum(points for _, points in columns) + sum(map(len, mixed))
        written = [column for column, there in columns if there]
        return FramePoints(len(frame), written, mixed, cells - points)

    def read_series(self, columns: Sequence[tuple[Any, Cells, Cells]]) -> FramePoints:
        """Return the points of some series: of each the name, timestamps and values.

        Raises:
            ColumnError: Names series and index.
        """
        if self._options.types:
            first = next(iter(self._options.types))
            raise ColumnError(f"types: there is no column {first!r}; the data has series by name")
        found: list[PointColumn] = []
        rows = points = 0
        for name, times, values in columns:
            raw_series_name(name)
            if len(times.values) != len(values.values):
                raise ColumnError(
                    f"{len(times.values)} timestamps but {len(values.values)} values", series=name
                )
            try:
                timed = self._timed("timestamps", times)
            except ColumnError as exc:
                raise ColumnError(exc.text, series=name, index=exc.index) from None
            column, there = self._column(name, "values", values, timed)
            if there:
                found.append(column)
            rows += len(times.values)
            points += there
        return FramePoints(rows, found, [], rows - points)

    def _name_of(self, roles: ColumnRoles, column: str) -> str:
        # Of the series of a column.
        key = column, roles.series[column]
        if key not in self._wide_names:
            self._wide_names[key] = self._names_of(roles, column).names(key[1], [()])[0]
        return self._wide_names[key]

    def _names_of_all(self, roles: ColumnRoles) -> list[str]:
        # Of the series of all columns; the portions of a file share their roles.
        if self._named_columns is None or self._named_columns[0] is not roles:
            self._named_columns = roles, [self._name_of(roles, name) for name in roles.values]
        return self._named_columns[1]

    def _names_of(self, roles: ColumnRoles, name: str) -> SeriesNames:
        labels = roles.levels.get(name)
        if labels is None:
            return self._names
        if name not in self._names_of_columns:
            self._names_of_columns[name] = SeriesNames(roles.template.bound(labels))
        return self._names_of_columns[name]

    def _timed(self, name: str, cells: Cells) -> _Timed:
        if cells.missing is None and self._is_own_unit(cells.values):
            integers = cells.values.view(np.int64)
            if are_plain(integers, self._rules):
                return _Timed(integers, None)
        if are_texts(cells):
            cells = self._texts_as_times(name, cells)
        cells = time_cells(name, cells, self._options.unit, self._rules)
        rows = None
        times = cells.values
        if cells.missing is not None and cells.missing.any():
            if self._rules.on_missing != "drop":
                row = int(cells.missing.argmax())
                raise ColumnError(f"column {name!r}: the time is missing", index=row)
            rows = np.flatnonzero(~cells.missing)
            times = times[rows]
        integers = times.view(np.dtype(np.int64).newbyteorder(times.dtype.byteorder))
        try:
            rules = replace(self._rules, on_missing="keep")
            timestamps, _ = point_column("time", times, integers, rules).plain()
        except ColumnError as exc:
            raise _in_column(exc, f"column {name!r}", None, rows) from None
        return _Timed(timestamps, rows)

    def _texts_as_times(self, name: str, cells: Cells) -> Cells:
        if self._text_times is None:
            try:
                from siridb_fast.loading.text_times import TextTimes  # needs pyarrow
            except ImportError:
                return Cells(cells.values.astype(np.str_))  # is refused
            self._text_times = TextTimes(self._options)
        return self._text_times.cells(name, cells)

    def _is_own_unit(self, times: NumpyArray) -> bool:
        # int64 in the database's precision: nothing to convert
        precision = self._rules.time_precision
        if precision is None:
            return self._options.unit is None and times.dtype == np.int64
        unit = UNITS[precision]
        is_integer = times.dtype == np.int64 and self._options.unit in (None, unit)
        return is_integer or times.dtype == np.dtype(f"M8[{unit}]")

    # ---- wide

    def _short(
        self, frame: Frame, roles: ColumnRoles, timed: _Timed
    ) -> tuple[list[MixedRows], ColumnRoles]:
        # Of many short columns those that are whole, and what is left.
        if timed.rows is not None or roles.types:
            return [], roles
        found = whole_columns(frame, roles.values)
        if found is None or not len(found[1]):
            return [], roles
        are_whole, floats = found
        names = list(compress(self._names_of_all(roles), are_whole))
        left = replace(roles, values=tuple(compress(roles.values, ~are_whole)))
        return [rows_of_columns(names, timed.timestamps, floats)], left

    def _column(
        self, series: str, name: str, cells: Cells, timed: _Timed
    ) -> tuple[PointColumn, int]:
        # and how many points it has
        if cells.missing is None and timed.rows is None and cells.values.dtype in PLAIN_TYPES:
            column = plain_column(series, timed.timestamps, cells.values, self._rules)
            if _is_whole(cells.values):
                return column, len(column)
        try:
            cells = value_cells(name, cells, self._rules)
        except ColumnError as exc:
            raise ColumnError(exc.text, series=series, index=exc.index) from None
        timestamps, values, rows = timed.timestamps, timed.of(cells.values), timed.rows
        if cells.missing is not None:
            there = np.flatnonzero(~timed.of(cells.missing))
            timestamps, values = timestamps[there], values[there]
            rows = there if rows is None else rows[there]
        try:
            column = point_column(series, timestamps, values, self._rules)
            return column, len(column) if _is_whole(values) else column.check()
        except ColumnError as exc:
            raise _in_column(exc, f"column {name!r}", series, rows) from None

    # ---- long

    def _named(self, keys: Mapping[str, Coded], timed: _Timed) -> tuple[_Timed, int]:
        # The rows that have all labels, and how many have not.
        unnamed = [timed.of(coded.codes) < 0 for coded in keys.values()]
        is_unnamed = np.logical_or.reduce(unnamed)
        rows = np.flatnonzero(~is_unnamed)
        if len(rows) == len(is_unnamed):
            return timed, 0
        if not self._options.skip_unnamed:
            row = int(is_unnamed.argmax())
            key = next(key for key, where in zip(keys, unnamed, strict=True) if where[row])
            raise ColumnError(
                f"column {key!r}: the label is missing, so the series has no name; "
                "skip_unnamed=True (--skip-unnamed) leaves out such rows",
                index=row if timed.rows is None else int(timed.rows[row]),
            )
        left = rows if timed.rows is None else timed.rows[rows]
        return _Timed(timed.timestamps[rows], left), len(is_unnamed) - len(rows)

    def _mixed(
        self, frame: Frame, roles: ColumnRoles, keys: Mapping[str, Coded], timed: _Timed
    ) -> list[MixedRows]:
        named = [Coded(timed.of(coded.codes), coded.labels) for coded in keys.values()]
        codes, labels = combine_labels(named)

        def first_row(code: int) -> int:
            row = int((codes == code).argmax())
            return row if timed.rows is None else int(timed.rows[row])

        mixed = []
        for name, cells in _values(frame, roles).items():
            names = self._names_of(roles, name).names(roles.series[name], labels, first_row)
            rows = _Rows(name, names, codes, timed)
            dialect = roles.mixed.get(name)
            if dialect is None:
                mixed.append(self._mixed_column(cells, rows))
            else:
                mixed += self._numbers_and_texts(cells, rows, dialect)
        return mixed

    def _mixed_column(self, cells: Cells, rows: _Rows) -> MixedRows:
        cells = value_cells(rows.column, cells, self._rules)
        missing = None if cells.missing is None else rows.timed.of(cells.missing)
        return self._points(rows, rows.timed.of(cells.values), missing, self._rules)

    def _numbers_and_texts(
        self, cells: Cells, rows: _Rows, dialect: Dialect
    ) -> Iterator[MixedRows]:
        # Those series of the column that are of numbers, and then those of texts.
        texts = rows.timed.of(cells.values)
        try:
            split = self._kinds().split(rows.names, rows.codes, texts, dialect)
        except ColumnError as exc:
            raise rows.error(exc) from None
        is_missing = ~(split.are_numbers | split.are_texts)
        value_cells(rows.column, Cells(texts, is_missing), self._rules)  # if they may be missing
        rules = replace(self._rules, on_missing="drop")
        for values, there in ((split.numbers, split.are_numbers), (texts, split.are_texts)):
            if there.any():
                yield self._points(rows, values, ~there, rules)

    def _kinds(self) -> SeriesKinds:
        if self._series_kinds is None:
            from siridb_fast.loading.series_kinds import SeriesKinds  # needs pyarrow

            self._series_kinds = SeriesKinds()
        return self._series_kinds

    def _points(
        self, rows: _Rows, values: NumpyArray, missing: NumpyArray | None, rules: ColumnRules
    ) -> MixedRows:
        timed = rows.timed
        try:
            mixed = mixed_points(
                rows.names,
                rows.codes,
                timed.timestamps,
                values,
                rules,
                missing,
                are_times_plain=True,
            )
        except ColumnError as exc:
            raise rows.error(exc) from None
        if timed.rows is None:
            return replace(mixed, column=rows.column)
        there = timed.rows if mixed.rows is None else timed.rows[mixed.rows]
        return replace(mixed, rows=there, column=rows.column)


def _values(frame: Frame, roles: ColumnRoles) -> dict[str, Cells]:
    # Of all columns, or one error for all that no points can come of.
    values: dict[str, Cells] = {}
    odd: dict[str, str] = {}
    for name in roles.values:
        try:
            values[name] = _cells(frame, roles, name)
        except OddColumnError as exc:
            odd[name] = exc.kind
            continue
        if values[name].values.dtype.kind not in VALUE_KINDS:
            odd[name] = str(values[name].values.dtype)
    refuse_odd_columns(odd)
    return values


def _cells(frame: Frame, roles: ColumnRoles, name: str) -> Cells:
    kind = roles.types.get(name)
    is_exact = name == roles.time or kind in ("integer", "string")
    return typed_cells(
        name, frame.cells(name, is_exact=is_exact), None if kind == "time" else kind
    )


def _is_whole(values: NumpyArray) -> bool:
    # There is nothing to find in them: timestamps were checked before.
    if values.dtype not in PLAIN_TYPES:
        return False
    return values.dtype.kind == "i" or not has_nan(values)


def _in_column(
    exc: ColumnError, where: str, series: str | None, rows: NumpyArray | None
) -> ColumnError:
    # The same error with the column named, and with the row of the frame.
    row = exc.index if exc.index is None or rows is None else int(rows[exc.index])
    return ColumnError(f"{where}: {exc.text}", series=series, index=row)
