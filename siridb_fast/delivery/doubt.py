"""Resolving doubts: which points of a package are stored, and which have to be sent again.

A package is in doubt when it may have been stored, in whole or in part, and no answer tells. The
server that it was sent to is asked, once it has stopped working on the package. Knows packages
and connections; knows nothing of why there is a doubt, nor of what follows from its end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any

import numpy as np

from siridb_fast.batching._batch import Batch
from siridb_fast.columns._decode import decode_points
from siridb_fast.columns.column import point_column
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.connection.cluster import Cluster
from siridb_fast.connection.connection import Connection
from siridb_fast.delivery.missing_points import Arrays, missing_points
from siridb_fast.errors import SiriDBError
from siridb_fast.query.server_queries import ServerQueries

__all__ = ["DoubtResolver", "LookupTurns", "Resolution", "batch_of", "split_batch"]

LOOKUP_TIMEOUT = 30.0  # seconds at least to look up a package that is in doubt
RETRY_INTERVAL = 0.1  # seconds between two queries for the same points
BUSY_TIMEOUT = 10.0  # seconds that a server may go on working: it may be for other clients
CONCURRENT_LOOKUPS = 2  # each has the points of a package in memory three times
SENT_RULES = ColumnRules()  # what was sent is in the database's precision

logger = logging.getLogger("siridb_fast")
NumpyArray = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Resolution:
    """What was found out of a package in doubt, as two batches; None for one without points."""

    stored: Batch | None
    missing: Batch | None


class LookupTurns:
    """Whose turn it is to ask; the others wait for as long as doubts are being resolved."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._free = asyncio.Semaphore(CONCURRENT_LOOKUPS)
        self._last_resolved = -inf

    async def acquire(self, deadline: float) -> float:
        """Wait for a turn; return when it ends, on the loop's clock.

        Raises:
            TimeoutError: The deadline is over, and no lookup has been of use for its longest time.
        """
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    await self._free.acquire()
            except TimeoutError:
                deadline = self._last_resolved + LOOKUP_TIMEOUT
                if deadline <= self._loop.time():
                    raise
            else:
                return max(deadline, self._loop.time() + LOOKUP_TIMEOUT)

    def release(self, *, is_resolved: bool) -> None:
        """End a turn; ``is_resolved`` says whether it was of use."""
        if is_resolved:
            self._last_resolved = self._loop.time()
        self._free.release()


class DoubtResolver:
    """The packages of one writer that are looked up.

    Args:
        cluster: Where they were sent.
        queries: Asks the servers.
        in_flight: Returns how many packages of the writer are with servers now.
    """

    def __init__(
        self, cluster: Cluster, queries: ServerQueries, in_flight: Callable[[], int]
    ) -> None:
        self._cluster = cluster
        self._queries = queries
        self._in_flight = in_flight
        self._turns = LookupTurns(cluster.loop)
        self._query_lock = asyncio.Lock()  # active_tasks counts the queries of other lookups
        self._tasks: set[asyncio.Task[None]] = set()

    def resolve(
        self,
        batch: Batch,
        connection: Connection,
        deadline: float,
        on_resolved: Callable[[Resolution | None, Connection], None],
    ) -> None:
        """Find out what became of a package that was sent over a connection.

        Args:
            batch: What it holds.
            connection: Its host is asked, whoever listens there by then.
            deadline: When to give up, on the loop's clock; later, if that leaves little time, or
                others are resolved meanwhile.
            on_resolved: Called once with the resolution, None if there was none in time, and with
                the connection over which it was learnt.
        """
        # From now on, not from its turn on: that others are waited for is time for this one, too.
        now = self._cluster.loop.time()
        busy_until, deadline = now + BUSY_TIMEOUT, max(deadline, now + LOOKUP_TIMEOUT)
        task = self._cluster.loop.create_task(
            self._resolve(batch, connection, deadline, busy_until, on_resolved)
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """Ask no more, and call nobody."""
        for task in self._tasks:
            task.cancel()

    async def _resolve(
        self,
        batch: Batch,
        connection: Connection,
        deadline: float,
        busy_until: float,
        on_resolved: Callable[[Resolution | None, Connection], None],
    ) -> None:
        resolution, asked = None, connection
        try:
            end = await self._turns.acquire(deadline)
            try:
                async with asyncio.timeout_at(end):
                    arrays = decode_points(batch.buffer)
                    missing, asked = await self._find_missing(arrays, connection, busy_until)
                    resolution = split_batch(batch, arrays, missing)
            finally:
                self._turns.release(is_resolved=resolution is not None)
        except TimeoutError:
            logger.error("%s did not tell in time what became of a package", connection.name)
        on_resolved(resolution, asked)

    async def _find_missing(
        self, arrays: Arrays, connection: Connection, busy_until: float
    ) -> tuple[dict[str, NumpyArray], Connection]:
        # A new process works on nothing. Of one that may, two answers have to agree.
        before: dict[str, NumpyArray] | None = None
        while True:
            current = self._cluster.connection_to(connection.name)
            try:
                if current is not None:
                    is_new = _is_new(current, connection)
                    may_be_busy = not is_new and self._cluster.loop.time() < busy_until
                    async with self._query_lock if may_be_busy else nullcontext():
                        is_idle = not may_be_busy or await self._is_idle(current)
                        now = await missing_points(
                            arrays, partial(self._queries.select, at=current)
                        )
                    is_stored = not any(mask.any() for mask in now.values())
                    if is_new or is_stored or (is_idle and _are_equal(now, before)):
                        return now, current
                    before = now
            except SiriDBError as exc:
                logger.debug("%s: %s; asking again", connection.name, exc)
                before = None
            await asyncio.sleep(RETRY_INTERVAL)

    async def _is_idle(self, connection: Connection) -> bool:
        # Whether it works on nothing but this question and our own packages.
        ours = 1 + self._in_flight()
        return await self._queries.active_tasks(at=connection) <= ours


def split_batch(batch: Batch, arrays: Arrays, missing: dict[str, NumpyArray]) -> Resolution:
    """Split a package into what is stored and what is not, and the credit of deliveries with it.

    Args:
        batch: The package.
        arrays: Its points.
        missing: Of each series a bool array, shape (n,).
    """
    if not any(mask.any() for mask in missing.values()):
        return Resolution(batch, None)
    if all(mask.all() for mask in missing.values()):
        return Resolution(None, batch)
    stored, lost = Batch(oldest=batch.oldest), Batch(oldest=batch.oldest)
    indexes: dict[int, tuple[int, int, int]] = {}  # in both, and how many points are missing
    for index, name in enumerate(batch.names):
        mask = missing[name]
        indexes[index] = (
            _append(stored, name, arrays[name], ~mask),
            _append(lost, name, arrays[name], mask),
            int(mask.sum()),
        )
    for delivery, index, points in batch.credits:
        in_stored, in_lost, left = indexes[index]
        missed = min(points, left)
        indexes[index] = in_stored, in_lost, left - missed
        for half, at, count in ((stored, in_stored, points - missed), (lost, in_lost, missed)):
            if count:
                half.credit(delivery, at, count)
    stored.seal()
    lost.seal()
    return Resolution(stored, lost)


def batch_of(payload: bytes) -> Batch:
    """Return a sealed batch of the points of an insert package."""
    batch = Batch()
    for name, pair in decode_points(payload).items():
        _append(batch, name, pair, np.ones(len(pair[0]), np.bool_))
    batch.seal()
    return batch


def _append(batch: Batch, name: str, pair: tuple[NumpyArray, NumpyArray], mask: NumpyArray) -> int:
    # Return the index of the series in the batch, if it has points.
    column = point_column(name, pair[0][mask], pair[1][mask], SENT_RULES)
    batch.append_column(column, 0, len(column))
    return len(batch) - 1


def _is_new(current: Connection, former: Connection) -> bool:
    processes = current.process, former.process
    return None not in processes and processes[0] is not processes[1]


def _are_equal(now: dict[str, NumpyArray], before: dict[str, NumpyArray] | None) -> bool:
    return before is not None and all(
        np.array_equal(mask, before[name]) for name, mask in now.items()
    )
