"""The way of points from any door into the writer, and what a door may tell its sender.

Here a body is all or nothing as far as room is concerned: it is taken with all of its good lines,
or not at all. Knows nothing of protocols, and of how doors tell.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from siridb_fast.columns.time_units import TimePrecision
from siridb_fast.delivery.report import Delivery, Failure
from siridb_fast.errors import ColumnError, ConflictError, InsertError, WriterClosedError
from siridb_fast.formats.points import BadLine, ParsedPoints
from siridb_fast.gateway.config import Acknowledge
from siridb_fast.gateway.errors import NotDeliveredError, OverloadedError, RefusedPointsError
from siridb_fast.gateway.new_series import NewSeriesGuard
from siridb_fast.gateway.rows import Group, Rows, fitted, groups, new_types, rows_of
from siridb_fast.gateway.series_table import SeriesTable, SeriesType
from siridb_fast.writer.gateway_writer import GatewayWriter

__all__ = ["Intake", "Taken"]

TYPES_TIMEOUT = 5.0  # seconds that a sender waits until the database tells the types of new series
STOPPING_RETRY = 5  # seconds after which another gateway may be there
POINTS_AT_ONCE = 500_000
NAMED = 100  # failures of an answer
SPARSE = 4  # times as many names as points: then those without points are left out

NumpyArray = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of the lines of a body.

    Attributes:
        points: So many are taken.
        left_out: So many are left out, by rules.
        bad: The lines that are not, sorted.
        deliveries: Of those that are.
    """

    points: int
    left_out: int
    bad: Sequence[BadLine]
    deliveries: Sequence[Delivery]


class Intake:
    """That of one writer.

    Args:
        writer: Takes the points; it is open.
        acknowledge: When they are acknowledged.
        max_new_series: A minute.
        floors_times: Of the options.
        now_ns: Returns Unix time in nanoseconds.
    """

    def __init__(
        self,
        writer: GatewayWriter,
        acknowledge: Acknowledge,
        *,
        max_new_series: int,
        floors_times: bool,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._writer = writer
        self._acknowledge = acknowledge
        self._floors_times = floors_times
        self._now_ns = now_ns
        self._guard = NewSeriesGuard(max_new_series, time.monotonic)
        self._reserved = 0  # bytes of rows that are being taken
        self.is_stopping = False

    def rows(
        self,
        points: ParsedPoints,
        table: SeriesTable,
        nanoseconds: int,
        now_ns: int | None = None,
    ) -> Rows:
        """Return parsed points, ready to be taken.

        Args:
            points: Of a text.
            table: Of their series.
            nanoseconds: Of one of a timestamp.
            now_ns: The time of points without one; None: now.
        """
        precision = self._precision
        now_ns = self._now_ns() if now_ns is None else now_ns
        return rows_of(
            points,
            table,
            nanoseconds=nanoseconds,
            precision=precision,
            now=now_ns // precision.nanoseconds,
            floors=self._floors_times,
        )

    def require_open(self) -> None:
        """Raise `OverloadedError` if nothing is taken any more."""
        if self.is_stopping:
            raise OverloadedError("the gateway is stopping", STOPPING_RETRY)

    async def take(self, rows: Rows, *, waits: bool = False) -> Taken:
        """Take the good lines of rows.

        Args:
            rows: Of one body.
            waits: For room, and for the database, as long as it takes.

        Raises:
            OverloadedError: There is no room, or the database does not tell the types of new
                series. Nothing was taken.
        """
        if not waits:
            self.require_open()
        try:
            async with asyncio.timeout(None if waits else TYPES_TIMEOUT):
                types, rows = await self._typed(rows)
        except TimeoutError:
            text = "there are new series, and the database does not tell whether it has them"
            raise OverloadedError(text, int(TYPES_TIMEOUT)) from None
        except WriterClosedError as exc:
            raise OverloadedError(str(exc), STOPPING_RETRY) from None
        rows = fitted(rows, types)
        if not len(rows):
            return Taken(0, rows.left_out, sorted(rows.bad), ())
        need = self._need(rows)
        if not waits and not self._writer.has_room(self._reserved + need):
            raise OverloadedError("there is no room for more points")
        self._reserved += need
        try:
            return await self._write(rows, types)
        except WriterClosedError as exc:
            raise OverloadedError(str(exc), STOPPING_RETRY) from None
        finally:
            self._reserved -= need

    async def acknowledged(self, taken: Taken) -> None:
        """Wait until points are as safe as the operator has asked for.

        Raises:
            NotDeliveredError: Some of them are not, and will not be by themselves.
            RefusedPointsError: The database has the others, and will never have these.
        """
        if self._acknowledge == "journaled":
            await self._writer.persisted()
        elif self._acknowledge == "delivered":
            await self._delivered(taken)

    # ---- inside

    async def _delivered(self, taken: Taken) -> None:
        try:
            async with asyncio.timeout(self._writer.longest_delivery):
                reports = [await delivery for delivery in taken.deliveries]
        except TimeoutError:
            raise NotDeliveredError("no server has taken the points so far; they wait") from None
        for report in reports:
            if report.in_doubt_points or not all(map(_is_final, report.rejected)):
                raise NotDeliveredError(str(report), report)
        bad = [one for one in reports if not one.is_complete]
        if bad:
            refused = [failure for one in bad for failure in (*one.rejected, *one.changed)]
            raise RefusedPointsError("; ".join(map(str, refused[:NAMED])), bad[0])

    @property
    def _precision(self) -> TimePrecision:
        found = self._writer.time_precision
        return TimePrecision(TimePrecision.NANOSECOND if found is None else found)

    async def _typed(self, rows: Rows) -> tuple[NumpyArray, Rows]:
        # The types of all series, by their codes, once they are known.
        table = rows.table
        while True:
            types = table.types_in(self._writer.generation)
            unknown = rows.codes[types[rows.codes] == SeriesType.UNKNOWN]
            if not len(unknown):
                return types, rows
            codes = np.unique(unknown)
            found = await self._writer.types_of([table.names[code] for code in codes.tolist()])
            types = table.types_in(self._writer.generation)
            types[codes] = [SeriesType.of(name) for name in found]
            new = codes[types[codes] == SeriesType.UNKNOWN]
            if len(new):
                rows, new = self._admitted(rows, new)
                types[new] = new_types(rows, new) if len(new) else ()
                for code in new.tolist():
                    self._writer.pin(table.names[code], SeriesType(types[code]).name.lower())

    def _admitted(self, rows: Rows, new: NumpyArray) -> tuple[Rows, NumpyArray]:
        # Without the lines of new series that are too many.
        refused: dict[int, str] = {}
        for code in new.tolist():
            key = rows.table.parser.series[code]
            reason = self._guard.admit(key.measurement, key.tags)
            if reason is not None:
                refused[code] = reason
        if not refused:
            return rows, new
        reasons: dict[int, str] = {}
        mask = np.isin(rows.codes, np.fromiter(refused, np.int64, len(refused)))
        for index in np.flatnonzero(mask).tolist():
            reasons.setdefault(int(rows.lines[index]), refused[int(rows.codes[index])])
        rows = rows.without(reasons)
        return rows, np.intersect1d(new, rows.codes)

    def _need(self, rows: Rows) -> int:
        series = min(len(rows), len(rows.table.names))
        return self._writer.room_for(len(rows), series, sum(map(len, rows.texts)))

    async def _write(self, rows: Rows, types: NumpyArray) -> Taken:
        deliveries: list[Delivery] = []
        refused: dict[str, str] = {}
        for group in groups(rows, types):
            for part in self._parts(_dense(group)):
                deliveries += await self._write_group(part, refused)
        if not refused:
            return Taken(len(rows), rows.left_out, sorted(rows.bad), deliveries)
        return self._without_refused(rows, refused, deliveries)

    async def _write_group(self, group: Group, refused: dict[str, str]) -> list[Delivery]:
        # A series may have got another type in this very moment: then it is refused, and noted.
        while len(group.codes):
            try:
                return [await self._writer.write_rows(*group)]
            except ColumnError as exc:
                if exc.series not in group.names:
                    raise
                refused[exc.series] = exc.text
                keep = group.codes != group.names.index(exc.series)
                codes, times, values = (array[keep] for array in group[1:])
                group = Group(group.names, codes, times, values)
        return []

    def _parts(self, group: Group) -> list[Group]:
        # So few points of a series at a time that they wait in the writer, not for a connection.
        names, codes = group.names, group.codes
        size = POINTS_AT_ONCE
        if len(codes) > self._writer.run_points:
            most = int(np.bincount(codes).max())
            if most > self._writer.run_points:
                size = self._writer.run_points
        return [
            Group(names, *(array[first : first + size] for array in group[1:]))
            for first in range(0, len(codes), size)
        ]

    def _without_refused(
        self, rows: Rows, refused: dict[str, str], deliveries: list[Delivery]
    ) -> Taken:
        reasons: dict[int, str] = {}
        left = 0
        names = rows.table.names
        for code, line in zip(rows.codes.tolist(), rows.lines.tolist(), strict=True):
            if names[code] in refused:
                reasons.setdefault(line, f"series {names[code]!r}: {refused[names[code]]}")
                left += 1
        bad = replace(rows, bad=[*rows.bad, *(BadLine(*one) for one in reasons.items())]).bad
        return Taken(len(rows) - left, rows.left_out, sorted(bad), deliveries)


def _is_final(failure: Failure) -> bool:
    # Whether the same points would be refused again.
    return isinstance(failure.error, (ColumnError, ConflictError, InsertError))


def _dense(group: Group) -> Group:
    # Names are counted for each call: so without those of the many series that have no point.
    if len(group.names) <= SPARSE * len(group.codes):
        return group
    present, codes = np.unique(group.codes, return_inverse=True)
    names = [group.names[code] for code in present.tolist()]
    return Group(names, codes.astype(np.int32), group.times, group.values)
