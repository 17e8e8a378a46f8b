"""A run as a page of Markdown with charts, and what the README quotes of it.

``python -m benchmarks.harness.report FOLDER`` writes ``report.md`` and the charts from the
``report.json`` in a folder anew, and puts the quoted figures into the README. Knows nothing of how
anything was measured.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from benchmarks.harness.bounds import Bounds
from benchmarks.harness.charts import chart_name, draw_chart, draw_summary
from benchmarks.harness.record import Chart, Mark, Row, Run
from benchmarks.harness.table import number

__all__ = ["JSON", "README", "SHOWN", "quoted", "with_quotes", "write_report"]

HERE = Path(__file__).parents[1]
README = HERE.parent / "README.md"
HIGHLIGHTS = HERE / "highlights.toml"
JSON, PAGE = "report.json", "report.md"
SHOWN = {"summary", "rungs-points-per-second-by-kind-of-input"}  # charts that are committed
BEGIN, END = "<!-- figures: make bench -->\n", "<!-- end of figures -->\n"

HEAD = """# Measurements

Made by `make bench`. A ratio is that of two times of the same round, ours and the reference's, and
over 1 where ours is faster or takes less; it stands with the least and the greatest of its rounds.
Its spread is that range, with what a single round scatters by on either side (one standard
deviation, over all rows of a question; two, where there is one round only): two runs agree where
their spreads overlap.
[README.md](../README.md) says what is compared with what.
"""
ELSEWHERE = "The chart of a table that shows none here is in `{}`, where `make bench` draws it.\n"


def write_report(
    run: Run, folder: Path, bounds: Bounds, *, is_whole: bool, charts: Path | None = None
) -> None:
    """Write the JSON, the page and its charts.

    Args:
        run: What was found.
        folder: Where they go; it is made, and old charts in it are removed.
        bounds: What is asked.
        is_whole: All was measured, so that a bound without a row is a fault.
        charts: Another folder for all charts that are not `SHOWN`; the page does without them.
    """
    charts = charts or folder
    for each in (folder, charts):
        each.mkdir(parents=True, exist_ok=True)
        for old in each.glob("*.svg"):
            old.unlink()
    run.write(folder / JSON)
    unmet = bounds.unmet(run.rows) if is_whole else []
    (folder / PAGE).write_text("\n".join(_page(run, folder, charts, unmet)) + "\n")


def quoted(run: Run, highlights: Path = HIGHLIGHTS) -> str:
    """Return the tables of the README: chosen rows, by file and key.

    Raises:
        KeyError: There is no such row.
    """
    rows = {(row.file, row.key): row for row in run.rows}
    parts = []
    for section in tomllib.loads(highlights.read_text())["section"]:
        lines = [section["text"], "", "| | | |", "|---|---|---|"]
        for label, file, *keys in section["rows"]:
            figures = "; ".join(_figure(rows[file, key]) for key in keys)
            lines.append(f"| {label} | {figures} | `test_{file}.py` |")
        parts.append("\n".join(lines))
    date = run.machine["date"]
    return "\n\n".join([*parts, f"From the report of {date}; `{run.machine['commit']}`."]) + "\n"


def with_quotes(text: str, quotes: str) -> str:
    """Return the README with other figures.

    Raises:
        ValueError: It has no marks to put them between.
    """
    before, begin, remainder = text.partition(BEGIN)
    _, end, after = remainder.partition(END)
    if not (begin and end):
        raise ValueError(f"expected {BEGIN.strip()} … {END.strip()}")
    return f"{before}{begin}\n{quotes}\n{end}{after}"


def _figure(row: Row) -> str:
    return f"{number(row.ratio)}× ({number(min(row.ratios))}..{number(max(row.ratios))})"


def _page(run: Run, folder: Path, charts: Path, unmet: Sequence[str]) -> Iterator[str]:
    yield HEAD
    if charts != folder:
        yield ELSEWHERE.format(_from_root(charts))
    yield from ("| | |", "|---|---|")
    yield from (f"| {name} | {value} |" for name, value in run.machine.items())
    yield f"| took | {run.seconds / 60:.1f} minutes |"
    yield from ("", *_verdict(run.rows), "")
    yield from (f"- **Not measured**: {bound}" for bound in unmet)
    yield from ("", *_picture(draw_summary(run.rows, folder), "ratios reached and asked"), "")
    for file in dict.fromkeys([row.file for row in run.rows] + [c.file for c in run.charts]):
        question = run.questions.get(file, file)
        scatter = f"a round scatters by {run.scatter(file) - 1:.0%}"
        yield from (f"## {question}", "", f"`benchmarks/suites/test_{file}.py`; {scatter}", "")
        yield from _table([row for row in run.rows if row.file == file])
        for chart in run.charts:
            if chart.file == file:
                yield from _drawn(chart, folder, charts)
                yield from _figures(chart)


def _drawn(chart: Chart, folder: Path, charts: Path) -> Iterator[str]:
    is_here = charts == folder or chart_name(chart) in SHOWN
    name = draw_chart(chart, folder if is_here else charts)
    if is_here:
        yield from (*_picture(name, chart.title), "")


def _from_root(folder: Path) -> Path:
    folder, root = folder.absolute(), README.parent
    return folder.relative_to(root) if folder.is_relative_to(root) else folder


def _verdict(rows: Sequence[Row]) -> Iterator[str]:
    asked = [row for row in rows if row.bound is not None]
    short = [row for row in asked if row.is_short]
    yield f"**{len(asked) - len(short)} of {len(asked)} asked ratios are reached.**"
    if short:
        yield from ("Short are:", "")
        for row in short:
            yield f"- `{row.file}` {row.key}: {_figure(row)}, asked {row.bound:g}×"


def _picture(name: str, title: str) -> Iterator[str]:
    yield "<picture>"
    yield f'  <source media="(prefers-color-scheme: dark)" srcset="{name}-dark.svg">'
    yield f'  <img alt="{title}" src="{name}-light.svg">'
    yield "</picture>"


def _table(rows: Sequence[Row]) -> Iterator[str]:
    for _, group in groupby(rows, key=lambda row: tuple(row.facts)):
        some = list(group)
        facts = list(some[0].facts)
        heads = ["what", "unit", "ours", "reference", "ratio", "asked", *facts]
        yield f"| {' | '.join(heads)} |"
        yield f"|---|---|{'--:|' * (len(heads) - 2)}"
        for row in some:
            yield f"| {' | '.join(_cells(row))} |"
        yield ""


def _cells(row: Row) -> Iterator[str]:
    what = row.what if row.what == row.key else f"&nbsp;&nbsp;{row.what}"
    yield f"{what} <sub>{row.note}</sub>" if row.note else what
    yield from (row.unit, number(row.ours), number(row.reference), _figure(row))
    mark = " **short**" if row.is_short else ""
    yield "" if row.bound is None else f"{row.bound:g}×{mark}"
    yield from (number(value) for value in row.facts.values())


def _figures(chart: Chart) -> Iterator[str]:
    labels = list(chart.lines)
    values = {mark.x: None for marks in chart.lines.values() for mark in marks}
    yield from (f"<details><summary>{_heading(chart)}</summary>", "")
    yield f"| {' | '.join([chart.x, *labels])} |"
    yield f"|---|{'--:|' * len(labels)}"
    by_x = {label: {mark.x: mark for mark in marks} for label, marks in chart.lines.items()}
    for x in values:
        cells = (_mark(by_x[label].get(x)) for label in labels)
        yield f"| {x if isinstance(x, str) else f'{x:,g}'} | {' | '.join(cells)} |"
    yield from ("", "</details>", "")


def _heading(chart: Chart) -> str:
    return f"{chart.title}: {chart.y}"


def _mark(mark: Mark | None) -> str:
    if mark is None:
        return ""
    spread = "" if mark.low == mark.high else f" ({number(mark.low)}..{number(mark.high)})"
    return f"{number(mark.y)}{spread}"


def main() -> None:
    """Write a page anew from its JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--charts", type=Path, help="another folder for what is not committed")
    parser.add_argument("--readme", action="store_true", help="put the figures into the README")
    arguments = parser.parse_args()
    run = Run.read(arguments.folder / JSON)
    bounds = Bounds.read()
    write_report(run, arguments.folder, bounds, is_whole=True, charts=arguments.charts)
    if arguments.readme:
        README.write_text(with_quotes(README.read_text(), quoted(run)))


if __name__ == "__main__":
    main()
