"""What does `late="compare"` cost: where every point is late, and where none is?

A backfill behind newer points, in bodies as clients of a gateway send them: each is compared with
the database and stored once. And single points and rows that are all newer, which go straight on.
Beside each the same points to a writer that compares nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
import pytest

from benchmarks.data import data
from benchmarks.entrants.entrants import by_writes
from benchmarks.entrants.lap import Entrant, Sensors, Timeline, Writing, compete, new_server
from benchmarks.harness.contest import Contest
from siridb_fast import BatchWriter

ROUNDS, SECONDS = 9, 15.0
BODIES = 20  # of a lap; the next one is sent when the one before is taken
NEWEST = 4_000_000_000_000_000_000
SHAPES = ((5, 1000), (50, 100))  # points of each of so many series, in a body


def by_bodies(writing: Writing, name: str, points: int, series: int, *, are_late: bool) -> Entrant:
    """Write rows of all series, body by body; late ones are behind a point that is newer."""
    names = [f"{name} {i}" for i in range(series)]
    codes = np.tile(np.arange(series), points)
    values = data.doubles(points * series)
    timeline = Timeline(points * BODIES)

    async def send(writer: BatchWriter, times: data.Array) -> None:
        for body in times.reshape(BODIES, points):
            await writer.write_rows(names, codes, np.repeat(body, series), values)

    async def put_newest(writer: BatchWriter) -> None:
        await writer.write_rows(
            names, np.arange(series), np.full(series, NEWEST), np.zeros(series)
        )
        await writer.flush()

    if are_late:
        writing.run(put_newest(writing.writer))
    return writing.entrant(name, points * series * BODIES, timeline.lap, send)


@pytest.mark.parametrize(("points", "series"), SHAPES)
def test_late_bodies(contest: Contest, points: int, series: int) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(new_server(500))
        entrants = [
            by_bodies(
                stack.enter_context(Writing(server.url(), late=late)),
                name,
                points,
                series,
                are_late=True,
            )
            for name, late in (("compared", "compare"), ("plain", None))
        ]
        compete(contest, ROUNDS, entrants, seconds=SECONDS)
        _require_once(server.api.query("dbtest", "select count() from *"), entrants, series)
    total = points * series * BODIES
    contest.row(
        f"late bodies, {points} x {series:,}, compared / not",
        "ns/point",
        total,
        ours="compared",
        reference="plain",
        facts={"M points/s": total / contest.median_time("compared") / 1e6},
    )


def test_newer_points(contest: Contest) -> None:
    sensors = Sensors(series=1000, ticks=300)
    with ExitStack() as stack:
        server = stack.enter_context(new_server(500))
        options = (("compare", "compare"), (None, "unset"))
        writing = [stack.enter_context(Writing(server.url(), late=late)) for late, _ in options]
        writes = [by_writes(each, sensors) for each in writing]
        for each, (_, name) in zip(writes, options, strict=True):
            each.name = f"writes, {name}"
        rows = [
            by_bodies(each, f"rows, {name}", 300, 100, are_late=False)
            for each, (_, name) in zip(writing, options, strict=True)
        ]
        compete(contest, ROUNDS, [*writes, *rows], seconds=SECONDS)
    for what, count in (("writes", sensors.points), ("rows", 300 * 100 * BODIES)):
        contest.row(
            f"newer points, {what}: late='compare' / unset",
            "ns/point",
            count,
            ours=f"{what}, compare",
            reference=f"{what}, unset",
        )


def _require_once(
    answer: dict[str, list[list[int]]], entrants: Sequence[Entrant], series: int
) -> None:
    for entrant in entrants:
        stored = sum(
            points for name, ((_, points),) in answer.items() if name.startswith(entrant.name)
        )
        assert stored == entrant.points * entrant.laps + series
