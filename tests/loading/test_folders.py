"""Folders of files that differ: found before the first point leaves, or one type for all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import siridb_fast
from siridb_fast.errors import FileError
from tests.commands import run_command
from tests.fix_server import Database
from tests.loading.frame_kinds import read
from tests.loading.load_runs import START, stored_points, write_table

T = [START, START + 1]
NO_TEXTS = pa.array([None, None], pa.string())

BAD_FOLDERS: list[tuple[str, Callable[[Path], object], str]] = [
    ("empty.csv", lambda path: path.write_text(""), "empty"),
    ("empty.parquet", lambda path: path.write_bytes(b""), "not a Parquet file"),
    ("cut.parquet", lambda path: path.write_bytes(b"PAR1"), "not a Parquet file"),
    ("notes.csv", lambda path: path.write_text("a,b\n1,2\n"), "no such column"),
    ("notes.parquet", lambda path: write_table(path, {"a": [1]}), "no such column"),
    ("only-times.csv", lambda path: path.write_text("ts\n1767225600\n"), "no column of values"),
]


@pytest.mark.parametrize(("name", "make", "text"), BAD_FOLDERS)
def test_bad_file_is_named_before_a_point_leaves(
    database: Database, tmp_path: Path, name: str, make: Callable[[Path], object], text: str
) -> None:
    write_table(tmp_path / "aa.csv", {"ts": T, "a": [0.5, 1.5]})
    make(tmp_path / name)
    with pytest.raises(FileError, match=text) as caught:
        siridb_fast.load(tmp_path, database.url, time="ts", unit="s")
    assert name in str(caught.value)
    assert "--skip-bad-files" in str(caught.value)
    assert stored_points(database.url) == {}
    report = siridb_fast.load(tmp_path, database.url, time="ts", unit="s", skip_bad_files=True)
    assert report.points == 2


def test_files_that_are_left_out_are_counted(database: Database, tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", {"ts": T, "a": [0.5, 1.5]})
    (tmp_path / "b.csv").write_text("")
    arguments = (tmp_path, "--time", "ts", "--unit", "s", "--skip-bad-files")
    done = run_command("load", *arguments, url=database.url)
    assert "files left out" in done.stdout
    assert "b.csv" in done.stderr
    assert stored_points(database.url)["a"].total() == 2


def test_load_that_goes_on_leaves_out_the_files_that_it_left_out_before(
    database: Database, tmp_path: Path
) -> None:
    write_table(tmp_path / "a.csv", {"ts": T, "a": [0.5, 1.5]})
    (tmp_path / "b.csv").write_text("")
    arguments = (tmp_path, "--time", "ts", "--unit", "s", "--resume", "--skip-bad-files")
    for _ in range(2):
        run_command("load", *arguments, url=database.url)
    assert stored_points(database.url)["a"].total() == 2
    (tmp_path / "b.csv").write_text(f"ts,a\n{START + 2},2.5\n")
    run_command("load", *arguments, url=database.url)
    assert stored_points(database.url)["a"].total() == 3


def test_nothing_but_bad_files_is_an_error(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text("")
    with pytest.raises(FileError, match=r"a\.csv"):
        read(tmp_path, time="ts", skip_bad_files=True)


MIXES = [
    ("{column}", {"x": [1, 2]}, {"x": [0.5, 1.5]}, {"x": [1.0, 2.0, 0.5, 1.5]}),
    ("{column}", {"x": [0.5, 1.5]}, {"x": [1, 2]}, {"x": [0.5, 1.5, 1.0, 2.0]}),
    ("{column}", {"x": [True, False]}, {"x": [0.5, 1.5]}, {"x": [1.0, 0.0, 0.5, 1.5]}),
    ("{column}", {"x": [True, False]}, {"x": [5, 6]}, {"x": [1, 0, 5, 6]}),
    ("{column}", {"x": NO_TEXTS}, {"x": [5, 6]}, {"x": [5, 6]}),
    ("{column}", {"x": [5, 6]}, {"x": NO_TEXTS}, {"x": [5, 6]}),
    ("{column}", {"x": [1, 2]}, {"y": ["a", "b"]}, {"x": [1, 2], "y": ["a", "b"]}),
    ("{stem}", {"x": [1, 2]}, {"x": ["a", "b"]}, {"a": [1, 2], "b": ["a", "b"]}),
    ("{stem}.{column}", {"x": [1, 2]}, {"x": [0.5, 1.5]}, {"a.x": [1, 2], "b.x": [0.5, 1.5]}),
]


@pytest.mark.parametrize(("series", "first", "second", "expected"), MIXES)
def test_series_has_one_type_over_all_files(
    tmp_path: Path, series: str, first: dict[str, Any], second: dict[str, Any], expected: Any
) -> None:
    for name, ts, columns in (("a", [1, 2], first), ("b", [3, 4], second)):
        pq.write_table(pa.table({"ts": ts, **columns}), tmp_path / f"{name}.parquet")
    points = read(tmp_path, 0, time="ts", series=series)
    found = {name: [value for _, value in pairs] for name, pairs in points.items()}
    assert found == expected
    assert {name: [*map(type, values)] for name, values in found.items()} == {
        name: [*map(type, values)] for name, values in expected.items()
    }


def test_booleans_of_one_csv_file_are_floats_where_another_has_floats(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("ts,x\n1,true\n2,false\n")
    (tmp_path / "b.csv").write_text("ts,x\n3,0.5\n")
    assert read(tmp_path, 0, time="ts") == {"x": [(1, 1.0), (2, 0.0), (3, 0.5)]}


TEXTS_AND_NUMBERS = [
    ("a.csv", "ts,x\n1,1.5\n", "b.csv", "ts,x\n2,on\n", "--type x=string.*{stem}"),
    ("a.csv", "ts,x\n1,on\n", "b.csv", "ts,x\n2,1.5\n", "has numbers, and texts in"),
    ("a.csv", "ts,h,x\n1,m,1.5\n", "b.csv", "ts,h,x\n2,l,on\n", "'mixed'"),
]


@pytest.mark.parametrize(("first", "one", "second", "other", "text"), TEXTS_AND_NUMBERS)
def test_texts_in_one_file_and_numbers_in_another_are_an_error(
    tmp_path: Path, first: str, one: str, second: str, other: str, text: str
) -> None:
    (tmp_path / first).write_text(one)
    (tmp_path / second).write_text(other)
    options: dict[str, Any] = {"time": "ts", "series": "{h}" if "h," in one else None}
    with pytest.raises(FileError, match=text) as caught:
        read(tmp_path, **options)
    assert first in str(caught.value)
    assert second in str(caught.value)
    kind = "mixed" if "h," in one else "string"
    assert len(read(tmp_path, **options, types={"x": kind})) == (2 if "h," in one else 1)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".feather"])
def test_type_is_of_those_files_that_have_the_column(tmp_path: Path, suffix: str) -> None:
    write_table(tmp_path / f"a{suffix}", {"ts": [1, 2], "x": [1, 2]})
    write_table(tmp_path / f"b{suffix}", {"ts": [1, 2], "state": [5, 6]})
    types = {"x": "float", "state": "string"}
    found = read(tmp_path, 0, time="ts", types=types)
    assert found == {"x": [(1, 1.0), (2, 2.0)], "state": [(1, "5"), (2, "6")]}
    with pytest.raises(FileError, match="no column 'z', nor in the other files"):
        read(tmp_path, 0, time="ts", types={"z": "float"})


def test_column_without_values_in_one_csv_file_is_what_it_is_in_another(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("ts,x\n1,\n")
    (tmp_path / "b.csv").write_text("ts,x\n2,on\n")
    (tmp_path / "c.csv").write_text("ts,x\n3,\n")
    assert read(tmp_path, time="ts") == {"x": [(2, "on")]}


def test_csv_files_are_read_as_their_heads_were(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t;x\n01.03.2024 00:00;1,5\n")
    (tmp_path / "b.csv").write_text("t,x\n2024-03-01T00:00:01Z,2.5\n")
    assert read(tmp_path, 0) == {"x": [(1709251200, 1.5), (1709251201, 2.5)]}
