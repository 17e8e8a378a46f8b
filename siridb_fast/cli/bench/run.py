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
from dataclasses import replace
from itertools import islice
from statistics import median, quantiles
from typing import TYPE_CHECKING

from siridb_fast.cli.bench.cells import Cell, Kind, Latency, Measured, Repeat, Survey
from siridb_fast.cli.bench.cpu import cpu_seconds
from siridb_fast.cli.bench.plan import plan
from siridb_fast.cli.bench.sending import Sender, Supply
from siridb_fast.cli.bench.target import BenchTarget, Endpoint
from siridb_fast.connection.connection import Connection
from siridb_fast.protocol import _wire
from siridb_fast.protocol._qpack import packb
from siridb_fast.writer.writer import BatchWriter

if TYPE_CHECKING:
    from siridb_fast.protocol._wire import PayloadBytes

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


async def survey(
    target: BenchTarget, seconds: float, writer_series: int, on_step: OnStep
) -> Survey:
    """Measure all cells of a target within so many seconds.

    Raises:
        SiriDBError: The server refused something, or the connection is lost.
    """
    transports = [endpoint.transport for endpoint in target.endpoints]
    cells = plan(target.facts.buffer_points, transports, writer_series)
    began = time.perf_counter()
    run = _Run(target, cells, began + seconds, on_step)
    await run.latencies(began + seconds * LATENCY_FRACTION)
    await run.rounds(began + seconds * (1 - WRITER_FRACTION))
    await run.writers()
    return Survey(
        facts=target.facts,
        cells=tuple(run.measured.values()),
        acknowledged=run.acknowledged,
        stored=await target.stored(),
        seconds=time.perf_counter() - began,
    )


class _Run:
    """The course of one survey."""

    def __init__(
        self, target: BenchTarget, cells: Sequence[Cell], end: float, on_step: OnStep
    ) -> None:
        self._target = target
        self._supply = Supply(target.prefix, target.facts.time_precision)
        self._end = end
        self._on_step = on_step
        self._expected = dict.fromkeys(cells, 0.0)  # points per second
        self.measured = {cell: Measured(cell=cell) for cell in cells}
        self.acknowledged = 0

    async def latencies(self, until: float) -> None:
        """Measure round trips, over one transport after the other."""
        cells = self._of(Kind.LATENCY)
        for number, cell in enumerate(cells):
            now = time.perf_counter()
            seconds = (until - now) / (len(cells) - number)
            self._on_step(f"one point at a time over {cell.transport.value}")
            async with AsyncExitStack() as stack:
                (connection,) = await self._connect(stack, cell)
                await self._time_trips(cell, connection, now + seconds)

    async def rounds(self, until: float) -> None:
        """Measure runs and connections, in turns."""
        cells = self._of(Kind.RUNS, Kind.CONNECTIONS)
        sending = (until - time.perf_counter()) / len(cells) / (ROUNDS + 1) * SENDING_FRACTION
        sending = min(sending, LONGEST_REPEAT)
        async with AsyncExitStack() as stack:
            opened = [await self._connect(stack, cell) for cell in cells]
            await self._make_series(cells[0], opened[0])
            longest = 0.0
            for number in range(MOST_ROUNDS + 1):
                began = time.perf_counter()
                if number > 1 and began + longest > until:
                    return
                for cell, connections in zip(cells, opened, strict=True):
                    if time.perf_counter() > (until + self._end) / 2:
                        return
                    self._on_step(_described(cell))
                    await self._repeat(cell, connections, sending, is_warm=number > 0)
                longest = max(longest, time.perf_counter() - began) if number else 0.0

    async def writers(self) -> None:
        """Measure the writer, whose points come one by one."""
        turns = self._of(Kind.WRITER) * WRITER_REPEATS
        for number, cell in enumerate(turns):
            left = self._end - time.perf_counter()
            if left <= 0:
                return
            self._on_step(f"BatchWriter, linger {cell.linger:g}")
            await self._write(cell, left / (len(turns) - number))

    def _of(self, *kinds: Kind) -> list[Cell]:
        return [cell for cell in self.measured if cell.kind in kinds]

    def _endpoint(self, cell: Cell) -> Endpoint:
        (found,) = (each for each in self._target.endpoints if each.transport is cell.transport)
        return found

    async def _connect(self, stack: AsyncExitStack, cell: Cell) -> list[Connection]:
        opened = []
        for _ in range(cell.connections):
            connection = await self._target.connect(self._endpoint(cell), cell.window)
            stack.callback(connection.abort)
            opened.append(connection)
        return opened

    async def _make_series(self, cell: Cell, connections: Sequence[Connection]) -> None:
        # All cells have series that this one, with the most of them, has as well.
        packages = self._supply.packages(cell, self._supply.turns(cell))
        await self._send(cell, connections, packages, self._end)

    async def _repeat(
        self, cell: Cell, connections: Sequence[Connection], sending: float, *, is_warm: bool
    ) -> None:
        wanted = min(self._expected[cell] * sending, REPEAT_POINTS)
        count = max(int(wanted / cell.total), cell.in_flight)
        packages = self._supply.packages(cell, count)
        size = sum(map(len, packages)) / count
        before = self._cpu()
        until = min(time.perf_counter() + 2 * sending, self._end)
        seconds, sent = await self._send(cell, connections, packages, until)
        points = sent * cell.total
        self._expected[cell] = points / seconds
        if is_warm:
            self._add(cell, before, points=points, size=int(sent * size), seconds=seconds)

    async def _send(
        self,
        cell: Cell,
        connections: Sequence[Connection],
        packages: Sequence[PayloadBytes],
        until: float,
    ) -> tuple[float, int]:
        # Returns the seconds, and the packages that were acknowledged.
        sender = Sender(connections, cell.window, self._target.timeout)
        try:
            seconds = await sender.send(packages, until)
        finally:
            self.acknowledged += sender.acknowledged * cell.total
        return seconds, sender.acknowledged

    def _cpu(self) -> tuple[float, float | None]:
        return time.process_time(), cpu_seconds(self._target.pid)

    def _add(
        self,
        cell: Cell,
        before: tuple[float, float | None],
        *,
        points: int,
        size: int,
        seconds: float,
        fast_fraction: float | None = None,
    ) -> None:
        client, server = self._cpu()
        repeat = Repeat(
            points=points,
            bytes=size,
            seconds=seconds,
            client_cpu=client - before[0],
            server_cpu=None if server is None or before[1] is None else server - before[1],
            fast_fraction=fast_fraction,
        )
        self.measured[cell] = self.measured[cell].plus(repeat)

    async def _time_trips(self, cell: Cell, connection: Connection, until: float) -> None:
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
        latency = Latency(
            ping=median(pings),
            nothing=median(nothing),
            median=median(points),
            p99=quantiles(points, n=100, method="inclusive")[-1] if points[1:] else points[0],
            count=len(points),
        )
        self.measured[cell] = replace(self.measured[cell], latency=latency)

    async def _trip(self, connection: Connection, type_: int, payload: bytes) -> float:
        began = time.perf_counter()
        await connection.request(type_, payload, self._target.timeout)
        return time.perf_counter() - began

    async def _write(self, cell: Cell, duration: float) -> None:
        config = replace(self._target.config, hosts=(self._endpoint(cell).host,))
        before = self._cpu()
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
        self._add(
            cell,
            before,
            points=report.points,
            size=report.bytes,
            seconds=seconds,
            fast_fraction=stats.fast_path / max(stats.delivered, 1),
        )


def _described(cell: Cell) -> str:
    return f"{cell.points:,} × {cell.series} over {cell.transport.value}, {cell.flight} in flight"
