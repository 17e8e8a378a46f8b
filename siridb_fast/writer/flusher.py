"""A flush: all that is pending leaves, and its fate is waited for.

Knows what the parts of a writer are waited for, and how long; knows nothing of connections.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from siridb_fast.batching._coalescer import Coalescer
from siridb_fast.concurrency.waiting import Waiters
from siridb_fast.delivery.packages import Packages
from siridb_fast.errors import RequestTimeout
from siridb_fast.writer.first_points import FirstPoints
from siridb_fast.writer.series_types import SeriesTypeResolver

__all__ = ["Flusher"]


class Flusher:
    """Flushes one writer.

    Args:
        coalescer: Has what is pending.
        packages: All of the writer.
        type_resolver: Asks for the types of series.
        first_points: Has what is acknowledged and not booked.
        waiters: Where to wait.
        check: Called to have sent what should leave.
        is_spool_empty: Tells whether nothing of the spool is waited for.
        points_left: Returns how many points have no fate yet.
        time_for: Returns how many seconds to wait for so many, by default.
        failure_suffix: Returns why no server is connected, for an error.
    """

    def __init__(
        self,
        coalescer: Coalescer,
        packages: Packages,
        type_resolver: SeriesTypeResolver,
        first_points: FirstPoints,
        waiters: Waiters,
        *,
        check: Callable[[], None],
        is_spool_empty: Callable[[], bool],
        points_left: Callable[[], int],
        time_for: Callable[[int], float],
        failure_suffix: Callable[[], str],
    ) -> None:
        self._coalescer = coalescer
        self._packages = packages
        self._type_resolver = type_resolver
        self._first_points = first_points
        self._waiters = waiters
        self._check = check
        self._is_spool_empty = is_spool_empty
        self._points_left = points_left
        self._time_for = time_for
        self._failure_suffix = failure_suffix
        self._last_timeout: asyncio.Timeout | None = None  # of whoever waited for the spool, too

    async def deliver_all(self, timeout: float | None, *, with_spool: bool = False) -> None:
        """Send what is pending now, and wait until its fate is known.

        With a spool, its fate may be to be there. ``with_spool`` waits for what is there too, as
        long as a server is connected.

        Raises:
            RequestTimeout: Not within so many seconds; it goes on all the same.
        """
        if timeout is None:
            timeout = self._time_for(self._points_left())
        try:
            async with asyncio.timeout(timeout) as limit:
                self._last_timeout = limit if with_spool else self._last_timeout
                await self._deliver_all(with_spool=with_spool)
        except TimeoutError:
            raise RequestTimeout(
                f"{self._points_left():,} points are not delivered after {timeout:g} "
                f"seconds{self._failure_suffix()}"
            ) from None

    def hasten(self, timeout: float) -> None:
        """Have the `deliver_all` of whoever closes the writer take no longer than this."""
        limit, due = self._last_timeout, asyncio.get_running_loop().time() + timeout
        if limit is not None and not limit.expired() and (limit.when() or due) > due:
            limit.reschedule(due)

    async def _deliver_all(self, *, with_spool: bool) -> None:
        generation = -1
        while generation != self._packages.generation:  # types were forgotten meanwhile
            generation = self._packages.generation
            await self._deliver_pending(generation)
        if with_spool:
            await self._waiters.wait_until(self._is_spool_empty)
        unbooked = self._first_points.waiting()
        await self._waiters.wait_until(lambda: not unbooked & self._first_points.waiting())

    async def _deliver_pending(self, generation: int) -> None:
        # Of series whose type is not known nothing leaves. A type that came may be forgotten again
        # before this goes on, and is not asked for anew once its series has no more points.
        self._check()
        newest = self._type_resolver.newest
        await self._waiters.wait_until(
            lambda: (
                newest is None
                or self._coalescer.is_resolved(newest)
                or generation != self._packages.generation
            )
        )
        now = time.monotonic()
        self._coalescer.flush(now)
        self._check()
        await self._waiters.wait_until(lambda: self._coalescer.oldest_since > now)
        number = self._packages.last_number
        await self._waiters.wait_until(lambda: self._packages.is_finished(number))
