"""Columns that no point can come of: named once, all of them, and left out only on request."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
from tests.loading.load_runs import stored_points

DAY = dt.date(2024, 3, 1)
TABLE = pa.table(
    {
        "ts": [1, 2],
        "a": [0.5, 1.5],
        "tags": [["x"], ["y"]],
        "place": [{"x": 1}, {"x": 2}],
        "raw": [b"a", b"b"],
        "made": pa.array([DAY, DAY]),
        "took": pa.array([1, 2], pa.duration("s")),
    }
)
ODD = ["tags", "place", "raw", "made", "took"]
EXPECTED = {"a": [(1, 0.5), (2, 1.5)]}
FRAMES: dict[str, Callable[[pa.Table], Any]] = {
    "arrow": lambda table: table,
    "polars": pl.DataFrame,
    "pandas": lambda table: table.to_pandas(types_mapper=pd.ArrowDtype),
}
WRITERS: dict[str, Callable[[pa.Table, Path], object]] = {
    "a.parquet": pq.write_table,
    "a.feather": feather.write_feather,
}


@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)
@pytest.mark.parametrize("series", [None, "{a}.{column}"])
def test_all_odd_columns_of_a_frame_are_named(
    make: Callable[[pa.Table], Any], series: str | None
) -> None:
    with pytest.raises(ColumnError) as caught:
        read(make(TABLE), time="ts", series=series)
    text = str(caught.value)
    assert [name for name in ODD if repr(name) not in text] == []
    assert "--ignore" in text
    assert "--type took=s" in text
    assert read(make(TABLE), time="ts", ignore=ODD) == EXPECTED
    assert read(make(TABLE), time="ts", values="a") == EXPECTED


@pytest.mark.parametrize("name", WRITERS)
def test_all_odd_columns_of_a_file_are_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    WRITERS[name](TABLE, path)
    with pytest.raises(FileError) as caught:
        read(path, time="ts")
    text = str(caught.value)
    assert name in text
    assert [column for column in ODD if repr(column) not in text] == []
    assert read(path, time="ts", ignore=ODD) == EXPECTED
    assert read(path, time="ts", values="a") == EXPECTED
    found = read(path, time="ts", ignore=ODD[:4], types={"took": "ms"})
    assert found == EXPECTED | {"took": [(1, 1000.0), (2, 2000.0)]}


def test_ignored_column_of_a_csv_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("ts,a,b,when\n1,0.5,1,2024-03-01\n2,1.5,x,2024-03-02\n")
    assert read(tmp_path, time="ts", ignore=["b", "when"]) == EXPECTED


def test_many_odd_columns_are_counted() -> None:
    columns = {f"c{number}": [[1]] for number in range(15)}
    with pytest.raises(ColumnError, match=r"'c9' .* and 5 more"):
        read(pa.table({"ts": [1], **columns}), time="ts")


@pytest.mark.parametrize(
    "options", [{"time": "a"}, {"values": ["a", "b"]}, {"series": "{a}"}, {"time": ["b", "a"]}]
)
def test_column_is_not_ignored_and_read(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="'a' is to be ignored"):
        read(TABLE, ignore="a", **options)


def test_odd_column_of_a_later_file_is_named_before_a_point_leaves(
    database: Database, tmp_path: Path
) -> None:
    pq.write_table(TABLE.select(["ts", "a"]), tmp_path / "a.parquet")
    pq.write_table(TABLE.select(["ts", "a", "raw"]), tmp_path / "b.parquet")
    with pytest.raises(FileError, match=r"b\.parquet.*'raw' \(binary\)"):
        siridb_fast.load(tmp_path, database.url, time="ts", unit="s")
    assert stored_points(database.url) == {}
