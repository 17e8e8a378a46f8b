"""What does the writer cost beside time: CPU and memory?

Client CPU is this process's own, beside that of the reference: both get arrays, and the reference
needs lists. Server CPU is the server process's. Memory is that of a fresh process.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.data import data
from benchmarks.entrants.entrants import by_arrays
from benchmarks.entrants.lap import (
    Entrant,
    Timeline,
    Writing,
    compete,
    new_server,
    reference_client,
)
from benchmarks.harness.contest import Contest
from benchmarks.harness.server_cpu import ServerCpu
from siridb_fast.testing import SiriDBServer

ROUNDS = 5
SERIES, POINTS = 300, 10_000
INSERTS = 30  # of the reference in a lap
SORTED, SHUFFLED = "in order", "shuffled"

MIB = 1024 * 1024
MAX_BUFFERED, EXTRA = 64, 32  # MiB
PAUSE, BEFORE_PAUSE, AFTER_PAUSE = 10.0, 1.0, 2.0


def test_client_cpu(contest: Contest) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(new_server(500))
        writing = stack.enter_context(Writing(server.url()))
        entrants = [
            by_arrays(writing, SERIES, POINTS, 1),
            _by_reference(stack, server),
        ]
        compete(contest, ROUNDS, entrants, server)
    for what, is_cpu in (
        ("client CPU, write_arrays of 10 k points / reference's insert", True),
        ("… on the wall", False),
    ):
        contest.row(
            what,
            "ms/million points",
            SERIES * POINTS // 1_000_000,
            ours="arrays",
            reference_count=INSERTS * POINTS / 1e6,
            is_cpu=is_cpu,
        )


def test_disorder(contest: Contest) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(new_server(500))
        cpu = ServerCpu(server)
        entrants = [
            cpu.watch(_by_order(stack.enter_context(Writing(server.url())), name))
            for name in (SHUFFLED, SORTED)
        ]
        compete(contest, ROUNDS, entrants, server)
    ours, reference = map(cpu.nanoseconds, entrants)
    what = "server CPU, 10 k shuffled points a series / in order"
    contest.figures(what, "ns/point", ours, reference)
    for title, is_cpu in (("client CPU", True), ("time", False)):
        contest.row(
            f"… {title}",
            "ns/point",
            SERIES * POINTS,
            ours=SHUFFLED,
            reference=SORTED,
            is_cpu=is_cpu,
        )


def test_memory_while_the_server_is_paused(contest: Contest) -> None:
    figures: dict[str, Any] = {}

    def flood() -> None:
        with new_server(500) as server:
            seconds = BEFORE_PAUSE + PAUSE + AFTER_PAUSE
            with _client(server.url(), seconds, MAX_BUFFERED * MIB) as process:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
                time.sleep(BEFORE_PAUSE)
                server.pause()
                time.sleep(PAUSE)
                server.resume()
                figures.update(json.loads(process.stdout.read()))
            query = "count series length"
            assert server.api.query("dbtest", query)["series_length"] == figures["points"]

    contest.run(1, {"ours": flood}, warm_ups=0)
    for what, key, limit in (
        ("most memory above that at rest, server paused / allowed", "peak", EXTRA),
        ("… buffered_bytes / max_buffered", "buffered_bytes", 0),
    ):
        limits = [float(MAX_BUFFERED + limit)]
        contest.figures(what, "MiB", [figures[key] / MIB], limits)


@pytest.mark.parametrize(("kind", "unit"), [("series", "B/series"), ("points", "B/point")])
def test_memory_of(contest: Contest, kind: str, unit: str) -> None:
    figures: dict[str, Any] = {}

    def fill() -> None:
        with _client(kind, 1_000_000) as process:
            assert process.stdout is not None
            figures.update(json.loads(process.stdout.read()))

    contest.run(1, {"ours": fill}, warm_ups=0)
    contest.figures(
        f"memory of 1,000,000 {kind} / buffered_bytes",
        unit,
        [figures["peak"] / figures["points"]],
        [figures["buffered_bytes"] / figures["points"]],
    )


def _by_reference(stack: ExitStack, server: SiriDBServer) -> Entrant:
    client, run = stack.enter_context(reference_client(server))
    values, timeline = data.doubles(POINTS), Timeline(POINTS)

    async def send(timestamps: data.Array) -> None:
        for i in range(INSERTS):
            await client.insert({f"reference {i}": data.as_lists(timestamps, values)})

    return Entrant(
        "reference", INSERTS * POINTS, timeline.lap, lambda timestamps: run(send(timestamps))
    )


def _by_order(writing: Writing, name: str) -> Entrant:
    entrant = by_arrays(writing, SERIES, POINTS, 1, name=name)
    if name == SHUFFLED:
        make, order = entrant.make, np.random.default_rng(1).permutation(POINTS)
        entrant.make = lambda lap: [timestamps[order] for timestamps in make(lap)]
    return entrant


def _client(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "benchmarks.harness.flood", *map(str, arguments)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )
