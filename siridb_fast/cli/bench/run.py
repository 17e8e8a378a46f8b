"""How a bench goes: which cell is measured when, and for how long.

All cells take turns, round after round, so that what else the machine does meets all alike.
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
from siridb_fast.cli.bench.target import Ground
from siridb_fast.connection.connection import Connection
from siridb_fast.protocol import _wire
from siridb_fast.protocol._qpack import packb
from siridb_fast.writer.writer import BatchWriter

__all__ = ["Tell", "survey"]

LATENCY_PART = 0.08  # of the time
WRITER_PART = 0.22
WRITER_REPEATS = 3
ROUNDS = 5  # that there is time for; quick ones get some more
MOST_ROUNDS = 9
SENDING_PART = 0.6  # of a cell's time; the rest is for making packages
LONGEST_REPEAT = 0.3
REPEAT_POINTS = 1_000_000
MOST_LATENCIES = 1000
MIB = 1024 * 1024

Tell = Callable[[str], None]


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
    fast_shares: list[float] = field(default_factory=list)
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
            fast_share=median(self.fast_shares) if self.fast_shares else None,
        )


async def survey(ground: Ground, seconds: float, writer_series: int, tell: Tell) -> Survey:
    """Measure all cells of a ground within so many seconds.

    Raises:
        SiriDBError: The server refused something, or the connection is lost.
    """
    transports = [line.transport for line in ground.lines]
    cells = plan(ground.facts.buffer_points, transports, writer_series)
    run = _Run(ground, [_Book(cell) for cell in cells], time.perf_counter() + seconds, tell)
    began = time.perf_counter()
    await run.latencies(began + seconds * LATENCY_PART)
    await run.rounds(began + seconds * (1 - WRITER_PART))
    await run.writers()
    return Survey(
        facts=ground.facts,
        cells=tuple(book.close() for book in run.books),
        acknowledged=run.acknowledged,
        stored=await ground.stored(),
        seconds=time.perf_counter() - began,
    )


class _Run:
    """The course of one survey."""

    def __init__(self, ground: Ground, books: list[_Book], end: float, tell: Tell) -> None:
        self._ground = ground
        self._supply = Supply(ground.prefix, ground.facts.time_precision)
        self._end = end
        self._tell = tell
        self.books = books
        self.acknowledged = 0

    async def latencies(self, until: float) -> None:
        """Measure round trips, over one transport after the other."""
        books = self._of(Kind.LATENCY)
        for number, book in enumerate(books):
            now = time.perf_counter()
            share = (until - now) / (len(books) - number)
            self._tell(f"one point at a time over {book.cell.transport.value}")
            async with AsyncExitStack() as stack:
                (connection,) = await self._connect(stack, book.cell.transport, 1, 1)
                await self._time_trips(book, connection, now + share)

    async def rounds(self, until: float) -> None:
        """Measure runs and lines, in turns."""
        books = self._of(Kind.RUNS, Kind.LINES)
        sending = (until - time.perf_counter()) / len(books) / (ROUNDS + 1) * SENDING_PART
        sending = min(sending, LONGEST_REPEAT)
        async with AsyncExitStack() as stack:
            lines = [await self._lines(stack, book.cell) for book in books]
            await self._make_series(books[0].cell, lines[0])
            longest = 0.0
            for number in range(MOST_ROUNDS + 1):
                began = time.perf_counter()
                if number > 1 and began + longest > until:
                    return
                for book, connections in zip(books, lines, strict=True):
                    if time.perf_counter() > (until + self._end) / 2:
                        return
                    self._tell(_described(book.cell))
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
            self._tell(f"BatchWriter, linger {book.cell.linger:g}")
            await self._write(book, left / (len(turns) - number))

    def _of(self, *kinds: Kind) -> list[_Book]:
        return [book for book in self.books if book.cell.kind in kinds]

    async def _connect(
        self, stack: AsyncExitStack, transport: Transport, count: int, window: int
    ) -> list[Connection]:
        (line,) = (line for line in self._ground.lines if line.transport is transport)
        opened = []
        for _ in range(count):
            connection = await self._ground.connect(line, window)
            stack.callback(connection.abort)
            opened.append(connection)
        return opened

    async def _lines(self, stack: AsyncExitStack, cell: Cell) -> list[Connection]:
        return await self._connect(stack, cell.transport, cell.connections, cell.window)

    async def _make_series(self, cell: Cell, connections: Sequence[Connection]) -> None:
        # All cells have series that this one, with the most of them, has as well.
        packages = self._supply.packages(cell, self._supply.turns(cell))
        sender = Sender(connections, cell.window, self._ground.timeout)
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
        sender = Sender(connections, cell.window, self._ground.timeout)
        cpu = time.process_time(), cpu_seconds(self._ground.pid)
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
        after = cpu_seconds(self._ground.pid)
        if before[1] is not None and after is not None:
            book.server_cpu = (book.server_cpu or 0.0) + after - before[1]

    async def _time_trips(self, book: _Book, connection: Connection, until: float) -> None:
        timestamps = self._supply.timestamps()
        name = f"{self._ground.prefix}one"
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
        await connection.request(type_, payload, self._ground.timeout)
        return time.perf_counter() - began

    async def _write(self, book: _Book, share: float) -> None:
        cell = book.cell
        (line,) = (line for line in self._ground.lines if line.transport is cell.transport)
        config = replace(self._ground.config, hosts=(line.host,))
        cpu = time.process_time(), cpu_seconds(self._ground.pid)
        linger = cell.linger or 0.0
        async with BatchWriter(config, linger=linger, max_buffered=32 * MIB) as writer:
            began = time.perf_counter()
            until = began + share * 0.8  # what waits then is still to be stored
            series = [writer.series(f"{self._ground.prefix}w.{i}") for i in range(cell.series)]
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
        book.fast_shares.append(stats.fast / max(stats.delivered, 1))
        self._add(book, report.points, report.bytes, seconds, cpu)


def _described(cell: Cell) -> str:
    return (
        f"{cell.points:,} × {cell.series} over {cell.transport.value}, "
        f"{cell.connections} × {cell.window} in flight"
    )
