"""The journal of a writer: who waits for the disk, and when a segment has no use any more.

A segment is released once each of its points has a fate: is delivered, given up, or in the spool.
Knows the event loop and what is behind a writer; knows nothing of what is in a record.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Set
from dataclasses import dataclass
from math import inf, nextafter
from pathlib import Path

from siridb_fast.batching._coalescer import Coalescer
from siridb_fast.batching._point_log import PointLog
from siridb_fast.batching._series import Series
from siridb_fast.concurrency.fork import own
from siridb_fast.concurrency.quiet_log import QuietLog
from siridb_fast.delivery.packages import Packages
from siridb_fast.delivery.spool_thread import SpoolThread
from siridb_fast.delivery.stats import JournalStats
from siridb_fast.errors import SpoolError, WriterClosedError
from siridb_fast.journal._appender import JournalAppender
from siridb_fast.journal._frames import Layout
from siridb_fast.journal.file import JournalFile
from siridb_fast.spool.options import SpoolOptions
from siridb_fast.writer.first_points import FirstPoints
from siridb_fast.writer.full_stores import FullStores
from siridb_fast.writer.series_types import SeriesTypeResolver

__all__ = ["WriterJournal"]

LONGEST_SEGMENT = 10.0  # seconds, until another one begins, so that this one can be released
LARGEST_SEGMENT = 16 * 1024 * 1024  # bytes of records
IDLE_SEGMENT = 1.0  # the same, where nothing is pending any more
STOP_TIMEOUT = 10.0  # for the disk, at the end
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

logger = logging.getLogger("siridb_fast")


@dataclass(slots=True)
class _EndedSegment:
    """A segment that gets no more records, and what its points wait for."""

    number: int
    ended_at: float
    generation: int
    newest: Series | None  # of those whose type is asked for
    last_package: int | None = None  # that may have points of it, once all have left
    unbooked: Set[object] = frozenset()


class WriterJournal:
    """That of one writer.

    Args:
        options: Where it is.
        coalescer: Whose points are written.
        packages: All of the writer.
        type_resolver: Asks for the types of series.
        first_points: Has what is acknowledged and not booked.
        full_stores: Refuse or give up points where the options say so.
        on_persisted: Called with the number of points that are on disk by now, or None.
        notify: Called when those who wait for room may go on.
    """

    def __init__(
        self,
        options: SpoolOptions,
        coalescer: Coalescer,
        packages: Packages,
        type_resolver: SeriesTypeResolver,
        first_points: FirstPoints,
        full_stores: FullStores,
        *,
        on_persisted: Callable[[int], object] | None,
        notify: Callable[[], None],
    ) -> None:
        assert options.journal is not None  # noqa: S101 - it is why there is one
        self.path = Path(options.journal).resolve()
        self._options = options
        self._coalescer = coalescer
        self._packages = packages
        self._type_resolver = type_resolver
        self._first_points = first_points
        self._full_stores = full_stores
        self._on_persisted = on_persisted
        self._notify = notify
        self._loop = asyncio.get_running_loop()
        self._log = QuietLog(self._loop.time)
        self._file: JournalFile | None = None
        self._appender: JournalAppender | None = None
        self._thread: threading.Thread | None = None
        self._ended: deque[_EndedSegment] = deque()
        self._segment = 0
        self._begun_at = 0.0
        self._persisted_points = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._error = 0
        self._is_moving = False  # it is being made anew
        self._is_full = False  # as far as is known since it last got room

    # ---- life

    async def open(self, dbname: str, time_precision: str, spool: SpoolThread) -> None:
        """Open the file, and put what a killed writer has left there into the spool.

        Raises:
            SpoolError: It cannot be used, or another writer has it.
        """
        self._file = JournalFile(self.path, dbname, time_precision)
        try:
            recovery = await spool.recover(self._file)
        except OSError as exc:
            raise SpoolError(f"{self.path}: {exc.strerror}") from exc
        if recovery.points or recovery.lost:
            logger.warning(
                "%s: %s points of a writer that was killed are looked up, and delivered if they "
                "are not in the database; %s could not be read",
                self.path,
                f"{recovery.points:,}",
                f"{recovery.lost:,}",
            )

    def start(self) -> PointLog:
        """Write from now on what comes to the log that this returns."""
        assert self._file is not None  # noqa: S101 - open() was first
        header = self._file.header
        # A small part of the file, which can be released by itself.
        part = max(int(Layout.UNIT_BYTES), self._options.journal_max_bytes // 8)
        log = PointLog(header.next_segment, min(LARGEST_SEGMENT, part))
        self._appender = JournalAppender(
            log,
            self._file.file,
            self._file.units,
            header.journal,
            header.opening,
            self._options.journal_sync,
            self._options.journal_max_bytes,
            self._on_event_in_thread,
        )
        self._segment, self._begun_at = log.segment, self._loop.time()
        self._thread = threading.Thread(
            target=self._appender.run, name="siridb_fast-journal", daemon=True
        )
        self._thread.start()
        own(self)
        return log

    def disown(self) -> None:
        """Use the file no more; called in a child of a fork, which has no such thread."""
        self._appender = self._thread = None
        if self._file is not None:
            self._file.disown()

    async def finish(self) -> None:
        """Write what is left, and close the file; it is empty if all points have their fate."""
        await self._loop.run_in_executor(None, self._stop_thread)
        self.end()

    def end(self) -> None:
        """Close the file after what was begun."""
        self._stop_thread()
        if self._timer is not None:
            self._timer.cancel()
        for _, future in self._waiting:
            if not future.done():
                future.set_exception(WriterClosedError("the writer is closed"))
        if self._file is None or self._file.file < 0:
            return
        log = self._coalescer.log
        is_empty = log is not None and self._is_idle and not self._packages.points_in_journal
        self._file.close(next_segment=log.segment + 1 if log is not None and is_empty else None)

    def _stop_thread(self) -> None:
        if self._appender is not None and self._thread is not None:
            self._appender.stop()
            self._thread.join(STOP_TIMEOUT)
            if self._thread.is_alive() or self._appender.error_number:
                logger.error("%s: the last points are not on disk", self.path)

    # ---- who waits for the disk

    async def persisted(self) -> None:
        """Wait until all points that were accepted before this call are on disk.

        Raises:
            WriterClosedError: The writer was closed meanwhile.
        """
        appender = self._appender
        if appender is None:
            raise WriterClosedError("the journal is closed")
        target = appender.bytes_accepted
        if appender.bytes_written >= target:
            return
        future = self._loop.create_future()
        entry = target, future
        self._waiting.append(entry)
        appender.hurry()
        self._wake_persisted(appender)
        try:
            await future
        finally:
            if entry in self._waiting:
                self._waiting.remove(entry)

    def _on_event_in_thread(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._on_event)
        except RuntimeError:
            logger.debug("the event loop was closed before the journal had news")

    def _on_event(self) -> None:
        appender = self._appender
        if appender is None:
            return
        self._is_full = appender.error_number in FULL
        self._wake_persisted(appender)
        self._tell_error(appender.error_number)
        self._full_stores.note_full(
            "journal", self._options.journal_on_full, self._why_full(appender.error_number)
        )
        self._report_persisted()
        if self._waiting:
            appender.hurry()
        self._notify()

    def _wake_persisted(self, appender: JournalAppender) -> None:
        appender.watch()  # before what is written is looked at: else news may be missed
        written = appender.bytes_written
        for target, future in self._waiting:
            if target <= written and not future.done():
                future.set_result(None)
        self._waiting = [one for one in self._waiting if one[0] > written]

    def _report_persisted(self) -> None:
        log = self._coalescer.log
        if self._on_persisted is None or log is None:
            return
        points = log.points_taken
        if points != self._persisted_points:
            self._persisted_points = points
            self._on_persisted(points)

    def _tell_error(self, number: int) -> None:
        if number:
            text = "%s: the journal cannot be written: %s; trying again until it works"
            self._log.log(logging.ERROR, text, self.path, os.strerror(number))
        elif self._error:
            logger.warning("%s: the journal is written again", self.path)
        self._error = number

    def _why_full(self, number: int) -> str | None:
        if number not in FULL:
            return None
        return (
            f"{self.path}: the journal has no room: {os.strerror(number)}; journal_max_bytes is "
            f"{self._options.journal_max_bytes:,}, journal_on_full is "
            f"{self._options.journal_on_full!r}"
        )

    # ---- segments

    def check(self) -> None:
        """Release what has no use any more; called whenever something has happened."""
        appender, log = self._appender, self._coalescer.log
        if appender is None or log is None:
            return
        self._begin_segment(appender, log)
        self._release(appender, log)
        if self._options.journal_on_full == "drop_oldest":
            self._drop_oldest(appender, log)
        if self._on_persisted is not None or log.waiting_bytes * 8 > self._coalescer.max_buffered:
            appender.watch()
        has_use = bool(self._ended) or not log.is_segment_empty
        if has_use and self._timer is None:
            self._timer = self._loop.call_later(IDLE_SEGMENT, self._on_timer)

    def _release(self, appender: JournalAppender, log: PointLog) -> None:
        while self._ended and self._is_over(self._ended[0]):
            number = self._ended.popleft().number
            appender.release(number, is_last=not self._ended and log.is_segment_empty)
            if appender.error_number:  # try that place at once, and tell whether it is enough
                self._is_full = False
                appender.watch()
                appender.hurry()

    def _drop_oldest(self, appender: JournalAppender, log: PointLog) -> None:
        # Of the first segment, until it is over; what is with a server is waited for.
        text = self._why_full(appender.error_number)
        if text is None or not (self._is_full and self._ended):
            return
        first = self._ended[0]
        while not self._is_over(first) and self._full_stores.drop_until(
            "journal", first.ended_at, text
        ):
            pass
        self._release(appender, log)

    def _on_timer(self) -> None:
        self._timer = None
        if self._file is not None and not self._file.is_there() and not self._is_moving:
            self._is_moving = True
            self._loop.run_in_executor(None, self._bring_back, self._file)
        self._notify()

    def _bring_back(self, file: JournalFile) -> None:
        # In a thread: the file that somebody has deleted is made anew, with all that is in it.
        appender = self._appender
        if appender is None:
            return
        appender.hold()
        try:
            if file.bring_back():
                logger.warning("%s: the journal was deleted, and is made anew", self.path)
            else:
                text = "%s: another file is in the place of the journal, or it was moved"
                self._log.log(logging.ERROR, text, self.path)
        except OSError as exc:
            text = "%s: the journal was deleted, and cannot be made anew: %s"
            self._log.log(logging.ERROR, text, self.path, exc.strerror)
        finally:
            appender.go_on()
            self._is_moving = False

    def _begin_segment(self, appender: JournalAppender, log: PointLog) -> None:
        now = self._loop.time()
        age = now - self._begun_at
        is_due = age >= LONGEST_SEGMENT or (age >= IDLE_SEGMENT and self._is_idle)
        if appender.take_segment_wish() or (is_due and not log.is_segment_empty):
            log.begin_segment()
        if log.segment > self._segment:
            self._ended.append(
                _EndedSegment(
                    log.segment - 1,
                    time.monotonic(),
                    self._packages.generation,
                    self._type_resolver.newest,
                )
            )
            self._segment, self._begun_at = log.segment, now
            self._coalescer.epoch = nextafter(self._ended[-1].ended_at, inf)

    @property
    def _is_idle(self) -> bool:
        # Tell whether every point has its fate.
        packages = self._packages
        has_left = not self._coalescer.points and packages.is_finished(packages.last_number)
        return has_left and not self._first_points.waiting()

    def _is_over(self, segment: _EndedSegment) -> bool:
        # Tell whether each of its points has its fate, as a flush would wait for it.
        if segment.last_package is None:
            if segment.generation != self._packages.generation:
                segment.generation = self._packages.generation
                segment.newest = self._type_resolver.newest
            newest = segment.newest
            if newest is not None and not self._coalescer.is_resolved(newest):
                return False
            if self._coalescer.oldest_since <= segment.ended_at:
                return False
            segment.last_package = self._packages.last_number
            segment.unbooked = self._first_points.waiting()
        is_finished = self._packages.is_finished(segment.last_package)
        return is_finished and not segment.unbooked & self._first_points.waiting()

    def note_spool(self, last_id: int) -> None:
        """Take note of the newest row of the spool: it has no point of the records to come."""
        if self._appender is not None:
            self._appender.note_spool(last_id)

    def stats(self) -> JournalStats | None:
        """Return what is on disk; None before it is begun."""
        appender, log = self._appender, self._coalescer.log
        if appender is None or log is None:
            return None
        return JournalStats(
            persisted=log.points_taken,
            waiting=log.points - log.points_taken,
            bytes=appender.used_bytes,
            max_bytes=appender.max_bytes,
            syncs=appender.groups_written,
            segments=len(self._ended) + (not log.is_segment_empty),
            error=os.strerror(appender.error_number) if appender.error_number else "",
        )
