"""Settling doubts: which points of a package are stored, and which have to be sent again.

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

__all__ = ["DoubtResolver", "Settled", "Turns", "batch_of", "split"]

LOOK_TIMEOUT = 30.0  # seconds at least to look up a package that is in doubt
PAUSE = 0.1  # seconds between two looks, or two attempts to look
PATIENCE = 10.0  # seconds of a doubt, for a server that goes on working: for others it may be
AT_ONCE = 2  # that are settled: each holds the points of a package three times
PLAIN = ColumnRules()  # what was sent is in the database's precision

logger = logging.getLogger("siridb_fast")
NumpyArray = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Settled:
    """The two parts of a package that was in doubt; None for one without points."""

    stored: Batch | None
    missing: Batch | None


class Turns:
    """Whose turn it is to look; the others wait for as long as doubts are being settled."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._free = asyncio.Semaphore(AT_ONCE)
        self._last_settled = -inf

    async def take(self, deadline: float) -> float:
        """Wait for a turn; return when it ends, on the loop's clock.

        Raises:
            TimeoutError: The deadline is over, and for as long as a look may take none was of use.
        """
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    await self._free.acquire()
            except TimeoutError:
                deadline = self._last_settled + LOOK_TIMEOUT
                if deadline <= self._loop.time():
                    raise
            else:
                return max(deadline, self._loop.time() + LOOK_TIMEOUT)

    def give_back(self, *, is_settled: bool) -> None:
        """End a turn; tell whether the doubt was settled."""
        if is_settled:
            self._last_settled = self._loop.time()
        self._free.release()


class DoubtResolver:
    """The packages of one writer that are looked up.

    Args:
        cluster: Where they were sent.
        asking: Runs the queries.
        in_flight: Returns how many packages of the writer are with servers now.
    """

    def __init__(
        self, cluster: Cluster, asking: ServerQueries, in_flight: Callable[[], int]
    ) -> None:
        self._cluster = cluster
        self._asking = asking
        self._in_flight = in_flight
        self._turns = Turns(cluster.loop)
        self._look = asyncio.Lock()  # one at a time: a look sees what others ask the server
        self._tasks: set[asyncio.Task[None]] = set()

    def settle(
        self,
        batch: Batch,
        connection: Connection,
        deadline: float,
        tell: Callable[[Settled | None, Connection], None],
    ) -> None:
        """Find out what became of a package that was sent over a connection.

        Args:
            batch: What it holds.
            connection: Its host is asked, whoever listens there by then.
            deadline: When to give up, on the loop's clock; later, if that leaves little time, or
                others are settled meanwhile.
            tell: Called once with the outcome, None if there was none in time, and with the
                connection over which it was learnt.
        """
        # From now on, not from its turn on: that others are waited for is time for this one, too.
        now = self._cluster.loop.time()
        patient_until, deadline = now + PATIENCE, max(deadline, now + LOOK_TIMEOUT)
        task = self._cluster.loop.create_task(
            self._settle(batch, connection, deadline, patient_until, tell)
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """Look no more, and tell nobody."""
        for task in self._tasks:
            task.cancel()

    async def _settle(
        self,
        batch: Batch,
        connection: Connection,
        deadline: float,
        patient_until: float,
        tell: Callable[[Settled | None, Connection], None],
    ) -> None:
        outcome, line = None, connection
        try:
            end = await self._turns.take(deadline)
            try:
                async with asyncio.timeout_at(end):
                    arrays = decode_points(batch.buffer)
                    missing, line = await self._missing(arrays, connection, patient_until)
                    outcome = split(batch, arrays, missing)
            finally:
                self._turns.give_back(is_settled=outcome is not None)
        except TimeoutError:
            logger.error("%s did not tell in time what became of a package", connection.name)
        tell(outcome, line)

    async def _missing(
        self, arrays: Arrays, connection: Connection, patient_until: float
    ) -> tuple[dict[str, NumpyArray], Connection]:
        # A new process has nothing in work. Of one that may, two looks have to agree.
        before: dict[str, NumpyArray] | None = None
        while True:
            line = self._cluster.connection_to(connection.name)
            try:
                if line is not None:
                    is_new = _is_new(line, connection)
                    is_patient = not is_new and self._cluster.loop.time() < patient_until
                    async with self._look if is_patient else nullcontext():
                        is_calm = not is_patient or await self._is_calm(line)
                        now = await missing_points(arrays, partial(self._asking.arrays, at=line))
                    is_stored = not any(mask.any() for mask in now.values())
                    if is_new or is_stored or (is_calm and _are_equal(now, before)):
                        return now, line
                    before = now
            except SiriDBError as exc:
                logger.debug("%s: %s; asking again", connection.name, exc)
                before = None
            await asyncio.sleep(PAUSE)

    async def _is_calm(self, line: Connection) -> bool:
        # Whether it works on nothing but this question and our own packages.
        ours = 1 + self._in_flight()
        return await self._asking.active_tasks(at=line) <= ours


def split(batch: Batch, arrays: Arrays, missing: dict[str, NumpyArray]) -> Settled:
    """Part a package into what is stored and what is not, and its deliveries with it.

    Args:
        batch: The package.
        arrays: Its points.
        missing: Of each series a bool array, shape (n,).
    """
    if not any(mask.any() for mask in missing.values()):
        return Settled(batch, None)
    if all(mask.all() for mask in missing.values()):
        return Settled(None, batch)
    stored, rest = Batch(oldest=batch.oldest), Batch(oldest=batch.oldest)
    places: dict[int, tuple[int, int, int]] = {}  # in both, and how many points are missing
    for index, name in enumerate(batch.names):
        mask = missing[name]
        places[index] = (
            _append(stored, name, arrays[name], ~mask),
            _append(rest, name, arrays[name], mask),
            int(mask.sum()),
        )
    for delivery, index, points in batch.credits:
        in_stored, in_rest, left = places[index]
        lost = min(points, left)
        places[index] = in_stored, in_rest, left - lost
        for part, place, count in ((stored, in_stored, points - lost), (rest, in_rest, lost)):
            if count:
                part.credit(delivery, place, count)
    stored.seal()
    rest.seal()
    return Settled(stored, rest)


def batch_of(payload: bytes) -> Batch:
    """Return a sealed batch of the points of an insert package."""
    batch = Batch()
    for name, pair in decode_points(payload).items():
        _append(batch, name, pair, np.ones(len(pair[0]), np.bool_))
    batch.seal()
    return batch


def _append(batch: Batch, name: str, pair: tuple[NumpyArray, NumpyArray], mask: NumpyArray) -> int:
    # Return the place of the series in the batch, if it has points.
    column = point_column(name, pair[0][mask], pair[1][mask], PLAIN)
    batch.append_column(column, 0, len(column))
    return len(batch) - 1


def _is_new(line: Connection, connection: Connection) -> bool:
    processes = line.process, connection.process
    return None not in processes and processes[0] is not processes[1]


def _are_equal(now: dict[str, NumpyArray], before: dict[str, NumpyArray] | None) -> bool:
    return before is not None and all(
        np.array_equal(mask, before[name]) for name, mask in now.items()
    )
