"""What does a journal cost, and what does it keep?

A program of its own writes ticks at a rate to a real server. What the client takes is that of all
its threads; what the journal takes is the difference to the same program without one, in turns.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.entrants.journal_client import Job
from benchmarks.entrants.lap import new_server
from benchmarks.harness.contest import Contest
from benchmarks.harness.server_cpu import cpu_seconds
from siridb_fast.testing import SiriDBServer

LAPS = 5
SECONDS = 10.0
AWAY_SECONDS = 60.0
RATE = 1_000_000  # points a second
MIB = 1024 * 1024
Figures = dict[str, float]


def run(job: Job) -> Figures:
    """Return what the program says of a job."""
    command = [sys.executable, "-m", "benchmarks.entrants.journal_client", json.dumps(asdict(job))]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=600)  # noqa: S603
    found: Figures = json.loads(done.stdout)
    return found


def laps(
    contest: Contest, server: SiriDBServer, jobs: dict[str, Job], seconds: float
) -> dict[str, list[Figures]]:
    """Run jobs in turns; return their figures, and the share of the server's core."""
    found: dict[str, list[Figures]] = {name: [] for name in jobs}

    def lap(name: str) -> None:
        before = cpu_seconds(server)
        figures = run(jobs[name])
        figures["server_cores"] = (cpu_seconds(server) - before) / seconds
        found[name].append(figures)

    contest.run(LAPS, {name: partial(lap, name) for name in jobs}, warm_ups=0)
    return found


def of(figures: list[Figures], name: str) -> list[float]:
    return [one[name] for one in figures]


def test_server_works_little_while_points_are_safe_within_milliseconds(
    contest: Contest, tmp_path: Path
) -> None:
    rate, series = 300_000, 10_000
    with ExitStack() as stack:
        server = stack.enter_context(new_server(500))
        url = server.url()
        jobs = {
            "journal": Job(url, series, rate, SECONDS, str(tmp_path / "a.journal")),
            "sealed": Job(url, series, rate, SECONDS, linger=0.005),
        }
        found = laps(contest, server, jobs, SECONDS)
    ours, sealed = found["journal"], found["sealed"]
    contest.figures(
        "server's core at 300 k points/s of 10 k series, journal / sealed every 5 ms",
        "ms/s",
        [one * 1000 for one in of(ours, "server_cores")],
        [one * 1000 for one in of(sealed, "server_cores")],
        facts={
            "on the fast path (share)": median(of(ours, "fast_share")),
            "sealed: on the fast path (share)": median(of(sealed, "fast_share")),
        },
    )
    cores = [one * 1000 for one in of(ours, "server_cores")]
    contest.figures(
        "… server's core / allowed", "ms/s", cores, [100.0] * len(cores), is_limit=True
    )


def test_cost_of_a_journal(contest: Contest, tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(new_server(500))
        url = server.url()
        jobs = {
            "journal": Job(url, 1000, RATE, SECONDS, str(tmp_path / "a.journal")),
            "without": Job(url, 1000, RATE, SECONDS),
        }
        found = laps(contest, server, jobs, SECONDS)
    for what, key, scale, limit in (
        ("client's cores that a journal takes at 1 M points/s / allowed", "cores", 1000, 120.0),
        ("… on the thread that writes / allowed", "writing_ns", 1, 10.0),
    ):
        unit = "ms/s" if key == "cores" else "ns/point"
        pairs = zip(of(found["journal"], key), of(found["without"], key), strict=True)
        costs = [(one - other) * scale for one, other in pairs]
        contest.figures(what, unit, costs, [limit] * len(costs), is_limit=True)


def test_server_away(contest: Contest, tmp_path: Path) -> None:
    figures: dict[str, Any] = {}

    def flood() -> None:
        with new_server(500) as server:
            url = server.url()
        job = Job(
            url,
            1000,
            RATE,
            AWAY_SECONDS,
            str(tmp_path / "a.journal"),
            max_buffered=64 * MIB,
            is_server_there=False,
        )
        figures.update(run(job))

    contest.run(1, {"ours": flood}, warm_ups=0)
    wanted = [1e9 / RATE]
    contest.figures(
        "1 M points/s into the journal for 60 s, server away / wanted",
        "ns/point",
        [1e9 / figures["rate"]],
        wanted,
        facts={"persisted (M points)": figures["persisted"] / 1e6},
    )
    contest.figures(
        "… buffered_bytes / max_buffered", "MiB", [figures["buffered_bytes"] / MIB], [64.0]
    )
