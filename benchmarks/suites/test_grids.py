"""What do the shape of packages and the order of points cost, as they come and through a writer?

Ready-made packages over a bare socket, one in flight; and a writer that is given the same points
in the same order. Of shape: so many points of each of so many series at a time. Of order: runs of
one series, which a server sorts by insertion, and a writer before they leave. All sent to a server
with a `buffer_sync_interval` of 500, over TCP.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from benchmarks.baselines.ceiling import Address, Contestant, Shape
from benchmarks.data import data, unsorted
from benchmarks.data.orders import ORDERS, order
from benchmarks.entrants.lap import (
    Entrant,
    Timeline,
    Writing,
    address,
    bare_entrant,
    compete,
    new_server,
)
from benchmarks.harness.contest import Contest
from benchmarks.harness.record import Mark
from benchmarks.harness.server_cpu import ServerCpu
from siridb_fast import BatchWriter

ROUNDS = 2
FAST_POINTS = 400_000  # of a lap
SLOW_POINTS, SLOW_PACKAGES = 40_000, 1000
BUFFER = 64  # points of a series that the server keeps before it stores them
POINTS = (1, 10, 50, 64, 65, 100, 500, 1000, 10_000)
SERIES = (10, 100, 1000)
MOST = 100_000  # points of a package: 1.9 MB
SHOWN = ((1, 1000), (10, 1000), (64, 100), (65, 100), (1000, 100))

LONG_RUNS = (Shape(25_000, 2), Shape(50_000, 1), Shape(10_000, 5), Shape(500, 100))
LONG_ROUNDS = 12
LONG_POINTS, LONG_SERIES = 2_000_000, 100  # of a lap

RUNS = {1000: 400_000, 10_000: 80_000, 40_000: 40_000}  # and points of a lap where order is bad
MILD = ORDERS[:3]
RUN_SERIES = 10
AS_THEY_COME, WRITER = "as they come", "by a writer"
WAYS = (AS_THEY_COME, WRITER)


@dataclass(frozen=True, slots=True)
class Measured:
    """Nanoseconds of each round for a point."""

    wall: list[float]
    server: list[float]


def test_shapes(contest: Contest) -> None:
    shapes = [Shape(p, s) for s in SERIES for p in POINTS if p * s <= MOST]
    with ExitStack() as stack:
        server = stack.enter_context(new_server(500))
        writing, to = stack.enter_context(Writing(server.url())), address(server, "TCP")
        cpu = ServerCpu(server)
        cells = {
            shape: (
                cpu.watch(_ready_made(stack, to, shape)),
                cpu.watch(_by_blocks(writing, shape)),
            )
            for shape in shapes
        }
        compete(contest, ROUNDS, [entrant for cell in cells.values() for entrant in cell], server)
    for points, series in SHOWN:
        bare, written = cells[Shape(points, series)]
        for what, unit in (("time", "ns/point"), ("server CPU", "ns/point")):
            title = f"{series:,} series, {points:,} at a time, writer / ready-made"
            measured = [_measured(contest, cpu, entrant) for entrant in (written, bare)]
            ours, reference = [m.wall if what == "time" else m.server for m in measured]
            contest.figures(title if what == "time" else f"… {what}", unit, ours, reference)
    rates: dict[str, list[Mark]] = {}
    costs: dict[str, list[Mark]] = {}
    for way, label in enumerate(("ready-made", "writer")):
        for shape, cell in cells.items():
            measured_cell = _measured(contest, cpu, cell[way])
            line = f"{label}, {shape.series:,} series"
            per_second = [1e9 / wall for wall in measured_cell.wall]
            rates.setdefault(line, []).append(Mark.of(shape.points, per_second))
            costs.setdefault(line, []).append(Mark.of(shape.points, measured_cell.server))
    x = "points of each series at a time"
    contest.chart("Points at a time, rate", x, "points/s", rates, log="xy")
    contest.chart("Points at a time, server CPU", x, "ns of CPU/point", costs, log="xy")


def test_long_runs(contest: Contest) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(new_server(500))
        to = address(server, "TCP")
        entrants = [
            stack.enter_context(
                bare_entrant(
                    to,
                    Contestant(shape, 2, 1),
                    LONG_POINTS,
                    name=f"long_{shape.points}_",
                    distinct_series=LONG_SERIES,
                )
            )
            for shape in LONG_RUNS
        ]
        compete(contest, LONG_ROUNDS, entrants, server)
    ours, *others = entrants
    for shape, other in zip(LONG_RUNS[1:], others, strict=True):
        contest.row(
            f"ready-made packages of 1 MB, runs of 25,000 points / of {shape.points:,}",
            "ns/point",
            ours.points,
            ours=ours.name,
            reference=other.name,
            reference_count=other.points,
        )


@pytest.mark.parametrize("length", RUNS)
def test_disorder(contest: Contest, grid: dict[str, dict[str, list[Mark]]], length: int) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(new_server(500))
        writing, to = stack.enter_context(Writing(server.url())), address(server, "TCP")
        cpu = ServerCpu(server)
        cells = {
            kind: (
                cpu.watch(_as_they_come(stack, to, kind, length)),
                cpu.watch(_sorted_by_writer(writing, kind, length)),
            )
            for kind in ORDERS
        }
        compete(contest, ROUNDS, [entrant for cell in cells.values() for entrant in cell], server)
    for kind, cell in cells.items():
        bare, written = (_measured(contest, cpu, entrant) for entrant in cell)
        title = f"{length:,} points {kind}, server CPU, writer / as they come"
        contest.figures(title, "ns/point", written.server, bare.server)
        contest.figures("… time", "ns/point", written.wall, bare.wall)
        for way, measured in zip(WAYS, (bare, written), strict=True):
            line = f"{length:,} points {way}"
            grid["CPU"].setdefault(line, []).append(Mark.of(kind, measured.server))
            grid["time"].setdefault(line, []).append(Mark.of(kind, measured.wall))
    if length == max(RUNS):
        x = "order of the points of a run"
        contest.chart("Disorder, server CPU", x, "ns of CPU/point", grid["CPU"], log="y")
        contest.chart("Disorder, time", x, "ns/point", grid["time"], log="y")


@pytest.fixture(scope="module")
def grid() -> dict[str, dict[str, list[Mark]]]:
    """Keep the marks of all lengths here; the last test draws them."""
    return {"CPU": {}, "time": {}}


def _measured(contest: Contest, cpu: ServerCpu, entrant: Entrant) -> Measured:
    wall = [seconds * 1e9 / entrant.points for seconds in contest.times(entrant.name)]
    return Measured(wall, cpu.nanoseconds(entrant))


def _ready_made(stack: ExitStack, to: Address, shape: Shape) -> Entrant:
    points = FAST_POINTS
    if shape.points <= BUFFER:
        points = min(SLOW_POINTS, SLOW_PACKAGES * shape.total)
    bare = bare_entrant(
        to,
        Contestant(shape, 1, 1),
        points,
        name=f"ready_made_{shape.points}x{shape.series}_",
        distinct_series=shape.series,
    )
    return stack.enter_context(bare)


def _by_blocks(writing: Writing, shape: Shape) -> Entrant:
    name = f"blocks_{shape.points}x{shape.series}_"
    ticker = writing.writer.ticker([f"{name} {i}" for i in range(shape.series)])
    blocks = -(-FAST_POINTS // shape.total)
    values = data.doubles(shape.total).reshape(shape.points, shape.series)
    timeline = Timeline(blocks * shape.points)

    async def send(writer: BatchWriter, timestamps: data.Array) -> None:
        for some in timestamps.reshape(blocks, shape.points):
            if shape.points == 1:
                ticker.write(int(some[0]), values[0])
            else:
                ticker.write_block(some, values)
            await writer.drain()

    return writing.entrant(name, blocks * shape.total, timeline.lap, send)


class Runs:
    """The runs of a lap, taken in turn by ten series."""

    def __init__(self, kind: str, length: int, points: int) -> None:
        self.length, self.count = length, points // length
        self.values = data.doubles(length)
        self._order = order(kind, length)
        self._turns = -(-self.count // RUN_SERIES)
        self._timeline = Timeline(self._turns * length)

    def lap(self, number: int) -> list[tuple[int, data.Array]]:
        """Return the series and the timestamps of each, in the order they come."""
        turns = self._timeline.lap(number).reshape(self._turns, self.length)
        runs = [turn[self._order] for turn in turns]
        return [(i % RUN_SERIES, runs[i // RUN_SERIES]) for i in range(self.count)]


def _as_they_come(stack: ExitStack, to: Address, kind: str, length: int) -> Entrant:
    points = FAST_POINTS if kind in MILD else RUNS[length]
    runs, name = Runs(kind, length, points), f"bare {kind.replace('%', 'percent')}"
    together = max(1, 10_000 // length)

    def make(lap: int) -> list[memoryview]:
        series = [
            (f"{name} {i}", unsorted.records(timestamps, runs.values))
            for i, timestamps in runs.lap(lap)
        ]
        parts = range(0, len(series), together)
        return [unsorted.package(series[first : first + together]) for first in parts]

    way = Contestant(Shape(length, together), 1, 1)
    return stack.enter_context(bare_entrant(to, way, points, name=name, make=make))


def _sorted_by_writer(writing: Writing, kind: str, length: int) -> Entrant:
    runs, name = Runs(kind, length, FAST_POINTS), f"writer {kind.replace('%', 'percent')}"

    async def send(writer: BatchWriter, lap: Sequence[Any]) -> None:
        for i, timestamps in lap:
            await writer.write_arrays(f"{name} {i}", timestamps, runs.values)

    return writing.entrant(name, FAST_POINTS, runs.lap, send)
