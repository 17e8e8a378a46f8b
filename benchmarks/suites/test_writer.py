"""How close does the writer come to the ceiling of a real server, and how far from the reference?

The ceiling is a bare socket loop with ready-made packages (`ceiling.py`), over the same transport,
of the shape, connections and window that were fastest in a probe. Each test has a server of its
own; a lap ends when all is acknowledged, and after the last one the stored points are counted. A
first lap, which makes the series, is not in the ratios.
"""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from benchmarks.baselines.ceiling import Contestant, Shape
from benchmarks.entrants.entrants import (
    REFERENCE_POINTS,
    REFERENCE_TICKS,
    by_arrays,
    by_reference,
    by_ticker,
    by_writes,
)
from benchmarks.entrants.lap import (
    INTERVALS,
    TRANSPORTS,
    Sensors,
    Ways,
    Writing,
    address,
    bare_entrant,
    compete,
    database_url,
    new_server,
)
from benchmarks.harness.contest import Contest

ROUNDS = 4
LAP_POINTS = 2_000_000


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_ticks(contest: Contest, ways: Ways, transport: str, interval: int) -> None:
    sensors = Sensors(series=1000, ticks=2000)
    way, where = ways.best(transport, interval), f"{transport}, sync {interval}"
    with ExitStack() as stack:
        server = stack.enter_context(new_server(interval))
        url = database_url(server, transport)
        writers = [stack.enter_context(Writing(url)) for _ in range(2)]
        entrants = [
            by_writes(writers[0], sensors),
            by_ticker(writers[1], sensors),
            stack.enter_context(bare_entrant(address(server, transport), way, LAP_POINTS)),
        ]
        if transport == "TCP":  # all that the reference knows
            entrants += by_reference(stack, server, sensors)
        compete(contest, ROUNDS, entrants, server)
        slow = [writing.slow_percent() for writing in writers]

    points = sensors.points
    for name, what, percent in (
        ("writes", "write() and drain()", slow[0]),
        ("ticker", "a ticker", slow[1]),
    ):
        title = f"1,000 sensors, {what}, {where}"
        shape = way.shape
        contest.row(
            f"{title} / ceiling",
            "ns/point",
            points,
            ours=name,
            reference="ceiling",
            note=f"{shape}, {way.connections} x {way.window}",
            reference_count=-(-LAP_POINTS // shape.total) * shape.total,
        )
        if transport == "TCP":
            _reference_rows(contest, name, points)
        contest.slow_points(percent)


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(("series", "points"), [(100, 100_000), (1000, 1000)])
def test_arrays(
    contest: Contest, ways: Ways, series: int, points: int, transport: str, interval: int
) -> None:
    passes = max(1, LAP_POINTS // (series * points))
    total = series * points * passes
    way = ways.best(transport, interval)
    distinct = None
    if points == 1000:
        way = Contestant(Shape(points, 50), way.connections, way.window)
        distinct = series
    with ExitStack() as stack:
        server = stack.enter_context(new_server(interval))
        writing = stack.enter_context(Writing(database_url(server, transport)))
        entrants = [
            by_arrays(writing, series, points, passes),
            stack.enter_context(
                bare_entrant(address(server, transport), way, total, distinct_series=distinct)
            ),
        ]
        compete(contest, ROUNDS, entrants, server)
    contest.row(
        f"write_arrays, {series:,} x {points:,}, {transport}, sync {interval} / ceiling",
        "ns/point",
        total,
        ours="arrays",
        reference="ceiling",
        reference_count=entrants[1].points,
    )


def _reference_rows(contest: Contest, name: str, points: int) -> None:
    for what, reference, count in (
        ("one insert per tick", "per tick", REFERENCE_TICKS * 1000),
        ("one insert per point", "per point", REFERENCE_POINTS),
    ):
        contest.row(
            f"… / reference, {what}",
            "ns/point",
            points,
            ours=name,
            reference=reference,
            reference_count=count,
        )
