"""The report of the measurements: what is written can be read, compared and quoted."""

import dataclasses
import re
from pathlib import Path

import pytest

from benchmarks.harness.bounds import Bounds
from benchmarks.harness.compare import difference, differences
from benchmarks.harness.record import Chart, Mark, Row, Run
from benchmarks.harness.report import (
    BEGIN,
    END,
    HIGHLIGHTS,
    JSON,
    README,
    SHOWN,
    quoted,
    with_quotes,
    write_report,
)
from benchmarks.harness.table import lines, number, verdict

COMMITTED = README.parent / "benchmarks" / "report" / JSON


def row(key: str, *ratios: float, bound: float | None = None, what: str = "") -> Row:
    return Row("load", key, what or key, "ns/point", 50.0, 100.0, ratios, bound)


def run(*rows: Row, charts: tuple[Chart, ...] = ()) -> Run:
    machine = {"date": "2026-11-25 10:00 UTC", "commit": "abc1234"}
    return Run(machine, list(rows), list(charts), 60.0, {"load": "How fast are loads?"})


LINES = Chart(
    "load",
    "points by size",
    "points",
    "ns/point",
    {"ours": [Mark.of(10, [3.0, 1.0, 2.0]), Mark.of(1000, [1.0])]},
    "x",
)
BARS = Chart("load", "by kind", "", "M points/s", {"sink": [Mark.of("wide frame", [9.0])]})


def test_mark_is_the_median_between_the_least_and_the_greatest() -> None:
    assert Mark.of(10, [3.0, 1.0, 2.0]) == Mark(10, 2.0, 1.0, 3.0)


def test_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    facts = {"CPU ns/point": 12.5}
    written = run(
        dataclasses.replace(row("wide", 1.0, 1.25, bound=0.95), facts=facts, note="1 x 2"),
        charts=(LINES, BARS),
    )
    written.write(tmp_path / JSON)
    assert Run.read(tmp_path / JSON) == written


def test_file_of_another_format_is_refused(tmp_path: Path) -> None:
    for text, error in (
        ('{"format": 0}', "expected format 1"),
        ("# Soaks", "is no JSON"),
        ('{"format": 1, "rows": [{"file": "load"}]}', "row 1: 'ratios'"),
        ('{"format": 1, "charts": [{}]}', "not as `make bench` writes it"),
        ('{"format": 1}', "not as `make bench` writes it"),
    ):
        (tmp_path / JSON).write_text(text)
        with pytest.raises(ValueError, match=error):
            Run.read(tmp_path / JSON)


@pytest.mark.parametrize(
    ("ratios", "bound", "is_short"),
    [
        pytest.param((0.9, 1.0, 2.0), 1.0, False, id="median on the bound"),
        pytest.param((0.9, 0.99, 2.0), 1.0, True, id="median under it"),
        pytest.param((0.1,), None, False, id="nothing asked"),
    ],
)
def test_median_tells_whether_a_row_is_short(
    ratios: tuple[float, ...], bound: float | None, is_short: bool
) -> None:
    assert row("wide", *ratios, bound=bound).is_short is is_short


@pytest.mark.parametrize("bad", ["0", "-1", '"fast"', "true"])
def test_bound_that_is_no_ratio_is_refused(bad: str, tmp_path: Path) -> None:
    path = tmp_path / "bounds.toml"
    path.write_text(f'[load]\n"wide" = {bad}\n')
    with pytest.raises(ValueError, match=r"load: 'wide' needs a ratio over 0"):
        Bounds.read(path)


def test_bound_without_a_row_is_named() -> None:
    bounds = Bounds({"load": {"wide": 0.95, "long": 0.6}})
    assert bounds.of("load", "wide") == 0.95
    assert bounds.of("load", "other") is None
    assert bounds.unmet([row("wide", 1.0)]) == ["load: long"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param((1.0, 1.2), (1.1, 1.5), "same", id="overlap"),
        pytest.param((1.0, 1.2), (1.2, 1.5), "same", id="touch"),
        pytest.param((1.0, 1.2), (1.3, 1.5), "better", id="above"),
        pytest.param((1.0, 1.2), (0.5, 0.9), "worse", id="below"),
    ],
)
def test_ratios_differ_where_their_spreads_do_not_overlap(
    old: tuple[float, float], new: tuple[float, float], expected: str
) -> None:
    assert difference(old, new) == expected


@pytest.mark.parametrize(
    ("rows", "scatter"),
    [
        pytest.param([(1.0, 1.0)], 1.05, id="the least"),
        pytest.param([(1.0,), (3.0,)], 1.05, id="no row has several rounds"),
        pytest.param([(1.0, 1.21)], 1.1**2**0.5, id="two rounds"),
        pytest.param([(2.0, 2.42), (5.0, 6.05)], 1.1**2**0.5, id="two rows, each by itself"),
        pytest.param([(1.0, 1.21), (7.0, 7.0), (9.0,)], 1.1, id="one of them is quiet"),
    ],
)
def test_scatter_is_a_standard_deviation_over_all_rows(
    rows: list[tuple[float, ...]], scatter: float
) -> None:
    found = run(*(row(f"row {n}", *ratios) for n, ratios in enumerate(rows)))
    assert found.scatter("load") == pytest.approx(scatter)
    width = scatter if len(rows[0]) > 1 else scatter**2
    low, high = found.spread(found.rows[0])
    assert (low, high) == pytest.approx((min(rows[0]) / width, max(rows[0]) * width))


def test_file_of_single_rounds_has_the_scatter_of_the_run() -> None:
    found = run(row("wide", 1.0, 1.21), dataclasses.replace(row("once", 1.0), file="growth"))
    assert found.scatter("growth") == found.scatter("load") > 1.1


def test_two_runs_are_compared_row_by_row() -> None:
    old = run(row("wide", 1.0, 1.0), row("long", 1.0, 1.0), row("gone", 1.0), row("once", 1.0))
    new = run(row("wide", 1.1, 1.1), row("long", 2.0, 2.0), row("new", 1.0), row("once", 0.5))
    assert list(differences(old, new)) == [
        "better  x2.00  1.00 (1.00..1.00) -> 2.00 (2.00..2.00)  load: long",
        "worse   x0.50  1.00 (1.00..1.00) -> 0.50 (0.50..0.50)  load: once",
        "only before: load: gone",
        "only after: load: new",
        "1 of 3 ratios agree within the spread of both runs; 1 better, 1 worse",
    ]


@pytest.mark.parametrize(("ratios", "verdict"), [((1000.0,), "1 of 1"), ((0.9,), "0 of 1")])
def test_limits_agree_where_both_are_kept(ratios: tuple[float, ...], verdict: str) -> None:
    old = run(row("slow points", 3.0, bound=1.0))  # as written by those who knew no limits
    new = run(dataclasses.replace(row("slow points", *ratios, bound=1.0), is_limit=True))
    assert list(differences(old, new))[-1].startswith(f"{verdict} ratios agree")


def test_table_names_what_is_short() -> None:
    found = run(
        row("wide", 0.5, bound=0.95), row("wide … by hand", 2.0, bound=1.0, what="… by hand")
    )
    text = "\n".join(lines(found))
    assert "How fast are loads?" in text
    assert re.search(r"^wide .*0\.50x .*0\.95x +SHORT$", text, re.MULTILINE)
    assert re.search(r"^    … by hand .*2\.00x .*1x +ok$", text, re.MULTILINE)
    assert verdict(found.rows) == "1 of 2 asked ratios are reached; short: wide"


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234.5, "1,234"), (99.96, "100.0"), (19.99, "19.99"), (0.1, "0.10"), (0.0123, "0.012")],
)
def test_figures_have_about_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_report_has_every_row_and_chart(tmp_path: Path) -> None:
    found = run(row("wide", 0.5, bound=0.95), charts=(LINES, BARS))
    (tmp_path / "old-light.svg").write_text("")
    write_report(found, tmp_path, Bounds({"load": {"wide": 0.95, "long": 0.6}}), is_whole=True)
    page = (tmp_path / "report.md").read_text()
    assert "**0 of 1 asked ratios are reached.**" in page
    assert "- `load` wide: 0.50× (0.50..0.50), asked 0.95×" in page
    assert "- **Not measured**: load: long" in page
    assert "| 10 | 2.00 (1.00..3.00) |" in page
    named = set(re.findall(r'(?:src|srcset)="([^"]+)"', page))
    assert named == {path.name for path in tmp_path.glob("*.svg")}
    assert len(named) == 2 * 3  # in two themes: the summary and two charts
    for name in named:
        assert (tmp_path / name).read_text().startswith("<?xml")


def test_charts_that_are_not_committed_go_elsewhere(tmp_path: Path) -> None:
    rungs = dataclasses.replace(BARS, file="rungs", title="points per second by kind of input")
    found = run(row("wide", 0.5, bound=0.95), charts=(LINES, rungs))
    folder, charts = tmp_path / "report", tmp_path / "charts"
    write_report(found, folder, Bounds({}), is_whole=False, charts=charts)
    page = (folder / "report.md").read_text()
    named = set(re.findall(r'(?:src|srcset)="([^"]+)"', page))
    assert named == {path.name for path in folder.glob("*.svg")}
    assert named == {f"{name}-{theme}.svg" for name in SHOWN for theme in ("light", "dark")}
    assert len(list(charts.glob("load-points-by-size-*.svg"))) == len(list(charts.iterdir())) == 2
    assert f"is in `{charts}`" in page


def test_same_run_gives_the_same_charts(tmp_path: Path) -> None:
    found = run(row("wide", 0.5, bound=0.95), charts=(LINES,))
    for folder in ("one", "two"):
        write_report(found, tmp_path / folder, Bounds({}), is_whole=False)
    for path in (tmp_path / "one").glob("*.svg"):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_quotes_replace_what_stands_between_the_marks() -> None:
    text = f"before\n{BEGIN}old\n{END}after\n"
    assert with_quotes(text, "| new |\n") == f"before\n{BEGIN}\n| new |\n\n{END}after\n"
    with pytest.raises(ValueError, match="expected <!-- figures"):
        with_quotes("no marks", "")


def test_quotes_are_of_rows_that_are_there(tmp_path: Path) -> None:
    highlights = tmp_path / "highlights.toml"
    highlights.write_text('[[section]]\ntext = "Loads:"\nrows = [["a frame", "load", "wide"]]\n')
    assert "| a frame | 1.50× (1.00..2.00) | `test_load.py` |" in quoted(
        run(row("wide", 1.0, 2.0)), highlights
    )
    with pytest.raises(KeyError):
        quoted(run(row("long", 1.0)), highlights)


def test_every_figure_of_the_readme_is_in_the_committed_report() -> None:
    text = README.read_text()
    assert with_quotes(text, quoted(Run.read(COMMITTED), HIGHLIGHTS)) == text


def test_committed_report_has_every_bound() -> None:
    report = Run.read(COMMITTED)
    assert Bounds.read().unmet(report.rows) == []
    by_key = {(each.file, each.key): each.bound for each in report.rows}
    bounds = Bounds.read()
    assert all(bounds.of(*key) == bound for key, bound in by_key.items())
