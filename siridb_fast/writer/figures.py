"""The figures of one writer, collected from its parts when somebody asks.

Nothing is counted here. May be asked from any thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, get_args

from siridb_fast.batching._coalescer import Coalescer
from siridb_fast.connection.cluster import Cluster
from siridb_fast.delivery.accounts import Accounts
from siridb_fast.delivery.dispatcher import Dispatcher
from siridb_fast.delivery.packages import Packages
from siridb_fast.delivery.states import PackageState
from siridb_fast.delivery.stats import JournalStats, SpoolStats, Stats
from siridb_fast.spool.on_full import Store
from siridb_fast.writer.admission import Admission
from siridb_fast.writer.first_points import FirstPoints
from siridb_fast.writer.full_stores import FullStores
from siridb_fast.writer.series_types import SeriesTypeResolver

if TYPE_CHECKING:
    from siridb_fast.writer.writer_spool import WriterSpool

__all__ = ["Figures"]


class Figures:
    """Those of one writer.

    Args:
        accounts: Knows what became of points.
        cluster: Has the connections.
        coalescer: Has the points that wait.
        packages: Has those on their way.
        dispatcher: Sends them.
        admission: Makes packages of arrays.
        full_stores: Gives up what finds no room.
        first_points: Has what is acknowledged and not booked.
        type_resolver: Has the series whose type is asked for.
        points_in_packages: Returns how many points packages have.
        spool: Returns the spool, if there is one.
        is_open: Tells whether the writer takes points.
    """

    def __init__(
        self,
        accounts: Accounts,
        cluster: Cluster,
        coalescer: Coalescer,
        packages: Packages,
        dispatcher: Dispatcher,
        admission: Admission,
        full_stores: FullStores,
        first_points: FirstPoints,
        type_resolver: SeriesTypeResolver,
        *,
        points_in_packages: Callable[[], int],
        spool: Callable[[], WriterSpool | None],
        is_open: Callable[[], bool],
    ) -> None:
        self._accounts = accounts
        self._cluster = cluster
        self._coalescer = coalescer
        self._packages = packages
        self._dispatcher = dispatcher
        self._admission = admission
        self._full_stores = full_stores
        self._first_points = first_points
        self._type_resolver = type_resolver
        self._points_in_packages = points_in_packages
        self._spool = spool
        self._is_open = is_open

    @property
    def points_in_memory(self) -> int:
        """How many points are pending or on their way."""
        return self._coalescer.points + self._points_in_flight

    @property
    def oldest_since(self) -> float:
        """When the oldest point in memory was written, by `time.monotonic`; or infinity."""
        return min(
            self._coalescer.oldest_since,
            self._type_resolver.oldest_since,
            self._packages.oldest_since,
        )

    def spool(self) -> SpoolStats | None:
        """Return what is in the spool, if there is one."""
        spool = self._spool()
        return None if spool is None else spool.stats()

    def _journal(self) -> JournalStats | None:
        spool = self._spool()
        return None if spool is None or spool.journal is None else spool.journal.stats()

    def stats(self) -> Stats:
        """Return all figures."""
        accounts, coalescer, packages = self._accounts, self._coalescer, self._packages
        total, spool, oldest = accounts.total, self.spool(), self.oldest_since
        delivered, fast_path = total.points, accounts.fast_path
        used, comparer = coalescer.buffered_bytes, self._dispatcher.doubts.late
        return Stats(
            written=coalescer.accepted
            + self._admission.direct_points
            + self._full_stores.refused_points,
            delivered=delivered,
            fast_path=fast_path,
            slow_path=delivered - fast_path,
            rejected=total.rejected_points,
            rejected_by=dict(accounts.rejected_by),
            in_doubt=total.in_doubt_points,
            changed=total.changed_points,
            dropped=packages.dropped.total(),
            dropped_by={store: packages.dropped[store] for store in get_args(Store)},
            buffered=coalescer.points,
            in_flight=self._points_in_flight,
            not_yet_safe=packages.points(PackageState.ACKNOWLEDGED),
            spooled=0 if spool is None else spool.points,
            ever_spooled=total.spooled,
            packages=total.packages,
            bytes=total.bytes,
            packages_in_flight=packages.count(PackageState.IN_FLIGHT),
            retries=packages.retries,
            buffered_bytes=used,
            max_buffered=coalescer.max_buffered,
            room=max(0, coalescer.max_buffered - used),
            oldest_age=0.0 if oldest == inf else max(0.0, time.monotonic() - oldest),
            series=coalescer.series_count,
            typed_series=self._type_resolver.resolved_count,
            hosts=self._cluster.stats(),
            lookups=self._dispatcher.doubts.stats(),
            latency=accounts.latency.stats(),
            late=None if comparer is None else comparer.stats(),
            spool=spool,
            journal=self._journal(),
            is_open=self._is_open(),
        )

    @property
    def _points_in_flight(self) -> int:
        return self._points_in_packages() + self._first_points.points
