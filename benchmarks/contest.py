"""Measure callables in turn, and collect the ratios of their times in one table.

On a machine that others use too, only times of one moment can be compared: each round runs every
contestant once (A B C A B C …), and a ratio is that of two times of the same round. The first
contestant is handed to pytest-benchmark; the others run in the setup of its rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from pytest_benchmark.fixture import BenchmarkFixture

__all__ = ["Contest", "Row", "Table"]

TITLES = ("what", "unit", "ours", "reference", "ratio", "(min..max)", "asked", "")
SCALES = {"ns": 1e9, "us": 1e6, "ms": 1e3}
WARM_UPS = 1


@dataclass(frozen=True, slots=True)
class Lap:
    """What one contestant took in one round, in seconds."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; a ratio over 1 says that ours is faster."""

    group: str
    what: str
    unit: str
    ours: float
    reference: float
    ratios: tuple[float, ...]
    asked: float | None

    @property
    def is_short(self) -> bool:
        """Tell whether less was reached than is asked."""
        return self.asked is not None and median(self.ratios) < self.asked

    def cells(self) -> tuple[str, ...]:
        """Return the texts of the line."""
        return (
            self.what,
            self.unit,
            _number(self.ours),
            _number(self.reference),
            f"{_number(median(self.ratios))}x",
            f"({_number(min(self.ratios))}..{_number(max(self.ratios))})",
            "" if self.asked is None else f"{self.asked:g}x",
            "" if self.asked is None else "SHORT" if self.is_short else "ok",
        )


class Table:
    """The rows of a whole run."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def lines(self) -> Iterator[str]:
        """Yield the table as text, a paragraph for each question."""
        grid = [TITLES, *(row.cells() for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
        yield _line(TITLES, widths)
        group = ""
        for row in self.rows:
            if row.group != group:
                group = row.group
                yield from ("", group)
            yield _line(row.cells(), widths)
        yield from ("", self._verdict())

    def _verdict(self) -> str:
        asked = [row for row in self.rows if row.asked is not None]
        short = [row.what for row in asked if row.is_short]
        reached = f"{len(asked) - len(short)} of {len(asked)} asked ratios are reached"
        return f"{reached}; short: {'; '.join(short)}" if short else reached


class Contest:
    """The contestants of one test."""

    def __init__(self, benchmark: BenchmarkFixture, table: Table, group: str) -> None:
        self._benchmark = benchmark
        self._table = table
        self._group = group
        self._laps: dict[str, list[Lap]] = {}

    def run(
        self,
        rounds: int,
        contestants: Mapping[str, Callable[[], object]],
        prepare: Mapping[str, Callable[[], object]] | None = None,
        *,
        warm_ups: int = WARM_UPS,
    ) -> None:
        """Run all contestants in turn; a first round only warms up.

        Args:
            rounds: How many count.
            contestants: By name.
            prepare: What is called before each lap of a contestant; its time does not count.
            warm_ups: How many rounds go before; `row` and `median_time` need the usual one.
        """
        timed = [self._timed(name, action) for name, action in contestants.items()]
        before = [(prepare or {}).get(name, _nothing) for name in contestants]

        def run_others() -> None:
            for i in range(1, len(timed)):
                before[i]()
                timed[i]()
            before[0]()

        self._benchmark.pedantic(  # type: ignore[no-untyped-call]
            timed[0], setup=run_others, rounds=rounds, warmup_rounds=warm_ups
        )

    def row(
        self,
        what: str,
        unit: str,
        count: float,
        *,
        asked: float | None = None,
        ours: str = "ours",
        reference: str = "reference",
        reference_count: float | None = None,
        is_cpu: bool = False,
    ) -> None:
        """Add a line to the table.

        Args:
            what: Is compared.
            unit: Begins with ns, us or ms; of one of ``count``.
            count: Points or requests of one round.
            asked: The ratio that is asked for, if any.
            ours: The name of one contestant.
            reference: The name of the other.
            reference_count: Points or requests of one of its rounds, if they are others.
            is_cpu: Compare this process's CPU time, in place of the time on the wall.
        """
        scale = SCALES[unit[:2]]
        mine = [time * scale / count for time in self._times(ours, is_cpu)]
        reference_count = reference_count or count
        theirs = [time * scale / reference_count for time in self._times(reference, is_cpu)]
        self.figures(what, unit, mine, theirs, asked=asked)

    def figures(
        self,
        what: str,
        unit: str,
        ours: Sequence[float],
        reference: Sequence[float],
        *,
        asked: float | None = None,
    ) -> None:
        """Add a line of figures measured otherwise, less is better; a limit is a reference too."""
        ratios = tuple(other / own for own, other in zip(ours, reference, strict=True))
        row = Row(self._group, what, unit, median(ours), median(reference), ratios, asked)
        self._table.rows.append(row)
        self._benchmark.extra_info[what] = {"ratios": ratios, "asked": asked}

    def median_time(self, name: str) -> float:
        """Return the median time of a contestant, in seconds."""
        return median(self._times(name, False))

    def _timed(self, name: str, action: Callable[[], object]) -> Callable[[], None]:
        laps = self._laps.setdefault(name, [])

        def run() -> None:
            wall, cpu = time.perf_counter(), time.process_time()
            action()
            laps.append(Lap(time.perf_counter() - wall, time.process_time() - cpu))

        return run

    def _times(self, name: str, is_cpu: bool) -> list[float]:
        laps = self._laps[name][WARM_UPS:] or self._laps[name]
        return [lap.cpu if is_cpu else lap.wall for lap in laps]


def _nothing() -> None:
    pass


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 20 else f"{value:.2f}"


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    left = (f"{cell:<{width}}" for cell, width in zip(cells[:2], widths[:2], strict=True))
    right = (f"{cell:>{width}}" for cell, width in zip(cells[2:], widths[2:], strict=True))
    return "  ".join((*left, *right)).rstrip()
