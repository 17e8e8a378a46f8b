"""Packages that were made while the types of series were other ones, or may have been.

They come from disk, or waited while the database was another one, or not to be reached. Their
points get the types that the series have by now; what cannot be converted is reported. Knows
what is in a package; knows nothing of when packages are sent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from siridb_fast.batching._batch import Batch
from siridb_fast.batching._series import Series
from siridb_fast.columns._decode import decode_points
from siridb_fast.columns._points import PointColumn
from siridb_fast.columns.column import point_column
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.concurrency.tasks import begin_task, cancel_task
from siridb_fast.delivery.kept_points import failure_of
from siridb_fast.delivery.package import Package
from siridb_fast.delivery.packages import Packages
from siridb_fast.delivery.report import Failure, OpenDelivery
from siridb_fast.delivery.states import PackageEvent, PackageState
from siridb_fast.errors import ColumnError, SiriDBError
from siridb_fast.writer.column_intake import ColumnIntake

if TYPE_CHECKING:
    from siridb_fast.protocol._wire import PayloadBytes

__all__ = ["Refitter"]

SENT_RULES = ColumnRules()  # what is in a package is in the database's precision

logger = logging.getLogger("siridb_fast")


class Refitter:
    """That of one writer.

    Args:
        intake: Knows the types of series, and converts.
        packages: All of the writer.
        fail: Called with points that are not delivered, and who waits for how many of them.
        notify: Called when a package may be sent again.
    """

    def __init__(
        self,
        intake: ColumnIntake,
        packages: Packages,
        *,
        fail: Callable[[Failure, list[tuple[OpenDelivery, int]]], None],
        notify: Callable[[], None],
    ) -> None:
        self._intake = intake
        self._packages = packages
        self._fail = fail
        self._notify = notify
        self._tasks: dict[Package, asyncio.Task[None]] = {}

    def start(self, package: Package) -> None:
        """Compare the types of a package that is ready with those of its series by now."""
        if package not in self._tasks:
            task = begin_task(self._refit_package(package))
            self._tasks[package] = task
            task.add_done_callback(lambda _: self._on_done(package))

    def stop(self) -> None:
        """Compare no more."""
        for task in self._tasks.values():
            cancel_task(task)

    async def refit(self, payload: bytes) -> Batch | None:
        """Return a batch of the points of a package, in the types that their series have by now.

        What cannot be converted is booked as not delivered; None if nothing is left.
        """
        columns = self._columns_of(payload)
        batch = Batch()
        for series, column in zip(
            await self._intake.resolve_types([c.name for c in columns]), columns, strict=True
        ):
            self._append(batch, series, column, [])
        return batch if len(batch) else None

    async def _refit_package(self, package: Package) -> None:
        # No other thread or task changes types between the last await and the end.
        columns = self._columns_of(package.batch.buffer)
        all_series = await self._intake.resolve_types([column.name for column in columns])
        if package.state is not PackageState.READY:
            return
        batch, generation = package.batch, self._packages.generation
        pairs = list(zip(all_series, columns, strict=True))
        if not all(self._intake.is_fitted(series, column) for series, column in pairs):
            batch = self._converted(package.batch, all_series, columns)
        self._packages.refit(package, batch, generation)

    def _converted(
        self, old: Batch, all_series: list[Series], columns: list[PointColumn]
    ) -> Batch:
        # With the credit of those who wait; what cannot be converted is booked, and left out.
        waiting: dict[int, list[tuple[OpenDelivery, int]]] = {}
        for delivery, index, points in old.credits:
            waiting.setdefault(index, []).append((delivery, points))
        batch = Batch(oldest=old.oldest)
        for index, (series, column) in enumerate(zip(all_series, columns, strict=True)):
            if self._append(batch, series, column, waiting.get(index, [])):
                for delivery, points in waiting.get(index, []):
                    batch.credit(delivery, len(batch) - 1, points)
        batch.seal()
        return batch

    def _append(
        self,
        batch: Batch,
        series: Series,
        column: PointColumn,
        waiting: list[tuple[OpenDelivery, int]],
    ) -> bool:
        try:
            fitted = self._intake.fitted(series, column)
        except ColumnError as exc:
            self._fail(failure_of(series.name, *column.plain(), exc), waiting)
            return False
        batch.append_column(fitted, 0, len(fitted))
        return True

    def _columns_of(self, payload: PayloadBytes) -> list[PointColumn]:
        columns = []
        for name, (timestamps, values) in decode_points(payload).items():
            try:
                columns.append(point_column(name, timestamps, values, SENT_RULES))
            except ColumnError as exc:  # no writer made that, such as a name that is not UTF-8
                self._fail(failure_of(str(name), timestamps, values, exc), [])
        return columns

    def _on_done(self, package: Package) -> None:
        task = self._tasks.pop(package)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("the types of a package cannot be compared: %r", error)
            if package.state is PackageState.READY:
                reason = SiriDBError(f"its types cannot be compared: {error}")
                self._packages.move(package, PackageEvent.LATE, reason)
        self._notify()
