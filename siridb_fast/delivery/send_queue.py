"""Which package goes next: one that is ready, or a new one of fresh points.

Fresh packages and those that were read from disk take turns. Knows nothing of connections, of
answers, or of the disk.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from math import inf

from siridb_fast.batching._batch import Batch
from siridb_fast.batching._coalescer import Coalescer
from siridb_fast.delivery.package import Package
from siridb_fast.delivery.packages import Packages
from siridb_fast.delivery.states import PackageEvent, PackageState

__all__ = ["SendQueue"]

logger = logging.getLogger("siridb_fast")


class SendQueue:
    """The order in which the packages of one writer leave.

    Args:
        packages: All of them.
        coalescer: Has fresh points.
        now: Returns the time of the event loop.
        delivery_timeout: Seconds from the making of a package until it is given up.
        note_times: Called with the first and the last time of each package that is made anew.
        on_late: Called when there are late points to be compared.
    """

    def __init__(
        self,
        packages: Packages,
        coalescer: Coalescer,
        now: Callable[[], float],
        delivery_timeout: float,
        note_times: Callable[[int, int], None] | None = None,
        *,
        on_late: Callable[[], None] = lambda: None,
    ) -> None:
        self._packages = packages
        self._coalescer = coalescer
        self._now = now
        self._delivery_timeout = delivery_timeout
        self._note_times = note_times
        self._on_late = on_late
        self._is_recalled_next = False

    def next(self) -> Package | None:
        """Return the package to send next, made if need be; it stays ready until it is sent."""
        self._is_recalled_next = not self._is_recalled_next
        recalled = self._packages.first_ready(recalled=True)
        if recalled is not None and self._is_recalled_next:
            return recalled
        return self._packages.first_ready(recalled=False) or self.seal_next() or recalled

    def seal_next(self, state: PackageState = PackageState.READY) -> Package | None:
        """Make a package of fresh points, if there are any that should leave."""
        while (batches := self._take()) is not None:
            batch, late = batches
            package = None
            if len(batch):
                package = self.add(batch, state)
            else:
                self._packages.recycle(batch.buffer)
            if late is not None and len(late):  # behind the others: it waits for them
                late_package = self.add_late(late)
                if state is PackageState.SPOOLING:
                    self._packages.move(late_package, PackageEvent.NO_SERVER)
            if package is not None:
                return package
        return None

    def _take(self) -> tuple[Batch, Batch | None] | None:
        # The fresh points that should leave, and those of them that are late.
        batch = self._packages.new_batch()
        late = Batch() if self._packages.compares_late else None
        try:
            is_filled = self._coalescer.take(time.monotonic(), batch, late)
        except MemoryError:
            if not len(batch) and not late:
                raise
            points = batch.points + (late.points if late is not None else 0)
            logger.exception("a package goes out with the %d points that it has", points)
            is_filled = True
        if not is_filled:
            self._packages.recycle(batch.buffer)
            return None
        return batch, late

    def add_late(self, batch: Batch, *, generation: int | None = None) -> Package:
        """Make a package of late points, which are to be compared before they are sent."""
        package = self.add(batch, PackageState.IN_DOUBT, generation=generation)
        package.is_late = True
        self._on_late()
        return package

    def add(
        self,
        batch: Batch,
        state: PackageState = PackageState.READY,
        *,
        spool_id: int | None = None,
        generation: int | None = None,
    ) -> Package:
        """Make a package of a batch; its time is over ``delivery_timeout`` from now."""
        if self._note_times is not None and spool_id is None:
            self._note_times(*batch.span())
        deadline = self._now() + self._delivery_timeout
        return self._packages.add(
            batch,
            state,
            deadline,
            spool_id=spool_id,
            generation=generation,
            since=inf if spool_id is not None else min(batch.oldest, time.monotonic()),
        )
