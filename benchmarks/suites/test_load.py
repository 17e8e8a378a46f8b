"""How fast are frames and files loaded, and how fast are answers arrays?

Loads are compared with the ceiling of a real server, ready-made packages sent by a bare socket
loop (`ceiling.py`), as the writer is; each load makes connections of its own, which is part of
its time. Wide frames also stand beside the reference, which needs lists. Each lap has later times
than the one before. The file is loaded by the command line, in a process of its own whose start
counts too. What a wide frame costs without a server is in `test_peers.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

import siridb_fast
from benchmarks.data import data
from benchmarks.data.frames import DICTIONARIES, TEXTS, Long, Wide
from benchmarks.entrants.lap import (
    TRANSPORTS,
    Ways,
    address,
    bare_entrant,
    compete,
    database_url,
    new_server,
    reference_client,
)
from benchmarks.entrants.load_entrants import (
    by_command,
    by_frame_reference,
    by_load,
    seconds_of_load,
)
from benchmarks.harness.contest import Contest

ROUNDS = 3
CLOSE_ROUNDS, CLOSE_SECONDS = 7, 12.0  # where much is asked
REFERENCE_ROUNDS = 2
TCP = TRANSPORTS[0]
WIDE = {"rows": 100_000, "series": 100}
LONG = {"series": 1000, "ticks": 10_000}
REFERENCE_COLUMNS = 5

QUERY_ROUNDS = 3
QUERY_POINTS = 1_000_000  # the server's limit of one select

FILES, FILE_ROWS, START = 10_000, 20, 1_700_000_000_000_000_000
MOST_TIME, MANY_SECONDS = 2.0, 70.0  # ms a file; of all rounds

MIB = 1024 * 1024
MOST_MEMORY = 400.0  # MiB


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_wide(contest: Contest, ways: Ways, transport: str) -> None:
    wide, way = Wide(**WIDE), ways.best(transport, 500)
    with ExitStack() as stack:
        server = stack.enter_context(new_server(500))
        entrants = [
            by_load("load", database_url(server, transport), wide.points, wide.frame, "column"),
            stack.enter_context(bare_entrant(address(server, transport), way, wide.points)),
        ]
        compete(contest, CLOSE_ROUNDS, entrants, server, seconds=CLOSE_SECONDS)
    contest.row(
        f"wide pandas frame, 100 k x 100, {transport}, sync 500 / ceiling",
        "ns/point",
        wide.points,
        ours="load",
        reference="ceiling",
        reference_count=entrants[1].points,
    )


def test_wide_by_reference(contest: Contest) -> None:
    wide = Wide(**WIDE)
    with ExitStack() as stack:
        server = stack.enter_context(new_server(500))
        client, run = stack.enter_context(reference_client(server))
        entrants = [
            by_load("load", server.url(), wide.points, wide.frame, "column"),
            by_frame_reference(client, run, wide, "one by one", REFERENCE_COLUMNS, 1),
            by_frame_reference(client, run, wide, "two at once", REFERENCE_COLUMNS, 2),
        ]
        compete(contest, REFERENCE_ROUNDS, entrants, server)
    for entrant in entrants[1:]:
        contest.row(
            f"wide pandas frame / reference, lists of 10,000 points, {entrant.name}",
            "ns/point",
            wide.points,
            ours="load",
            reference=entrant.name,
            reference_count=entrant.points,
        )


@pytest.mark.parametrize("kinds", [TEXTS, DICTIONARIES])
def test_long(contest: Contest, ways: Ways, kinds: tuple[str, ...]) -> None:
    long, way = Long(**LONG), ways.best(TCP, 500)
    with ExitStack() as stack:
        server = stack.enter_context(new_server(500))
        url = database_url(server, TCP)
        entrants = [by_load(kind, url, long.points, long.maker(kind), "name") for kind in kinds]
        bare = bare_entrant(address(server, TCP), way, long.points)
        entrants.append(stack.enter_context(bare))
        if kinds == DICTIONARIES:
            compete(contest, CLOSE_ROUNDS, entrants, server, seconds=CLOSE_SECONDS)
        else:
            compete(contest, ROUNDS, entrants, server)
    for kind in kinds:
        contest.row(
            f"long frame, 10 M rows, 1,000 series, {kind}, {TCP} / ceiling",
            "ns/point",
            long.points,
            ours=kind,
            reference="ceiling",
            reference_count=entrants[-1].points,
        )


def test_file(contest: Contest, ways: Ways) -> None:
    long, way = Long(**LONG), ways.best(TCP, 500)
    peaks: list[float] = []
    with ExitStack() as stack:
        server = stack.enter_context(new_server(500))
        folder = Path(stack.enter_context(TemporaryDirectory()))
        entrants = [
            by_command("file", database_url(server, TCP), long, folder, peaks),
            stack.enter_context(
                bare_entrant(address(server, TCP), way, long.points),
            ),
        ]
        compete(contest, CLOSE_ROUNDS, entrants, server, seconds=CLOSE_SECONDS)
    contest.row(
        f"Parquet file of them, siridb-fast load, {TCP} / ceiling",
        "ns/point",
        long.points,
        ours="file",
        reference="ceiling",
        reference_count=entrants[1].points,
    )
    what = "… most resident memory of all laps / allowed"
    contest.figures(what, "MiB", [max(peaks) / MIB], [MOST_MEMORY])


def test_many_files(contest: Contest) -> None:
    laps: list[float] = []
    with ExitStack() as stack:
        server = stack.enter_context(new_server(500))
        files = Path(stack.enter_context(TemporaryDirectory()))
        notes = Path(stack.enter_context(TemporaryDirectory()))
        for number in range(FILES):
            lines = (f"{START + row},{number + row / 4}\n" for row in range(FILE_ROWS))
            (files / f"s{number}.csv").write_text("ts,v\n" + "".join(lines))
        url = database_url(server, TCP)

        def load() -> None:
            lap = len(laps)
            manifest = notes / f"{lap}.sqlite"
            laps.append(seconds_of_load(files, url, f"{lap} {{stem}}", manifest))

        contest.run(ROUNDS, {"load": load}, seconds=MANY_SECONDS)
    what = "10,000 CSV files of 20 rows, siridb-fast load with manifest / allowed"
    ours = [1000 * seconds / FILES for seconds in laps[1:]]  # the first only warms up
    contest.figures(what, "ms/file", ours, [MOST_TIME] * len(ours))


def test_query(contest: Contest) -> None:
    query, expected = 'select * from "stored"', data.doubles(QUERY_POINTS)
    with ExitStack() as stack:
        server = stack.enter_context(new_server(500))
        ours = stack.enter_context(siridb_fast.connect(server.url()))
        client, run = stack.enter_context(reference_client(server))
        siridb_fast.load({"stored": (data.nanoseconds(QUERY_POINTS), expected)}, ours)

        def by_reference() -> dict[str, data.Array]:
            answer = run(client.query(query))
            return {name: np.array(points) for name, points in answer.items()}

        contestants: dict[str, Callable[[], Any]] = {
            "query_arrays": lambda: ours.query_arrays(query),
            "query_arrow": lambda: ours.query_arrow(query),
            "query_frame": lambda: ours.query_frame(query),
            "long frame": lambda: ours.query_frame(query, form="long"),
            "reference": by_reference,
        }
        values = [
            contestants["query_arrays"]()["stored"][1],
            contestants["query_arrow"]()["stored"].to_numpy(),
            contestants["query_frame"]()["stored"].to_numpy(),
            contestants["long frame"]()["value"].to_numpy(),
            by_reference()["stored"][:, 1],
        ]
        assert all(np.array_equal(found, expected) for found in values)
        contest.run(QUERY_ROUNDS, contestants)
    for name in ("query_arrays", "query_arrow", "query_frame"):
        contest.row(
            f"{name} of 1 M points, TCP / reference's query and np.array",
            "ns/point",
            QUERY_POINTS,
            ours=name,
        )
    contest.row(
        'query_frame of 1 M points, form="long", TCP / query_arrow',
        "ns/point",
        QUERY_POINTS,
        ours="long frame",
        reference="query_arrow",
    )
