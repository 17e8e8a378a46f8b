"""What a bench prints: tables, recommendations and JSON.

Knows nothing of how it was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from siridb_fast.cli.bench.advice import Advice
from siridb_fast.cli.bench.cells import (
    Kind,
    Measured,
    Survey,
    Transport,
    best_of,
    is_clearly_faster,
)
from siridb_fast.cli.bench.figures import fastest, points_per_second, seconds_text, waits
from siridb_fast.cli.bench.removal import Removal
from siridb_fast.cli.errors import shown
from siridb_fast.cli.output.console import new_console, print_json

__all__ = ["print_bench", "write_json"]

WIDE = 100  # columns of a terminal, from which on there is room for bars
BAR = 20
TOPIC = 21  # columns; the longest is connections over unix
EIGHTHS = " ▏▎▍▌▋▊▉█"
LEAST_SERVER_CPU = 0.05  # seconds: the kernel counts in steps of 0.01
NOTHING = "–"


def print_bench(surveys: Sequence[Survey], advice: Sequence[Advice], removal: Removal) -> None:
    """Print a table for each question and target, then what follows, on stdout."""
    console = new_console()
    for survey in surveys:
        _print_survey(console, survey)
    console.print(_waits(fastest(surveys)))
    console.print(Text("Recommendations", "bold"))
    for each in advice:
        console.print(_recommended(each, console), soft_wrap=not console.is_terminal)
    console.print(Text(_removed(removal), style="dim"))
    console.file.flush()


def write_json(surveys: Sequence[Survey], advice: Sequence[Advice], removal: Removal) -> None:
    """Write everything on stdout, times in seconds and rates in points per second."""
    found = {
        "surveys": [_survey(survey) for survey in surveys],
        "advice": [asdict(each) for each in advice],
        "linger": [asdict(wait) for wait in waits(fastest(surveys))],
        "removed": asdict(removal),
    }
    print_json(found)


def _print_survey(console: Console, survey: Survey) -> None:
    facts = survey.facts
    console.print(
        Text.assemble(
            (shown(facts.label), "bold"),
            f": siridb-server {shown(facts.version)} at {shown(facts.server)}, "
            f"{facts.time_precision}, buffers {facts.buffer_points:,} points of a series",
        )
    )
    is_wide = console.is_terminal and console.width >= WIDE
    console.print(_runs(survey, is_wide=is_wide))
    console.print(_connections(survey, is_wide=is_wide))
    console.print(_latencies(survey))
    console.print(_writers(survey))


def _table(title: str, *columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _rates(title: str, first: str, rows: Sequence[tuple[str, Measured]], is_wide: bool) -> Table:
    table = _table(title, first, "points/s", "MB/s", "± %", "server ns", "client ns")
    table.add_column("", no_wrap=True)
    best = best_of(each for _, each in rows)
    for name, each in rows:
        is_good = best is not None and not is_clearly_faster(best, each) and bool(each.rates)
        mark = "best" if each is best else "≈" if is_good else ""
        bar = f"{_bar(each, best)} " if is_wide else ""
        table.add_row(name, *_figures(each), f"{bar}{mark}", style="green" if is_good else "")
    return table


def _runs(survey: Survey, *, is_wide: bool) -> Table:
    cells = [each for each in survey.cells if each.cell.kind is Kind.RUNS]
    rows = [(f"{each.cell.points:,} × {each.cell.series}", each) for each in cells]
    cell = cells[0].cell
    title = (
        f"Points of a series × series in a package, {cell.flight} in "
        f"flight over {cell.transport.value}"
    )
    return _rates(title, "package", rows, is_wide)


def _connections(survey: Survey, *, is_wide: bool) -> Table:
    cells = [each for each in survey.cells if each.cell.kind is Kind.CONNECTIONS]
    rows = [(f"{each.cell.transport.value} {each.cell.flight}", each) for each in cells]
    cell = cells[0].cell
    title = f"Connections × packages in flight, packages of {cell.points:,} × {cell.series}"
    return _rates(title, "connections", rows, is_wide)


def _latencies(survey: Survey) -> Table:
    table = _table(
        "Round trips, one after another: median (p99)", "over", "ping", "insert of nothing"
    )
    for column in ("of a point", "p99", "trips"):
        table.add_column(column, justify="right")
    for each in survey.of(Kind.LATENCY):
        found = each.latency
        if found is not None:
            times = (found.ping, found.nothing, found.median, found.p99)
            trips = f"{found.count:,}"
            table.add_row(each.cell.transport.value, *map(seconds_text, times), trips)
    return table


def _writers(survey: Survey) -> Table:
    cells = [each for each in survey.cells if each.cell.kind is Kind.WRITER]
    series = cells[0].cell.series
    table = _table(
        f"BatchWriter, single points of {series:,} series in turn",
        "linger",
        "points/s",
        "MB/s",
        "± %",
        "server ns",
        "client ns",
        "fast path",
    )
    for each in cells:
        fast = NOTHING if each.fast_fraction is None else f"{each.fast_fraction * 100:.0f} %"
        table.add_row(f"{each.cell.linger:g} s", *_figures(each), fast)
    return table


def _waits(survey: Survey) -> Table:
    run = survey.facts.buffer_points + 1
    table = _table(
        f"Linger for runs of {run:,} points; how many series are stored then",
        "points/s of a series",
        "linger",
        "series then",
        "series with less",
    )
    for wait in waits(survey):
        numbers = (wait.series_then, wait.series_else)
        cells = (NOTHING if number is None else points_per_second(number) for number in numbers)
        table.add_row(f"{wait.rate:g}", seconds_text(wait.linger), *cells)
    return table


def _recommended(advice: Advice, console: Console) -> Table | Text:
    mark = Text("•", "green") if advice.is_clear else Text("?", "yellow")
    text = Text(shown(advice.text))
    if advice.setting is not None:
        text.append(f" → {shown(advice.setting)}", "bold green")
    if not console.is_terminal:
        return Text.assemble(mark, f" {advice.topic}: ", text)
    table = Table.grid(padding=(0, 1))
    for width in (1, TOPIC):
        table.add_column(width=width)
    table.add_column(overflow="fold")
    table.add_row(mark, Text(advice.topic, "bold"), text)
    return table


def _figures(each: Measured) -> list[str]:
    if not each.rates:
        return ["no time", *[NOTHING] * 4]
    spread = NOTHING if each.spread is None else f"{each.spread * 100:.0f}"
    server = _server_ns(each)
    return [
        points_per_second(each.rate),
        f"{each.bytes_per_second / 1e6:.1f}",
        spread,
        NOTHING if server is None else f"{server:,.0f}",
        f"{each.client_cpu / each.points * 1e9:,.0f}",
    ]


def _server_ns(each: Measured) -> float | None:
    if each.server_cpu is None or each.server_cpu < LEAST_SERVER_CPU or not each.points:
        return None
    return each.server_cpu / each.points * 1e9


def _bar(each: Measured, best: Measured | None) -> str:
    fraction = 0.0 if best is None or not best.rate else each.rate / best.rate
    eighths = round(fraction * BAR * 8)
    return ("█" * (eighths // 8) + EIGHTHS[eighths % 8]).strip().ljust(BAR)


def _removed(removal: Removal) -> str:
    if removal.left:
        return "Not everything could be removed; see the warnings."
    if removal.series:
        return (
            f"Removed: {removal.series:,} series and {removal.shards:,} shards. Nothing is left."
        )
    return "Nothing is left."


def _survey(survey: Survey) -> dict[str, Any]:
    return {
        **asdict(survey.facts),
        "buffer_points": survey.facts.buffer_points,
        "seconds": survey.seconds,
        "acknowledged": survey.acknowledged,
        "stored": survey.stored,
        "cells": [_cell(each) for each in survey.cells],
    }


def _cell(each: Measured) -> dict[str, Any]:
    fields = {
        name: value.value if isinstance(value, (Kind, Transport)) else value
        for name, value in asdict(each.cell).items()
    }
    return {
        **fields,
        "points_per_second": each.rate if each.rates else None,
        "bytes_per_second": each.bytes_per_second if each.rates else None,
        "spread": each.spread,
        "repeats": list(each.rates),
        "points_sent": each.points,
        "seconds": each.seconds,
        "client_ns_per_point": each.client_cpu / each.points * 1e9 if each.points else None,
        "server_ns_per_point": _server_ns(each),
        "fast_share": each.fast_fraction,
        "latency": None if each.latency is None else asdict(each.latency),
    }
