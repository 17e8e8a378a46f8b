"""How fast is the writer where the server costs nothing? Arrays and ticks to a sink.

Beside a bare socket loop that sends as many bytes to the same sink, ready-made; of its
connections and windows the fastest counts. The sink is a process of its own
(`null_server.py`): it acknowledges each package and reads none.

There are no rows of CPU here: what the same bytes cost depends on whether the kernel runs client
and sink on one core or on two, by a factor of 2 to 3, and it changes its mind between laps.
"""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from benchmarks.baselines.ceiling import Address, Contestant, Shape, packages
from benchmarks.baselines.null_server import NullServer
from benchmarks.entrants.entrants import by_arrays, by_ticker
from benchmarks.entrants.lap import (
    TRANSPORTS,
    WINDOWS,
    Sensors,
    Writing,
    bare_entrant,
    compete,
)
from benchmarks.harness.contest import Contest

ROUNDS = 9
SERIES, POINTS = 100, 100_000  # two packages each
TOTAL = SERIES * POINTS
TICKS = Sensors(series=1000, ticks=4000)
PACKAGE = Shape(50_000, 1)  # what a column of 100,000 points is cut into


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_arrays_and_ticks(contest: Contest, transport: str) -> None:
    with ExitStack() as stack:
        sink = stack.enter_context(NullServer())
        to: Address = (sink.host, sink.port) if transport == "TCP" else sink.socket_path
        url = sink.url()
        if transport == "unix":
            url = f"siridb://iris:siri@/dbtest?socket={sink.socket_path}"
        arrays, ticks = (stack.enter_context(Writing(url)) for _ in range(2))
        entrants = [by_arrays(arrays, SERIES, POINTS, 1), by_ticker(ticks, TICKS)]
        payloads = packages(PACKAGE, TOTAL)  # nothing is stored: the same ones in every lap
        for connections, window in WINDOWS:
            way = Contestant(PACKAGE, connections, window)
            name = f"{connections} x {window}"
            entrants.append(
                stack.enter_context(
                    bare_entrant(to, way, TOTAL, name=name, make=lambda _: payloads)
                )
            )
        compete(contest, ROUNDS, entrants)
    best = min((f"{i} x {j}" for i, j in WINDOWS), key=contest.median_time)
    for what, count, name in (
        ("write_arrays, 100 x 100,000", TOTAL, "arrays"),
        ("a ticker, 1,000 sensors", TICKS.points, "ticker"),
    ):
        contest.row(
            f"{what}, {transport} / bare socket",
            "ns/point",
            count,
            note=best,
            ours=name,
            reference=best,
            reference_count=TOTAL,
        )
