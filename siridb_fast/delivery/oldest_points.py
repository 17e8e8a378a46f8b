"""The oldest points in memory that were not sent yet: those that are given up for newer ones.

What is with a server, or may be stored there, is none of them: it cannot be taken back, and waits
for its fate. Knows nothing of why there is no room.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from siridb_fast.batching._coalescer import Coalescer
from siridb_fast.batching._leaving import take_oldest
from siridb_fast.delivery.package import Package
from siridb_fast.delivery.packages import Packages
from siridb_fast.delivery.states import PackageEvent, PackageState
from siridb_fast.errors import SiriDBError
from siridb_fast.spool.on_full import Store

__all__ = ["OldestPoints"]

UNSENT = (PackageState.READY, PackageState.SPOOLING)


class OldestPoints:
    """Those of one writer; a package of them at a time is given up.

    Args:
        coalescer: Has points that are in no package.
        packages: All of the writer.
        unresolved_since: Returns when the oldest point was written whose type is asked for.
    """

    def __init__(
        self,
        coalescer: Coalescer,
        packages: Packages,
        unresolved_since: Callable[[], float],
    ) -> None:
        self._coalescer = coalescer
        self._packages = packages
        self._unresolved_since = unresolved_since

    @property
    def since(self) -> float:
        """When the oldest of them was written, by `time.monotonic`; or infinity."""
        package = self._first_package()
        return min(self._run_since, inf if package is None else package.since)

    def drop(self, store: Store, error: SiriDBError) -> bool:
        """Give up the next ones for want of room in a store; tell whether there are any."""
        package = self._first_package()
        if package is None or package.since > self._run_since:
            package = self._new_package() or package
        if package is None:
            return False
        package.full_store = store
        self._packages.move(package, PackageEvent.DISCARDED, error)
        return True

    @property
    def _run_since(self) -> float:
        return min(self._coalescer.oldest_since, self._unresolved_since())

    def _first_package(self) -> Package | None:
        unsent = (
            package
            for state in UNSENT
            for package in self._packages.in_state(state)
            if not (package.maybe_stored or package.was_on_disk or package.is_on_disk)
        )
        return min(unsent, key=lambda package: package.since, default=None)

    def _new_package(self) -> Package | None:
        batch = self._packages.new_batch()
        if take_oldest(self._coalescer, batch):
            return self._packages.add(batch, PackageState.READY, inf, since=batch.oldest)
        self._packages.recycle(batch.buffer)
        return None
