"""Ticks and blocks as arrays: stored as given whatever their memory, or refused as a whole."""

import datetime as dt
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from siridb_fast import BufferFullError, ColumnError
from siridb_fast.writer._ticker import Ticker
from tests.writer.point_intakes import check_refused, intake, shown, stored, with_earlier_points

NAN = math.nan
NAMES = ["s", "other"]
T = np.arange(3)
BLOCK = np.arange(6.0).reshape(3, 2)

ARRAYS: dict[str, Any] = {
    "float64": np.array([1.5, -2.5]),
    "float32": np.array([1.5, -2.5], np.float32),
    "float16": np.array([1.5, -2.5], np.float16),
    "int8": np.array([1, -2], np.int8),
    "uint64": np.array([1, 2**63 - 1], np.uint64),
    "bool": np.array([True, False]),
    "strided": np.arange(8.0)[1::4],
    "backwards": np.arange(2.0)[::-1],
    "broadcast": np.broadcast_to(np.float64(2.5), 2),
    "big-endian float": np.array([1.5, -2.5], ">f8"),
    "big-endian integer": np.array([1, -2], ">i2"),
    "unaligned": np.frombuffer(b"x" + np.array([1.5, -2.5]).tobytes(), np.float64, offset=1),
    "read-only": np.frombuffer(np.array([1.5, -2.5]).tobytes()),
    "field": np.array([(1, 1.5), (2, 2.5)], [("a", "i1"), ("b", "f8")])["b"],
    "object": np.array([1, 2], object),
    "str": np.array(["a", "bc"]),
    "pandas": pd.Series([1.5, 2.5], index=[7, 3]),
    "nullable": pd.array([1, 2**53 + 1], dtype="Int64"),
    "memoryview": memoryview(np.array([1.5, 2.5]).data),
    "list": [1.5, -2.5],
    "tuple": (1, 2),
    "mixed": [1, "x"],
    "view": {"a": 1.5, "b": 2.5}.values(),
}


@pytest.mark.parametrize("values", ARRAYS.values(), ids=ARRAYS)
def test_a_tick_of_any_array_is_stored_as_it_was_given(values: Any) -> None:
    taker = intake()
    ticker = Ticker(taker, NAMES)
    for timestamp in range(4):
        ticker.write(timestamp, values)
    items = values.tolist() if hasattr(values, "tolist") else list(values)
    for name, item in zip(NAMES, items, strict=True):
        expected = item.encode() if isinstance(item, str) else item
        assert stored(taker, name) == [(timestamp, expected) for timestamp in range(4)]


WIDE = np.arange(24.0).reshape(4, 6) - 7
BLOCKS: dict[str, Any] = {
    "float64": WIDE[:3, :2],
    "fortran": np.asfortranarray(WIDE[:3, :2]),
    "transposed": WIDE[:2, :3].T,
    "backwards": WIDE[::-1, ::-3][:3],
    "float32": WIDE[:3, :2].astype(np.float32),
    "big-endian": WIDE[:3, :2].astype(">f8"),
    "integer": WIDE[:3, :2].astype(np.int64),
    "int8": WIDE[:3, :2].astype(np.int8),
    "big-endian integer": WIDE[:3, 1:3].astype(">i4"),
    "bool": WIDE[:3, :2] > -4,
    "broadcast": np.broadcast_to(np.array([1, 2]), (3, 2)),
    "list": [[1.5, 2.5]] * 3,
    "frame": pd.DataFrame({"a": [1.5] * 3, "b": [2.5] * 3}),
}


@pytest.mark.parametrize("values", BLOCKS.values(), ids=BLOCKS)
def test_a_block_of_any_array_is_stored_as_it_was_given(values: Any) -> None:
    taker = intake()
    ticker = Ticker(taker, NAMES)
    ticker.write_block(T, values)
    ticker.write_block(T[::-1].astype(np.uint8), values)
    for k, name in enumerate(NAMES):
        column = np.asarray(values)[:, k].tolist()
        expected = list(zip([0, 1, 2, 2, 1, 0], column + column, strict=True))
        assert stored(taker, name) == expected


@pytest.mark.parametrize("values", [WIDE[:0, :2], np.zeros((0, 2), np.int8), np.zeros((0, 2))])
def test_a_block_without_rows_is_nothing(values: Any) -> None:
    taker = intake()
    Ticker(taker, NAMES).write_block(T[:0], values)
    assert (taker._coalescer.accepted, taker._coalescer.run_bytes) == (0, 0)


BAD_TICKS: list[tuple[Any, str, str | None, int | None]] = [
    ([1.5], "1 values for a ticker of 2 series", None, None),
    (np.ones(3), "shape", None, None),
    (np.ones((1, 2)), r"1 dimensions, got shape \(1, 2\)", None, None),
    (np.array(1.5), r"got shape \(\)", None, None),
    (np.ones(2, np.complex128), "complex128", None, None),
    (np.ones(2, np.longdouble), "float128|longdouble", None, None),
    (np.ones(2, "M8[s]"), "datetime64", None, None),
    (np.ones(2, "m8[s]"), "timedelta64", None, None),
    (np.zeros(2, [("a", "f8")]), "got", None, None),
    (np.array([1, 2**63], np.uint64), "no 64-bit integer", "other", 1),
    (np.ma.array([1.5, 2.5], mask=[False, True]), "masked", "other", 1),
    (np.array([1.5, None], object), "missing", "other", 1),
    (np.array([1.5, Ellipsis], object), "of type ellipsis", "other", 1),
    (np.array(["a", "b"]), "of type float, the value 'a' is not", "s", 0),
    (np.array([1, 2**53 + 1]), "of type float, the value", "other", 1),
    (pd.array([1, None], dtype="Int64"), "missing, among integers", "other", 1),
    ({"s": 1.5, "other": 2.5}, "got dict", None, None),
    ({1.5, 2.5}, "got set", None, None),
    ("ab", "got str", None, None),
    (b"ab", "got bytes", None, None),
    (5, "got int", None, None),
    (None, "got NoneType", None, None),
]


@pytest.mark.parametrize(("values", "reason", "series", "index"), BAD_TICKS, ids=shown)
def test_a_bad_tick_is_refused_as_a_whole(
    values: Any, reason: str, series: str | None, index: int | None
) -> None:
    taker = with_earlier_points()
    ticker = Ticker(taker, NAMES)
    check_refused(taker, lambda: ticker.write(5, values), reason, series, index)


BAD_BLOCKS: list[tuple[Any, Any, str, str | None, int | None]] = [
    (T, np.ones(3), r"2 dimensions, got shape \(3,\)", None, None),
    (T, np.ones((3, 3)), r"shape \(3, 3\), the ticker has 2 series", None, None),
    (T[:2], BLOCK, "2 timestamps but 3 rows", None, None),
    (5, BLOCK, "one dimension", "s", None),
    (None, BLOCK, "one dimension", "s", None),
    (T.reshape(3, 1), BLOCK, "one dimension", "s", None),
    (T * 1.0, BLOCK, "integers or datetime64, got float64", "s", None),
    (T > 0, BLOCK, "got bool", "s", None),
    ([dt.datetime(2020, 1, 1)] * 3, BLOCK, "holding datetime", "s", None),
    (T - 1, BLOCK, "timestamp -1", "s", 0),
    (T.astype(np.uint64) + 2**63 - 2, BLOCK, "timestamp 9223372036854775808", "s", 2),
    (np.array([1, "NaT", 3], "M8[s]"), BLOCK, "missing", "s", 1),
    (T, BLOCK.astype(complex), "complex128", None, None),
    (T, BLOCK.astype(np.longdouble), "float128|longdouble", None, None),
    (T, BLOCK.astype(str), "got <U", None, None),
    (T, BLOCK.astype(object), "got object", None, None),
    (T, [[1, 2], [3], [4, 5]], "cannot be read as an array", None, None),
    (T, np.array([[1, 2], [3, 2**63], [5, 6]], np.uint64), "no 64-bit", "other", 1),
    (T, np.array([[1, 2], [3, 4], [2**53 + 1, 6]]), "of type float", "s", None),
    (T, np.ma.array(BLOCK, mask=BLOCK == 4.0), "masked", "s", 2),
]


@pytest.mark.parametrize(("times", "values", "reason", "series", "index"), BAD_BLOCKS, ids=shown)
def test_a_bad_block_is_refused_as_a_whole(
    times: Any, values: Any, reason: str, series: str | None, index: int | None
) -> None:
    taker = with_earlier_points()
    ticker = Ticker(taker, NAMES)
    check_refused(taker, lambda: ticker.write_block(times, values), reason, series, index)


@pytest.mark.parametrize("name", ["whole", "text"])
def test_floats_are_refused_by_series_of_another_type(name: str) -> None:
    taker = with_earlier_points()
    ticker = Ticker(taker, ["s", name, "new"])
    row = np.array([1.5, 2.5, 3.5])
    check_refused(taker, lambda: ticker.write(5, row), "the series is of type", name, 1)
    check_refused(
        taker, lambda: ticker.write_block(T, np.tile(row, (3, 1))), "is of type", name, None
    )
    assert taker._coalescer.type_of(taker._coalescer.series("new")) is None


def test_each_series_gets_a_block_in_its_own_type() -> None:
    taker = with_earlier_points(casts=True, on_missing="drop")
    ticker = Ticker(taker, ["s", "whole", "new"])
    ticker.write_block(T, np.array([[1.5, 2.5, NAN], [NAN, NAN, NAN], [3.5, -4.5, NAN]]))
    assert stored(taker, "s")[1:] == [(0, 1.5), (2, 3.5)]
    assert stored(taker, "whole")[1:] == [(0, 2), (2, -4)]
    assert stored(taker, "new") == []
    ticker.write_block(T[:1], np.array([[1, 2, 3]]))
    assert stored(taker, "s")[-1:] == [(0, 1.0)]
    assert stored(taker, "new") == [(0, 3)]


@pytest.mark.parametrize("on_missing", ["keep", "drop", "error"])
def test_nan_in_arrays_is_kept_left_out_or_refused(on_missing: str) -> None:
    taker = with_earlier_points(on_missing=on_missing)
    ticker = Ticker(taker, NAMES)
    row, block = np.array([1.5, NAN]), np.array([[1.5, 2.5], [3.5, NAN]])
    if on_missing == "error":
        check_refused(taker, lambda: ticker.write(5, row), "missing", "other", 1)
        check_refused(taker, lambda: ticker.write_block(T[:2], block), "missing", "other", 1)
        return
    ticker.write(5, row)
    ticker.write_block(T[:2], block)
    expected = [(5, NAN), (0, 2.5), (1, NAN)] if on_missing == "keep" else [(0, 2.5)]
    assert repr(stored(taker, "other")[1:]) == repr(expected)
    assert stored(taker, "s")[1:] == [(5, 1.5), (0, 1.5), (1, 3.5)]


def test_points_that_are_left_out_take_no_memory() -> None:
    taker = intake(on_missing="drop")
    ticker = Ticker(taker, [f"s{i}" for i in range(9)])
    for n in (5, 10, 20):
        ticker.write(1, np.full(9, NAN))
        ticker.write(1, [None] * 9)
        ticker.write_block(np.arange(n), np.full((n, 9), NAN))
    assert (taker._coalescer.accepted, taker._coalescer.run_bytes) == (0, 0)


@pytest.mark.parametrize("names", [["a", "b", "a"], ["a", np.str_("a")]])
def test_a_ticker_has_every_series_once(names: list[str]) -> None:
    with pytest.raises(ColumnError, match="every series once") as caught:
        Ticker(intake(), names)
    assert caught.value.series == "a"


def test_names_of_a_ticker_come_from_any_iterable_but_one_str() -> None:
    taker = intake()
    assert Ticker(taker, (f"s{i}" for i in range(3))).names == ("s0", "s1", "s2")
    assert len(Ticker(taker, [])) == 0
    with pytest.raises(ColumnError, match="list of str"):
        Ticker(taker, "abc")


def test_what_never_fits_is_refused_as_a_whole() -> None:
    taker = intake(max_buffered=2000)
    calls: list[Callable[[], None]] = [
        lambda: taker.write("text", 1, "x" * 2001),
        lambda: Ticker(taker, ["a", "b"]).write(1, ["x" * 1000, "y" * 1000]),
        lambda: Ticker(taker, ["a"]).write_block(np.arange(200), np.ones((200, 1))),
        lambda: taker.write_tick(1, {f"s{i}": 1.5 for i in range(100)}),
    ]
    for call in calls:
        with pytest.raises(BufferFullError, match="max_buffered is 2,000"):
            call()
        assert (taker._coalescer.accepted, taker._coalescer.run_bytes) == (0, 0)


class Meddling(dt.tzinfo):
    """A time zone that writes a point of its own whenever it is asked."""

    def __init__(self, write: Callable[[], None]) -> None:
        self.write = write

    def utcoffset(self, _: dt.datetime | None) -> dt.timedelta:
        self.write()
        return dt.timedelta(0)

    def dst(self, _: dt.datetime | None) -> None:
        return None

    def tzname(self, _: dt.datetime | None) -> str:
        return "meddling"


def test_a_point_that_comes_in_between_does_not_take_the_place_of_a_tick() -> None:
    taker = intake()
    ticker = Ticker(taker, NAMES)

    def meddle() -> None:
        for name in NAMES * 3:
            taker.write(name, 1, 0.5)

    timestamp = dt.datetime(1970, 1, 1, tzinfo=Meddling(meddle))
    for _ in range(50):
        ticker.write(timestamp, np.array([1.5, 2.5]))
    for name, value in zip(NAMES, (1.5, 2.5), strict=True):
        values = [item for _, item in stored(taker, name)]
        assert values[:4] == [0.5, 0.5, 0.5, value]
        assert values.count(value) == 50
        assert len(values) == taker._coalescer.points // 2
