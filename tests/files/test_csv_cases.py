"""CSV files that people have: each gives its points, or the error that says what to do.

The files are in the folder `cases`, and what they have to give in `cases.toml` there.
"""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import siridb_fast
from siridb_fast.errors import ColumnError, FileError
from siridb_fast.loading.file_source import FileSource
from siridb_fast.loading.frame_reader import FramePoints, FrameReader
from siridb_fast.loading.options import LoadOptions
from tests.fix_server import Database
from tests.loading.load_runs import stored_points

FOLDER = Path(__file__).parent / "cases"
CASES: dict[str, dict[str, Any]] = tomllib.loads((FOLDER / "cases.toml").read_text("utf-8"))
PRECISIONS = {"s": 0, "ms": 1, "us": 2, "ns": 3}
ON_A_SERVER = [
    "iso-blank.csv",
    "german-dates.csv",
    "texts.csv",
    "long-by-host.csv",
    "utf-16-mark.csv",
]

Points = dict[str, list[list[Any]]]


@pytest.mark.parametrize("name", CASES)
def test_case_gives_its_points_or_names_its_error(name: str) -> None:
    case = CASES[name]
    if "error" in case:
        with pytest.raises((FileError, ColumnError)) as caught:
            read(name)
        text = str(caught.value)
        assert name in text
        assert [part for part in case["error"] if part not in text] == []
        return
    found = read(name)
    assert found == case["points"]
    assert kinds(found) == kinds(case["points"])


@pytest.mark.parametrize("name", ON_A_SERVER)
def test_points_of_a_case_are_stored(database_in_seconds: Database, name: str) -> None:
    options = CASES[name].get("options", {})
    siridb_fast.load(FOLDER / name, database_in_seconds.url, **options)
    stored = stored_points(database_in_seconds.url)
    found = {series: [[*point] for point in sorted(points)] for series, points in stored.items()}
    assert found == CASES[name]["points"]


@pytest.fixture
def database_in_seconds(make_database: Any) -> Database:
    """Make a database in seconds."""
    database: Database = make_database(time_precision="s")
    return database


def test_every_file_has_its_case() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*CASES, "cases.toml"}
    assert len(CASES) >= 60


def read(name: str) -> Points:
    """Return the points of a case by series, in the order of the file."""
    case = CASES[name]
    options = LoadOptions(**case.get("options", {}))
    reader = FrameReader(options, PRECISIONS[case.get("precision", "s")])
    found: Points = {}
    for portion in FileSource([FOLDER / name], options):
        for series, timestamp, value in points_of(portion.read(reader)):
            found.setdefault(series, []).append([timestamp, value])
    return found


def points_of(points: FramePoints) -> Iterator[tuple[str, int, Any]]:
    for column in points.columns:
        timestamps, values = column.plain()
        for timestamp, value in zip(timestamps.tolist(), plain(values), strict=True):
            yield column.name, timestamp, value
    for mixed in points.mixed:
        rows = zip(
            mixed.codes.tolist(), mixed.timestamps.tolist(), plain(mixed.values), strict=True
        )
        for code, timestamp, value in rows:
            yield mixed.names[code], timestamp, value


def plain(values: Any) -> list[Any]:
    if isinstance(values, list):
        return [value.decode() for value in values]
    found: list[Any] = values.tolist()
    return found


def kinds(points: Points) -> dict[str, list[str]]:
    return {name: [type(value).__name__ for _, value in rows] for name, rows in points.items()}
