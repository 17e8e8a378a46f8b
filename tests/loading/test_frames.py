"""Frames of every library → points: the same ones, whatever the dtypes, units and time zones."""

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from siridb_fast import ColumnError
from tests.loading.frame_kinds import COLUMNS, LARGE, MAKERS, NO_ZONES, expected, read, table

SHAPES = {False: "{column}", True: "{host}.{column}"}
VALUES = list(COLUMNS)
TIMES = np.array(["2024-01-01", "2024-01-02", "2024-01-03"], "M8[ns]")
DAY = 86_400 * 10**9
FIRST = 1_704_067_200 * 10**9


@pytest.mark.parametrize("zone", [None, "Europe/Amsterdam", "Asia/Kolkata"])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("maker", MAKERS)
def test_frames_of_every_library_hold_the_same_points(
    maker: str, unit: str, zone: str | None
) -> None:
    if zone is not None and maker in NO_ZONES:
        pytest.skip("numpy knows no time zones")
    for precision in range(4):
        for is_long, series in SHAPES.items():
            data = MAKERS[maker](table(unit, zone))
            found = read(data, precision, series=series, time="when", values=VALUES)
            assert found == expected(precision, is_long=is_long), (precision, series)


@pytest.mark.parametrize("on_missing", ["keep", "error"])
@pytest.mark.parametrize("maker", MAKERS)
def test_what_is_missing_is_refused_on_request(maker: str, on_missing: Any) -> None:
    for series in SHAPES.values():
        data = MAKERS[maker](table())
        with pytest.raises(ColumnError, match="missing"):
            read(data, time="when", series=series, values=VALUES, on_missing=on_missing)


NUMBERS: list[tuple[str, list[Any]]] = [
    *((f"{sign}{bits}", [1, 2, 0]) for sign in ("int", "uint") for bits in (8, 16, 32, 64)),
    ("int64", [LARGE, -LARGE, 2**63 - 1]),
    ("uint64", [LARGE, 0, 2**63 - 1]),
    ("float16", [0.5, -1.0, np.inf]),
    ("float32", [0.5, -1.0, np.inf]),
    ("float64", [0.1, -1e300, np.inf]),
    ("bool", [True, False, True]),
]


ALL_THERE = ("plain", "big-endian", "strided", "reversed", "read-only")


def forms(dtype: str, values: list[Any]) -> dict[str, Any]:
    """Return a column of three numbers in every form; the second is missing where it can be."""
    array = np.array(values, dtype)
    mask = np.array([False, True, False])
    arrow = pa.array(array, mask=mask)
    nullable = {"int": "Int", "uint": "UInt", "float": "Float", "bool": "boolean"}
    kind = dtype.rstrip("0123456789")
    padded = np.zeros(6, dtype)
    padded[::2] = array
    frozen = array.copy()
    frozen.flags.writeable = False
    found = {
        "plain": array,
        "big-endian": array.astype(array.dtype.newbyteorder(">")),
        "strided": padded[::2],
        "reversed": array[::-1].copy()[::-1],
        "read-only": frozen,
        "masked": np.ma.MaskedArray(array, mask),
        "objects": np.array([values[0], None, values[2]], object),
        "arrow": arrow,
        "sliced": pa.concat_arrays([arrow[:1], arrow])[1:],
        "dictionary": None if dtype == "float16" else arrow.dictionary_encode(),
        "arrow-backed": pd.Series(arrow, dtype=pd.ArrowDtype(arrow.type)),
        "polars": pl.Series(arrow.cast(pa.float32()) if dtype == "float16" else arrow),
    }
    if dtype != "float16":
        name = nullable[kind] + dtype.removeprefix(kind)
        found["nullable"] = pd.array([values[0], None, values[2]], dtype=name)
    return {name: column for name, column in found.items() if column is not None}


@pytest.mark.parametrize(("dtype", "values"), NUMBERS, ids=[dtype for dtype, _ in NUMBERS])
def test_numbers_of_every_dtype_are_exact(dtype: str, values: list[Any]) -> None:
    times = [FIRST + i * DAY for i in range(3)]
    whole = list(zip(times, np.array(values, dtype).tolist(), strict=True))
    for form, column in forms(dtype, values).items():
        wanted = whole if form in ALL_THERE else [whole[0], whole[2]]
        found = read([("a", TIMES, column)])
        assert found == {"a": wanted}, form
        assert {type(value) for _, value in found["a"]} <= {int, float}
        for series in (None, "{h}.v"):
            data = {"t": TIMES, "h": np.array(["a"] * 3), "v": column}
            name = "v" if series is None else "a.v"
            assert read(data, time="t", series=series, values="v") == {name: wanted}, form


OBJECT_TIMES = [
    dt.datetime(2024, 1, 1),
    dt.datetime(2024, 1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))),
    dt.date(2024, 1, 1),
    pd.Timestamp("2024-01-01"),
    pd.Timestamp("2024-01-01", tz="UTC"),
    np.datetime64("2024-01-01"),
    FIRST,
]


def test_times_among_objects_may_be_of_many_types() -> None:
    objects = [*OBJECT_TIMES, None, pd.NaT, pd.NA, float("nan"), np.datetime64("NaT")]
    data = {"t": np.array(objects, object), "v": np.arange(len(objects))}
    assert read(data, time="t") == {"v": [(FIRST, i) for i in range(len(OBJECT_TIMES))]}


@pytest.mark.parametrize(
    ("times", "unit", "precision", "wanted"),
    [
        ([1, 2], None, 0, [1, 2]),
        ([1, 2], "s", 3, [10**9, 2 * 10**9]),
        ([1, 2], "ms", 2, [1000, 2000]),
        ([1000, 2000], "us", 1, [1, 2]),
        ([1.0, np.nan, 2.0], "s", 1, [1000, 2000]),
        (np.array([1, 2], ">u4"), "ms", 1, [1, 2]),
        (np.array([1, None], object), "us", 3, [1000]),
        (TIMES[:1].astype("M8[D]"), "ms", 0, [FIRST // 10**9]),
        (TIMES[:1].astype("M8[Y]"), None, 0, [FIRST // 10**9]),
        ([2**32 - 1], None, 0, [2**32 - 1]),
        ([2**63 - 1], "ns", 3, [2**63 - 1]),
    ],
)
def test_integer_times_are_of_the_unit_that_is_named(
    times: Any, unit: Any, precision: int, wanted: list[int]
) -> None:
    found = read({"t": times, "v": np.arange(len(times))}, precision, time="t", unit=unit)
    assert [timestamp for timestamp, _ in found["v"]] == wanted


@pytest.mark.parametrize(
    ("times", "unit", "precision", "index", "text"),
    [
        ([5, 2**32], None, 0, 1, "4294967296 is not in 0..4294967295"),
        ([5, -1], None, 3, 1, "-1 is not in 0"),
        ([1000, 1001], "us", 1, 1, "finer than the database's time precision"),
        ([None, 1000, 1001], "us", 1, 2, "finer"),
        ([1.0, 1.5], None, 3, 1, "fraction"),
        ([1.0, np.inf], None, 3, 1, "fraction, or too large"),
        (np.array([1, 2**63], np.uint64), None, 3, 1, "63 bits"),
        (np.array(["2024", "1600"], "M8[us]"), None, 3, 1, "1600-01-01"),
        (np.array(["2024", "2300"], "M8[us]"), None, 3, 1, "2300-01-01"),
        (np.array([1, 2**70], object), None, 3, 1, "too large"),
        (np.array([1, True], object), "ms", 3, 1, "True of type bool"),
        (np.array([1, np.timedelta64(1, "s")], object), "ms", 3, 1, "timedelta64"),
        (np.array([1, "x"], object), None, 3, 1, "'x' of type str"),
        ([True, False], None, 3, None, "got bool"),
        (["2024", "2025"], None, 3, 0, "looks like a year"),
    ],
)
def test_times_that_cannot_be_are_refused_with_their_row(
    times: Any, unit: Any, precision: int, index: int | None, text: str
) -> None:
    data = {"t": times, "v": np.arange(len(times)), "h": ["x"] * len(times)}
    for series in (None, "{h}"):
        with pytest.raises(ColumnError, match=f"column 't'.*{text}") as caught:
            read(data, precision, time="t", values="v", unit=unit, series=series)
        assert caught.value.index == index


def test_times_that_are_too_fine_are_cut_on_request() -> None:
    data = {"t": [1999, 2001], "v": [1, 2]}
    found = read(data, 1, time="t", unit="us", on_precision_loss="floor")
    assert found == {"v": [(1, 1), (2, 2)]}


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.array([1j, 2j, 3j]), "complex128"),
        (np.array([1, 2, 3], "m8[s]"), "timedelta64"),
        (TIMES, "datetime64"),
        (np.array([1, 2, 3], np.longdouble), "float128|longdouble"),
        (np.zeros((3, 2)), "one dimension"),
        ([1, "a", 2], "got 'a' of type str"),
        ([1.5, 2, 2**60 + 1], "not exact as one"),
        ([1, 2, 2**63], "no 64-bit integer"),
        (np.array([1, 2, 2**63], np.uint64), "over 9223372036854775807"),
        (np.array([1, 2, [3]], object), "of type list"),
        (["a", "b", "c\0d"], "NUL"),
        (pa.array([[1], [2], [3]]), "list<item: int64>"),
        (pa.array([{"a": 1}] * 3), "struct"),
        (pa.array([dt.time(1)] * 3), "timedelta64"),
        (pa.array([b"a"] * 3), "binary"),
        (pd.interval_range(0, 3), "Interval"),
        (pd.DataFrame({"a": [1, 2, 3], "b": 1}), "a frame of 2"),
    ],
)
def test_values_that_are_no_points_are_refused(values: Any, text: str) -> None:
    with pytest.raises(ColumnError, match=text):
        read([("a", TIMES, values)])
    with pytest.raises(ColumnError, match=text):
        read({"t": TIMES, "a": values}, time="t")


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([Decimal("1.5"), None, Decimal("NaN")], [1.5]),
        (pa.array([Decimal("1.50"), None, Decimal("2.25")]), [1.5, 2.25]),
        ([True, 2, None], [1, 2]),
        ([1, 2.5, None], [1.0, 2.5]),
        (np.array([b"a", b"b", b"c"]), ["a", "b", "c"]),
        (np.array(["a", "b", "c"], np.dtypes.StringDType()), ["a", "b", "c"]),
        (pd.Categorical(["a", None, "b"]), ["a", "b"]),
        (pd.arrays.SparseArray([1.0, np.nan, 2.0]), [1.0, 2.0]),
        (pa.nulls(3), None),
    ],
)
def test_less_usual_values_are_taken(values: Any, wanted: Any) -> None:
    found = read([("a", TIMES, values)])
    assert {name: [value for _, value in points] for name, points in found.items()} == (
        {} if wanted is None else {"a": wanted}
    )
