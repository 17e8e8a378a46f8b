"""Messages that say what to do next: each is followed, and what is stored then is right."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import siridb_fast
from siridb_fast import ColumnError, DeliveryError
from tests.commands import run_command
from tests.fix_server import Database
from tests.loading.load_runs import START, stored_points


@pytest.fixture
def seconds(make_database: Callable[..., Database]) -> Database:
    return make_database(time_precision="s")


def advice_of(call: Callable[[], object]) -> str:
    with pytest.raises((ColumnError, DeliveryError)) as refused:
        call()
    error: Any = refused.value
    report = getattr(error, "report", None)
    return str(report.rejected[0].error) if report else str(error)


def insert(url: str, values: list[Any], **options: Any) -> None:
    times = np.arange(START, START + len(values)) + 1
    with siridb_fast.connect(url) as client:
        client.insert({"v": (times, np.array(values))}, **options)


def write(url: str, values: list[Any], **options: Any) -> None:
    with siridb_fast.connect(url) as client, client.writer(**options) as writer:
        for index, value in enumerate(values):
            writer.write("v", START + 1 + index, value)


def write_after_another(url: str, values: list[Any], **options: Any) -> None:
    with siridb_fast.connect(url) as client, client.writer(**options) as writer:
        with siridb_fast.connect(url) as other:
            first = other.query_arrays("select * from 'v'")["v"][1][0]
        writer.write("v", START, getattr(first, "item", lambda: first)())
        writer.flush()
        for index, value in enumerate(values):
            writer.write("v", START + 1 + index, value)


def load(url: str, values: list[Any], **options: Any) -> None:
    times = np.arange(START, START + len(values)) + 1
    siridb_fast.load({"v": (times, np.array(values))}, url, **options)


def load_rows(url: str, values: list[Any], **options: Any) -> None:
    times = np.arange(START, START + len(values)) + 1
    frame = {"ts": times, "name": ["v"] * len(values), "x": np.array(values)}
    siridb_fast.load(frame, url, time="ts", series="{name}", values="x", **options)


WAYS = [insert, write, write_after_another, load, load_rows]
# What the series has first, what comes then, and what of that is stored if the advice is followed.
TYPES: list[tuple[Any, list[Any], list[Any]]] = [
    (20, [20.5, 21.25], [20.5, 21.25]),
    (20, ["21", "22"], [21, 22]),
    (0.5, ["1.5", "2"], [1.5, 2.0]),
    ("a", [1, 2], ["1", "2"]),
    ("a", [1.5, 2.25], ["1.5", "2.25"]),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("first", "values", "stored"), TYPES)
def test_advice_about_types_keeps_values_whole(
    seconds: Database, first: Any, values: list[Any], stored: list[Any], way: Any
) -> None:
    with siridb_fast.connect(seconds.url) as client:
        client.insert({"v": [[START, first]]})
    advice = advice_of(lambda: way(seconds.url, values))
    if "drop the series and write floats" in advice:
        assert re.search(r"on_type='cast' would (?!cut)", advice) is None
        with siridb_fast.connect(seconds.url) as client:
            client.query("drop series 'v' set ignore_threshold true")
            client.insert({"v": [[START, float(first)]]})
        way(seconds.url, values)
    else:
        assert "; on_type='cast' would " in advice
        way(seconds.url, values, on_type="cast")
    found = stored_points(seconds.url)["v"]
    ours = Counter({(t, value): n for (t, value), n in found.items() if t > START})
    assert ours == Counter((START + 1 + index, value) for index, value in enumerate(stored))


def csv(path: Path, *values: str) -> Path:
    lines = [f"{START + row},{value}" for row, value in enumerate(values)]
    path.write_text("\n".join(["ts,v", *lines, ""]))
    return path


def test_advised_skip_bad_leaves_out_the_bad_line_alone(seconds: Database, tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "1", "2", "abc", "4")
    done = run_command("load", path, "--time", "ts", url=seconds.url, code=2)
    assert "--type" not in done.stderr  # a series of texts for one bad cell
    assert "to go on: leave out such lines with skip_bad (--skip-bad)" in done.stderr
    run_command("load", path, "--time", "ts", "--skip-bad", url=seconds.url)
    expected = Counter([(START, 1), (START + 1, 2), (START + 3, 4)])
    assert stored_points(seconds.url)["v"] == expected


def test_advised_type_stores_fractions(seconds: Database, tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "1", "2", "2.5", "4")
    integer = ["--type", "v=integer"]
    done = run_command("load", path, "--time", "ts", *integer, url=seconds.url, code=2)
    assert "(--type v=float) for all of the file" in done.stderr
    run_command("load", path, "--time", "ts", "--type", "v=float", url=seconds.url)
    values = [1.0, 2.0, 2.5, 4.0]
    expected = Counter((START + row, value) for row, value in enumerate(values))
    assert stored_points(seconds.url)["v"] == expected


def test_first_line_that_does_not_fit_is_not_advised_away(
    seconds: Database, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("ts,v\nMarch the 1st,1\nMarch the 2nd,2\n")
    done = run_command("load", path, "--time", "ts", url=seconds.url, code=2)
    assert "expected an ISO 8601 time" in done.stderr
    assert "--skip-bad" not in done.stderr


def test_advice_that_was_taken_is_not_given_again(seconds: Database, tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "1", "2", "abc", "4")
    done = run_command("load", path, "--time", "ts", "--skip-bad", url=seconds.url)
    assert "left out" in done.stderr
    assert "to go on" not in done.stderr


def test_load_that_leaves_out_every_line_does_not_end_well(
    seconds: Database, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("ts,v\nMarch the 1st,1\nMarch the 2nd,2\n")
    done = run_command("load", path, "--time", "ts", "--skip-bad", url=seconds.url, code=3)
    assert "no line was loaded" in done.stderr
