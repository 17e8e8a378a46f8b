"""Does a point cost the same however many series and points there are?

Series: `write()` without a server, of a million points by 1,000 to 1,000,000 series in turn, and
the packages made of them; ticks to a real server, of up to 100,000 series. Points: columns to a
null server, 100,000 to 100,000,000 at a time, and to a real server up to 10,000,000. Smaller
amounts are sent several times in a lap. Memory is that of a fresh process with one point of each
series.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.baselines.null_server import NullServer
from benchmarks.baselines.null_writer import NullWriter
from benchmarks.data import data
from benchmarks.entrants.entrants import by_ticker
from benchmarks.entrants.lap import (
    Entrant,
    Sensors,
    Timeline,
    Writing,
    compete,
    new_server,
    require_stored,
)
from benchmarks.harness.contest import Contest
from benchmarks.harness.record import Mark
from siridb_fast import BatchWriter

THOUSAND, MILLION = 1000, 1_000_000
WRITTEN = MILLION  # points of a lap of write()
SERIES = (1000, 10_000, 100_000, MILLION)
LISTS = (1000, MILLION)  # series of a program that only keeps its points
MEMORY_SERIES = SERIES[1:]  # fewer are lost among the pages of a process
SERVER_TICKS = {1000: 2000, 10_000: 200, 100_000: 80}
MANY = {"linger": 30.0, "max_buffered": 512 * 1024 * 1024}  # so that 100,000 runs get long

COLUMNS = 100
SINK_TIMES = {100_000: 10, MILLION: 3, 10_000_000: 1, 100_000_000: 1}  # in a lap
SERVER_TIMES = {100_000: 5, MILLION: 2, 10_000_000: 1}


def test_series_without_a_server(contest: Contest) -> None:
    contestants: dict[str, Callable[[], None]] = {}
    for series in SERIES:
        names = [f"room {i}" for i in range(series)]
        writer = NullWriter(names)
        rows = data.doubles(WRITTEN).reshape(-1, series).tolist()
        contestants[f"write {series}"] = partial(_write, writer, names, rows)
        contestants[f"package {series}"] = writer.empty
        if series in LISTS:
            contestants[f"lists {series}"] = partial(_append, _Lists(names), names, rows)
    contest.run(1, contestants)
    for what, ours, reference in (
        ("write(), 1 M series / 1,000 series", f"write {MILLION}", "write 1000"),
        ("… two appends to lists, the same", f"lists {MILLION}", "lists 1000"),
        ("… packages of them", f"package {MILLION}", "package 1000"),
        ("write() / two appends to lists, 1 M series", f"write {MILLION}", f"lists {MILLION}"),
    ):
        contest.row(what, "ns/point", WRITTEN, ours=ours, reference=reference)
    lines = {
        label: [_mark(contest, series, f"{name} {series}", WRITTEN, is_cpu) for series in SERIES]
        for label, name, is_cpu in (
            ("write()", "write", False),
            ("write(), CPU", "write", True),
            ("packages of them", "package", False),
            ("packages of them, CPU", "package", True),
        )
    }
    lists = [_mark(contest, series, f"lists {series}", WRITTEN, False) for series in LISTS]
    lines["two appends to lists"] = lists
    contest.chart("Series, without a server", "series", "ns/point", lines, log="x")


def test_series_with_a_server(contest: Contest) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(new_server(500))
        entrants = {}
        for series, ticks in SERVER_TICKS.items():
            writing = stack.enter_context(Writing(server.url(), **MANY))
            entrants[series] = by_ticker(writing, Sensors(series, ticks), f"of_{series}_")
        compete(contest, 1, list(entrants.values()), server)
    small, large = entrants[min(entrants)], entrants[max(entrants)]
    for title, is_cpu in (
        ("ticks to a server, 100,000 series / 1,000 series", False),
        ("… client CPU", True),
    ):
        contest.row(
            title,
            "ns/point",
            large.points,
            ours=large.name,
            reference=small.name,
            reference_count=small.points,
            is_cpu=is_cpu,
        )
    lines = {
        label: [
            _mark(contest, series, entrant.name, entrant.points, is_cpu)
            for series, entrant in entrants.items()
        ]
        for label, is_cpu in (("time", False), ("client CPU", True))
    }
    contest.chart("Series, ticks to a server", "series", "ns/point", lines, log="x")


def test_points(contest: Contest) -> None:
    with ExitStack() as stack:
        sink, server = stack.enter_context(NullServer()), stack.enter_context(new_server(500))
        to_sink, to_server = (stack.enter_context(Writing(to.url())) for to in (sink, server))
        in_sink = {n: _by_columns(to_sink, "sink", n, times) for n, times in SINK_TIMES.items()}
        stored = {n: _by_columns(to_server, "server", n, t) for n, t in SERVER_TIMES.items()}
        compete(contest, 1, [*in_sink.values(), *stored.values()])
        require_stored(server, list(stored.values()))
    for title, entrants, most in (
        ("columns to a sink, 100 M points / 1 M points", in_sink, 100 * MILLION),
        ("columns to a server, 10 M points / 1 M points", stored, 10 * MILLION),
    ):
        for what, is_cpu in ((title, False), ("… client CPU", True)):
            contest.row(
                what,
                "ns/point",
                entrants[most].points,
                ours=entrants[most].name,
                reference=entrants[MILLION].name,
                reference_count=entrants[MILLION].points,
                is_cpu=is_cpu,
            )
    lines = {
        f"{where}{', client CPU' if is_cpu else ''}": [
            _mark(contest, n, entrant.name, entrant.points, is_cpu)
            for n, entrant in entrants.items()
        ]
        for where, entrants in (("sink", in_sink), ("server", stored))
        for is_cpu in (False, True)
    }
    contest.chart("Points, columns of 100 series", "points", "ns/point", lines, log="xy")


def test_memory(contest: Contest) -> None:
    figures: dict[int, dict[str, int]] = {}

    def fill() -> None:
        figures.update({series: _filled(series) for series in MEMORY_SERIES})

    contest.run(1, {"ours": fill}, warm_ups=0)
    resident, account = (
        {series: found[key] / series for series, found in figures.items()}
        for key in ("peak", "buffered_bytes")
    )
    what = "resident memory of a series, 1 M series / 10,000 series"
    contest.figures(what, "B/series", [resident[MILLION]], [resident[10_000]])
    lines = {
        label: [Mark.of(series, [size]) for series, size in sizes.items()]
        for label, sizes in (("resident", resident), ("buffered_bytes", account))
    }
    contest.chart("Memory of a series with one point", "series", "bytes/series", lines, log="x")


def _write(writer: NullWriter, names: list[str], rows: list[list[float]]) -> None:
    write = writer.intake.write
    for timestamp, row in enumerate(rows):
        for name, value in zip(names, row, strict=True):
            write(name, timestamp, value)


class _Lists:
    """Two lists of each series."""

    def __init__(self, names: list[str]) -> None:
        self.times: dict[str, list[int]] = {name: [] for name in names}
        self.values: dict[str, list[float]] = {name: [] for name in names}


def _append(lists: _Lists, names: list[str], rows: list[list[float]]) -> None:
    times, values = lists.times, lists.values
    for timestamp, row in enumerate(rows):
        for name, value in zip(names, row, strict=True):
            times[name].append(timestamp)
            values[name].append(value)


def _by_columns(writing: Writing, name: str, points: int, times: int) -> Entrant:
    # A load of so many points, and its flush, so many times.
    each = min(points // COLUMNS, 100_000)
    passes = points // (COLUMNS * each)
    name = f"{name}_{points}_"
    columns = data.doubles(COLUMNS * each).reshape(COLUMNS, each)
    timeline = Timeline(each)

    async def send(writer: BatchWriter, lap: int) -> None:
        for load in range(times):
            for i in range(passes):
                stamps = timeline.lap((lap * times + load) * passes + i)
                for index, column in enumerate(columns):
                    await writer.write_arrays(f"{name} {index}", stamps, column)
            await writer.flush()

    return writing.entrant(name, points * times, lambda lap: lap, send)


def _mark(contest: Contest, x: int, name: str, points: int, is_cpu: bool) -> Mark:
    times = contest.times(name, is_cpu=is_cpu)
    return Mark.of(x, [seconds * 1e9 / points for seconds in times])


def _filled(series: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.harness.flood", "series", str(series)]
    folder = Path(__file__).parents[2]
    answer = subprocess.check_output(command, cwd=folder, text=True)  # noqa: S603 - our own module
    figures: dict[str, Any] = json.loads(answer)
    return figures
