"""`verify`: data beside what the database has of it, and what `repair` makes of that."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import siridb_fast
from siridb_fast import ColumnError, Difference, Verification
from siridb_fast.loading import verification
from tests.commands import figures, run_command
from tests.fix_server import Database
from tests.loading.load_runs import START, WIDE, stored_points, write_table

ROWS = 5_000
AT = START + np.arange(ROWS)
COLUMNS: dict[str, Any] = {
    "ts": AT,
    "f": np.arange(ROWS) / 8,
    "i": np.arange(ROWS),
    "s": np.char.mod("text %d", np.arange(ROWS)).astype(object),
}
NAMES = ("f", "i", "s")


@pytest.fixture
def seconds(make_database: Callable[..., Database]) -> Database:
    return make_database(time_precision="s")


@pytest.fixture(params=[False, True], ids=["at once", "in parts"])
def _parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    # Many windows of each series, and its points compared with those of few others at a time.
    if request.param:
        monkeypatch.setattr(verification, "WINDOW", 300)
        monkeypatch.setattr(verification, "POINTS_AT_ONCE", 1_000)


def insert(database: Database, **points: list[list[Any]]) -> None:
    with siridb_fast.connect(database.url) as client:
        client.insert(points)


def verify(database: Database, data: Any = COLUMNS, **options: Any) -> Verification:
    return siridb_fast.verify(data, database.url, time="ts", **options)


def load(database: Database, data: Any = COLUMNS) -> None:
    siridb_fast.load(data, database.url, time="ts")


@pytest.mark.usefixtures("_parts")
def test_all_that_was_loaded_is_there_once(seconds: Database) -> None:
    load(seconds)
    # What others have written at other times is no difference.
    insert(seconds, f=[[START - 1, 0.5], [START + ROWS, 0.5]], other=[[START, 1]])
    found = verify(seconds)
    assert found.is_complete
    assert (found.rows, found.series, found.points) == (ROWS, 3, 3 * ROWS)
    assert str(found) == "15,000 points of 3 series: all are stored, each once"


@pytest.mark.usefixtures("_parts")
def test_each_kind_of_difference_is_found_and_named(seconds: Database) -> None:
    load(seconds, {name: column[:-2] for name, column in COLUMNS.items()})
    load(seconds, {name: column[10:12] for name, column in COLUMNS.items()})
    data = {**COLUMNS, "i": COLUMNS["i"].copy()}
    data["i"][20] = 77
    found = verify(seconds, data)
    assert not found.is_complete
    assert (found.missing, found.doubled, found.changed) == (6, 6, 1)
    assert found.by_series == {"f": (2, 2, 0), "i": (2, 2, 1), "s": (2, 2, 0)}
    assert [each for each in found.differences if each.series == "i"] == [
        Difference("i", START + 10, "doubled", 10),
        Difference("i", START + 11, "doubled", 11),
        Difference("i", START + 20, "changed", 77, 20),
        Difference("i", START + ROWS - 2, "missing", ROWS - 2),
        Difference("i", START + ROWS - 1, "missing", ROWS - 1),
    ]
    assert Difference("s", START + 10, "doubled", "text 10") in found.differences
    assert str(found).endswith("6 missing, 6 doubled, 1 changed")


@pytest.mark.usefixtures("_parts")
def test_repair_sends_what_is_missing_and_nothing_else(seconds: Database) -> None:
    load(seconds, {name: column[::2] for name, column in COLUMNS.items()})
    insert(seconds, f=[[START, 0.0]], i=[[START + 1, -5]])
    found = verify(seconds, repair=True)
    assert (found.missing, found.doubled, found.changed) == (3 * ROWS // 2 - 1, 1, 1)
    assert found.repaired == found.missing
    assert not found.is_complete
    again = verify(seconds)
    assert (again.missing, again.doubled, again.changed) == (0, 1, 1)
    points = {
        name: Counter(zip(AT.tolist(), COLUMNS[name].tolist(), strict=True)) for name in "fis"
    }
    points["f"][START, 0.0] += 1
    points["i"][START + 1, -5] = points["i"].pop((START + 1, 1))
    assert stored_points(seconds.url) == points


def test_database_without_the_series_lacks_all(seconds: Database) -> None:
    found = verify(seconds, repair=True)
    assert (found.missing, found.repaired) == (3 * ROWS, 3 * ROWS)
    assert found.is_complete
    assert verify(seconds).missing == 0


def test_points_that_the_data_has_twice_are_to_be_there_twice(seconds: Database) -> None:
    data = {"ts": np.array([START, START, START + 1]), "v": np.array([1.5, 1.5, -0.0])}
    insert(seconds, v=[[START, 1.5], [START + 1, 0.0]])
    found = verify(seconds, data, repair=True)
    assert (found.missing, found.doubled, found.changed, found.repaired) == (1, 0, 0, 1)
    assert verify(seconds, data).is_complete
    insert(seconds, v=[[START, 1.5]])
    assert verify(seconds, data).doubled == 1


def test_rows_in_no_order_and_of_many_frames_are_one(seconds: Database) -> None:
    order = np.random.default_rng(3).permutation(ROWS)
    names = np.array([f"host {k}" for k in range(9)], object)
    frame = {"ts": AT[order], "host": names[order % 9], "v": np.arange(ROWS)}
    frames = [{name: column[k::3] for name, column in frame.items()} for k in range(3)]
    siridb_fast.load(frames, seconds.url, time="ts", series="{host}")
    assert verify(seconds, frames, series="{host}").is_complete
    found = verify(seconds, [*frames, frames[0]], series="{host}")  # each point a second time
    assert (found.missing, found.changed) == (len(frames[0]["ts"]), 0)


def test_whole_floats_are_those_of_a_series_of_integers(seconds: Database) -> None:
    insert(seconds, v=[[START, 1]])
    assert verify(seconds, {"ts": np.array([START]), "v": np.array([1.0])}).is_complete
    with pytest.raises(ColumnError, match="integer"):
        verify(seconds, {"ts": np.array([START]), "v": np.array([1.5])})


def test_iterator_is_refused(seconds: Database) -> None:
    with pytest.raises(ColumnError, match="an iterator can be read only once"):
        verify(seconds, iter([COLUMNS]))


def test_command_shows_differences_and_ends_with_3(seconds: Database, tmp_path: Path) -> None:
    path = write_table(tmp_path / "w.csv", WIDE)
    command: list[str | Path] = [path, "--time", "ts"]
    run_command("load", *command, url=seconds.url)
    done = run_command("verify", *command, url=seconds.url)
    assert "Verified" in done.stdout
    assert figures(done.stdout)["missing"] == "0"
    with path.open("a") as file:
        file.write(f"{START + 4},1.5,7,b\n")
    done = run_command("verify", *command, url=seconds.url, code=3)
    assert "Differs" in done.stdout
    assert figures(done.stdout)["count"] == "1 missing"
    assert "missing: temp at 2026-01-01T00:00:04: 1.5" in done.stdout
    done = run_command("verify", *command, "--json", url=seconds.url, code=3)
    found = json.loads(done.stdout)
    assert found["missing"] == 3
    assert found["by_series"]["text"] == {"missing": 1, "doubled": 0, "changed": 0}
    assert {
        "series": "count",
        "time": "2026-01-01T00:00:04",
        "kind": "missing",
        "value": 7.0,
    } in found["differences"]
    done = run_command("verify", *command, "--repair", url=seconds.url)
    assert figures(done.stdout)["repaired"] == "3"
    assert "Verified" in run_command("verify", *command, url=seconds.url).stdout


def test_file_is_named_where_it_cannot_be_read(seconds: Database, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("ts,v\n1,1\n2,x\n")
    done = run_command("verify", path, "--time", "ts", url=seconds.url, code=2)
    assert f"{path}:3" in done.stderr
