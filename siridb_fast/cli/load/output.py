"""What a load prints when it ends: what was delivered, or would be.

Knows nothing of how points are read or sent.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from itertools import islice
from typing import TypeAlias

import numpy as np
from rich.filesize import decimal

from siridb_fast.cli.errors import shown, warn
from siridb_fast.cli.load.dialects import dialect_lines
from siridb_fast.cli.output.plain_table import plain_table
from siridb_fast.columns.time_units import UNITS
from siridb_fast.delivery.report import Report
from siridb_fast.loading.file_source import FileSource
from siridb_fast.loading.survey import Survey

__all__ = [
    "Figures",
    "print_dialects",
    "print_figures",
    "print_report",
    "print_survey",
    "unless_0",
    "warn_of_left_out",
]

SHOWN_TYPES = {"float": "floats", "integer": "integers", "string": "texts"}
SHOWN_SERIES = 10
SHOWN_BAD_LINES = 3
PLAUSIBLE = np.datetime64("1990-01-01"), np.timedelta64(366, "D")  # from then to a year from now

Figures: TypeAlias = list[tuple[str, int | str]]


def print_report(report: Report, source: FileSource) -> None:
    """Print what became of a load."""
    rate = report.points / report.seconds if report.seconds else 0.0
    title = "Loaded" if report.is_complete else "Loaded in part"
    figures: Figures = [
        ("files", len(source.files) - len(source.skipped)),
        *unless_0("files left out", len(source.skipped)),
        ("rows", report.rows),
        ("series", report.series),
        *_new_series(report.new_series),
        ("points delivered", report.points),
        ("seconds", f"{report.seconds:.2f}"),
        ("points/s", f"{rate:,.0f}"),
        ("bytes sent", f"{report.bytes:,} ({decimal(report.bytes)})"),
        ("missing cells", report.missing),
        *unless_0("bad lines left out", source.bad_lines),
        *unless_0("rows without a label", report.unnamed),
        *unless_0("points stored already", report.already_stored),
        *unless_0("values cut", report.cut),
        *unless_0("not delivered", report.rejected_points),
        *unless_0("in doubt", report.in_doubt_points),
        *unless_0("changed", report.changed_points),
    ]
    print_dialects(source)
    print_figures(title, figures)
    warn_of_left_out(source)
    _warn_of_expired(report.expired, report.expired_series)
    for failure in (*report.rejected, *report.in_doubt, *report.changed)[:SHOWN_BAD_LINES]:
        warn(str(failure))


def _new_series(types: Mapping[str, int]) -> Figures:
    # A type is that of a series for good.
    counts = [f"{count:,} of {SHOWN_TYPES[type_]}" for type_, count in sorted(types.items())]
    return [("new series", ", ".join(counts))] if counts else []


def print_dialects(source: FileSource) -> None:
    """Print how the CSV files are read, as it was said or found."""
    for line in dialect_lines(source):
        print(line)  # not in a table: it is one line, however narrow the terminal is


def print_survey(survey: Survey, source: FileSource) -> None:
    """Print what a load would write."""
    limits = _limits(survey)
    figures: Figures = [
        ("files", len(source.files) - len(source.skipped)),
        *unless_0("files left out", len(source.skipped)),
        ("rows", survey.rows),
        ("series", len(survey.types)),
        ("points", survey.points),
        ("missing cells", survey.missing),
        *unless_0("rows without a label", survey.unnamed),
        *unless_0("bad lines left out", source.bad_lines),
    ]
    if limits is not None:
        figures += [("first time", f"{limits[0]}Z"), ("last time", f"{limits[1]}Z")]
    for name, type_ in islice(survey.types.items(), SHOWN_SERIES):
        figures.append((f"  {type_}", name))
        figures += _first_points(survey, name)
    if len(survey.types) > SHOWN_SERIES:
        figures.append(("", f"and {len(survey.types) - SHOWN_SERIES:,} series more"))
    print_dialects(source)
    print_figures("Would load (nothing was sent)", figures)
    warn_of_left_out(source)
    _warn_of_expired(survey.expired, survey.expired_series)
    if limits is not None and not _are_plausible(limits):
        warn("these times are odd; is --unit what it should be?")


def _first_points(survey: Survey, series: str) -> Figures:
    if survey.time_precision is None:
        return []
    unit = UNITS[survey.time_precision]
    points = survey.points_of.get(series, [])
    return [(f"    {np.datetime64(time, unit)}Z", value) for time, value in points]


def unless_0(name: str, count: int) -> Figures:
    """Return a figure, unless it is 0."""
    return [(name, count)] if count else []


def _limits(survey: Survey) -> tuple[np.datetime64, np.datetime64] | None:
    if survey.first is None or survey.last is None or survey.time_precision is None:
        return None
    times = np.array([survey.first, survey.last], np.int64)
    first, last = times.view(f"M8[{UNITS[survey.time_precision]}]")
    return first, last


def _are_plausible(limits: tuple[np.datetime64, np.datetime64]) -> bool:
    now = np.datetime64(int(time.time()), "s")
    return bool(limits[0] >= PLAUSIBLE[0] and limits[1] <= now + PLAUSIBLE[1])


def print_figures(title: str, figures: Figures) -> None:
    """Print a table of two columns, names and figures."""
    rows = [
        (name, shown(value if isinstance(value, str) else f"{value:,}")) for name, value in figures
    ]
    text = plain_table(title, rows, sys.stdout)
    if text is None:
        _draw(title, rows)
    else:
        sys.stdout.write(text)


def _draw(title: str, rows: list[tuple[str, str]]) -> None:
    from rich.console import Console  # slow; imported only where it is needed
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column()
    table.add_column(justify="right", overflow="fold")
    for name, value in rows:
        table.add_row(Text(name), Text(value))
    Console().print(table)


def warn_of_left_out(source: FileSource) -> None:
    """Say which files and lines were left out, the first of them."""
    for fault in [*source.skipped.values()][:SHOWN_BAD_LINES]:
        warn(f"left out: {fault}")
    if len(source.skipped) > SHOWN_BAD_LINES:
        warn(f"{len(source.skipped) - SHOWN_BAD_LINES:,} files more were left out")
    for fault in source.first_bad[:SHOWN_BAD_LINES]:
        warn(f"left out: {fault}")
    if source.bad_lines > SHOWN_BAD_LINES:
        warn(f"{source.bad_lines - SHOWN_BAD_LINES:,} lines more were left out")


def _warn_of_expired(points: int, series: tuple[str, ...]) -> None:
    if not points:
        return
    warn(
        f"{points:,} points are older than what the database keeps, and it drops them; first of "
        f"series {shown(series[0])}"
    )
