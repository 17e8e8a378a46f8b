"""`types=` of frames and of files that have types of their own: obeyed, or an error."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

import siridb_fast
from siridb_fast.errors import ColumnError, ConfigError, FileError
from tests.fix_server import Database
from tests.loading.frame_kinds import read

TIMES = [1, 2, 3]
GOOD: list[tuple[str, Any, list[Any]]] = [
    ("float", pa.array([1, 2, None]), [1.0, 2.0]),
    ("float", pa.array(["1", " 2.5 ", ""]), [1.0, 2.5]),
    ("float", pa.array(["1e3", None, "-0.5"]), [1000.0, -0.5]),
    ("float", pa.array([True, False, None]), [1.0, 0.0]),
    ("float", pa.array([Decimal("1.5"), None, Decimal(2)]), [1.5, 2.0]),
    ("integer", pa.array([1.0, 2.0, None]), [1, 2]),
    ("int", pa.array([1.0, 2.0, -3.0]), [1, 2, -3]),
    ("integer", pa.array(["1", "9007199254740993", None]), [1, 2**53 + 1]),
    ("integer", pa.array([True, False, None]), [1, 0]),
    ("integer", pa.array([2**60 + 1, None, 3]), [2**60 + 1, 3]),
    ("bool", pa.array(["true", "False", "1"]), [1, 0, 1]),
    ("bool", pa.array([1, 0, None]), [1, 0]),
    ("string", pa.array([1, 2, None]), ["1", "2"]),
    ("str", pa.array([1.5, 2.0, None]), ["1.5", "2.0"]),
    ("string", pa.array([True, False, None]), ["true", "false"]),
    ("string", pa.array([dt.date(2024, 3, 1)] * 3), ["2024-03-01"] * 3),
    ("string", pa.array(["a", "", None]), ["a", ""]),
    ("s", pa.array([dt.timedelta(hours=1), None, dt.timedelta(0.5)]), [3600.0, 43200.0]),
    ("ms", pa.array([1500, None, 1], pa.duration("us")), [1.5, 0.001]),
    ("ns", pa.array([1, 2, None], pa.duration("s")), [1e9, 2e9]),
    ("s", pa.array([dt.time(1, 30, 0, 500_000)] * 3), [5400.5] * 3),
    ("s", pa.array([1, 2, 3], pa.time32("s")), [1.0, 2.0, 3.0]),
]
BAD = [
    ("integer", pa.array([1.0, 2.5, 3.0]), "2.5 is no integer", 1),
    ("integer", pa.array([1.0, 2.0, 1e30]), "no integer", 2),
    ("integer", pa.array(["1", "x", "3"]), "'x' is no integer", 1),
    ("integer", pa.array(["1", "1_000", "3"]), "'1_000' is no integer", 1),
    ("float", pa.array([1, 2**53 + 1, 3]), f"{2**53 + 1} is no float", 1),
    ("float", pa.array(["1", "1,5", "3"]), "'1,5' is no float", 1),
    ("float", pa.array([dt.date(2024, 3, 1)] * 3), "is no float", None),
    ("float", pa.array([dt.timedelta(1)] * 3), "is no float", None),
    ("s", pa.array([1, 2, 3]), "no duration", None),
    ("bool", pa.array([0, 1, 2]), "2 is no bool", 2),
    ("bool", pa.array(["yes", "no", "no"]), "'yes' is no bool", 0),
    ("time", pa.array([dt.date(2024, 3, 1)] * 3), "'a' is said to be of times", None),
    ("mixed", pa.array(["1", "on", "2"]), "tells them apart", None),
]


def as_pandas(table: pa.Table) -> pd.DataFrame:
    return table.to_pandas(integer_object_nulls=True)


def as_dict(table: pa.Table) -> dict[str, list[Any]]:
    return {name: table[name].to_pylist() for name in table.column_names}


FRAMES: list[Callable[[pa.Table], Any]] = [pa.table, as_pandas, pl.DataFrame, as_dict]


@pytest.mark.parametrize("make", FRAMES)
@pytest.mark.parametrize(("kind", "values", "expected"), GOOD)
def test_type_that_is_said_is_obeyed(
    make: Callable[[pa.Table], Any], kind: str, values: Any, expected: list[Any]
) -> None:
    data = make(pa.table({"t": TIMES, "a": values}))
    found = [value for _, value in read(data, time="t", types={"a": kind})["a"]]
    assert (found, [*map(type, found)]) == (expected, [*map(type, expected)])


@pytest.mark.parametrize("suffix", [".parquet", ".feather"])
@pytest.mark.parametrize(("kind", "values", "expected"), GOOD)
def test_type_that_is_said_is_obeyed_in_files(
    tmp_path: Path, suffix: str, kind: str, values: Any, expected: list[Any]
) -> None:
    path = written(tmp_path / f"a{suffix}", pa.table({"t": TIMES, "a": values}))
    found = [value for _, value in read(path, time="t", types={"a": kind})["a"]]
    assert (found, [*map(type, found)]) == (expected, [*map(type, expected)])


@pytest.mark.parametrize(("kind", "values", "text", "row"), BAD)
def test_what_is_not_of_the_type_is_named(
    tmp_path: Path, kind: str, values: Any, text: str, row: int | None
) -> None:
    table = pa.table({"t": TIMES, "a": values})
    with pytest.raises(ColumnError, match=text) as caught:
        read(table, time="t", types={"a": kind})
    assert caught.value.index == row
    with pytest.raises(FileError, match=text) as in_file:
        read(written(tmp_path / "a.parquet", table), time="t", types={"a": kind})
    assert row is None or f"row {row}" in str(in_file.value)


@pytest.mark.parametrize("make", FRAMES)
def test_whole_decimal_that_no_float_is_equal_to_is_an_error(
    make: Callable[[pa.Table], Any],
) -> None:
    values = [Decimal(1), Decimal(2**53 + 1), None]
    data = make(pa.table({"t": TIMES, "a": pa.array(values, pa.decimal128(38, 2))}))
    with pytest.raises(ColumnError, match=r"no float is equal to.*--type a=integer") as caught:
        read(data, time="t")
    assert caught.value.index == 1
    assert read(data, time="t", types={"a": "int"}) == {"a": [(1, 1), (2, 2**53 + 1)]}
    with pytest.raises(ColumnError, match="no float is equal to"):
        siridb_fast.encode_insert({"a": (np.array(TIMES[:2]), np.array(values[:2]))})
    with pytest.raises(ValueError, match="no float is equal to"):
        siridb_fast.encode_insert({"a": [[1, values[1]]]})


def test_type_of_a_column_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    table = pa.table({"t": TIMES, "a": [1, 2, 3]})
    options: dict[str, Any] = {"time": "t", "types": {"b": "float"}}
    for make in FRAMES:
        with pytest.raises(ColumnError, match="no column 'b'"):
            read(make(table), **options)
    for suffix in (".parquet", ".feather", ".csv"):
        with pytest.raises(FileError, match="b"):
            read(written(tmp_path / f"a{suffix}", table), **options)
    with pytest.raises(ColumnError, match="no column 'b'"):
        read({"a": (TIMES, TIMES)}, types={"b": "float"})


def test_type_that_does_not_exist_is_an_error_before_anything_is_read() -> None:
    with pytest.raises(ConfigError, match="'flaot'"):
        read(pa.table({"t": TIMES, "a": TIMES}), time="t", types={"a": "flaot"})


def test_csv_files_have_no_durations(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", pa.table({"t": TIMES, "a": TIMES}))
    with pytest.raises(FileError, match="durations"):
        read(path, time="t", types={"a": "s"})


def test_times_that_are_text_are_integers_if_it_is_said() -> None:
    table = pa.table({"t": ["1", "2", "3"], "a": [1, 2, 3]})
    assert read(table, time="t", types={"t": "integer"}) == {"a": [(1, 1), (2, 2), (3, 3)]}


@pytest.mark.parametrize(
    "values", [["18.5", "on", "19"], [18.5, "on", 19]], ids=["texts", "objects"]
)
def test_numbers_of_some_series_and_texts_of_others_are_one_column(values: list[Any]) -> None:
    data = {"t": TIMES, "host": ["m", "l", "m"], "a": values}
    found = read(data, time="t", series="{host}", types={"a": "mixed"})
    assert found == {"m": [(1, 18.5), (3, 19.0)], "l": [(2, "on")]}


def test_integers_of_a_parquet_file_go_to_a_series_of_floats(
    database: Database, tmp_path: Path
) -> None:
    path = written(tmp_path / "a.parquet", pa.table({"t": TIMES, "a": [1, 2, 3]}))
    siridb_fast.load(path, database.url, time="t", unit="s", types={"a": "float"})
    with siridb_fast.connect(database.url) as client:
        assert client.query("list series name, type")["series"] == [["a", "float"]]


@pytest.mark.parametrize(
    "values",
    [
        [Decimal("1.5"), Decimal(2), Decimal("2.5")],
        np.array([Decimal("1.5"), Decimal(2), Decimal("2.5")], object),
    ],
)
def test_decimals_are_floats_through_every_door(database: Database, values: Any) -> None:
    with siridb_fast.connect(database.url) as client:
        points = [[second, value] for second, value in zip(TIMES, values, strict=True)]
        client.insert({"by insert": points})
        client.insert({"by columns": (np.array(TIMES), values)})
        client.load({"by load": (TIMES, values)})
        client.load({"t": TIMES, "by frame": values}, time="t")
        with client.writer() as writer:
            for second, value in points:
                writer.write("by write", second, value)
            writer.write_arrays("by arrays", np.array(TIMES), values)
        answer = client.query("select * from *")
    expected = [[1, 1.5], [2, 2.0], [3, 2.5]]
    ways = ("insert", "columns", "load", "frame", "write", "arrays")
    assert answer == {f"by {way}": expected for way in ways}


def written(path: Path, table: pa.Table) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".feather":
        feather.write_feather(table, path)
    else:
        table.to_pandas().to_csv(path, index=False)
    return path
