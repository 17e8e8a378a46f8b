"""Whole columns, and rows of many series, into an open writer.

What is large goes past the coalescer, encoded from where it lies; what is not is appended to the
runs of its series. Waits for room, and for the types of series that are new. Knows nothing of how
the points came in or how they leave.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from siridb_fast.batching._append import room_for
from siridb_fast.batching._coalescer import Coalescer
from siridb_fast.batching._series import Series
from siridb_fast.columns._points import PointColumn
from siridb_fast.columns.casting import (
    count_cut,
    fitted_column,
    is_exact_as_float,
    refuse_fractions,
    refuse_inexact,
)
from siridb_fast.columns.column import point_column
from siridb_fast.columns.given import names_of
from siridb_fast.columns.rows import MixedRows, SeriesRows, require_cast
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.delivery.report import Delivery, OpenDelivery
from siridb_fast.errors import ColumnError
from siridb_fast.writer.admission import Admission

__all__ = ["ColumnIntake", "open_delivery"]

POINTS_BETWEEN_TURNS = 4_096  # of the event loop
POINTS_AT_ONCE = 65_536  # of rows: a fraction of a millisecond
MAX_POINT_BYTES = 19

NumpyArray = np.ndarray[Any, np.dtype[Any]]


def open_delivery() -> OpenDelivery:
    """Return the delivery of points that are about to be taken, in the event loop that runs."""
    return OpenDelivery(asyncio.get_running_loop().create_future, time.monotonic())


class ColumnIntake:
    """The way of columns into one writer.

    Args:
        coalescer: Of the writer.
        admission: Of the writer.
        rules: How arrays are read.
        on_type: What becomes of a type that is not its series': ``"error"`` or ``"cast"``.
        may_be_whole: A series of integers takes floats that are whole.
    """

    def __init__(
        self,
        coalescer: Coalescer,
        admission: Admission,
        rules: ColumnRules,
        on_type: str,
        *,
        may_be_whole: bool = False,
    ) -> None:
        self._coalescer = coalescer
        self._admission = admission
        self._rules = rules
        self._on_type = on_type
        self._may_be_whole = may_be_whole
        self._last_turn = 0
        self.new_series: dict[str, str] = {}  # of those that were checked, and their types
        self.cut = 0  # values that a cast changes, of those that were checked

    async def deliver(self, points: Sequence[PointColumn | SeriesRows]) -> Delivery:
        """Take what is checked and converted already; return what tells of its fate.

        Raises:
            ColumnError: As `take`.
            BufferFullError, SpoolFullError: There is no room, and the options say to raise that.
        """
        need = room_for(sum(map(len, points)), len(points))  # what is larger leaves in parts
        self._admission.full_stores.require(min(need, self._admission.package_bytes))
        delivery = open_delivery()
        try:
            await self.take(points, delivery)
        finally:
            delivery.seal(time.monotonic())
        return delivery.handle

    async def take(
        self, points: Sequence[PointColumn | SeriesRows], delivery: OpenDelivery
    ) -> None:
        """Take what is checked and converted already.

        Raises:
            ColumnError: Points are of another type than their series. Nothing of their column, or
                of their rows, was taken.
        """
        columns = [one for one in points if isinstance(one, PointColumn) and len(one)]
        await self.take_columns(columns, delivery)
        for one in points:
            if isinstance(one, SeriesRows):
                await self.take_rows(one, delivery)

    async def take_columns(self, columns: Sequence[PointColumn], delivery: OpenDelivery) -> None:
        """Take columns that are checked.

        Raises:
            ColumnError: A column is of another type than its series. Nothing was taken.
        """
        jobs = [(self._coalescer.series(c.name), c, self._is_large(c)) for c in columns]
        await self._admission.resolve_types([series for series, _, is_large in jobs if is_large])
        jobs = [(s, self.fitted(s, column), is_large) for s, column, is_large in jobs]
        await self._admission.send([column for _, column, is_large in jobs if is_large], delivery)
        for series, column, is_large in jobs:
            if not is_large:
                await self._admission.append(series, column, delivery, self.fitted)
                await self._give_turn()

    async def take_rows(self, rows: SeriesRows, delivery: OpenDelivery) -> None:
        """Take points that lie together by series.

        Raises:
            ColumnError: Values are of another type than their series, with the name and the row.
                Nothing was taken.
        """
        all_series = await self.resolve_types(rows.names)
        generation = self._admission.generation
        rows = self._widened(rows, all_series)
        others = self._other_columns(rows, all_series)
        alone = self._alone(rows, others)
        columns = [others[i] if i in others else self._column(rows, i) for i in alone]
        await self.take_columns(columns, delivery)
        for span in _spans_between(rows, alone):
            await self._append(rows, all_series, span, delivery, generation)

    async def require_fit(self, points: Sequence[PointColumn | MixedRows]) -> None:
        """Wait for the types of series, and refuse values that cannot go into them.

        Raises:
            ColumnError: Values are of another type than their series and may not be cast, or have
                no counterpart in it; names series and index. A series of floats takes integers, if
                they are exact.
        """
        await self.resolve_types([name for one in points for name in names_of(one)])
        for one in points:
            if isinstance(one, PointColumn):
                self._require_column_fit(self._coalescer.series(one.name), one)
            else:
                self._require_mixed_fit(one)

    def _require_column_fit(self, series: Series, column: PointColumn) -> None:
        type_ = self._coalescer.type_of(series)
        self.fitted(series, column)
        if type_ is None:
            self.new_series[column.name] = column.type
        elif type_ != column.type:
            self.cut += count_cut(column.shown_values, type_)

    def _require_mixed_fit(self, mixed: MixedRows) -> None:
        others: dict[str, list[int]] = {}
        for name, code in mixed.present().items():
            series = self._coalescer.series(name)
            type_ = self._coalescer.type_of(series)
            if type_ is None:
                self._coalescer.pin(series, mixed.type)
                self.new_series[name] = mixed.type
            elif type_ != mixed.type:
                others.setdefault(type_, []).append(code)
        for type_, codes in others.items():
            may_cast, may_be_whole = self._on_type == "cast", self._may_be_whole
            require_cast(mixed, codes, type_, may_cast=may_cast, may_be_whole=may_be_whole)
            if isinstance(mixed.values, np.ndarray):
                self.cut += count_cut(mixed.values[np.isin(mixed.codes, codes)], type_)

    async def resolve_types(self, names: Sequence[str]) -> list[Series]:
        """Wait until the types of series are known to be the database's; return the series."""
        series = list(map(self._coalescer.series, names))
        await self._admission.resolve_types(series)
        return series

    async def _give_turn(self) -> None:
        # To the event loop, if enough points came since the last one.
        if self._coalescer.accepted >= self._last_turn + POINTS_BETWEEN_TURNS:
            self._last_turn = self._coalescer.accepted
            await asyncio.sleep(0)

    # ---- rows

    def _alone(self, rows: SeriesRows, others: dict[int, PointColumn]) -> list[int]:
        # The series that are taken as columns, by index: long ones, texts, and of another type.
        if isinstance(rows.values, list):
            return list(range(len(rows.names)))
        sizes = np.diff(rows.stops, prepend=0) * MAX_POINT_BYTES
        is_long = sizes > self._admission.package_bytes // 2
        return sorted({*np.flatnonzero(is_long).tolist(), *others})

    async def _append(
        self,
        rows: SeriesRows,
        all_series: list[Series],
        span: slice,
        delivery: OpenDelivery,
        generation: int,
    ) -> None:
        # Those of some series that follow one another, to the runs of these.
        first, last = rows.start(span.start), rows.start(span.stop)
        assert isinstance(rows.values, np.ndarray)  # noqa: S101
        is_done = await self._admission.append_rows(
            all_series[span],
            rows.stops[span] - first,
            rows.timestamps[first:last],
            rows.values[first:last].view(np.int64),
            delivery,
            generation,
        )
        if not is_done:  # a series may have another type by now: each is looked at again
            for index in range(span.start, span.stop):
                column = self._column(rows, index)
                series = self._coalescer.series(column.name)
                await self._admission.append(series, column, delivery, self.fitted)
        await self._give_turn()

    def _widened(self, rows: SeriesRows, all_series: list[Series]) -> SeriesRows:
        # Integers, all of them for series of floats that are there: converted at once.
        if rows.type != "integer" or not isinstance(rows.values, np.ndarray):
            return rows
        types = {self._coalescer.type_of(series) for series in all_series}
        if types == {"float"} and is_exact_as_float(rows.values):
            return replace(rows, values=rows.values.astype(np.float64), type="float")
        return rows

    def _other_columns(self, rows: SeriesRows, all_series: list[Series]) -> dict[int, PointColumn]:
        # Those whose series is of another type, in that type, by the index of the series.
        types = list(map(self._coalescer.type_of, all_series))
        others = {}
        for index, type_ in enumerate(types) if set(types) != {rows.type} else ():
            series = all_series[index]
            if type_ is None:
                self._coalescer.pin(series, rows.type)
            if self._coalescer.type_of(series) != rows.type:
                try:
                    others[index] = self.fitted(series, self._column(rows, index))
                except ColumnError as exc:
                    row = rows.row(rows.start(index) + (exc.index or 0))
                    raise ColumnError(exc.text, series=series.name, index=row) from None
        return others

    def _column(self, rows: SeriesRows, index: int) -> PointColumn:
        span = slice(rows.start(index), rows.start(index + 1))
        values = rows.values[span]
        if isinstance(values, list):
            values = np.array(values, object)
        return point_column(rows.names[index], rows.timestamps[span], values, self._rules)

    # ---- columns

    def _is_large(self, column: PointColumn) -> bool:
        # Large enough to be encoded from the caller's memory, past the coalescer.
        return column.max_bytes > self._admission.package_bytes // 2

    def is_fitted(self, series: Series, column: PointColumn) -> bool:
        """Tell whether a column has the type of its series, which gets it if it has none."""
        self._coalescer.pin(series, column.type)
        return self._coalescer.type_of(series) == column.type

    def fitted(self, series: Series, column: PointColumn) -> PointColumn:
        """Return a column in the type of its series, which gets the column's if it has none.

        Raises:
            ColumnError: It cannot be converted, or may not.
        """
        type_ = self._coalescer.type_of(series)
        if type_ is None:
            self._coalescer.pin(series, column.type)
            return column
        on_type, types = self._on_type, (type_, column.type)
        if types == ("float", "integer") and on_type == "error":
            refuse_inexact(column.name, column.shown_values)
            on_type = "cast"
        elif types == ("integer", "float") and on_type == "error" and self._may_be_whole:
            skips_nan = self._rules.on_missing == "drop"
            refuse_fractions(column.name, column.shown_values, skips_nan=skips_nan)
            on_type = "cast"
        return fitted_column(column, type_, on_type, self._rules)


def _spans_between(rows: SeriesRows, alone: Sequence[int]) -> Iterator[slice]:
    # Of the series that go into the coalescer together: all but those alone.
    first = 0
    for index in [*alone, len(rows.names)]:
        yield from _spans(rows.stops, first, index)
        first = index + 1


def _spans(stops: NumpyArray, first: int, last: int) -> Iterator[slice]:
    # The series from `first` to `last`, so many together that there are about POINTS_AT_ONCE.
    while first < last:
        limit = (stops[first - 1] if first else 0) + POINTS_AT_ONCE
        stop = int(np.searchsorted(stops[:last], limit, side="right"))
        yield slice(first, max(first + 1, stop))
        first = max(first + 1, stop)
