"""Measure callables in turn, and collect the ratios of their times in one table.

On a machine that others use too, only times of one moment can be compared: each round runs every
contestant once (A B C A B C …), and a ratio is that of two times of the same round. The first
contestant is handed to pytest-benchmark; the others run in the setup of its rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
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

    def run(self, rounds: int, contestants: Mapping[str, Callable[[], object]]) -> None:
        """Run all contestants in turn; a first round only warms up."""
        timed = [self._timed(name, action) for name, action in contestants.items()]

        def run_others() -> None:
            for action in timed[1:]:
                action()

        self._benchmark.pedantic(  # type: ignore[no-untyped-call]
            timed[0], setup=run_others, rounds=rounds, warmup_rounds=WARM_UPS
        )

    def row(
        self,
        what: str,
        unit: str,
        count: int,
        *,
        asked: float | None = None,
        ours: str = "ours",
        reference: str = "reference",
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
            is_cpu: Compare this process's CPU time, in place of the time on the wall.
        """
        mine, theirs = self._times(ours, is_cpu), self._times(reference, is_cpu)
        scale = SCALES[unit[:2]] / count
        ratios = tuple(other / own for own, other in zip(mine, theirs, strict=True))
        row = Row(
            self._group, what, unit, median(mine) * scale, median(theirs) * scale, ratios, asked
        )
        self._table.rows.append(row)
        self._benchmark.extra_info[what] = {"ratios": ratios, "asked": asked}

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


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 20 else f"{value:.2f}"


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    left = (f"{cell:<{width}}" for cell, width in zip(cells[:2], widths[:2], strict=True))
    right = (f"{cell:>{width}}" for cell, width in zip(cells[2:], widths[2:], strict=True))
    return "  ".join((*left, *right)).rstrip()
