"""Measure callables in turn, and note the ratios of their times.

On a machine that others use too, only times of one moment can be compared: each round runs every
contestant once (A B C A B C …), and a ratio is that of two times of the same round. The first
contestant is handed to pytest-benchmark; the others run in the setup of its rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.harness.bounds import Bounds
from benchmarks.harness.record import Chart, Mark, Row, Run

__all__ = ["CONTINUES", "SECONDS", "WARM_UPS", "Contest"]

SCALES = {"ns": 1e9, "us": 1e6, "ms": 1e3}
WARM_UPS = 1
LEAST_ROUNDS = 2  # so that there is a spread
SECONDS = 7.0  # for the rounds that count, so that all measurements end in time on a slow machine
SLOW_AT_MOST = 1.0  # percent of points
CONTINUES = "…"  # begins what is measured of the same as in the row above


@dataclass(frozen=True, slots=True)
class Lap:
    """What one contestant took in one round, in seconds."""

    wall: float
    cpu: float


class Contest:
    """The contestants of one test.

    Args:
        benchmark: Of pytest-benchmark.
        run: Where rows and charts go.
        bounds: What is asked.
        file: Which file of measurements it is in.
    """

    def __init__(self, benchmark: BenchmarkFixture, run: Run, bounds: Bounds, file: str) -> None:
        self._benchmark = benchmark
        self._record = run
        self._bounds = bounds
        self._file = file
        self._laps: dict[str, list[Lap]] = {}
        self._head = ""

    def run(
        self,
        rounds: int,
        contestants: Mapping[str, Callable[[], object]],
        prepare: Mapping[str, Callable[[], object]] | None = None,
        *,
        warm_ups: int = WARM_UPS,
        seconds: float = SECONDS,
    ) -> None:
        """Run all contestants in turn; a first round only warms up, and shows how long one takes.

        Args:
            rounds: How many count; fewer, but two, where they would take longer than ``seconds``.
            contestants: By name.
            prepare: What is called before each lap of a contestant; its time does not count.
            warm_ups: How many rounds go before; `row` and `median_time` need the usual one.
            seconds: For the rounds that count.
        """
        timed = [self._timed(name, action) for name, action in contestants.items()]
        before = [(prepare or {}).get(name, _nothing) for name in contestants]

        def run_others() -> None:
            for i in range(1, len(timed)):
                before[i]()
                timed[i]()
            before[0]()

        began = time.perf_counter()
        for _ in range(warm_ups):
            run_others()
            timed[0]()
        if warm_ups:
            fitting = int(seconds * warm_ups / (time.perf_counter() - began))
            rounds = min(rounds, max(LEAST_ROUNDS, fitting))
        self._benchmark.pedantic(  # type: ignore[no-untyped-call]
            timed[0], setup=run_others, rounds=rounds
        )

    def row(
        self,
        what: str,
        unit: str,
        count: float,
        *,
        ours: str = "ours",
        reference: str = "reference",
        reference_count: float | None = None,
        is_cpu: bool = False,
        note: str = "",
        facts: Mapping[str, float] | None = None,
    ) -> None:
        """Add a row: the times of two contestants, less is better.

        Args:
            what: Is compared; it names the row, so it is the same in every run. One that begins
                with "…" continues the row above.
            unit: Begins with ns, us or ms; of one of ``count``.
            count: Points or requests of one round.
            ours: The name of one contestant.
            reference: The name of the other.
            reference_count: Points or requests of one of its rounds, if they are others.
            is_cpu: Compare this process's CPU time, instead of the time on the wall.
            note: What may be different in another run.
            facts: Other figures of ours, by name and unit.
        """
        scale = SCALES[unit[:2]]
        mine = [time * scale / count for time in self.times(ours, is_cpu=is_cpu)]
        reference_count = reference_count or count
        theirs = [time * scale / reference_count for time in self.times(reference, is_cpu=is_cpu)]
        self.figures(what, unit, mine, theirs, note=note, facts=facts)

    def figures(
        self,
        what: str,
        unit: str,
        ours: Sequence[float],
        reference: Sequence[float],
        *,
        note: str = "",
        facts: Mapping[str, float] | None = None,
        is_limit: bool = False,
    ) -> None:
        """Add a row of figures measured otherwise, less is better; a limit is a reference too."""
        if not what.startswith(CONTINUES):
            self._head = what
        key = what if what == self._head else f"{self._head} {what}"
        row = Row(
            self._file,
            key,
            what,
            unit,
            median(ours),
            median(reference),
            tuple(other / own for own, other in zip(ours, reference, strict=True)),
            self._bounds.of(self._file, key),
            note,
            dict(facts or {}),
            is_limit,
        )
        self._record.rows.append(row)
        self._benchmark.extra_info[key] = {"ratios": row.ratios, "bound": row.bound}

    def slow_points(self, percent: float) -> None:
        """Add a row of how many points, of those of the row above, were slow for the server."""
        what = f"{CONTINUES} points that were slow for the server / allowed"
        self.figures(what, "% points", [percent], [SLOW_AT_MOST], is_limit=True)

    def chart(
        self,
        title: str,
        x: str,
        y: str,
        lines: Mapping[str, Sequence[Mark]],
        log: Literal["", "x", "y", "xy"] = "",
    ) -> None:
        """Add a chart; its title names it, so it is the same in every run."""
        marks_by_label = {label: list(marks) for label, marks in lines.items()}
        self._record.charts.append(Chart(self._file, title, x, y, marks_by_label, log))

    def median_time(self, name: str) -> float:
        """Return the median time of a contestant, in seconds."""
        return median(self.times(name))

    def times(self, name: str, *, is_cpu: bool = False) -> list[float]:
        """Return the seconds of each round of a contestant that counts."""
        laps = self._laps[name][WARM_UPS:] or self._laps[name]
        return [lap.cpu if is_cpu else lap.wall for lap in laps]

    def _timed(self, name: str, action: Callable[[], object]) -> Callable[[], None]:
        laps = self._laps.setdefault(name, [])

        def run() -> None:
            wall, cpu = time.perf_counter(), time.process_time()
            action()
            laps.append(Lap(time.perf_counter() - wall, time.process_time() - cpu))

        return run


def _nothing() -> None:
    pass
