"""A bench as a picture, in a file (matplotlib) or as characters in the terminal (plotext)."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siridb_fast.cli.bench.cells import Kind, Measured, Survey
from siridb_fast.cli.bench.figures import points_per_second
from siridb_fast.cli.errors import shown
from siridb_fast.cli.output.figure import (
    check_picture,
    print_figure,
    require,
    save,
    style,
    terminal_figure,
    terminal_width,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["check_plot", "draw_in_terminal", "draw_picture"]

INCHES = (13.0, 5.2)
DPI = 110
TERMINAL_LINES = 20
BAR_FRACTION = 0.8  # of the room of a bar
PANELS = (5, 4, 3)  # widths beside each other
TITLE = "Points/s by points of a series in a package"


def check_plot(path: Path | None) -> None:
    """Refuse what cannot be drawn, before anything is measured; no path is the terminal.

    Raises:
        UsageFault: A package is missing, or the name of the file is wrong.
    """
    if path is None:
        require("plotext")
    else:
        check_picture(path)


def draw_picture(surveys: Sequence[Survey], path: Path) -> None:
    """Write a picture: rates by run, by connections and packages in flight, and round trips.

    Raises:
        UsageFault: The file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, dpi=DPI, layout="constrained")
    runs, connections, trips = figure.subplots(1, len(PANELS), width_ratios=PANELS)
    _draw_runs(runs, surveys)
    _draw_connections(connections, surveys)
    _draw_trips(trips, surveys)
    facts = surveys[0].facts
    figure.suptitle(
        f"siridb-fast bench: {shown(facts.server)}, siridb-server {shown(facts.version)}",
        fontsize=12,
        parse_math=False,
    )
    save(figure, path)


def draw_in_terminal(surveys: Sequence[Survey]) -> None:
    """Draw rates by run on stdout, as wide as the terminal, both axes logarithmic."""
    width = terminal_width()
    figure = terminal_figure(width, TERMINAL_LINES)
    sizes, rates = set(), []
    for survey in surveys:
        cells = survey.of(Kind.RUNS)
        if cells:
            sizes |= {each.cell.points for each in cells}
            rates += [each.rate for each in cells]
            signal = figure.signal(
                [log10(each.cell.points) for each in cells], [log10(each.rate) for each in cells]
            )
            signal.lines()
            signal.label(survey.facts.label)
            figure.draw(signal)
    if rates:
        marks = _spaced(sorted(sizes), width)
        figure.ruler("x").ticks([log10(size) for size in marks], [f"{size:,}" for size in marks])
        powers = range(floor(log10(min(rates))), ceil(log10(max(rates))) + 1)
        figure.ruler("y").ticks(list(powers), [points_per_second(10.0**power) for power in powers])
    figure.title(TITLE)
    print_figure(figure)


def _spaced(sizes: Sequence[int], width: int) -> list[int]:
    # Without those whose labels would run into the one before.
    room = log10(sizes[-1] / sizes[0]) * 9 / width if len(sizes) > 1 else 0.0
    spaced = [sizes[0]]
    for size in sizes[1:]:
        if log10(size / spaced[-1]) >= room:
            spaced.append(size)
    return spaced


def _draw_runs(axes: Axes, surveys: Sequence[Survey]) -> None:
    for number, survey in enumerate(surveys):
        cells = survey.of(Kind.RUNS)
        points = [each.cell.points for each in cells]
        low, high = zip(*(each.middle for each in cells), strict=True) if cells else ((), ())
        color = f"C{number}"
        axes.fill_between(points, low, high, color=color, alpha=0.2, linewidth=0)
        axes.plot(
            points,
            [each.rate for each in cells],
            color=color,
            marker="o",
            markersize=4,
            label=survey.facts.label,
        )
    for limit in {survey.facts.buffer_points for survey in surveys}:
        axes.axvline(limit, color="0.4", linestyle="--", linewidth=1)
        axes.annotate(
            f" buffer: {limit:,}",
            (limit, 0.02),
            xycoords=("data", "axes fraction"),
            fontsize=8,
            color="0.3",
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("points of a series in a package")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.yaxis.set_major_formatter(lambda value, _: points_per_second(value))
    axes.legend(fontsize=8, frameon=False, loc="lower right", bbox_to_anchor=(1.0, 0.05))
    _style(axes, "points/s; band: middle half of the repeats")


def _draw_connections(axes: Axes, surveys: Sequence[Survey]) -> None:
    height = BAR_FRACTION / len(surveys)
    names: list[str] = []
    for number, survey in enumerate(surveys):
        cells = survey.of(Kind.CONNECTIONS)
        found = [f"{each.cell.transport.value} {each.cell.flight}" for each in cells]
        names = max(names, found, key=len)
        axes.barh(
            [index + number * height for index in range(len(cells))],
            [each.rate / 1e6 for each in cells],
            height * 0.92,
            xerr=_errors(cells),
            color=f"C{number}",
            alpha=0.85,
            error_kw={"ecolor": "0.25", "elinewidth": 1, "capsize": 2},
        )
    middle = height * (len(surveys) - 1) / 2
    axes.set_yticks([index + middle for index in range(len(names))], names)
    axes.invert_yaxis()
    axes.set_xlabel("million points/s")
    _style(axes, "connections × in flight on each")


def _draw_trips(axes: Axes, surveys: Sequence[Survey]) -> None:
    names, times, colors = [], [], []
    for number, survey in enumerate(surveys):
        for each in survey.of(Kind.LATENCY):
            if each.latency is not None:
                found = each.latency
                kinds = ("ping", "empty", "point", "p99")
                names += [f"{each.cell.transport.value} {kind}" for kind in kinds]
                seconds = (found.ping, found.nothing, found.median, found.p99)
                times += [value * 1e3 for value in seconds]
                colors += [f"C{number}"] * len(kinds)
    bars = axes.barh(range(len(names)), times, BAR_FRACTION, color=colors, alpha=0.85)
    axes.bar_label(bars, [f"{value:.3g}" for value in times], padding=3, fontsize=8)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.margins(x=0.2)
    axes.set_xlabel("ms")
    _style(axes, "round trips, one after another")


def _style(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=10)
    style(axes, label_size=8)


def _errors(cells: Sequence[Measured]) -> Any:
    below = [max(each.rate - each.middle[0], 0) / 1e6 for each in cells]
    above = [max(each.middle[1] - each.rate, 0) / 1e6 for each in cells]
    return [below, above]
