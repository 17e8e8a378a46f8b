"""The way of checked columns into a writer: to the runs of their series, or past them.

Waits for room, and until the types of series are resolved. Knows nothing of how columns were given
or of how packages leave.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from siridb_fast.batching._append import append_column, append_rows, append_texts, room_for
from siridb_fast.batching._batch import Batch
from siridb_fast.batching._coalescer import Coalescer
from siridb_fast.batching._late import append_compared
from siridb_fast.batching._series import Series
from siridb_fast.batching.no_room import NoRoom
from siridb_fast.columns._points import PointColumn
from siridb_fast.concurrency.waiting import Waiters
from siridb_fast.delivery.kept_points import failure_of
from siridb_fast.delivery.report import Failure, OpenDelivery
from siridb_fast.errors import BufferFullError, ColumnError, SpoolFullError, WriterClosedError
from siridb_fast.writer.full_stores import FullStores, Refusal

if TYPE_CHECKING:
    from siridb_fast.delivery.dispatcher import Dispatcher
    from siridb_fast.delivery.packages import Packages

__all__ = ["Admission"]

MAX_RUN = 25_000  # points; longer ones cost the server more (benchmarks/suites/test_grids.py)
MAX_READY_PACKAGES = 2  # beside those in flight: enough to keep the connection busy

NOT_TAKEN = (BufferFullError, SpoolFullError, NoRoom)

NumpyArray = np.ndarray[Any, np.dtype[Any]]


class _Remainder(NamedTuple):
    # What of a column is still to be sent, so many points at a time.
    column: PointColumn
    start: int
    step: int


class Admission:
    """Lets the columns of one writer in, when there is room for them.

    Args:
        coalescer: Has the runs.
        packages: All of the writer.
        dispatcher: Takes packages.
        waiters: Where to wait.
        full_stores: Say what is done where there is no room.
        package_bytes: The size of a full package.
        notify: Called to have the types of new series asked for.
        fail: Called with points that are not delivered, and who waits for how many of them.
        add_late: Called with a batch of late points, if these are compared.
    """

    def __init__(
        self,
        coalescer: Coalescer,
        packages: Packages,
        dispatcher: Dispatcher,
        waiters: Waiters,
        full_stores: FullStores,
        package_bytes: int,
        *,
        notify: Callable[[], None],
        fail: Callable[[Failure, list[tuple[OpenDelivery, int]]], None],
        add_late: Callable[..., object],
    ) -> None:
        self._coalescer = coalescer
        self._packages = packages
        self._dispatcher = dispatcher
        self._waiters = waiters
        self.full_stores = full_stores
        self.package_bytes = package_bytes
        self._notify = notify
        self.fail = fail
        self._add_late = add_late
        self.direct_points = 0  # that never were in the coalescer

    @property
    def generation(self) -> int:
        """How often the types of series were forgotten, or have changed."""
        return self._packages.generation

    async def resolve_types(self, series: list[Series]) -> None:
        """Wait until the types of these series are known to be the database's."""
        while not all(map(self._coalescer.is_resolved, series)):
            generation = self._packages.generation
            for one in series:
                self._coalescer.ask_type(one)
            self._notify()
            await self._waiters.wait_until(
                lambda before=generation: (  # type: ignore[misc]
                    before != self._packages.generation
                    or all(map(self._coalescer.is_resolved, series))
                )
            )

    async def append(
        self,
        series: Series,
        column: PointColumn,
        delivery: OpenDelivery,
        fit: Callable[[Series, PointColumn], PointColumn],
    ) -> None:
        """Append a column to the run of its series, once there is room.

        ``fit`` gives it the type of the series, which may have been learnt only now.
        """
        text_bytes = column.max_bytes if column.type == "string" else 0
        need = room_for(len(column), text_bytes=text_bytes)
        if (refusal := await self.full_stores.room_for(need)) is not None:
            self._give_up(refusal, column, delivery)
            return
        self._check_open()
        if self._coalescer.type_of(series) != column.type:  # as was learnt meanwhile
            try:
                column = fit(series, column)
            except ColumnError as exc:
                self._fail(failure_of(series.name, *_copied(column), exc), delivery)
                return
        timestamps, values = column.plain()
        try:
            if isinstance(values, list):
                append_texts(self._coalescer, series, timestamps, values, delivery)
            else:
                bits = values.view(np.int64)
                append_column(self._coalescer, series, timestamps, bits, delivery)
        except NOT_TAKEN:  # another thread was faster
            await self.append(series, column, delivery, fit)
        else:
            delivery.expect(len(timestamps))

    async def append_rows(
        self,
        all_series: list[Series],
        stops: NumpyArray,
        timestamps: NumpyArray,
        values: NumpyArray,
        delivery: OpenDelivery,
        generation: int,
    ) -> bool:
        """Append points of many series to their runs, once there is room for all.

        Those of ``all_series[i]`` end before ``stops[i]``; their types are resolved, and the same.
        False if types have changed meanwhile, since a ``generation``: then nothing was done.
        """
        need = room_for(len(timestamps), len(all_series))
        while True:
            if (refusal := await self.full_stores.room_for(need)) is not None:
                self._give_up_rows(refusal, all_series, stops, timestamps, values, delivery)
                return True
            self._check_open()
            if generation != self._packages.generation:
                return False
            try:
                append_rows(self._coalescer, all_series, stops, timestamps, values, delivery)
            except NOT_TAKEN:  # another thread was faster
                continue
            delivery.expect(len(timestamps))
            return True

    async def send(self, columns: Iterable[PointColumn], delivery: OpenDelivery) -> None:
        """Send columns past the coalescer, of series whose types are resolved.

        They take turns, a run of each in a package, encoded from the caller's memory when there is
        somewhere to send it.
        """
        generation = self._packages.generation
        left = deque(_Remainder(column, 0, self._step(column)) for column in columns)
        while left:
            if (refusal := await self._room_for_package()) is not None:
                for column, start, _ in left:
                    self._give_up(refusal, column, delivery, start)
                return
            self._check_open()
            batch = self._packages.new_batch()
            late = Batch() if self._packages.compares_late else None
            self._fill(batch, late, left, delivery)
            for one in filter(None, (batch, late)):
                delivery.expect(one.points)
                self.direct_points += one.points
            if batch.points:
                self._dispatcher.submit(batch, generation)
                self._log(batch)
            if late is not None and late.points:  # behind the others: it waits for them
                self._add_late(late, generation=generation)
                self._log(late)
            self._dispatcher.check()

    def _log(self, batch: Batch) -> None:
        # For the journal, if there is one; it is sealed by now.
        if self._coalescer.log is not None:
            self._coalescer.log.add_payload(batch.buffer, batch.points)

    def _step(self, column: PointColumn) -> int:
        return even_run(len(column), column.max_bytes, self.package_bytes)

    def _fill(
        self, batch: Batch, late: Batch | None, left: deque[_Remainder], delivery: OpenDelivery
    ) -> None:
        # With the next runs: one of a column at most, and one of a series.
        names: set[str] = set()
        for _ in range(len(left)):
            column, start, step = left[0]
            stop = min(start + step, len(column))
            used = max(batch.size, 0 if late is None else late.size)
            fitting = column.fit(start, self.package_bytes - used)
            if column.name in names or (names and fitting < stop):
                return
            names.add(column.name)
            left.popleft()
            stop = max(start + 1, min(stop, fitting))  # a text may be larger than a package
            series = self._coalescer.series(column.name)
            if late is None:
                parts = [(batch, batch.append_column_of(series, column, start, stop))]
            else:
                counts = append_compared(batch, late, series, column, start, stop)
                parts = [*zip((batch, late), counts, strict=True)]
            for one, points in parts:
                if points:
                    one.credit(delivery, len(one) - 1, points)
            if stop < len(column):
                left.append(_Remainder(column, stop, step))

    async def _room_for_package(self) -> Refusal | None:
        # Or why what is left is to be given up.
        while (refusal := await self.full_stores.room_for(self.package_bytes)) is None:
            if self._takes_package() or self._coalescer.is_closed:
                break
            await self._waiters.wait_until(
                lambda: self._takes_package() or not self._coalescer.may_take(self.package_bytes)
            )
        return refusal

    def _takes_package(self) -> bool:
        # Where points are given up rather than waited with, they fill memory without a server.
        has_turn = self._dispatcher.waiting < MAX_READY_PACKAGES or (
            self.full_stores.drops and not self._dispatcher.is_connected
        )
        return has_turn and self._coalescer.may_take(self.package_bytes)

    # ---- points that are given up

    def _give_up(
        self, refusal: Refusal, column: PointColumn, delivery: OpenDelivery, start: int = 0
    ) -> None:
        timestamps, values = _copied(column)
        timestamps, values = timestamps[start:], values[start:]
        self.full_stores.count(refusal, len(timestamps))
        self._fail(failure_of(column.name, timestamps, values, refusal.error()), delivery)

    def _give_up_rows(
        self,
        refusal: Refusal,
        all_series: list[Series],
        stops: NumpyArray,
        timestamps: NumpyArray,
        values: NumpyArray,
        delivery: OpenDelivery,
    ) -> None:
        self.full_stores.count(refusal, len(timestamps))
        start = 0
        for series, stop in zip(all_series, stops.tolist(), strict=True):
            times, bits = timestamps[start:stop].copy(), values[start:stop].copy()
            is_float = self._coalescer.type_of(series) == "float"
            given = bits.view(np.float64) if is_float else bits
            self._fail(failure_of(series.name, times, given, refusal.error()), delivery)
            start = stop

    def _fail(self, failure: Failure, delivery: OpenDelivery) -> None:
        self.direct_points += failure.points
        delivery.expect(failure.points)
        self.fail(failure, [(delivery, failure.points)])

    def _check_open(self) -> None:
        if self._coalescer.is_closed:
            raise WriterClosedError("the writer was closed while this waited for room")


def _copied(column: PointColumn) -> tuple[NumpyArray, NumpyArray | list[bytes]]:
    # The caller may change its arrays.
    timestamps, values = column.plain()
    return timestamps.copy(), values.copy()


def even_run(points: int, size: int, package_bytes: int) -> int:
    """Return how many points to send at a time, so that no run is left with a few."""
    pieces = max(-(-size // package_bytes), -(-points // MAX_RUN))
    return -(-points // pieces)
