"""What a bench sends and how: packages made beforehand, in flight on a few connections.

The next package is sent from within the answer to the one before: no task, future or timer for
each is in the way. Rules: packages that are in flight together hold no series in common; the
series of all cells are the same ones, and their times go on and on, so nothing is stored twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from siridb_fast.cli.bench.cells import Cell
from siridb_fast.columns.insert_data import encode_insert
from siridb_fast.columns.time_units import TimePrecision
from siridb_fast.errors import SiriDBError
from siridb_fast.protocol import _wire

if TYPE_CHECKING:
    from siridb_fast.connection.connection import Connection
    from siridb_fast.protocol._wire import PayloadBytes

__all__ = ["BEGINNING", "Sender", "Supply"]

BEGINNING = 3_786_912_000  # seconds: the year 2090, where nobody has points, and none expire
FEWEST_SERIES = 48  # that the packages of a cell take turns with
LONGEST_RUN = 70_000  # over the largest buffer that a server has


class Supply:
    """Makes the packages of a bench, with points a tenth of a second apart, or a second.

    Args:
        prefix: Begins the names of all series.
        time_precision: Of the database: s, ms, us or ns.
    """

    def __init__(self, prefix: str, time_precision: str) -> None:
        self._prefix = prefix
        unit = TimePrecision.of_unit(time_precision).per_second
        self._step = max(unit // 10, 1)
        self._next = BEGINNING * unit
        steps = np.random.default_rng(1).normal(0, 0.1, LONGEST_RUN)
        self._values = np.round(20 + np.cumsum(steps), 3)
        self._steps = np.arange(LONGEST_RUN, dtype=np.int64) * self._step

    def turns(self, cell: Cell) -> int:
        """Return after how many packages of a cell the same series come again."""
        return max(cell.in_flight + 1, -(-FEWEST_SERIES // cell.series))

    def packages(self, cell: Cell, count: int) -> list[PayloadBytes]:
        """Return the next packages of a cell."""
        built: list[PayloadBytes] = []
        turns = self.turns(cell)
        for number in range(count):
            turn = number % turns
            if number and not turn:
                self._next += cell.points * self._step
            times = self._next + self._steps[: cell.points]
            values = self._values[: cell.points]
            first = turn * cell.series
            names = (f"{self._prefix}{first + i}" for i in range(cell.series))
            built.append(encode_insert(dict.fromkeys(names, (times, values))))
        self._next += cell.points * self._step
        return built

    def timestamps(self) -> Iterator[int]:
        """Yield one timestamp after another."""
        while True:
            yield self._next
            self._next += self._step


class Sender:
    """Keeps packages in flight on each of some connections.

    Args:
        connections: Open ones, with room for the window.
        window: Packages in flight on each.
        timeout: Seconds within which each has to be answered.
    """

    def __init__(self, connections: Sequence[Connection], window: int, timeout: float) -> None:
        self._lanes = [_Lane(self, connection) for connection in connections]
        self._window = window
        self._timeout = timeout
        self._in_flight = 0
        self._until = 0.0
        self._waiting: Iterator[PayloadBytes] = iter(())
        self._ended: asyncio.Future[None] | None = None
        self.acknowledged = 0  # packages of the last `send`

    async def send(self, packages: Sequence[PayloadBytes], until: float) -> float:
        """Send packages; return the seconds until the last one was acknowledged.

        None is begun after ``until``, on the clock of `time.perf_counter`.

        Raises:
            SiriDBError: The server refused one, or the connection is lost.
        """
        self.acknowledged = 0
        self._waiting = iter(packages)
        self._until = until
        self._ended = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        for _ in range(self._window):
            for lane in self._lanes:
                self._push(lane)
        await self._ended
        return time.perf_counter() - began

    def answered(self, lane: _Lane) -> None:
        """Go on after an answer."""
        self._in_flight -= 1
        self.acknowledged += 1
        if time.perf_counter() < self._until:
            self._push(lane)
        if not self._in_flight and self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def failed(self, error: BaseException) -> None:
        """Give up."""
        self._waiting = iter(())
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(error)

    def _push(self, lane: _Lane) -> None:
        payload = next(self._waiting, None)
        if payload is not None:
            deadline = asyncio.get_running_loop().time() + self._timeout
            try:
                lane.connection.send_for(lane, _wire.REQ_INSERT, payload, deadline)
            except SiriDBError as exc:  # raised into the answer to another package
                self.failed(exc)
            else:
                self._in_flight += 1


class _Lane:
    """One connection, and where its answers are put."""

    __slots__ = ("_sender", "connection")

    def __init__(self, sender: Sender, connection: Connection) -> None:
        self._sender = sender
        self.connection = connection

    def done(self) -> bool:
        """Tell whether nobody waits for the answer any more."""
        return False

    def set_result(self, _: object, /) -> None:
        """Take the answer."""
        self._sender.answered(self)

    def set_exception(self, exception: BaseException, /) -> None:
        """Take why there is none."""
        self._sender.failed(exception)
