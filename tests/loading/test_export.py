"""What queries write, `load` reads: a database goes into an empty one without a difference."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import siridb_fast
from siridb_fast.errors import FileError
from tests.commands import figures, run_command
from tests.fix_server import Database
from tests.loading.load_runs import stored_points

START = 1_700_000_000_000
TEXTS = ["", "NA", "null", "-", "12", "true", 'a,"b"\r\n', "ü", " x ", "1,5", "2024-01-01"]
FLOATS = [0.1, 1e300, -5e-324, 2.0**53, -0.0]
INTEGERS = [2**63 - 1, -(2**63), 0, 2**53 + 1]
DATA: dict[str, list[Any]] = {
    "flow, m³/s": FLOATS,
    "count": INTEGERS,
    "note": TEXTS,
    "time": [1.5],
    "series": [7],
}
FORMS = [("a.csv", "--long"), ("a.json", "--wide"), ("a.parquet", "--long")]
FORMS += [("b.parquet", "--wide")]


@pytest.fixture
def filled(make_database: Callable[..., Database]) -> Database:
    """Make a database in milliseconds with series of each type."""
    database = make_database(time_precision="ms")
    with siridb_fast.connect(database.url) as client:
        client.insert(
            {
                name: [[START + k, value] for k, value in enumerate(values)]
                for name, values in DATA.items()
            }
        )
    return database


def types_of(database: Database) -> Any:
    with siridb_fast.connect(database.url) as client:
        return sorted(client.query("list series name, type")["series"])


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_database_is_written_and_loaded_without_a_difference(
    filled: Database,
    make_database: Callable[..., Database],
    tmp_path: Path,
    name: str,
    form: str,
) -> None:
    empty, path = make_database(time_precision="ms"), tmp_path / name
    run_command("query", "select * from *", form, "-o", path, url=filled.url)
    run_command("load", path, url=empty.url)
    assert stored_points(empty.url) == stored_points(filled.url)
    assert types_of(empty) == types_of(filled)
    for database in (empty, filled):
        done = run_command("verify", path, url=database.url)
        assert figures(done.stdout)["points"] == str(sum(map(len, DATA.values())))


@pytest.mark.parametrize("name", ["count", "note", "time"])
@pytest.mark.parametrize("raw", [[], ["--raw-times"]])
def test_series_of_one_type_come_as_they_were(
    filled: Database,
    make_database: Callable[..., Database],
    tmp_path: Path,
    name: str,
    raw: list[str],
) -> None:
    empty, path = make_database(time_precision="ms"), tmp_path / "a.csv"
    query = f"select * from '{name}'"  # noqa: S608 - our own names
    run_command("query", query, "--long", *raw, "-o", path, url=filled.url)
    run_command("load", path, "--time", "time", url=empty.url)
    assert stored_points(empty.url)[name] == stored_points(filled.url)[name]
    assert types_of(empty) == [row for row in types_of(filled) if row[0] == name]


@pytest.mark.parametrize("kind", ["frame", "table"])
def test_long_frame_of_several_types_is_loaded(
    filled: Database, make_database: Callable[..., Database], kind: str
) -> None:
    empty = make_database(time_precision="ms")
    with siridb_fast.connect(filled.url) as client:
        ask = client.query_frame if kind == "frame" else client.query_arrow
        found = ask("select * from *", form="long")
    assert list(found.columns if kind == "frame" else found.column_names) == [
        *("series", "time", "value_float", "value_integer", "value_text")
    ]
    report = siridb_fast.load(found, empty.url)
    assert (report.rows, report.missing) == (sum(map(len, DATA.values())), 0)
    assert stored_points(empty.url) == stored_points(filled.url)
    assert types_of(empty) == types_of(filled)


def test_columns_that_are_said_go_before_the_form(database: Database) -> None:
    rows = {"series": ["a", "b"], "time": np.array([1, 2]), "value": np.array([1.5, 2.5])}
    siridb_fast.load(rows, database.url, time="time", values="value", series="{series}.x")
    assert stored_points(database.url).keys() == {"a.x", "b.x"}


@pytest.mark.parametrize(
    "text",
    [
        '{"a": {"times": [1, 2], "values": [1]}}',
        '{"a": {"times": [1], "values": 1}}',
        '{"a": {"times": [1], "values": [1], "unit": "s"}}',
        '{"a": 1}',
        "{}",
    ],
)
def test_object_that_no_query_writes_is_refused(
    database: Database, tmp_path: Path, text: str
) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(FileError, match="expected an array of objects, got an object"):
        siridb_fast.load(path, database.url, time="time")
