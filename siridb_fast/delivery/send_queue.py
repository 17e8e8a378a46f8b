"""The packages of one writer that are made and not settled, and which of them goes next.

Knows nothing of connections, of answers, or of the disk.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

from siridb_fast.batching._batch import Batch
from siridb_fast.delivery.package import Outcome, Package, part
from siridb_fast.protocol._buffer import PayloadBuffer

__all__ = ["SendQueue"]

KEPT_BUFFERS = 4  # of packages that were settled, for the next ones

logger = logging.getLogger("siridb_fast")


class SendQueue:
    """See above.

    Args:
        outcome: Gives fresh points, and is told of memory.
        now: Returns the time of the event loop.
        patience: Seconds from the making of a package until it is given up.
    """

    def __init__(self, outcome: Outcome, now: Callable[[], float], patience: float) -> None:
        self._outcome = outcome
        self._now = now
        self._patience = patience
        self.ready: deque[Package] = deque()
        self.recalled: deque[Package] = deque()  # that were on disk only
        self._is_recalled_next = False
        self._unsettled: dict[int, int] = {}  # number: packages of that number, in order
        self._last_number = 0
        self._buffers: list[PayloadBuffer] = []

    @property
    def last_number(self) -> int:
        """The number of the newest package; they count up from 1."""
        return self._last_number

    def is_settled(self, number: int) -> bool:
        """Tell whether the fate of every package up to this number is known."""
        return not self._unsettled or next(iter(self._unsettled)) > number

    # ---- making packages

    def new_batch(self) -> Batch:
        """Return an empty batch, in the memory of a former one if there is any."""
        for i, buffer in enumerate(self._buffers):
            if buffer.is_free:
                return Batch(self._buffers.pop(i))
        return Batch()

    def seal_next(self) -> Package | None:
        """Return the next package of fresh points, if there is any."""
        batch = self.new_batch()
        try:
            is_filled = self._outcome.fill(batch)
        except MemoryError:
            if not len(batch):
                raise
            logger.exception("a package goes out with the %d points that it has", batch.points)
            is_filled = True
        if not is_filled:
            self._keep(batch.buffer)
            return None
        return self.package(batch)

    def package(self, batch: Batch) -> Package:
        """Return a package of a batch, with a number and a deadline."""
        self._last_number += 1
        self._unsettled[self._last_number] = 1
        deadline = self._now() + self._patience
        package = Package(batch, self._last_number, deadline, len(batch.seal()))
        self._outcome.held(package)
        return package

    def parts(self, package: Package, one: Batch, other: Batch) -> tuple[Package, Package]:
        """Return two packages in place of one."""
        self._unsettled[package.number] += 1
        return part(package, one, other)

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

    def take_late(self) -> list[Package]:
        """Take out those that wait for too long."""
        now = self._now()
        late = [package for package in self.ready if package.deadline <= now]
        for package in late:
            self.ready.remove(package)
        return late

    def settle(self, package: Package) -> None:
        """Take note that the fate of a package is known, and use its memory again."""
        self._unsettled[package.number] -= 1
        if not self._unsettled[package.number]:
            del self._unsettled[package.number]
        self._keep(package.batch.buffer)
        self._outcome.released(package)

    def _keep(self, buffer: PayloadBuffer) -> None:
        if len(self._buffers) < KEPT_BUFFERS:
            self._buffers.append(buffer)
