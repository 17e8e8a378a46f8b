"""Columns whose names have several levels: pandas' MultiIndex, and what it writes of one."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import siridb_fast
from siridb_fast.errors import ColumnError, FileError
from tests.fix_server import Database
from tests.loading.frame_kinds import read
from tests.loading.load_runs import stored_points

TIMES = pd.to_datetime(["2024-03-01", "2024-03-02"])
LABELS = [("a", "max"), ("a", "min"), ("b", "max")]


def frame(names: list[str | None]) -> pd.DataFrame:
    columns = pd.MultiIndex.from_tuples(LABELS, names=names)
    values = [[0.5, 1.5, 2.5], [3.5, 4.5, 5.5]]
    return pd.DataFrame(values, index=TIMES.rename("ts"), columns=columns)


TEMPLATES: list[tuple[str | None, list[str]]] = [
    (None, ["a.max", "a.min", "b.max"]),
    ("{column}", ["a.max", "a.min", "b.max"]),
    ("{column_1} of {column_0}", ["max of a", "min of a", "max of b"]),
    ("{column_0}/{column}", ["a/a.max", "a/a.min", "b/b.max"]),
]


@pytest.mark.parametrize(("series", "expected"), TEMPLATES)
def test_levels_of_columns_name_series(series: str | None, expected: list[str]) -> None:
    assert list(read(frame([None, None]), series=series)) == expected
    assert list(read(frame(["host", "stat"]), series=series)) == expected


@pytest.mark.parametrize(("series", "expected"), TEMPLATES)
@pytest.mark.parametrize("suffix", ["parquet", "feather"])
def test_levels_of_columns_that_pandas_wrote_name_series(
    tmp_path: Path, suffix: str, series: str | None, expected: list[str]
) -> None:
    path = tmp_path / f"a.{suffix}"
    if suffix == "parquet":
        frame(["host", "stat"]).to_parquet(path)
    else:
        flat = frame([None, None])
        flat.columns = flat.columns.map(str)
        flat.reset_index().to_feather(path)
    assert list(read(path, series=series)) == expected


def test_levels_have_the_names_that_pandas_gives_them() -> None:
    found = read(frame(["host", None]), series="{host}.{column_1}")
    assert list(found) == ["a.max", "a.min", "b.max"]


def test_levels_go_with_columns_that_name_series() -> None:
    data = frame(["host", "stat"])
    data[("room", "")] = ["x", "y"]
    found = read(data, series="{room}.{host}.{stat}")
    assert sorted(found) == ["x.a.max", "x.a.min", "x.b.max", "y.a.max", "y.a.min", "y.b.max"]


def test_index_that_became_a_column_is_found_by_its_name() -> None:
    assert list(read(frame([None, None]).reset_index(), time="ts")) == ["a.max", "a.min", "b.max"]


def test_level_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ColumnError, match="no column 'column_2'"):
        read(frame([None, None]), series="{column_2}")
    frame([None, None]).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(FileError, match="no column 'column_2'"):
        read(tmp_path, series="{column_2}")


def test_column_that_only_looks_like_a_tuple_keeps_its_name() -> None:
    data: dict[str, Any] = {"(a, b)": [1.5], "('x": [2.5], "t": TIMES[:1]}
    assert list(read(pd.DataFrame(data), time="t")) == ["(a, b)", "('x"]


def test_series_named_by_levels_are_stored(database: Database, tmp_path: Path) -> None:
    frame(["host", "stat"]).to_parquet(tmp_path / "a.parquet")
    siridb_fast.load(tmp_path, database.url, series="{column_0}-{column_1}")
    assert sorted(stored_points(database.url)) == ["a-max", "a-min", "b-max"]
