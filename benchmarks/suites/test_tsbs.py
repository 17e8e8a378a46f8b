"""How fast are the loads of TSBS, cpu-only and iot, as the number of hosts grows?

Beside the ceiling, ready-made packages with all points of a series; and beside what TSBS's SiriDB
loader sends, ready-made too: packages of 1,000 and of 10,000 rows, as the rows come. Its server
has a `buffer_sync_interval` of 500 and is connected to over TCP; 100 hosts are also loaded in the
other way to connect, and at the server's default interval.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from benchmarks.data.tsbs import CpuOnly
from benchmarks.data.tsbs_iot import Iot
from benchmarks.entrants.lap import (
    Entrant,
    Ways,
    Writing,
    address,
    compete,
    database_url,
    new_server,
)
from benchmarks.entrants.tsbs_entrants import (
    BATCH_ROWS,
    by_host_tickers,
    by_one_ticker,
    by_row_batches,
    by_truck_tickers,
    ready_made,
    the_loader,
)
from benchmarks.harness.contest import Contest
from benchmarks.harness.record import Mark

TIMES = {100: 2000, 1000: 150, 4000: 85}  # of a lap, by hosts
TRUCK_TIMES = {100: 1000, 1000: 150, 4000: 85}
ROUNDS = {100: 2, 1000: 2, 4000: 1}
# Many series need room for more than 64 points each, and time until they have come.
ROOMY = {"linger": 30.0, "max_buffered": 256 * 1024 * 1024}
OPTIONS = {1000: ROOMY, 4000: ROOMY}
SMALL_BATCH_ROWS = 1000
SMALL_BATCHES = 5
BATCHES = {100: 2}  # of 10,000 rows: 100 points of each series, which is fast; otherwise 1
WAYS = {"hosts": "a ticker for each host", "whole": "rows that came together"}
LOADERS = {SMALL_BATCH_ROWS: "packages of 1,000 rows", BATCH_ROWS: "packages of 10,000 rows"}


@dataclass(slots=True)
class Lines:
    """What charts show: the marks of each line, by the number of hosts."""

    metrics: dict[str, list[Mark]] = field(default_factory=dict)
    rows: dict[str, list[Mark]] = field(default_factory=dict)

    def add(self, label: str, hosts: int, rates: list[float], points_of_row: float) -> None:
        """Add a mark of points per second."""
        self.metrics.setdefault(label, []).append(Mark.of(hosts, rates))
        rows = [rate / points_of_row for rate in rates]
        self.rows.setdefault(label, []).append(Mark.of(hosts, rows))


@pytest.fixture(scope="module")
def lines() -> dict[str, Lines]:
    """Keep the marks of all tests here, by use case; the last test of one draws them."""
    return {"cpu-only": Lines(), "iot": Lines()}


@pytest.mark.parametrize(
    ("hosts", "transport", "interval"),
    [
        (100, "TCP", 500),
        (100, "TCP", 0),
        (100, "unix", 500),
        (100, "unix", 0),
        (1000, "TCP", 500),
        (4000, "TCP", 500),
    ],
)
def test_cpu_only(
    contest: Contest,
    ways: Ways,
    lines: dict[str, Lines],
    hosts: int,
    transport: str,
    interval: int,
) -> None:
    where = f"{transport}, sync {interval}"
    titles = {
        "hosts": f"TSBS, rows of 10 by {hosts:,} tickers, {where} / ceiling",
        "whole": f"TSBS, {hosts:,} rows at once by one ticker, {where} / ceiling",
    }
    measured = _measure(contest, ways, CpuOnly(hosts, TIMES[hosts]), titles, transport, interval)
    if (transport, interval) == ("TCP", 500):
        _mark(contest, lines, "cpu-only", hosts, measured)


@pytest.mark.parametrize("hosts", TRUCK_TIMES)
def test_iot(contest: Contest, ways: Ways, lines: dict[str, Lines], hosts: int) -> None:
    titles = {
        "hosts": f"TSBS iot, rows by two tickers for each of {hosts:,} trucks / ceiling",
        "whole": f"TSBS iot, {hosts:,} trucks, rows of ten times at once by write_rows / ceiling",
    }
    measured = _measure(contest, ways, Iot(hosts, TRUCK_TIMES[hosts]), titles, "TCP", 500)
    _mark(contest, lines, "iot", hosts, measured)


def _measure(
    contest: Contest,
    ways: Ways,
    tsbs: CpuOnly | Iot,
    titles: dict[str, str],
    transport: str,
    interval: int,
) -> tuple[CpuOnly | Iot, list[Entrant]]:
    hosts, best = tsbs.hosts, ways.best(transport, interval)
    options: dict[str, Any] = {"on_missing": "drop", **OPTIONS.get(hosts, {})}
    with ExitStack() as stack:
        server = stack.enter_context(new_server(interval))
        url, to = database_url(server, transport), address(server, transport)
        writers = [stack.enter_context(Writing(url, **options)) for _ in WAYS]
        batches = {SMALL_BATCH_ROWS: SMALL_BATCHES, BATCH_ROWS: BATCHES.get(hosts, 1)}
        entrants = [
            *_our_ways(writers, tsbs),
            stack.enter_context(ready_made(to, best, tsbs)),
            *(stack.enter_context(the_loader(to, tsbs, *batch)) for batch in batches.items()),
        ]
        compete(contest, ROUNDS[hosts], entrants, server)
        slow = [writing.slow_percent() for writing in writers]
    for (name, title), percent in zip(titles.items(), slow, strict=True):
        _rows(contest, title, name, tsbs, entrants[3:])
        contest.slow_points(percent)
    return tsbs, entrants


def _our_ways(writers: list[Writing], tsbs: CpuOnly | Iot) -> list[Entrant]:
    if isinstance(tsbs, Iot):
        return [by_truck_tickers(writers[0], tsbs), by_row_batches(writers[1], tsbs)]
    return [by_host_tickers(writers[0], tsbs), by_one_ticker(writers[1], tsbs)]


def _rows(
    contest: Contest, title: str, name: str, tsbs: CpuOnly | Iot, loaders: list[Entrant]
) -> None:
    points = tsbs.points
    contest.row(title, "ns/point", points, ours=name, reference="ceiling")
    for loader, what in zip(loaders, LOADERS.values(), strict=True):
        contest.row(
            f"… / {what} as they come, ready-made",
            "ns/point",
            points,
            ours=name,
            reference=loader.name,
            reference_count=loader.points,
        )


def _mark(
    contest: Contest,
    lines: dict[str, Lines],
    use: str,
    hosts: int,
    measured: tuple[CpuOnly | Iot, list[Entrant]],
) -> None:
    tsbs, entrants = measured
    labels = [*WAYS.values(), "ceiling: by series, ready-made", *LOADERS.values()]
    for label, entrant in zip(labels, entrants, strict=True):
        rates = [entrant.points / seconds for seconds in contest.times(entrant.name)]
        lines[use].add(label, hosts, rates, tsbs.points / tsbs.rows)
    if hosts == max(TIMES):
        for what, marks in (("metrics", lines[use].metrics), ("rows", lines[use].rows)):
            contest.chart(f"TSBS {use}, {what} by hosts", "hosts", f"{what}/s", marks, log="xy")
