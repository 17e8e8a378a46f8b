"""What do certainties cost while nothing fails: `verify`, `safe`, a spool and a journal?

Writers to one server, in turn, that differ in one option; a lap ends when all points are
acknowledged, or safe. The ratio is that of throughput to a writer without any of it.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from benchmarks.entrants.entrants import by_arrays, by_ticker
from benchmarks.entrants.lap import Sensors, Writing, compete, new_server
from benchmarks.harness.contest import Contest

ROUNDS, SECONDS = 9, 12.0
SERIES, POINTS = 300, 10_000
PLAIN = "plain"
WAYS = ("verify", "safe", "overflow", "journal")


def options_of(way: str, folder: Path) -> dict[str, Any]:
    """Return the options of the writer that is called so."""
    if way in ("overflow", "journal"):
        return {"on_doubt": "report", "spool" if way == "overflow" else way: folder / way}
    if way == "safe":
        return {"on_doubt": "verify", "durability": "safe"}
    return {"on_doubt": "verify" if way == "verify" else "report"}


@pytest.mark.parametrize("what", ["arrays", "ticks"])
def test_certainty(contest: Contest, tmp_path: Path, what: str) -> None:
    sensors = Sensors(series=1000, ticks=3000)
    with ExitStack() as stack:
        server = stack.enter_context(new_server(500))
        entrants = []
        for way in (PLAIN, *WAYS):
            writing = stack.enter_context(Writing(server.url(), **options_of(way, tmp_path)))
            entrants.append(
                by_arrays(writing, SERIES, POINTS, 1, way)
                if what == "arrays"
                else by_ticker(writing, sensors, way)
            )
        compete(contest, ROUNDS, entrants, server, seconds=SECONDS)
    for way in WAYS:
        contest.row(
            f"{way} / without, {what}",
            "ns/point",
            SERIES * POINTS,
            ours=way,
            reference=PLAIN,
        )
        contest.row(
            "… client CPU",
            "ns/point",
            SERIES * POINTS,
            ours=way,
            reference=PLAIN,
            is_cpu=True,
        )
