"""Figures that follow from a bench's, and how figures are written.

Pure, as the cells are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from siridb_fast.cli.bench.cells import Survey, best_of, is_clearly_faster

__all__ = ["Wait", "fastest", "points_per_second", "seconds_text", "waits"]

RATES = (0.1, 1.0, 10.0, 100.0, 1000.0)  # points of a series a second


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """For series of a rate: how long a run over the server's buffer takes to come together.

    ``series_then`` and ``series_else`` tell how many such series the server takes with such a
    linger, and with a shorter one; None where that was not measured.
    """

    rate: float
    linger: float
    series_then: int | None
    series_else: int | None


def fastest(surveys: Sequence[Survey]) -> Survey:
    """Return the survey that the advice is about: the one that wins most cells against others."""

    def merit(survey: Survey) -> tuple[bool, int]:
        return survey.best is not None, sum(_wins(survey, other) for other in surveys)

    return max(surveys, key=merit)


def waits(survey: Survey) -> list[Wait]:
    """Return for some rates which linger brings runs over the server's buffer."""
    run = survey.facts.buffer_points + 1
    slow, fast = survey.short_runs, survey.long_runs
    single = min(slow, key=lambda each: each.cell.points, default=None)
    best = best_of(fast)
    return [
        Wait(
            rate=rate,
            linger=run / rate,
            series_then=None if best is None else int(best.rate / rate),
            series_else=None if single is None else int(single.rate / rate),
        )
        for rate in RATES
    ]


def points_per_second(rate: float) -> str:
    """Return a rate as people say it: 4.52 M, 310 k, 42."""
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if rate >= unit * 0.9995:
            number = rate / unit
            digits = 2 if number < 10 else 1 if number < 100 else 0
            return f"{number:.{digits}f} {letter}"
    return f"{rate:.0f}"


def seconds_text(seconds: float) -> str:
    """Return a time with two or three digits: 65 ms, 6.5 s, 11 min."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min"


def _wins(one: Survey, other: Survey) -> int:
    # How many more of the cells that both have are clearly faster than are clearly slower.
    others = {each.cell: each for each in other.cells}
    return sum(
        is_clearly_faster(each, others[each.cell]) - is_clearly_faster(others[each.cell], each)
        for each in one.cells
        if each.cell in others
    )
