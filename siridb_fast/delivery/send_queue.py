"""The packages of one writer whose fate is not known, and which of them goes next.

Knows nothing of connections, of answers, or of the disk.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

from siridb_fast.batching._batch import Batch
from siridb_fast.delivery.package import Package, PackageDelegate, split_package
from siridb_fast.protocol._buffer import PayloadBuffer

__all__ = ["SendQueue"]

MAX_FREE_BUFFERS = 4  # of finished packages, for the next ones

logger = logging.getLogger("siridb_fast")


class SendQueue:
    """Those that wait for a connection, in order, and a count of all that are on their way.

    Args:
        delegate: Gives fresh points, and is told of memory.
        now: Returns the time of the event loop.
        delivery_timeout: Seconds from the making of a package until it is given up.
    """

    def __init__(
        self, delegate: PackageDelegate, now: Callable[[], float], delivery_timeout: float
    ) -> None:
        self._delegate = delegate
        self._now = now
        self._delivery_timeout = delivery_timeout
        self.ready: deque[Package] = deque()
        self.recalled: deque[Package] = deque()  # that were on disk only
        self._is_recalled_next = False
        self._unfinished: dict[int, int] = {}  # number: packages of that number, in order
        self._last_number = 0
        self._free_buffers: list[PayloadBuffer] = []

    @property
    def last_number(self) -> int:
        """The number of the newest package; they count up from 1."""
        return self._last_number

    def is_finished(self, number: int) -> bool:
        """Tell whether the fate of every package up to this number is known."""
        return not self._unfinished or next(iter(self._unfinished)) > number

    # ---- making packages

    def new_batch(self) -> Batch:
        """Return an empty batch, in the memory of a former one if there is any."""
        for i, buffer in enumerate(self._free_buffers):
            if buffer.is_free:
                return Batch(self._free_buffers.pop(i))
        return Batch()

    def seal_next(self) -> Package | None:
        """Return the next package of fresh points, if there is any."""
        batch = self.new_batch()
        try:
            is_filled = self._delegate.fill(batch)
        except MemoryError:
            if not len(batch):
                raise
            logger.exception("a package goes out with the %d points that it has", batch.points)
            is_filled = True
        if not is_filled:
            self._recycle(batch.buffer)
            return None
        return self.make_package(batch)

    def make_package(self, batch: Batch) -> Package:
        """Return a package of a batch, with a number and a deadline."""
        self._last_number += 1
        self._unfinished[self._last_number] = 1
        deadline = self._now() + self._delivery_timeout
        package = Package(batch, self._last_number, deadline, len(batch.seal()))
        self._delegate.on_sealed(package)
        return package

    def split(self, package: Package, one: Batch, other: Batch) -> tuple[Package, Package]:
        """Return two packages in place of one."""
        self._unfinished[package.number] += 1
        return split_package(package, one, other)

    # ---- and letting them go

    def next(self, *, seals: bool) -> Package | None:
        """Take out the next to send; fresh packages and recalled ones take turns.

        ``seals`` tells whether to make one of fresh points if none is ready.
        """
        self._is_recalled_next = not self._is_recalled_next
        if self.recalled and self._is_recalled_next:
            return self.recalled.popleft()
        package = self.ready.popleft() if self.ready else self.seal_next() if seals else None
        if package is None and self.recalled:
            return self.recalled.popleft()
        return package

    def take_all(self) -> list[Package]:
        """Take out all that wait."""
        packages = [*self.ready, *self.recalled]
        self.ready.clear()
        self.recalled.clear()
        return packages

    def take_expired(self) -> list[Package]:
        """Take out those that have waited for too long."""
        now = self._now()
        expired = [package for package in self.ready if package.deadline <= now]
        for package in expired:
            self.ready.remove(package)
        return expired

    def finish(self, package: Package) -> None:
        """Let go of a package whose fate is known, and use its memory again."""
        self._unfinished[package.number] -= 1
        if not self._unfinished[package.number]:
            del self._unfinished[package.number]
        self._recycle(package.batch.buffer)
        self._delegate.on_released(package)

    def _recycle(self, buffer: PayloadBuffer) -> None:
        if len(self._free_buffers) < MAX_FREE_BUFFERS:
            self._free_buffers.append(buffer)
