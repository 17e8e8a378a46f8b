"""How long does a call of `write()` take, and how long until its point is acknowledged?

Points of 1,000 series come at a fixed rate, whatever becomes of those before; of 300 where the
server is paused. The time of a call has the clock's own in it, which stands beside it. The delay
is what `on_delivery` reports, of the oldest point of a package, and counted for all its points;
points wait up to `linger` for others of their series, so most of the delay is what was asked for.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import numpy as np
import pytest

from benchmarks.data.data import Array
from benchmarks.data.open_loop import OpenLoop, clock_cost
from benchmarks.entrants.lap import Writing, new_server
from benchmarks.harness.contest import Contest
from benchmarks.harness.record import Mark
from siridb_fast.testing import SiriDBServer

SERIES = 1000
SECONDS = 3.0
LINGER, LATE = 1.0, 0.05
CALL = 100.0  # microseconds that 99 of 100 calls may take
RATES = {10_000: "10 k", 100_000: "100 k", 1_000_000: "1 M"}
TIMED_RATE = 100_000  # calls a second, at most, are timed
PERCENTS = {50: "p50", 99: "p99", 100: "most"}

PAUSED_RATE, PAUSED_SERIES = 100_000, 300
BEFORE, PAUSE, AFTER = 2.0, 2.0, 2.0
SHORT_LINGER = 0.25  # 83 points of a series, which is more than the server buffers
BIN = 0.1  # seconds of the chart


@pytest.fixture(scope="module")
def lines() -> dict[str, list[Mark]]:
    """Keep the marks of all rates here; the last test draws them."""
    return {}


@pytest.mark.parametrize(("rate", "interval"), [(100_000, 0), *((rate, 500) for rate in RATES)])
def test_rate(contest: Contest, lines: dict[str, list[Mark]], rate: int, interval: int) -> None:
    every = max(1, rate // TIMED_RATE)
    arrivals = OpenLoop(rate, SECONDS, [f"series {i}" for i in range(SERIES)], every)
    with ExitStack() as stack:
        server = stack.enter_context(new_server(interval))
        _let_come(contest, stack, server, arrivals)
    delays, (_, calls) = arrivals.delays, arrivals.calls
    where = f"at {RATES[rate]} points/s, sync {interval}"
    for percent in (99, 50, 100):
        what = f"delay {where}, p{percent} / allowed of p99"
        figure = float(np.percentile(delays, percent)) * 1e3
        contest.figures(what, "ms", [figure], [(LINGER + LATE) * 1e3])
    p50, p99, most = (float(np.percentile(calls, percent)) * 1e6 for percent in PERCENTS)
    contest.figures(
        f"write() {where}, p99 / allowed",
        "us",
        [p99],
        [CALL],
        note=f"p50 {p50:.2g}, most {most:,.0f}, clock {clock_cost() * 1e6:.2g} us; "
        f"{arrivals.points / arrivals.elapsed:,.0f}/s came",
    )
    if interval == 500:
        for percent, title in PERCENTS.items():
            for label, times in (("acknowledgement", delays), ("write()", calls)):
                mark = Mark.of(rate, [float(np.percentile(times, percent)) * 1e3])
                lines.setdefault(f"{label}, {title}", []).append(mark)
    if rate == max(RATES):
        ordered = dict(sorted(lines.items()))
        contest.chart("Latency over rate", "points/s", "ms", ordered, log="xy")


def test_pause(contest: Contest) -> None:
    seconds = BEFORE + PAUSE + AFTER
    arrivals = OpenLoop(PAUSED_RATE, seconds, [f"series {i}" for i in range(PAUSED_SERIES)])
    with ExitStack() as stack:
        server = stack.enter_context(new_server(500))
        _let_come(contest, stack, server, arrivals, pause=True)
    (due, calls), (when, ages) = arrivals.calls, arrivals.acks
    before, paused = calls[due < BEFORE], calls[(due >= BEFORE) & (due < BEFORE + PAUSE)]
    for percent in (99, 50):
        ours, reference = (float(np.percentile(some, percent)) * 1e6 for some in (paused, before))
        title = f"write(), server paused for 2 s, p{percent} / before the pause"
        contest.figures(title, "us", [ours], [reference])
    most = [float(ages.max()) * 1e3]
    allowed = [(PAUSE + SHORT_LINGER + LATE) * 1e3]
    contest.figures("longest delay, server paused for 2 s / allowed", "ms", most, allowed)
    marks = {
        "acknowledgement, oldest point": _over_time(when, ages, (0, 50, 100)),
        "write(), p99": _over_time(due, calls, (99, 99, 99)),
        "write(), p50": _over_time(due, calls, (50, 50, 50)),
    }
    x = f"seconds; server paused from {BEFORE:g} to {BEFORE + PAUSE:g}"
    contest.chart("Latency across a pause of the server", x, "ms", marks, log="y")


def _let_come(
    contest: Contest,
    stack: ExitStack,
    server: SiriDBServer,
    arrivals: OpenLoop,
    *,
    pause: bool = False,
) -> None:
    options = {
        "linger": SHORT_LINGER if pause else LINGER,
        "on_delivery": arrivals.acknowledged,
    }
    writing = stack.enter_context(Writing(server.url(), **options))
    arrivals.make_series(writing)

    async def come() -> None:
        loop = asyncio.get_running_loop()
        if pause:
            loop.call_later(BEFORE, server.pause)
            loop.call_later(BEFORE + PAUSE, server.resume)
        await arrivals.come(writing.writer)

    contest.run(1, {"ours": lambda: writing.run(come())}, warm_ups=0)
    stored = server.api.query("dbtest", "count series length")["series_length"]
    assert stored == arrivals.points + len(arrivals.names)


def _over_time(when: Array, seconds: Array, percents: tuple[int, int, int]) -> list[Mark]:
    # A mark for each tenth of a second that has any: low, the mark itself, high; milliseconds.
    bins = (when // BIN).astype(int)
    marks = []
    for number in np.unique(bins):
        low, y, high = np.percentile(seconds[bins == number] * 1e3, percents)
        marks.append(Mark(float(number) * BIN, float(y), float(low), float(high)))
    return marks
