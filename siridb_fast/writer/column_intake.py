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

from siridb_fast.batching._batch import Batch
from siridb_fast.batching._coalescer import Coalescer
from siridb_fast.batching._series import Series
from siridb_fast.columns._decode import decode_points
from siridb_fast.columns._points import PointColumn
from siridb_fast.columns.casting import fitted_column, is_exact_as_float, refuse_inexact
from siridb_fast.columns.column import point_column
from siridb_fast.columns.given import names_of
from siridb_fast.columns.rows import (
    MixedRows,
    SeriesRows,
    require_cast,
)
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.delivery.report import Failure, OpenDelivery
from siridb_fast.errors import ColumnError
from siridb_fast.writer.admission import Admission

__all__ = ["Bulk", "open_delivery"]

POINTS_BETWEEN_TURNS = 4_096  # of the event loop
POINTS_AT_ONCE = 65_536  # of groups: a fraction of a millisecond
MAX_POINT_BYTES = 19

NumpyArray = np.ndarray[Any, np.dtype[Any]]


def open_delivery() -> OpenDelivery:
    """Return the delivery of points that are about to be taken, in the event loop that runs."""
    return OpenDelivery(asyncio.get_running_loop().create_future, time.monotonic())


class Bulk:
    """The way of columns into one writer.

    Args:
        coalescer: Of the writer.
        entrance: Of the writer.
        rules: How arrays are read.
        on_type: What becomes of a type that is not its series': ``"error"`` or ``"cast"``.
    """

    def __init__(
        self, coalescer: Coalescer, entrance: Admission, rules: ColumnRules, on_type: str
    ) -> None:
        self._coalescer = coalescer
        self._entrance = entrance
        self._rules = rules
        self._on_type = on_type
        self._last_turn = 0

    async def take(
        self, parts: Sequence[PointColumn | SeriesRows], delivery: OpenDelivery
    ) -> None:
        """Take what is checked and converted already.

        Raises:
            ColumnError: Points are of another type than their series. Nothing of their column, or
                of their rows, was taken.
        """
        columns = [part for part in parts if isinstance(part, PointColumn) and len(part)]
        await self.take_columns(columns, delivery)
        for part in parts:
            if isinstance(part, SeriesRows):
                await self.take_groups(part, delivery)

    async def take_columns(self, columns: Sequence[PointColumn], delivery: OpenDelivery) -> None:
        """Take columns that are checked.

        Raises:
            ColumnError: A column is of another type than its series. Nothing was taken.
        """
        parts = [(self._coalescer.series(c.name), c, self._is_large(c)) for c in columns]
        await self._entrance.settle([series for series, _, is_large in parts if is_large])
        parts = [(s, self._fitted(s, column), is_large) for s, column, is_large in parts]
        await self._entrance.send([column for _, column, is_large in parts if is_large], delivery)
        for series, column, is_large in parts:
            if not is_large:
                await self._entrance.append(series, column, delivery, self._fitted)
                await self.give_turn(POINTS_BETWEEN_TURNS)

    async def settle(self, names: Sequence[str]) -> list[Series]:
        """Wait until the types of series are known to be the database's; return them."""
        series = list(map(self._coalescer.series, names))
        await self._entrance.settle(series)
        return series

    async def take_groups(self, groups: SeriesRows, delivery: OpenDelivery) -> None:
        """Take points that lie together by series.

        Raises:
            ColumnError: Values are of another type than their series, with the name and the row.
                Nothing was taken.
        """
        all_series = await self.settle(groups.names)
        groups = self._widened(groups, all_series)
        others = self._other_columns(groups, all_series)
        alone = self._alone(groups, others)
        columns = [
            others[place] if place in others else self._column(groups, place) for place in alone
        ]
        await self.take_columns(columns, delivery)
        for part in _between(groups, alone):
            await self._append(groups, all_series, part, delivery)

    async def refit(self, payload: bytes) -> Batch | None:
        """Return a batch of the points of a package, in the types that their series have by now.

        What cannot be converted is booked as not delivered; None if nothing is left.
        """
        arrays = decode_points(payload)
        batch = Batch()
        for series, (timestamps, values) in zip(
            await self.settle(list(arrays)), arrays.values(), strict=True
        ):
            column = point_column(series.name, timestamps, values, self._rules)
            try:
                column = self._fitted(series, column)
            except ColumnError as exc:
                self._entrance.fail(Failure(series.name, len(column), exc), [])
            else:
                batch.append_column(column, 0, len(column))
        return batch if len(batch) else None

    async def require_fit(self, parts: Sequence[PointColumn | MixedRows]) -> None:
        """Wait for the types of series, and refuse values that cannot go into them.

        Raises:
            ColumnError: Values are of another type than their series and may not be cast, or have
                no counterpart in it; names series and index. A series of floats takes integers, if
                they are exact.
        """
        await self.settle([name for part in parts for name in names_of(part)])
        for part in parts:
            if isinstance(part, PointColumn):
                self._fitted(self._coalescer.series(part.name), part)
            else:
                self._require_mixed_fit(part)

    def _require_mixed_fit(self, mixed: MixedRows) -> None:
        others: dict[str, list[int]] = {}
        for name, code in mixed.present().items():
            series = self._coalescer.series(name)
            there = self._coalescer.type_of(series)
            if there is None:
                self._coalescer.pin(series, mixed.type)
            elif there != mixed.type:
                others.setdefault(there, []).append(code)
        for type_, codes in others.items():
            require_cast(mixed, codes, type_, may_cast=self._on_type == "cast")

    async def give_turn(self, points: int) -> None:
        """Let the event loop have a turn, if so many points came since the last one."""
        if self._coalescer.accepted >= self._last_turn + points:
            self._last_turn = self._coalescer.accepted
            await asyncio.sleep(0)

    # ---- rows

    def _alone(self, groups: SeriesRows, others: dict[int, PointColumn]) -> list[int]:
        # The places of those that go their own way: long ones, texts, and of another type.
        if isinstance(groups.values, list):
            return list(range(len(groups.names)))
        sizes = np.diff(groups.stops, prepend=0) * MAX_POINT_BYTES
        is_long = sizes > self._entrance.package_bytes // 2
        return sorted({*np.flatnonzero(is_long).tolist(), *others})

    async def _append(
        self, groups: SeriesRows, all_series: list[Series], part: slice, delivery: OpenDelivery
    ) -> None:
        # Some groups that follow one another, to the runs of their series.
        first, last = groups.start(part.start), groups.start(part.stop)
        assert isinstance(groups.values, np.ndarray)  # noqa: S101
        await self._entrance.append_rows(
            all_series[part],
            groups.stops[part] - first,
            groups.timestamps[first:last],
            groups.values[first:last].view(np.int64),
            delivery,
        )
        await self.give_turn(POINTS_BETWEEN_TURNS)

    def _widened(self, groups: SeriesRows, all_series: list[Series]) -> SeriesRows:
        # Integers, all of them for series of floats that are there: converted at once.
        if groups.type != "integer" or not isinstance(groups.values, np.ndarray):
            return groups
        types = {self._coalescer.type_of(series) for series in all_series}
        if types == {"float"} and is_exact_as_float(groups.values):
            return replace(groups, values=groups.values.astype(np.float64), type="float")
        return groups

    def _other_columns(
        self, groups: SeriesRows, all_series: list[Series]
    ) -> dict[int, PointColumn]:
        # The groups whose series is of another type, in that type, by their place.
        types = list(map(self._coalescer.type_of, all_series))
        others = {}
        for place, type_ in enumerate(types) if set(types) != {groups.type} else ():
            series = all_series[place]
            if type_ is None:
                self._coalescer.pin(series, groups.type)
            if self._coalescer.type_of(series) != groups.type:
                try:
                    others[place] = self._fitted(series, self._column(groups, place))
                except ColumnError as exc:
                    row = groups.row(groups.start(place) + (exc.index or 0))
                    raise ColumnError(exc.text, series=series.name, index=row) from None
        return others

    def _column(self, groups: SeriesRows, place: int) -> PointColumn:
        part = slice(groups.start(place), groups.start(place + 1))
        values = groups.values[part]
        if isinstance(values, list):
            values = np.array(values, object)
        return point_column(groups.names[place], groups.timestamps[part], values, self._rules)

    # ---- columns

    def _is_large(self, column: PointColumn) -> bool:
        # Large enough to be encoded from the caller's memory, past the coalescer.
        return column.max_bytes > self._entrance.package_bytes // 2

    def _fitted(self, series: Series, column: PointColumn) -> PointColumn:
        type_ = self._coalescer.type_of(series)
        if type_ is None:
            self._coalescer.pin(series, column.type)
            return column
        on_type = self._on_type
        if (type_, column.type) == ("float", "integer") and on_type == "error":
            refuse_inexact(column.name, column.shown_values)
            on_type = "cast"
        return fitted_column(column, type_, on_type, self._rules)


def _between(groups: SeriesRows, alone: Sequence[int]) -> Iterator[slice]:
    # Neighbours that go into the coalescer together: all but those alone.
    first = 0
    for place in [*alone, len(groups.names)]:
        yield from _neighbours(groups.stops, first, place)
        first = place + 1


def _neighbours(stops: NumpyArray, first: int, last: int) -> Iterator[slice]:
    # The groups from `first` to `last`, so many together that there are about POINTS_AT_ONCE.
    while first < last:
        limit = (stops[first - 1] if first else 0) + POINTS_AT_ONCE
        stop = int(np.searchsorted(stops[:last], limit, side="right"))
        yield slice(first, max(first + 1, stop))
        first = max(first + 1, stop)
