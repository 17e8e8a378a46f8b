"""Charts of a run, drawn as SVG, each for a light and a dark page.

Every axis has a name and a unit; lines differ in marker as well as in colour (Okabe and Ito's,
which the colour-blind can tell apart); bars and dots show the least and the greatest round. Knows
nothing of how anything was measured, nor of the page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from benchmarks.harness.record import Chart, Mark, Row
from benchmarks.harness.table import number

__all__ = ["THEMES", "chart_name", "draw_chart", "draw_summary", "slug"]

THEMES = {
    "light": {"ink": "#1f2328", "faint": "#d1d9e0", "page": "#ffffff"},
    "dark": {"ink": "#e6edf3", "faint": "#3d444d", "page": "#0d1117"},
}
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999")
MARKERS = "osD^vPX"
WIDTH = 9.0  # inches
HEIGHT = 4.2
ROW_HEIGHT = 0.24
SUMMARY_ROWS = 40
LINE = 84  # characters below all bars, beside a legend
FEW = 5  # ticks that have a name each
SHORT = "#d55e00"
REACHED = "#009e73"

Draw = Callable[[Axes, dict[str, str]], None]


def slug(text: str) -> str:
    """Return a text as the name of a file."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def chart_name(chart: Chart) -> str:
    """Return the name of a chart's files without theme and form."""
    return slug(f"{chart.file} {chart.title}")


def draw_chart(chart: Chart, folder: Path, form: str = "svg") -> str:
    """Draw lines, or bars where x is text; return the name of the files without theme and form."""
    draw = _bars if chart.is_bars else _lines
    name = chart_name(chart)
    _draw_themes(lambda axes, theme: draw(axes, chart, theme), folder, name, form)
    return name


def draw_summary(rows: Sequence[Row], folder: Path, form: str = "svg") -> str:
    """Draw what was reached of the bounds, the closest ones; return as `draw_chart` does."""
    asked = sorted((row for row in rows if row.bound), key=_reached)[:SUMMARY_ROWS]
    height = 1.2 + ROW_HEIGHT * len(asked)
    _draw_themes(lambda axes, theme: _summary(axes, asked, theme), folder, "summary", form, height)
    return "summary"


def _draw_themes(draw: Draw, folder: Path, name: str, form: str, height: float = HEIGHT) -> None:
    for title, theme in THEMES.items():
        # Of the same run the same files: no date, and no random names inside.
        with mpl.rc_context(
            {
                "svg.fonttype": "none",
                "svg.hashsalt": name,
                "font.size": 10,
                "axes.titlecolor": theme["ink"],
            }
        ):
            figure = Figure(figsize=(WIDTH, height), layout="constrained")
            figure.set_facecolor(theme["page"])
            axes = figure.subplots()
            draw(axes, theme)
            _colour(axes, theme)
            metadata = {"Date": None} if form == "svg" else None
            figure.savefig(folder / f"{name}-{title}.{form}", dpi=110, metadata=metadata)


def _colour(axes: Axes, theme: dict[str, str]) -> None:
    axes.set_facecolor(theme["page"])
    axes.tick_params(colors=theme["ink"], which="both")
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(theme["ink"])
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(theme["ink"])
    axes.grid(color=theme["faint"], linewidth=0.6)
    axes.set_axisbelow(True)
    legend = axes.get_legend()
    if legend is not None:
        legend.get_frame().set_facecolor(theme["page"])
        legend.get_frame().set_edgecolor(theme["faint"])
        for text in legend.get_texts():
            text.set_color(theme["ink"])


def _name(axes: Axes, chart: Chart) -> None:
    axes.set_title(chart.title, loc="left", fontweight="bold")
    axes.set_xlabel(chart.x)
    axes.set_ylabel(chart.y)
    if len(chart.lines) > 1:
        axes.legend(fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _errors(marks: Sequence[Mark]) -> Any:
    return [[mark.y - mark.low for mark in marks], [mark.high - mark.y for mark in marks]]


def _lines(axes: Axes, chart: Chart, _: dict[str, str]) -> None:
    styles = zip(cycle(COLOURS), cycle(MARKERS), strict=False)
    for (label, marks), (colour, marker) in zip(chart.lines.items(), styles, strict=False):
        axes.errorbar(
            [float(mark.x) for mark in marks],
            [mark.y for mark in marks],
            yerr=_errors(marks),
            label=label,
            color=colour,
            marker=marker,
            markersize=5,
            capsize=2,
            elinewidth=0.8,
        )
    for axis, scale in (("x", axes.set_xscale), ("y", axes.set_yscale)):
        if axis in chart.log:
            scale("log")
    values = sorted({float(mark.x) for marks in chart.lines.values() for mark in marks})
    if "x" in chart.log and len(values) <= FEW:
        axes.set_xticks(values)  # not every one of them is a power of ten
    for ticks, name in ((axes.xaxis, "x"), (axes.yaxis, "y")):
        ticks.set_major_formatter(FuncFormatter(lambda value, _: _compact(value)))
        if name in chart.log:
            ticks.set_minor_formatter(FuncFormatter(lambda *_: ""))
    if "y" not in chart.log:
        axes.set_ylim(bottom=0)
    _name(axes, chart)


def _bars(axes: Axes, chart: Chart, theme: dict[str, str]) -> None:
    names = list(dict.fromkeys(str(mark.x) for marks in chart.lines.values() for mark in marks))
    width = 0.8 / len(chart.lines)
    for i, ((label, marks), colour) in enumerate(
        zip(chart.lines.items(), cycle(COLOURS), strict=False)
    ):
        positions = [names.index(str(mark.x)) + (i + 0.5) * width - 0.4 for mark in marks]
        axes.bar(
            positions,
            [mark.y for mark in marks],
            width * 0.92,
            yerr=_errors(marks),
            label=label,
            color=colour,
            ecolor=theme["ink"],
            error_kw={"elinewidth": 0.8, "capsize": 2},
        )
    room = LINE // len(names)
    axes.set_xticks(
        np.arange(len(names)),
        [fill(name, room, break_long_words=False) for name in names],
        fontsize=9,
    )
    if "y" in chart.log:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _compact(value)))
    _name(axes, chart)


def _reached(row: Row) -> float:
    return row.ratio / (row.bound or 1.0)


def _summary(axes: Axes, rows: Sequence[Row], theme: dict[str, str]) -> None:
    for index, row in enumerate(rows):
        bound = row.bound or 1.0
        colour = SHORT if row.is_short else REACHED
        low, high = min(row.ratios) / bound, max(row.ratios) / bound
        axes.plot([low, high], [index, index], color=colour, linewidth=2)
        axes.plot(_reached(row), index, color=colour, marker="x" if row.is_short else "o")
    axes.axvline(1.0, color=theme["ink"], linewidth=1)
    axes.set_yticks(range(len(rows)), [_shortened(row.key) for row in rows], fontsize=8)
    axes.set_ylim(-1, len(rows))
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _compact(value)))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
    axes.set_xlabel("reached / asked, from the least round to the greatest")
    title = f"What was reached of what is asked: the {len(rows)} closest"
    axes.set_title(title, loc="left", fontweight="bold")


def _shortened(text: str, most: int = 78) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _compact(value: float) -> str:
    for factor, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= factor:
            return f"{value / factor:g}{unit}"
    return f"{value:g}" if value >= 0.001 or value == 0 else number(value)
