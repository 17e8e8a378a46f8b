"""Points as frames of pandas and tables of Arrow, without a server."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from siridb_fast import MICROSECOND, NANOSECOND, SECOND
from siridb_fast.query.result_frames import arrow_table, pandas_frame

TraceFunction = Callable[[FrameType, str, Any], Any]

HUGE = 2**53 + 1
EMPTY = (np.empty(0, np.int64), np.empty(0))


def points(**series: tuple[list[int], list[Any]]) -> dict[str, Any]:
    texts = {True: object, False: None}
    return {
        name: (np.array(times), np.array(values, texts[isinstance(values[0], str)]))
        for name, (times, values) in series.items()
    }


MIXED = points(
    f=([1, 3, 3], [0.5, 1.5, 2.5]),
    i=([1, 2, 3, 3], [HUGE, 2, 3, 4]),
    whole=([1, 2, 3, 3], [1, 2, 3, HUGE]),
    part=([3], [HUGE]),
    t=([3, 3], ["x", ""]),
)
ROWS = [1, 2, 3, 3]


def test_wide_frame_loses_and_rounds_nothing() -> None:
    frame = pandas_frame(MIXED, MICROSECOND)
    assert frame.index.name == "time"
    assert frame.index.dtype == "datetime64[us, UTC]"
    assert frame.index.astype("int64").tolist() == ROWS
    assert [str(dtype) for dtype in frame.dtypes] == [
        "float64", "int64", "int64", "Int64", str(pd.Series(["x"]).dtype),
    ]  # fmt: skip
    np.testing.assert_array_equal(frame["f"], [0.5, np.nan, 1.5, 2.5])
    assert frame["i"].tolist() == [HUGE, 2, 3, 4]
    assert frame["part"].isna().tolist() == [True, True, False, True]
    assert frame["part"].iloc[2] == HUGE
    assert frame["t"].isna().tolist() == [True, True, False, False]
    assert frame["t"].tolist()[2:] == ["x", ""]
    assert frame.columns.dtype == pd.Index(["x"]).dtype


def test_frame_equals_the_one_that_pandas_makes() -> None:
    index = pd.DatetimeIndex(np.array([1, 2], "M8[ns]"), tz="UTC", name="time")
    made = pd.DataFrame({"z": ["x", "y"], "a": [0.5, 1.5], "i": [1, 2]}, index=index)
    given = points(z=([1, 2], ["x", "y"]), a=([1, 2], [0.5, 1.5]), i=([1, 2], [1, 2]))
    found = pandas_frame(given, NANOSECOND)
    pd.testing.assert_frame_equal(found, made)


def test_wide_table_has_nulls_in_its_gaps() -> None:
    table = arrow_table(MIXED, MICROSECOND)
    assert table.schema.field("time").type == pa.timestamp("us", "UTC")
    assert table["time"].cast(pa.int64()).to_pylist() == ROWS
    assert table.drop(["time"]).to_pydict() == {
        "f": [0.5, None, 1.5, 2.5], "i": [HUGE, 2, 3, 4], "whole": [1, 2, 3, HUGE],
        "part": [None, None, HUGE, None], "t": [None, None, "x", ""],
    }  # fmt: skip
    assert table.schema.types[1:] == [pa.float64(), *[pa.int64()] * 3, pa.string()]


def test_nan_is_a_value_of_a_table() -> None:
    column = arrow_table(points(a=([1], [np.nan]), b=([1, 2], [1, 2])), SECOND)["a"]
    assert [value.is_valid for value in column] == [True, False]


@pytest.mark.parametrize("precision", range(4))
def test_empty_answers_have_their_dtypes(precision: int) -> None:
    unit = ("s", "ms", "us", "ns")[precision]
    for given in ({}, {"a": EMPTY}):
        wide, long = (pandas_frame(given, precision, form) for form in ("wide", "long"))
        assert (len(wide), list(wide)) == (0, list(given))
        assert wide.index.dtype == f"datetime64[{unit}, UTC]"
        assert list(map(str, long.dtypes)) == ["category", f"datetime64[{unit}, UTC]", "float64"]
        assert len(long) == 0
        for form, names in (("wide", ["time", *given]), ("long", ["series", "time", "value"])):
            table = arrow_table(given, precision, form)  # type: ignore[arg-type]
            assert (table.num_rows, table.column_names) == (0, names)
            assert table.schema.field("time").type == pa.timestamp(unit, "UTC")


def test_long_forms_have_a_row_for_each_point() -> None:
    given = points(b=([1, 2], [1, 2]), a=([2, 2], [3, 4])) | {"none": EMPTY}
    frame, table = (make(given, NANOSECOND, "long") for make in (pandas_frame, arrow_table))
    assert table.schema.field("series").type == pa.dictionary(pa.int32(), pa.string())
    assert frame["series"].tolist() == table["series"].to_pylist() == ["b", "b", "a", "a"]
    assert list(frame["series"].cat.categories) == ["b", "a", "none"]
    assert frame["time"].astype("int64").tolist() == [1, 2, 2, 2]
    assert frame["value"].tolist() == table["value"].to_pylist() == [1, 2, 3, 4]
    assert (frame["value"].dtype, table.schema.types[2]) == (np.int64, pa.int64())
    texts = pandas_frame(points(a=([1], ["x"])), SECOND, "long")["value"]
    assert (texts.dtype, texts.tolist()) == (pd.Series(["x"]).dtype, ["x"])


@pytest.mark.parametrize("make", [pandas_frame, arrow_table])
def test_values_of_several_types_have_a_column_for_each(make: Any) -> None:
    both = make(points(i=([1], [HUGE]), f=([1], [0.5])), SECOND, "long")
    assert column(both, "value_integer") == [HUGE, None]
    assert column(both, "value_float") == [None, 0.5]
    three = points(i=([1], [1]), t=([1], ["x"]), j=([2], [2]), f=([1], [2.0]))
    found = make(three, SECOND, "long")
    names = [*("series", "time", "value_float", "value_integer", "value_text")]
    assert list(found.columns if make is pandas_frame else found.column_names) == names
    assert column(found, "value_float") == [None, None, None, 2.0]
    assert column(found, "value_integer") == [1, None, 2, None]
    assert column(found, "value_text") == [None, "x", None, None]


def column(found: Any, name: str) -> list[Any]:
    if isinstance(found, pd.DataFrame):
        return [None if pd.isna(value) else value for value in found[name].tolist()]
    values: list[Any] = found[name].to_pylist()
    return values


def test_series_called_time_has_a_column_of_its_own() -> None:
    given = points(time=([1], [5]), time_=([1], [6]))
    table = arrow_table(given, SECOND)
    assert table.column_names == ["time", "time__", "time_"]
    assert table["time__"].to_pylist() == [5]
    assert table.schema.field("time__").metadata == {b"series": b"time"}
    assert pandas_frame(given, SECOND)["time"].tolist() == [5]


def test_times_of_every_size_are_taken() -> None:
    for precision, last in ((SECOND, 2**32 - 1), (NANOSECOND, 2**63 - 1)):
        given = points(a=([0, last], [1, 2]))
        assert pandas_frame(given, precision).index.astype("int64").tolist() == [0, last]
        assert arrow_table(given, precision)["time"].cast(pa.int64()).to_pylist() == [0, last]


def test_points_out_of_order_are_sorted() -> None:
    frame = pandas_frame(points(a=([3, 1, 3], [1, 2, 3])), SECOND)
    assert frame["a"].tolist() == [2, 1, 3]


@contextmanager
def lines_of(package: str) -> Iterator[list[int]]:
    """Note the line of every step that Python takes in a package."""
    lines: list[int] = []

    def step(frame: FrameType, event: str, _: object) -> TraceFunction | None:
        if not frame.f_globals.get("__name__", "").startswith(package):
            return None
        lines.append(frame.f_lineno)
        return step

    before = sys.gettrace()
    sys.settrace(step)
    try:
        yield lines
    finally:
        sys.settrace(before)


@pytest.mark.parametrize(("series", "length"), [(1_000, 1_000), (1, 1_000_000)])
@pytest.mark.parametrize("is_shared", [True, False])
def test_a_million_points_take_no_python_each(series: int, length: int, is_shared: bool) -> None:
    times = np.arange(length) * 1000
    given = {
        f"s{i}": (times + (0 if is_shared else i % 7), np.arange(length) / 3)
        for i in range(series)
    }
    for make in (pandas_frame, arrow_table):
        with lines_of("siridb_fast") as lines:
            table = make(given, NANOSECOND)
        assert len(table) == length * (1 if is_shared or series == 1 else 7)
        assert 0 < len(lines) < 200 * series + 1000


@pytest.mark.parametrize(("module", "extra"), [("pandas", "pandas"), ("pyarrow", "arrow")])
def test_missing_extra_is_named(module: str, extra: str) -> None:
    program = (
        f"import sys; sys.modules[{module!r}] = None\n"
        f"from siridb_fast.query.result_frames import require_{module}\nrequire_{module}()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert f"pip install siridb_fast[{extra}]" in done.stderr
