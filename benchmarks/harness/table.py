"""Rows as a table of text, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.harness.record import Row, Run

__all__ = ["lines", "number", "verdict"]

TITLES = ("what", "unit", "ours", "reference", "ratio", "(min..max)", "asked", "")


def lines(run: Run) -> Iterator[str]:
    """Yield the table of a run, a paragraph for each question."""
    rows = run.rows
    grid = [TITLES, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    yield _line(TITLES, widths)
    file = ""
    for row in rows:
        if row.file != file:
            file = row.file
            yield from ("", run.questions[file])
        yield _line(_cells(row), widths)
    yield from ("", verdict(rows))


def verdict(rows: Sequence[Row]) -> str:
    """Return how many of the bounds are reached, and which are not."""
    asked = [row for row in rows if row.bound is not None]
    short = [row.key for row in asked if row.is_short]
    summary = f"{len(asked) - len(short)} of {len(asked)} asked ratios are reached"
    return f"{summary}; short: {'; '.join(short)}" if short else summary


def number(value: float) -> str:
    """Return a figure with about three digits."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 20 else f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def _cells(row: Row) -> tuple[str, ...]:
    what = f"    {row.what}" if row.what != row.key else row.what
    return (
        f"{what} ({row.note})" if row.note else what,
        row.unit,
        number(row.ours),
        number(row.reference),
        f"{number(row.ratio)}x",
        f"({number(min(row.ratios))}..{number(max(row.ratios))})",
        "" if row.bound is None else f"{row.bound:g}x",
        "" if row.bound is None else "SHORT" if row.is_short else "ok",
    )


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    left = (f"{cell:<{width}}" for cell, width in zip(cells[:2], widths[:2], strict=True))
    right = (f"{cell:>{width}}" for cell, width in zip(cells[2:], widths[2:], strict=True))
    return "  ".join((*left, *right)).rstrip()
