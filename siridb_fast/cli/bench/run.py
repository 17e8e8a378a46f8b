"""How a bench goes: which cell is measured when, and for how long.

All cells take turns, round after round, so that what else the machine does affects all alike.
Rules: no package is begun after the time is up; memory is bounded by the packages of one repeat;
what is not sent is not timed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from itertools import islice
from statistics import median, quantiles

from siridb_fast.cli.bench.cells import Cell, Kind, Latency, Measured, Survey, Transport, plan
from siridb_fast.cli.bench.cpu import cpu_seconds
from siridb_fast.cli.bench.sending import Sender, Supply
from siridb_fast.cli.bench.target import BenchTarget
from siridb_fast.connection.connection import Connection
from siridb_fast.protocol import _wire
from siridb_fast.protocol._qpack import packb
from siridb_fast.writer.writer import BatchWriter

__all__ = ["OnStep", "survey"]

LATENCY_FRACTION = 0.08  # of the time
WRITER_FRACTION = 0.22
WRITER_REPEATS = 3
ROUNDS = 5  # that there is time for; quick ones get some more
MOST_ROUNDS = 9
SENDING_FRACTION = 0.6  # of a cell's time; the rest is for making packages
LONGEST_REPEAT = 0.3
REPEAT_POINTS = 1_000_000
MOST_LATENCIES = 1000
MIB = 1024 * 1024

OnStep = Callable[[str], None]


@dataclass(slots=True)
class _Book:
    """What a cell has reached so far."""

    cell: Cell
    rates: list[float] = field(default_factory=list)
    points: int = 0
    bytes: int = 0
    seconds: float = 0.0
    client_cpu: float = 0.0
    server_cpu: float | None = None
    latency: Latency | None = None
    fast_fractions: list[float] = field(default_factory=list)
    expected: float = 0.0  # points per second

    def close(self) -> Measured:
        """Return it as it is."""
        return Measured(
            cell=self.cell,
            rates=tuple(self.rates),
            points=self.points,
            bytes=self.bytes,
            seconds=self.seconds,
            client_cpu=self.client_cpu,
            server_cpu=self.server_cpu,
            latency=self.latency,
            fast_fraction=median(self.fast_fractions) if self.fast_fractions else None,
        )


async def survey(
    target: BenchTarget, seconds: float, writer_series: int, on_step: OnStep
) -> Survey:
    """Measure all cells of a target within so many seconds.

    Raises:
        SiriDBError: The server refused something, or the connection is lost.
    """
    transports = [endpoint.transport for endpoint in target.endpoints]
    cells = plan(target.facts.buffer_points, transports, writer_series)
    run = _Run(target, [_Book(cell) for cell in cells], time.perf_counter() + seconds, on_step)
    began = time.perf_counter()
    await run.latencies(began + seconds * LATENCY_FRACTION)
    await run.rounds(began + seconds * (1 - WRITER_FRACTION))
    await run.writers()
    return Survey(
        facts=target.facts,
        cells=tuple(book.close() for book in run.books),
        acknowledged=run.acknowledged,
        stored=await target.stored(),
        seconds=time.perf_counter() - began,
    )


class _Run:
    """The course of one survey."""

    def __init__(
        self, target: BenchTarget, books: list[_Book], end: float, on_step: OnStep
    ) -> None:
        self._target = target
        self._supply = Supply(target.prefix, target.facts.time_precision)
        self._end = end
        self._on_step = on_step
        self.books = books
        self.acknowledged = 0

    async def latencies(self, until: float) -> None:
        """Measure round trips, over one transport after the other."""
        books = self._of(Kind.LATENCY)
        for number, book in enumerate(books):
            now = time.perf_counter()
            seconds = (until - now) / (len(books) - number)
            self._on_step(f"one point at a time over {book.cell.transport.value}")
            async with AsyncExitStack() as stack:
                (connection,) = await self._connect(stack, book.cell.transport, 1, 1)
                await self._time_trips(book, connection, now + seconds)

    async def rounds(self, until: float) -> None:
        """Measure runs and connections, in turns."""
        books = self._of(Kind.RUNS, Kind.CONNECTIONS)
        sending = (until - time.perf_counter()) / len(books) / (ROUNDS + 1) * SENDING_FRACTION
        sending = min(sending, LONGEST_REPEAT)
        async with AsyncExitStack() as stack:
            opened = [await self._connect_for(stack, book.cell) for book in books]
            await self._make_series(books[0].cell, opened[0])
            longest = 0.0
            for number in range(MOST_ROUNDS + 1):
                began = time.perf_counter()
                if number > 1 and began + longest > until:
                    return
                for book, connections in zip(books, opened, strict=True):
                    if time.perf_counter() > (until + self._end) / 2:
                        return
                    self._on_step(_described(book.cell))
                    await self._repeat(book, connections, sending, is_warm=number > 0)
                longest = max(longest, time.perf_counter() - began) if number else 0.0

    async def writers(self) -> None:
        """Measure the writer, whose points come one by one."""
        books = self._of(Kind.WRITER)
        turns = [book for _ in range(WRITER_REPEATS) for book in books]
        for number, book in enumerate(turns):
            left = self._end - time.perf_counter()
            if left <= 0:
                return
            self._on_step(f"BatchWriter, linger {book.cell.linger:g}")
            await self._write(book, left / (len(turns) - number))

    def _of(self, *kinds: Kind) -> list[_Book]:
        return [book for book in self.books if book.cell.kind in kinds]

    async def _connect(
        self, stack: AsyncExitStack, transport: Transport, count: int, window: int
    ) -> list[Connection]:
        (endpoint,) = (each for each in self._target.endpoints if each.transport is transport)
        opened = []
        for _ in range(count):
            connection = await self._target.connect(endpoint, window)
            stack.callback(connection.abort)
            opened.append(connection)
        return opened

    async def _connect_for(self, stack: AsyncExitStack, cell: Cell) -> list[Connection]:
        return await self._connect(stack, cell.transport, cell.connections, cell.window)

    async def _make_series(self, cell: Cell, connections: Sequence[Connection]) -> None:
        # All cells have series that this one, with the most of them, has as well.
        packages = self._supply.packages(cell, self._supply.turns(cell))
        sender = Sender(connections, cell.window, self._target.timeout)
        try:
            await sender.send(packages, self._end)
        finally:
            self.acknowledged += sender.acknowledged * cell.total

    async def _repeat(
        self, book: _Book, connections: Sequence[Connection], sending: float, *, is_warm: bool
    ) -> None:
        cell = book.cell
        wanted = min(book.expected * sending, REPEAT_POINTS)
        count = max(int(wanted / cell.total), cell.in_flight)
        packages = self._supply.packages(cell, count)
        size = sum(map(len, packages)) / count
        sender = Sender(connections, cell.window, self._target.timeout)
        cpu = time.process_time(), cpu_seconds(self._target.pid)
        until = min(time.perf_counter() + 2 * sending, self._end)
        try:
            seconds = await sender.send(packages, until)
        finally:
            self.acknowledged += sender.acknowledged * cell.total
        points = sender.acknowledged * cell.total
        book.expected = points / seconds
        if is_warm:
            book.rates.append(points / seconds)
            self._add(book, points, int(sender.acknowledged * size), seconds, cpu)

    def _add(
        self,
        book: _Book,
        points: int,
        size: int,
        seconds: float,
        before: tuple[float, float | None],
    ) -> None:
        book.points += points
        book.bytes += size
        book.seconds += seconds
        book.client_cpu += time.process_time() - before[0]
        after = cpu_seconds(self._target.pid)
        if before[1] is not None and after is not None:
            book.server_cpu = (book.server_cpu or 0.0) + after - before[1]

    async def _time_trips(self, book: _Book, connection: Connection, until: float) -> None:
        timestamps = self._supply.timestamps()
        name = f"{self._target.prefix}one"
        pings, nothing, points = [], [], []
        await self._trip(connection, _wire.REQ_INSERT, packb({name: [[next(timestamps), 0.5]]}))
        self.acknowledged += 1
        for timestamp in islice(timestamps, MOST_LATENCIES):
            pings.append(await self._trip(connection, _wire.REQ_PING, b""))
            nothing.append(await self._trip(connection, _wire.REQ_INSERT, packb({})))
            payload = packb({name: [[timestamp, 0.5]]})
            points.append(await self._trip(connection, _wire.REQ_INSERT, payload))
            self.acknowledged += 1
            if time.perf_counter() > until:
                break
        book.latency = Latency(
            ping=median(pings),
            nothing=median(nothing),
            median=median(points),
            p99=quantiles(points, n=100, method="inclusive")[-1] if points[1:] else points[0],
            count=len(points),
        )

    async def _trip(self, connection: Connection, type_: int, payload: bytes) -> float:
        began = time.perf_counter()
        await connection.request(type_, payload, self._target.timeout)
        return time.perf_counter() - began

    async def _write(self, book: _Book, duration: float) -> None:
        cell = book.cell
        (endpoint,) = (each for each in self._target.endpoints if each.transport is cell.transport)
        config = replace(self._target.config, hosts=(endpoint.host,))
        cpu = time.process_time(), cpu_seconds(self._target.pid)
        linger = cell.linger or 0.0
        async with BatchWriter(config, linger=linger, max_buffered=32 * MIB) as writer:
            began = time.perf_counter()
            until = began + duration * 0.8  # what waits then is still to be stored
            series = [writer.series(f"{self._target.prefix}w.{i}") for i in range(cell.series)]
            for timestamp in self._supply.timestamps():
                for each in series:
                    each.append(timestamp, 20.5)
                await writer.drain()
                await asyncio.sleep(0)
                if time.perf_counter() > until:
                    break
            report = await writer.flush()
            seconds = time.perf_counter() - began
            stats = writer.stats()
        self.acknowledged += report.points
        book.rates.append(report.points / seconds)
        book.fast_fractions.append(stats.fast / max(stats.delivered, 1))
        self._add(book, report.points, report.bytes, seconds, cpu)


def _described(cell: Cell) -> str:
    return (
        f"{cell.points:,} × {cell.series} over {cell.transport.value}, "
        f"{cell.connections} × {cell.window} in flight"
    )
