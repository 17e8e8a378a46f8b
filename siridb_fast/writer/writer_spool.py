"""The spool of a writer: its thread, and the packages that go there and come back.

Knows how these are put together; knows nothing of what is in a package.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial

from siridb_fast.batching._batch import Batch
from siridb_fast.batching._coalescer import Coalescer
from siridb_fast.batching._point_log import PointLog
from siridb_fast.connection.cluster import Cluster
from siridb_fast.delivery.disk_queue import DiskQueue
from siridb_fast.delivery.dispatcher import Dispatcher
from siridb_fast.delivery.packages import Packages
from siridb_fast.delivery.recall import Recaller
from siridb_fast.delivery.report import Failure, OpenDelivery
from siridb_fast.delivery.send_queue import SendQueue
from siridb_fast.delivery.spool_thread import SpoolThread
from siridb_fast.delivery.stats import SpoolStats
from siridb_fast.spool.options import SpoolOptions
from siridb_fast.writer.first_points import FirstPoints
from siridb_fast.writer.full_stores import FullStores
from siridb_fast.writer.journaling import WriterJournal
from siridb_fast.writer.series_types import SeriesTypeResolver

__all__ = ["WriterSpool"]

SPOOL_TIMEOUT = 30.0  # to write what memory holds to disk

logger = logging.getLogger("siridb_fast")


class WriterSpool:
    """That of one writer.

    Args:
        options: Where it is, and what goes there.
        cluster: Where packages go, once there is a connection.
        coalescer: Tells whether memory is short.
        packages: All of the writer.
        send_queue: Makes packages.
        dispatcher: Takes those that come back.
        max_buffered: Of the writer.
        full_stores: Refuse points where the options say so.
        fail: Called with points that are given up, and who waits for how many of them.
        notify: Called when there may be something to do.
        type_resolver: Asks for the types of series.
        first_points: Has what is acknowledged and not booked.
        on_persisted: Called with how many points are in the journal by now, if there is one.
    """

    def __init__(
        self,
        options: SpoolOptions,
        cluster: Cluster,
        coalescer: Coalescer,
        packages: Packages,
        send_queue: SendQueue,
        dispatcher: Dispatcher,
        *,
        max_buffered: int,
        full_stores: FullStores,
        fail: Callable[[Failure, list[tuple[OpenDelivery, int]]], None],
        notify: Callable[[], None],
        type_resolver: SeriesTypeResolver,
        first_points: FirstPoints,
        on_persisted: Callable[[int], object] | None,
    ) -> None:
        self.journal = None  # of the points that are not in the spool
        if options.journal is not None:
            self.journal = WriterJournal(
                options,
                coalescer,
                packages,
                type_resolver,
                first_points,
                full_stores,
                on_persisted=on_persisted,
                notify=notify,
            )
        self._thread = SpoolThread(options)
        self._cluster = cluster
        self._coalescer = coalescer
        self._packages = packages
        self._send_queue = send_queue
        self._dispatcher = dispatcher
        self._max_buffered = max_buffered
        self._full_stores = full_stores
        self._fail = fail
        self._notify = notify
        self._disk_queue: DiskQueue | None = None  # once the writer takes points

    async def open(self, dbname: str, time_precision: str, servers: list[str]) -> None:
        """Open the files, or make them, for a database of these servers, by uuid.

        Raises:
            SpoolError: One cannot be used, or another writer has it.
        """
        await self._thread.open(dbname, time_precision, " ".join(servers) or None)
        if self.journal is not None:
            await self.journal.open(dbname, time_precision, self._thread)

    def start(self, refit: Callable[[bytes], Awaitable[Batch | None]]) -> DiskQueue:
        """Return the queue of packages to disk; what is there comes back from now on.

        ``refit`` gives the points of a package the types that their series have.
        """
        recaller = Recaller(
            self._thread,
            self._packages,
            self._send_queue,
            max_buffered=self._max_buffered,
            refit=refit,
            on_recalled=self._dispatcher.on_recalled,
            on_unreadable=lambda row, error: self._fail(Failure("", row.points, error), []),
            notify=self._notify,
        )
        self._disk_queue = DiskQueue(
            self._thread,
            self._packages,
            self._send_queue,
            recaller,
            is_connected=lambda: self._cluster.is_connected,
            is_memory_short=lambda: self._coalescer.is_crowded,
            on_split=self._dispatcher.split,
            on_full=partial(self._full_stores.note_full, "spool", self._thread.options.on_full),
            notify=self._notify,
        )
        return self._disk_queue

    def start_journal(self) -> PointLog | None:
        """Return the log that points go into before anything else, if there is a journal."""
        if self.journal is None:
            return None
        log = self.journal.start()
        self.check()
        return log

    def check(self) -> None:
        """Release what the journal need not hold; called whenever something has happened."""
        if self.journal is not None:
            self.journal.note_spool(self._thread.spool.last_id)
            self.journal.check()

    @property
    def is_started(self) -> bool:
        """Tell whether packages go there."""
        return self._disk_queue is not None

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing is on disk, or on its way there or back."""
        return self._disk_queue is None or self._disk_queue.is_empty

    def stats(self) -> SpoolStats | None:
        """Return what is on disk; None before packages go there."""
        if self._disk_queue is None:
            return None
        spool = self._thread.spool
        oldest = spool.oldest
        return SpoolStats(
            packages=spool.packages,
            points=spool.points,
            bytes=spool.bytes,
            room=max(0, spool.room),
            oldest_age=0.0 if oldest is None else max(0.0, time.time() - oldest),
        )

    async def finish(self) -> None:
        """Write what is to be on disk, and close the file; say how much is left there."""
        if self._disk_queue is not None:
            await self._disk_queue.close(SPOOL_TIMEOUT)
        if self.journal is not None:
            await self.journal.finish()
        left = self.stats()
        if left is not None and left.packages:
            logger.warning(
                "%s points of %s packages (%s bytes) are left in the spool %s for the next writer",
                *(f"{number:,}" for number in (left.points, left.packages, left.bytes)),
                self._thread.options.path,
            )

    def end(self) -> None:
        """Close the files after what was begun."""
        self._thread.end()
        if self.journal is not None:
            self.journal.end()

    async def close(self) -> None:
        """Close the files, which nothing was written to."""
        await self._thread.close()
        if self.journal is not None:
            self.journal.end()
