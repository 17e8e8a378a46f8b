"""Times as people have them in Parquet and frames: text, floats, decimals, periods."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import siridb_fast
from siridb_fast.errors import ColumnError, FileError
from tests.fix_server import Database
from tests.loading.frame_kinds import read
from tests.loading.load_runs import stored_points

FIRST = 1_709_251_200_000_000_000  # 2024-03-01
SECOND = 10**9

GOOD: list[tuple[Any, dict[str, Any], list[int]]] = [
    (pa.array(["2024-03-01T00:00:00Z", "2024-03-01 01:00:01+01:00"]), {}, [0, SECOND]),
    (pa.array(["2024-03-01", None]), {}, [0]),
    (pa.array(["", "2024-03-01", "NaT"]), {}, [0]),
    (pa.array(["01.03.2024 00:00:01", "31.03.2024 00:00:00"]), {}, [SECOND, 30 * 86_400 * SECOND]),
    (pa.array(["03/01/2024"]), {"time_format": "%m/%d/%Y"}, [0]),
    (pa.array(["2024-03-01 01:00"]), {"time_zone": "Europe/Berlin"}, [0]),
    (pa.array(["1709251200.5"]), {"unit": "s"}, [SECOND // 2]),
    (pa.array(["1709251200000"]), {"unit": "ms"}, [0]),
    (pa.array(["2024-03-01"]).dictionary_encode(), {}, [0]),
    (pa.array([1709251200.123, 1709251200.5]), {"unit": "s"}, [123_000_000, SECOND // 2]),
    (pa.array([1709251200.1234567, None]), {"unit": "s"}, [123_456_700]),
    (pa.array([1709251200000.25]), {"unit": "ms"}, [250_000]),
    (pa.array([1709251200.0, None]), {"unit": "s"}, [0]),
    (pa.array([Decimal("1709251200.000000001")]), {"unit": "s"}, [1]),
    (pa.array([Decimal(FIRST + 1)], pa.decimal128(38, 0)), {}, [1]),
    (pa.array([Decimal(FIRST + 1), None], pa.decimal128(38, 9)), {}, [1]),
]


def objects(times: pa.Array) -> dict[str, Any]:
    return {"t": np.array(times.to_pylist(), object)}


MAKERS: dict[str, Callable[[pa.Array], Any]] = {
    "arrow": lambda times: pa.table({"t": times}),
    "pandas": lambda times: pa.table({"t": times}).to_pandas(),
    "pandas of arrow": lambda times: pa.table({"t": times}).to_pandas(types_mapper=pd.ArrowDtype),
    "polars": lambda times: pl.DataFrame(pa.table({"t": times})),
    "objects": objects,
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize(("times", "options", "expected"), GOOD)
def test_times_of_other_types_are_exact(
    make: Callable[[pa.Array], Any], times: Any, options: dict[str, Any], expected: list[int]
) -> None:
    frame = make(times)
    rows = range(len(times))
    if isinstance(frame, dict):
        frame["v"] = list(rows)
    elif isinstance(frame, pd.DataFrame):
        frame["v"] = rows
    elif isinstance(frame, pl.DataFrame):
        frame = frame.with_columns(v=pl.Series(rows))
    else:
        frame = frame.append_column("v", pa.array(rows))
    found = read(frame, time="t", **options)["v"]
    assert [timestamp - FIRST for timestamp, _ in found] == expected


@pytest.mark.parametrize(("times", "options", "expected"), GOOD)
def test_times_of_other_types_are_read_of_files(
    tmp_path: Path, times: Any, options: dict[str, Any], expected: list[int]
) -> None:
    pq.write_table(pa.table({"t": times, "v": range(len(times))}), tmp_path / "a.parquet")
    found = read(tmp_path, time="t", **options)["v"]
    assert [timestamp - FIRST for timestamp, _ in found] == expected


BAD: list[tuple[Any, dict[str, Any], str, int | None]] = [
    (["03/04/2024"], {}, "%d/%m/%Y.*%m/%d/%Y", 0),
    (["2024-03-01", "x", "2024-03-01"], {}, "expected an ISO 8601 time, got 'x'", 1),
    (["2024-03-01", "2024-02-30"], {}, "no such date", 1),
    (["1969-12-31"], {}, "before 1970", 0),
    (["2024-03-31 02:30"], {"time_zone": "Europe/Berlin"}, "does not exist", 0),
    ([1709251200.5], {}, "unit= \\(--unit\\)", 0),
    ([1.0, float("inf")], {"unit": "s"}, "too large|infinity", 1),
    ([1.0, 1e-10], {"unit": "s"}, "finer than a nanosecond", 1),
    ([1.5, 1e10], {"unit": "s"}, "too large|out of range|is not in", 1),
    ([Decimal("0.5")], {}, "unit= \\(--unit\\)", 0),
    ([Decimal("1e-10")], {"unit": "s"}, "finer than a nanosecond", 0),
]


@pytest.mark.parametrize(("times", "options", "text", "row"), BAD)
def test_what_is_no_time_is_named(
    tmp_path: Path, times: list[Any], options: dict[str, Any], text: str, row: int | None
) -> None:
    data = {"t": np.array(times, object), "v": list(range(len(times)))}
    with pytest.raises(ColumnError, match=f"column 't'.*{text}") as caught:
        read(data, time="t", **options)
    assert caught.value.index == row
    pq.write_table(pa.table({"t": times, "v": data["v"]}), tmp_path / "a.parquet")
    with pytest.raises(FileError, match=f"row {row}.*{text}"):
        read(tmp_path, time="t", **options)


def test_times_are_read_as_the_first_rows_of_a_load_are(tmp_path: Path) -> None:
    for name, text in (("a", "31.03.2024"), ("b", "03.01.2024")):
        pq.write_table(pa.table({"t": [text], "v": [1]}), tmp_path / f"{name}.parquet")
    points = read(tmp_path, 0, time="t")["v"]
    assert sorted(points) == [(1704240000, 1), (1711843200, 1)]


def test_float_that_is_finer_than_the_database_is_cut_on_request_only() -> None:
    data = {"t": [1709251200.5], "v": [1]}
    with pytest.raises(ColumnError, match="finer than the database's time precision"):
        read(data, 0, time="t", unit="s")
    found = read(data, 0, time="t", unit="s", on_precision_loss="floor")
    assert found == {"v": [(1709251200, 1)]}


@pytest.mark.parametrize(
    ("periods", "seconds"),
    [
        (pd.period_range("2024-03", periods=2, freq="M"), [0, 31 * 86_400]),
        (pd.period_range("2024-03-01", periods=2, freq="h"), [0, 3600]),
        (pd.PeriodIndex(["2024-03-01", None], freq="D"), [0]),
    ],
)
def test_period_is_the_time_of_its_start(periods: pd.PeriodIndex, seconds: list[int]) -> None:
    values = list(range(len(periods)))
    expected = [FIRST // SECOND + each for each in seconds]
    for frame in (
        pd.DataFrame({"v": values}, index=periods),
        pd.DataFrame({"v": values, "p": periods}),
    ):
        assert [timestamp for timestamp, _ in read(frame, 0)["v"]] == expected


def test_time_in_several_columns_is_of_csv_files_alone() -> None:
    table = pa.table({"d": ["2024-03-01"], "t": ["00:00"], "v": [1]})
    with pytest.raises(ColumnError, match="only of CSV files"):
        read(table, time=["d", "t"])


def test_texts_of_times_are_stored(database: Database, tmp_path: Path) -> None:
    table = pa.table({"t": ["2024-03-01T00:00:00Z", "2024-03-01T00:00:01Z"], "v": [0.5, 1.5]})
    pq.write_table(table, tmp_path / "a.parquet")
    siridb_fast.load(tmp_path / "a.parquet", database.url, time="t")
    assert stored_points(database.url)["v"].total() == 2
