"""`load --resume` where nothing is noted of an earlier load: each point is stored once.

Another user, or a container that is gone, may have loaded all of the files, a part, or nothing.
"""

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import siridb_fast
from siridb_fast.query.select import quote
from tests.commands import figures, run_command
from tests.fix_server import Database
from tests.loading.load_runs import START, Points, stored_points, write_table

ROWS = 30_000
LITTLE = ["--max-memory", "4"]

Columns = dict[str, Any]


def wide() -> Columns:
    rows = np.arange(ROWS)
    pads = np.array(["-" * 300], object)[rows * 0]  # for several portions
    return {"ts": START + rows // 2, "f": rows % 100 / 8, "i": rows % 10, "pad": pads}


def long() -> Columns:
    """Return rows that are in no order: the portions of a series overlap."""
    rows = np.random.default_rng(5).permutation(ROWS)
    names = np.array([f"log {k}" for k in range(7)], object)[rows % 7]
    pads = np.array(["-" * 300], object)[rows * 0]
    return {"ts": START + rows, "series": names, "v": np.char.mod("%d", rows), "pad": pads}


KINDS: dict[str, tuple[Callable[[], Columns], str, list[str]]] = {
    "wide CSV": (wide, "d.csv", ["--values", "f", "--values", "i"]),
    "wide Parquet": (wide, "d.parquet", ["--values", "f", "--values", "i"]),
    "long texts": (long, "d.parquet", ["--series", "{series}", "--values", "v"]),
}


@pytest.fixture
def seconds(make_database: Callable[..., Database]) -> Database:
    return make_database(time_precision="s")


@pytest.fixture
def new_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that gives this user a new home folder."""

    def move() -> None:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("home")))

    return move


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> tuple[Callable[[], Columns], str, list[str]]:
    return KINDS[request.param]


def expected(columns: Columns) -> Points:
    if "series" in columns:
        found: Points = {}
        rows = (columns[name].tolist() for name in ("ts", "series", "v"))
        for at, name, value in zip(*rows, strict=True):
            found.setdefault(name, Counter())[at, value] += 1
        return found
    at = columns["ts"].tolist()
    return {name: Counter(zip(at, columns[name].tolist(), strict=True)) for name in ("f", "i")}


def remove_later_half(url: str, names: list[str], columns: Columns) -> None:
    """Leave the points of the first half of the rows: SiriDB drops no range of times."""
    half = {name: column[: ROWS // 2] for name, column in columns.items()}
    with siridb_fast.connect(url) as client:
        for name in names:
            client.query(f"drop series {quote(name)} set ignore_threshold true")
        points = {}
        for name, pairs in expected(half).items():
            points[name] = [[at, value] for (at, value), n in pairs.items() for _ in range(n)]
        client.insert(points)


def drop_nothing(url: str, names: list[str], columns: Columns) -> None:
    pass


def drop_all(url: str, names: list[str], columns: Columns) -> None:
    with siridb_fast.connect(url) as client:
        for name in names:
            client.query(f"drop series {quote(name)} set ignore_threshold true")


@pytest.mark.parametrize("state", [drop_all, remove_later_half, drop_nothing])
def test_each_point_is_stored_once_whatever_the_database_had(
    seconds: Database,
    tmp_path: Path,
    new_home: Callable[[], None],
    kind: tuple[Callable[[], Columns], str, list[str]],
    state: Callable[..., None],
) -> None:
    make, name, options = kind
    columns = make()
    path = write_table(tmp_path / name, columns)
    command: list[str | Path] = ["load", path, "--time", "ts", *options, *LITTLE]
    run_command(*command, url=seconds.url)
    points = expected(columns)
    assert stored_points(seconds.url) == points
    state(seconds.url, list(points), columns)
    new_home()
    done = run_command(*command, "--resume", url=seconds.url)
    assert f"{path}: not known from an earlier load; the points" in done.stderr
    assert stored_points(seconds.url) == points
    assert "loaded already" in run_command(*command, "--resume", url=seconds.url).stderr


def test_compare_restores_what_the_database_lost_though_all_is_noted(
    seconds: Database, tmp_path: Path
) -> None:
    columns = wide()
    path = write_table(tmp_path / "d.parquet", columns)
    command: list[str | Path] = ["load", path, "--time", "ts", *KINDS["wide CSV"][2], *LITTLE]
    run_command(*command, url=seconds.url)
    remove_later_half(seconds.url, ["f", "i"], columns)
    assert "loaded already" in run_command(*command, "--resume", url=seconds.url).stderr
    done = run_command(*command, "--compare", url=seconds.url)
    assert figures(done.stdout)["points stored already"] == f"{ROWS:,}"
    assert stored_points(seconds.url) == expected(columns)
    assert "loaded already" in run_command(*command, "--resume", url=seconds.url).stderr


def test_manifest_has_the_name_that_is_said(seconds: Database, tmp_path: Path) -> None:
    path = write_table(tmp_path / "d.csv", {"ts": [START], "v": [1]})
    manifest = tmp_path / "notes" / "of.this"
    command: list[str | Path] = ["load", path, "--time", "ts", "--manifest", manifest]
    run_command(*command, url=seconds.url)
    assert {file.name for file in tmp_path.iterdir()} == {"d.csv", "notes"}
    assert "loaded already" in run_command(*command, url=seconds.url, code=2).stderr
    done = run_command(*command[:-2], "--resume", url=seconds.url)
    assert "not known from an earlier load" in done.stderr


@pytest.mark.parametrize("second", ["load", "command line"])
def test_two_loads_of_a_file_at_once_are_refused(
    seconds: Database, tmp_path: Path, second: str
) -> None:
    path = write_table(tmp_path / "d.csv", {"ts": [START], "v": [1]})
    is_locked, may_end = threading.Event(), threading.Event()

    def progress(_: siridb_fast.Progress) -> None:
        is_locked.set()
        assert may_end.wait(60)

    def first() -> None:
        reports.append(siridb_fast.load(path, seconds.url, time="ts", progress=progress))

    reports: list[siridb_fast.Report] = []
    thread = threading.Thread(target=first)
    thread.start()
    try:
        assert is_locked.wait(60)
        text = "another load of it into this database is under way"
        if second == "load":
            with pytest.raises(siridb_fast.FileError, match=text):
                siridb_fast.load(path, seconds.url, time="ts")
        else:
            done = run_command("load", path, "--time", "ts", url=seconds.url, code=2)
            assert text in done.stderr
    finally:
        may_end.set()
        thread.join(60)
    assert [report.points for report in reports] == [1]
    siridb_fast.load(path, seconds.url, time="ts")  # and later it may be loaded again
