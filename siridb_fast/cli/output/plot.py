"""Points as a picture: in a file (matplotlib) or as characters in the terminal (plotext).

Knows nothing of queries and connections. Rules: time runs in UTC; a line breaks where a value is
NaN; what has more points than the picture has columns keeps the least and the greatest of each
column, so that no spike is lost.
"""

from __future__ import annotations

import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from siridb_fast.cli.errors import UsageFault, shown
from siridb_fast.cli.output.figure import (
    check_picture,
    print_figure,
    require,
    save,
    style,
    terminal_figure,
    terminal_width,
)
from siridb_fast.cli.output.time_axis import TimeTicks, time_ticks
from siridb_fast.columns.time_units import TimePrecision

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from siridb_fast.query.paging import PointArrays

__all__ = ["check_plottable", "draw_in_terminal", "draw_picture", "thinned"]

LEGEND_ENTRIES = 12
LONGEST_NAME = 48
PICTURE_INCHES = (11.0, 5.5)
PICTURE_DPI = 120
PICTURE_COLUMNS = 2000
MARKED_POINTS = 60  # a line of fewer points shows each
TERMINAL_LINES = 24
TERMINAL_DOTS = 2  # of a marker, beside each other in one column of the screen
TERMINAL_MARGIN = 12

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Line:
    """One series: integer times, and values with NaN where the line breaks."""

    name: str
    times: np.ndarray[Any, np.dtype[np.int64]]
    values: FloatArray


def check_plottable(arrays: PointArrays) -> None:
    """Refuse what has no picture.

    Raises:
        UsageFault: There is no point, or a series holds text.
    """
    for name, (_, values) in arrays.items():
        if values.dtype.kind == "O" and len(values):
            raise UsageFault(f"series {shown(name)!r} holds text, which cannot be plotted")
    if not any(len(times) for times, _ in arrays.values()):
        raise UsageFault("there is no point to plot")


def draw_picture(arrays: PointArrays, unit: str | None, title: str, path: Path) -> None:
    """Write a picture; the suffix of its name says of which kind.

    Args:
        arrays: As `query_arrays` gives them.
        unit: Of the timestamps; None if it is unknown, and then they are shown as numbers.
        title: The query.
        path: Where to, ending in one of `PICTURES`.

    Raises:
        UsageFault: matplotlib is missing, or the file cannot be written.
    """
    check_picture(path)
    from matplotlib.figure import Figure

    lines = _lines(arrays, PICTURE_COLUMNS)
    figure = Figure(figsize=PICTURE_INCHES, dpi=PICTURE_DPI, layout="constrained")
    axes = figure.add_subplot()
    _draw_lines(axes, lines, unit)
    _label_axes(axes, unit, title)
    _add_legend(figure, axes, lines)
    save(figure, path)


def draw_in_terminal(arrays: PointArrays, unit: str | None, title: str) -> None:
    """Draw with characters on stdout, as wide as the terminal; see `draw_picture`."""
    require("plotext")
    width = terminal_width()
    lines = _lines(arrays, max(width - TERMINAL_MARGIN, 20) * TERMINAL_DOTS)
    figure = terminal_figure(width, TERMINAL_LINES)
    start = min(int(line.times[0]) for line in lines)
    for number, line in enumerate(lines):
        _draw_in_terminal(figure, line, start, number)
    _ticks_in_terminal(figure, lines, start, unit, width)
    figure.title(_shortened(shown(title), width - 4))
    print_figure(figure)
    if len(lines) > LEGEND_ENTRIES:
        sys.stdout.write(f"and {len(lines) - LEGEND_ENTRIES:,} more series\n")
    sys.stdout.flush()


def thinned(
    times: np.ndarray[Any, np.dtype[np.int64]], values: FloatArray, columns: int
) -> tuple[np.ndarray[Any, np.dtype[np.int64]], FloatArray]:
    """Keep of each of ``columns`` equal spans of time its least and its greatest value.

    Times ascend. A span that has nothing but NaN keeps one, so that the line breaks there.
    """
    if len(times) <= 2 * columns:
        return times, values
    span = (times - times[0]).astype(np.float64)
    bins = np.minimum((span / max(span[-1], 1.0) * columns).astype(np.int64), columns - 1)
    starts = np.flatnonzero(np.diff(bins, prepend=-1))
    order = np.lexsort((values, bins))  # NaN last in each span
    numbers = np.add.reduceat(~np.isnan(values), starts, dtype=np.int64)
    least = order[starts]
    greatest = order[starts + np.maximum(numbers - 1, 0)]
    ends = [0, len(times) - 1]
    indices = np.unique(np.concatenate([least, greatest, ends]))
    return times[indices], values[indices]


def _lines(arrays: PointArrays, columns: int) -> list[Line]:
    lines = []
    for name, (times, values) in arrays.items():
        if len(times):
            floats = values.astype(np.float64)
            floats[~np.isfinite(floats)] = np.nan
            lines.append(Line(_shortened(shown(name)), *thinned(times, floats, columns)))
    return lines


def _draw_lines(axes: Axes, lines: list[Line], unit: str | None) -> None:
    import matplotlib as mpl

    palette = mpl.colormaps["tab10" if len(lines) <= 10 else "tab20"]
    count = 10 if len(lines) <= 10 else 20
    for number, line in enumerate(lines):
        is_marked = np.isfinite(line.values).sum() <= MARKED_POINTS
        axes.plot(
            line.times if unit is None else line.times.astype(f"datetime64[{unit}]"),
            line.values,
            color=palette(number % count),
            linewidth=1.3 if len(lines) <= LEGEND_ENTRIES else 0.8,
            marker="o" if is_marked else None,
            markersize=3,
        )


def _label_axes(axes: Axes, unit: str | None, title: str) -> None:
    axes.set_title("\n".join(textwrap.wrap(shown(title), 100)[:3]), fontsize=11, parse_math=False)
    style(axes, label_size=9)
    axes.margins(x=0.01)
    if unit is None:
        axes.set_xlabel("timestamp")
    else:
        _label_time_axis(axes, unit)
    low, high = axes.get_ylim()
    if max(abs(low), abs(high)) < 1e7:
        axes.ticklabel_format(axis="y", useOffset=False)


def _label_time_axis(axes: Axes, unit: str) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(maxticks=10)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(
        ConciseDateFormatter(locator, tz="UTC")  # type: ignore[no-untyped-call]
    )
    axes.set_xlabel("UTC")


def _add_legend(figure: Figure, axes: Axes, lines: list[Line]) -> None:
    handles: list[Any] = list(axes.get_lines()[:LEGEND_ENTRIES])
    names = [f" {line.name}" for line in lines[:LEGEND_ENTRIES]]  # a first "_" would hide it
    if len(lines) > LEGEND_ENTRIES:
        handles.append(axes.plot([], [], linestyle="none")[0])
        names.append(f"and {len(lines) - LEGEND_ENTRIES:,} more series")
    columns = max(1, min(4, 130 // (max(map(len, names)) + 8)))
    legend = figure.legend(
        handles, names, loc="outside lower center", ncols=columns, fontsize=9, frameon=False
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _draw_in_terminal(figure: Any, line: Line, start: int, number: int) -> None:
    # Relative to the start: an integer of 64 bits would not survive as a float.
    is_there = np.isfinite(line.values)
    if not is_there.any():
        return
    signal = figure.signal((line.times - start)[is_there].tolist(), line.values[is_there].tolist())
    signal.lines()
    breaks = np.flatnonzero(np.diff(np.flatnonzero(is_there)) > 1) + 1
    for index in breaks.tolist():
        signal.line(index, False)
    if number < LEGEND_ENTRIES:
        signal.label(line.name)
    figure.draw(signal)


def _ticks_in_terminal(
    figure: Any, lines: list[Line], start: int, unit: str | None, width: int
) -> None:
    end = max(int(line.times[-1]) for line in lines)
    scale = 1 if unit is None else TimePrecision.of_unit(unit).nanoseconds
    ticks: TimeTicks = time_ticks(start * scale, end * scale, max(width // 20, 2))
    if unit is None:
        figure.label("timestamp", "x")
        return
    figure.ruler("x").ticks([(at / scale) - start for at in ticks.positions], ticks.labels)
    figure.label(f"{ticks.context} UTC".strip(), "x")


def _shortened(name: str, longest: int = LONGEST_NAME) -> str:
    if len(name) <= longest:
        return name
    half = (longest - 1) // 2
    return f"{name[: longest - 1 - half]}…{name[-half:]}"
