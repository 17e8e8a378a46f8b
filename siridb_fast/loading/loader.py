"""A load: portions are read in a thread, one ahead, while the one before is on its way.

The types of all series of a portion are resolved, and everything in it is checked, before its
first byte is sent. Whatever ends a load, what was taken until then is delivered first.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, Coroutine, Generator, Iterable
from contextlib import AsyncExitStack, aclosing, nullcontext
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from siridb_fast.columns._points import PointColumn
from siridb_fast.columns.rows import SeriesRows, group_rows
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.columns.time_units import TimePrecision
from siridb_fast.concurrency.loops import leaving_timeout
from siridb_fast.concurrency.waiting import wait_while_progressing
from siridb_fast.concurrency.workers import WorkThread
from siridb_fast.connection.config import Target, config_of
from siridb_fast.delivery.report import Delivery, Failure, OpenDelivery, Report
from siridb_fast.errors import (
    ColumnError,
    ConnectionLost,
    DeliveryError,
    InsertError,
    RequestTimeout,
    SiriDBError,
)
from siridb_fast.loading.already_stored import not_stored
from siridb_fast.loading.database_id import DatabaseId
from siridb_fast.loading.expiry import Expiry
from siridb_fast.loading.file_locks import FileLocks
from siridb_fast.loading.file_source import FileSource
from siridb_fast.loading.frame_reader import FramePoints, FrameReader
from siridb_fast.loading.options import LoadOptions, Progress
from siridb_fast.loading.sources import Portion
from siridb_fast.loading.survey import Survey
from siridb_fast.writer.column_intake import open_delivery
from siridb_fast.writer.load_writer import LoadWriter

__all__ = ["Loader"]

ROWS_AT_ONCE = 1 << 19  # that are grouped by series
PROGRESS_INTERVAL = 0.1  # seconds
READ_TIMEOUT = 5.0  # to end what is being read when a load ends; a silent source is left alone

logger = logging.getLogger("siridb_fast")

T = TypeVar("T")
Columns = list[PointColumn | SeriesRows]
Read = tuple[Portion, FramePoints]


@dataclass(frozen=True, slots=True)
class PortionEnd:
    """Comes behind the points of a portion: all of them are with the writer."""

    portion: Portion
    rows: int


class Loader:
    """One load into one database.

    Args:
        target: A URL, a client, or None for ``SIRIDB_URL``.
        options: Of the load.
    """

    def __init__(self, target: Target, options: LoadOptions) -> None:
        self._options = options
        self._config = config_of(target)
        self._writer = LoadWriter(
            target, unit=options.unit, **options.for_writer(), on_error=self._on_failure
        )
        self._rows = self._missing = self._unnamed = self._already_stored = self._rows_done = 0
        self._total_rows: int | None = None
        self.has_stored = False  # a point, or it may have
        self._pending: deque[tuple[Portion, Delivery, int]] = deque()
        self._since = time.monotonic()
        self._reading: WorkThread  # where portions are read
        self._noting: WorkThread  # where it is written down what leaves and is delivered
        self._given_up: asyncio.Future[None]  # done when no server took points in time
        self._expiry: Expiry
        self._reader: FrameReader

    @property
    def times_warning(self) -> str | None:
        """What was said of times that look like those of another unit."""
        return self._writer.times_warning

    async def load(self, source: Iterable[Portion], *, is_locked: bool = False) -> Report:
        """Send all points of a source and wait until their fate is known.

        No other load reads the same files into the same database meanwhile.

        Args:
            source: Its portions.
            is_locked: Whoever calls has the locks of its files.

        Raises:
            FileError: Another load reads one of the files.
            ColumnError: A portion cannot be sent as it is; what came before it is delivered.
            DeliveryError: Not all points were delivered; has the report.
            RequestTimeout: No server took or answered anything for ``delivery_timeout`` seconds.
        """
        await self.open()
        try:
            locks = nullcontext() if is_locked else await self._lock(source)
        except BaseException:
            await self.leave()
            raise
        with locks:
            return await self._load(source)

    async def _load(self, source: Iterable[Portion]) -> Report:
        progress = asyncio.get_running_loop().create_task(self._keep_reporting_progress())
        try:
            await self._send_all(source)
        except BaseException as exc:
            report = await self._close(progress, exc)
            _annotate(exc, report)
            raise
        report = await self._close(progress)
        if not report.is_complete:
            raise DeliveryError(f"the load is not complete: {report}", report)
        return report

    async def survey(self, source: Iterable[Portion]) -> Survey:
        """Read and check all of a source, types included, and send nothing."""
        await self.open()
        survey = Survey()
        try:
            async with aclosing(self.checked(source)) as checked:
                async for points in checked:
                    survey.add(points)
            survey.expired, survey.expired_series = self._expiry.points, self._expiry.series
            survey.time_precision = self._writer.time_precision
        finally:
            await self.leave()
        return survey

    async def checked(self, source: Iterable[Portion]) -> AsyncGenerator[FramePoints, None]:
        """Yield the points of each portion, which their series can take; it is open.

        Whoever stops early closes it, and so the source.

        Raises:
            ColumnError: They cannot.
        """
        async with aclosing(_read_ahead(self._read(source), self._reading)) as read:
            async for _, points in read:
                await self._check(points)
                yield points

    @property
    def writer(self) -> LoadWriter:
        """The writer, which asks the database too."""
        return self._writer

    @property
    def expired(self) -> int:
        """How many points that were read are older than what the database keeps."""
        return self._expiry.points

    @property
    def rules(self) -> ColumnRules:
        """By which points are read; it is open."""
        return self._reader.rules

    # ---- inside

    async def _lock(self, source: Iterable[Portion]) -> FileLocks | nullcontext[None]:
        if not isinstance(source, FileSource):
            return nullcontext()
        config, servers = self._config, await self._writer.servers()
        return FileLocks(source.files, DatabaseId.of(config.dbname, config.hosts, servers))

    async def leave(self) -> None:
        """Close what `open` has opened, where nothing was sent."""
        await self._writer.close()
        await self._reading.close(READ_TIMEOUT)
        await self._noting.close(READ_TIMEOUT)

    async def _check(self, points: FramePoints) -> None:
        await self._while_progressing(self._writer.require_fit([*points.columns, *points.mixed]))

    async def _while_progressing(self, taking: Coroutine[Any, Any, T]) -> T:
        # Packages have a deadline. What waits for the types of series, or for room beside points
        # that are in no package yet, has none; and where one package was given up, all would be.
        timeout = self._options.delivery_timeout
        try:
            return await wait_while_progressing(
                taking, self._progress_mark, timeout, self._given_up
            )
        except SiriDBError:
            raise
        except TimeoutError:
            text = f"no server has taken or answered anything for {timeout:g} seconds"
            raise RequestTimeout(text) from None

    def _progress_mark(self) -> int | None:
        stats = self._writer.stats()
        return None if stats.in_flight else stats.packages + stats.typed_series

    def _on_failure(self, failure: Failure) -> None:
        # What is refused or in doubt says nothing of other points; what nobody took in time does.
        error = failure.error
        is_answered = isinstance(error, (InsertError, ColumnError))
        is_in_doubt = isinstance(error, ConnectionLost) and error.in_doubt
        if not (is_answered or is_in_doubt or self._given_up.done()):
            self._given_up.set_result(None)

    async def open(self) -> None:
        """Connect, and ask the database what it is like; all is closed again if that fails."""
        self._given_up = asyncio.get_running_loop().create_future()
        async with AsyncExitStack() as opened:
            await self._writer.open(self._options.timeout)
            opened.push_async_callback(self._writer.close)
            self._reading = WorkThread("siridb_fast load")
            opened.push_async_callback(self._reading.close, READ_TIMEOUT)
            self._noting = WorkThread("siridb_fast load notes")
            opened.push_async_callback(self._noting.close, READ_TIMEOUT)
            precision = self._writer.time_precision
            self._reader = FrameReader(self._options, precision)
            limits = (None, None) if precision is None else await self._writer.expirations()
            now = time.time_ns() // TimePrecision(precision or 0).nanoseconds
            self._expiry = Expiry(limits, now)
            opened.pop_all()

    async def _send_all(self, source: Iterable[Portion]) -> None:
        # Until the end, or until points were not delivered.
        delivery = open_delivery()
        try:
            async with aclosing(_read_ahead(self._steps(source), self._reading)) as steps:
                async for step in steps:
                    if isinstance(step, list):
                        await self._while_progressing(self._writer.take(step, delivery))
                    elif isinstance(step, PortionEnd):
                        if not await self._end(step, delivery):
                            break
                    else:
                        delivery = await self._begin(*step)
        except RequestTimeout:
            if not self._given_up.done():  # else the report says it
                raise
        finally:
            delivery.seal(time.monotonic())

    async def _begin(self, portion: Portion, points: FramePoints) -> OpenDelivery:
        await self._check(points)
        await self._noting.call(portion.on_leaving)  # while the next is read
        delivery = open_delivery()
        self._total_rows = portion.total_rows
        self._rows += points.rows
        self._missing += points.missing
        self._unnamed += points.unnamed
        if portion.maybe_stored:
            missing = await not_stored(
                points, self._writer.query_arrays, self.rules, self._writer.is_new
            )
            self._already_stored += missing.already_stored
            await self._while_progressing(self._writer.take(missing.columns, delivery))
        return delivery

    async def _end(self, end: PortionEnd, delivery: OpenDelivery) -> bool:
        is_first = not self._pending and not self._rows_done
        self._writer.hasten(is_first)  # the servers wait for it
        delivery.seal(time.monotonic())
        self._pending.append((end.portion, delivery.handle, end.rows))
        return await self._report_delivered()

    def _steps(
        self, source: Iterable[Portion]
    ) -> Generator[Read | Columns | PortionEnd, None, None]:
        # Each portion, then its points, then its end; runs in the thread.
        for portion, points in self._read(source):
            yield portion, points
            if not portion.maybe_stored:  # else they are compared first
                if points.columns:
                    yield list(points.columns)
                for mixed in points.mixed:
                    for rows in mixed.slices(ROWS_AT_ONCE):
                        yield [group_rows(rows)]
            yield PortionEnd(portion, points.rows)

    def _read(self, source: Iterable[Portion]) -> Generator[Read, None, None]:
        for portion in source:
            points = portion.read(self._reader)
            self._expiry.add(points)
            yield portion, points

    async def _report_delivered(self) -> bool:
        # Report to portions, in their order, what became of them; False if one is incomplete.
        while self._pending and self._pending[0][1].is_done:
            portion, delivery, rows = self._pending[0]
            report = await delivery
            await self._noting.call(portion.on_delivered, report)
            if not report.is_complete:
                return False  # it stays: what comes behind it must not be noted before it
            self._pending.popleft()
            self._rows_done += rows
        return True

    async def _close(
        self, progress: asyncio.Task[None], exc: BaseException | None = None
    ) -> Report:
        timeout = leaving_timeout(self._options.delivery_timeout, exc)
        new_series, cut = self._writer.new_series, self._writer.cut
        report = await self._writer.close(timeout)
        known = report.points + report.changed_points + report.in_doubt_points
        self.has_stored = known > 0
        progress.cancel()
        await self._report_delivered()
        await self._reading.close(READ_TIMEOUT)
        await self._noting.close(READ_TIMEOUT)
        self._report_progress(is_last=True)
        return replace(
            report,
            rows=self._rows,
            series=self._writer.stats().series,
            missing=self._missing,
            unnamed=self._unnamed,
            already_stored=self._already_stored,
            expired=self._expiry.points,
            expired_series=self._expiry.series,
            new_series=new_series,
            cut=cut,
        )

    async def _keep_reporting_progress(self) -> None:
        while self._options.progress:
            self._report_progress()
            await asyncio.sleep(PROGRESS_INTERVAL)

    def _report_progress(self, *, is_last: bool = False) -> None:
        callback = self._options.progress
        if not callback:
            return
        stats = self._writer.stats()
        seconds = time.monotonic() - self._since
        progress = Progress(
            stats.delivered, stats.bytes, self._rows_done, self._total_rows, seconds
        )
        if callback is True:
            print(f"\r{progress}", end="\n" if is_last else "", file=sys.stderr, flush=True)
            return
        try:
            callback(progress)
        except Exception:
            logger.exception("the progress function raised")


async def _read_ahead(
    items: Generator[Any, None, None], thread: WorkThread
) -> AsyncGenerator[Any, None]:
    # Yield items that are made in the thread, the next one while this one is used.
    end = object()
    coming = thread.call(next, items, end)
    try:
        while (item := await coming) is not end:
            coming = thread.call(next, items, end)
            yield item
    finally:
        coming.cancel()
        thread.call(items.close).add_done_callback(_on_source_closed)


def _on_source_closed(closed: asyncio.Future[None]) -> None:
    # An iterator that fails when it is closed has nothing to say any more.
    if not closed.cancelled() and closed.exception() is not None:
        logger.debug("the source was closed: %r", closed.exception())


def _annotate(exc: BaseException, report: Report) -> None:
    # What became of the points that were taken before it.
    if isinstance(exc, SiriDBError):
        exc.points_inserted = report.points
    if report.points or not report.is_complete:
        exc.add_note(f"before that, {report}")
