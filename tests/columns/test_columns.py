"""Columns of arrays into packages: every dtype, every shape, every refusal."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siridb_fast import (
    MICROSECOND,
    MILLISECOND,
    NANOSECOND,
    SECOND,
    ColumnError,
    decode_points,
    encode_insert,
    unpackb,
)
from tests.fix_examples import examples
from tests.protocol import reference_qpack

NOW = 1_700_000_000_000_000_000
LENGTHS = (1, 5, 511, 512, 513, 1024, 1025, 4095, 4096, 4097)
INTEGERS = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
FLOATS = ("f2", "f4", "f8")
rng = np.random.default_rng(20_26)


def points_of(timestamps: Any, values: Any, **options: Any) -> list[list[Any]]:
    """What another decoder reads of the package."""
    raw = bytes(encode_insert({"s": (timestamps, values)}, **options))
    read: list[list[Any]] = unpackb(raw, "utf-8").get("s", [])
    arrays = decode_points(raw).get("s")
    if arrays is not None:
        assert arrays[0].tolist() == [point[0] for point in read]
        assert repr(arrays[1].tolist()) == repr([point[1] for point in read])
    return read


def integers(code: str, n: int) -> np.ndarray[Any, Any]:
    """Integers of all magnitudes, both ends of the range that qpack has among them."""
    info = np.iinfo(code)
    low, high = info.min, min(info.max, 2**63 - 1)
    wide = rng.integers(low, high, n, endpoint=True) >> rng.integers(0, 64, n)
    wide[: min(n, 2)] = (low, high)[: min(n, 2)]
    return wide.astype(code)


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("code", INTEGERS)
def test_integers_of_any_width_arrive(code: str, n: int) -> None:
    timestamps, values = np.arange(n) + NOW, integers(code, n)
    assert points_of(timestamps, values) == [
        [t, v] for t, v in zip(timestamps.tolist(), values.tolist(), strict=True)
    ]


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("code", FLOATS)
def test_floats_of_any_width_arrive(code: str, n: int) -> None:
    values = rng.normal(size=n).astype(code)
    values[: min(n, 5)] = [np.inf, -np.inf, np.finfo(code).tiny, np.finfo(code).max, -1][
        : min(n, 5)
    ]
    assert [v for _, v in points_of(np.arange(n), values)] == values.tolist()


def test_every_half_float_arrives() -> None:
    values = np.arange(65536, dtype="u2").view("f2")
    got = [v for _, v in points_of(np.arange(65536), values)]
    assert np.array_equal(np.array(got), values.astype("f8"), equal_nan=True)


@pytest.mark.parametrize("code", [c for c in INTEGERS if c != "i1"])
def test_timestamps_of_any_integer_width_arrive(code: str) -> None:
    high = min(np.iinfo(code).max, 2**63 - 1)
    timestamps = np.sort(np.concatenate([rng.integers(0, high, 998), [0, high]])).astype(code)
    assert [t for t, _ in points_of(timestamps, np.zeros(1000))] == timestamps.tolist()


def dressed(array: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """The same items in other memory layouts."""
    gaps = np.zeros(len(array) * 3, array.dtype)
    gaps[::3] = array
    record = np.zeros(len(array), [("pad", "u1"), ("item", array.dtype)])
    record["item"] = array
    frozen = array.copy()
    frozen.flags.writeable = False
    return {
        "swapped": array.astype(array.dtype.newbyteorder("S")),
        "strided": gaps[::3],
        "backwards": array[::-1].copy()[::-1],
        "unaligned": record["item"],
        "frozen": frozen,
    }


@pytest.mark.parametrize("layout", ["swapped", "strided", "backwards", "unaligned", "frozen"])
@pytest.mark.parametrize("code", [*INTEGERS, *FLOATS, "M8[us]", "b1"])
def test_any_memory_layout_is_read_in_place(code: str, layout: str) -> None:
    n = 1500
    if code == "M8[us]":
        array = np.arange(n).astype(code)
        given_ = dressed(array)[layout]
        before = given_.copy()
        read = points_of(given_, np.arange(n), time_precision=NANOSECOND)
        assert [t for t, _ in read] == [t * 1000 for t in range(n)]
    else:
        array = (rng.integers(0, 2, n) if code == "b1" else rng.integers(0, 99, n)).astype(code)
        given_ = dressed(array)[layout]
        before = given_.copy()
        assert [v for _, v in points_of(np.arange(n), given_)] == array.tolist()
    assert np.array_equal(given_, before)


def test_one_value_can_stand_for_all() -> None:
    values = np.broadcast_to(np.float64(2.5), 700)
    assert points_of(np.arange(700), values) == [[t, 2.5] for t in range(700)]


def test_bool_goes_as_0_and_1() -> None:
    read = points_of(np.arange(3), np.array([True, False, True]))
    assert read == [[0, 1], [1, 0], [2, 1]]
    assert all(type(value) is int for _, value in read)


@pytest.mark.parametrize(
    ("timestamps", "values", "expected"),
    [
        ([NOW], [2.5], "fd8173fcefeb00002a36fe9c9717ec0000000000000440feff"),
        ([5], [2.5], "fd8173fcefea05000000ec0000000000000440feff"),
        ([2**31 - 1], [7], "fd8173fcefeaffffff7f07feff"),
        ([2**31], [-60], "fd8173fcefeb00000080000000007bfeff"),
        ([5], [-61], "fd8173fcefea05000000e8c3feff"),
        ([5], [1.0], "fd8173fcefea050000007ffeff"),
        ([5], ["ab"], "fd8173fcefeb0500000000000000826162feff"),
        ([], [], "fdff"),
    ],
)
def test_bytes_of_a_package(timestamps: list[int], values: list[Any], expected: str) -> None:
    pair = (np.array(timestamps, dtype=np.int64), np.array(values))
    assert bytes(encode_insert({"s": pair})).hex() == expected


@given(
    st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-70, 70), min_size=1, max_size=1100),
    st.sampled_from([0, 2**31 - 5, 2**40]),
)
@settings(max_examples=examples(60))
def test_integers_are_never_longer_than_the_widest_of_their_block(
    values: list[int], start: int
) -> None:
    n = len(values)
    raw = bytes(encode_insert({"s": (np.arange(n) + start, np.array(values, dtype=np.int64))}))
    assert unpackb(raw, "utf-8")["s"] == [[start + i, v] for i, v in enumerate(values)]
    blocks = [values[i : i + 512] for i in range(0, n, 512)]
    widest = sum(
        len(block) * max(len(reference_qpack.pack_int(v)) for v in block) for block in blocks
    )
    assert len(raw) <= n * 11 - n + widest + 8


@pytest.mark.parametrize(
    ("values", "most"),
    [
        (np.zeros(5000), 11.1),
        (rng.integers(0, 2, 5000).astype(float), 11.1),
        (rng.integers(0, 60, 5000), 11.1),
        (rng.integers(-100, 100, 5000), 12.1),
        (rng.normal(size=5000), 19.1),
        (np.where(np.arange(5000) % 100 == 0, 2**40, 5), 11.6),
    ],
)
def test_packages_are_small(values: np.ndarray[Any, Any], most: float) -> None:
    raw = encode_insert({"s": (np.arange(5000) + NOW, values)})
    assert len(raw) / 5000 <= most


# ---- order


@pytest.mark.parametrize("n", [3, 600, 5000])
@pytest.mark.parametrize("kind", ["float", "text", "swapped"])
def test_points_out_of_order_are_sorted_and_equal_ones_stay(n: int, kind: str) -> None:
    timestamps = rng.integers(0, n // 2 + 1, n)
    values: Any = np.arange(n, dtype=float)
    if kind == "text":
        values = np.array([str(i) for i in range(n)])
    if kind == "swapped":
        values, timestamps = values.astype(">f8"), timestamps.astype(">i8")
    order = np.argsort(timestamps, kind="stable")
    expected = list(zip(timestamps[order].tolist(), values[order].tolist(), strict=True))
    assert [tuple(point) for point in points_of(timestamps, values)] == expected


def test_dropped_points_do_not_disturb_the_order() -> None:
    values = np.where(np.arange(2000) % 3 == 0, np.nan, np.arange(2000.0))
    timestamps = np.arange(2000)[::-1]
    read = points_of(timestamps, values, on_missing="drop")
    kept = [i for i in range(2000) if i % 3]
    assert read == [[1999 - i, float(i)] for i in reversed(kept)]


# ---- time


UNITS = ["W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "25s", "1500us", "Y", "M"]


@pytest.mark.parametrize("precision", [SECOND, MILLISECOND, MICROSECOND, NANOSECOND])
@pytest.mark.parametrize("unit", UNITS)
def test_datetimes_are_converted_exactly(unit: str, precision: int) -> None:
    target = ("s", "ms", "us", "ns")[precision]
    # whole seconds in units that are finer, so that every precision can hold them
    finer = {"ms": 10**3, "us": 10**6, "ns": 10**9, "ps": 10**12, "fs": 10**15, "1500us": 2000}
    steps = np.array([0, 1, 2, 7]) * finer.get(unit, 1)
    times = steps.astype(f"M8[{unit}]")
    expected = times.astype(f"M8[{target}]").astype(np.int64).tolist()
    assert [t for t, _ in points_of(times, np.arange(4), time_precision=precision)] == expected


def test_a_datetime_finer_than_the_precision_is_refused_or_cut() -> None:
    times = np.array(["2026-01-01T00:00:00.000", "2026-01-01T00:00:01.999"], "M8[ms]")
    with pytest.raises(ColumnError, match="finer") as caught:
        points_of(times, np.arange(2), time_precision=SECOND)
    assert (caught.value.series, caught.value.index) == ("s", 1)
    floored = points_of(times, np.arange(2), time_precision=SECOND, on_precision_loss="floor")
    assert [t for t, _ in floored] == [1767225600, 1767225601]


@pytest.mark.parametrize(
    ("times", "precision"),
    [
        (np.array([-1], "M8[s]"), NANOSECOND),
        (np.array([-1], "M8[ns]"), SECOND),
        (np.array([2**40], "M8[s]"), NANOSECOND),
        (np.array([2**32], "M8[s]"), SECOND),
        (np.array([2**32], "i8"), SECOND),
        (np.array([-1], "i8"), MILLISECOND),
        (np.array([2**63], "u8"), NANOSECOND),
        (np.array([2**63], "u8"), None),
    ],
)
def test_timestamps_out_of_range_are_refused(times: Any, precision: int | None) -> None:
    ahead = np.zeros(600, times.dtype)
    with pytest.raises(ColumnError, match="not in 0") as caught:
        points_of(
            np.concatenate([ahead, times]),
            np.zeros(601),
            time_precision=precision,
            on_precision_loss="floor",
        )
    assert caught.value.index == 600
    assert str(times[0]) in str(caught.value)


def test_the_last_second_of_the_range_is_taken() -> None:
    assert points_of(np.array([2**32 - 1]), np.ones(1), time_precision=SECOND) == [
        [2**32 - 1, 1.0]
    ]


def test_datetimes_need_to_know_the_precision() -> None:
    with pytest.raises(ColumnError, match="time_precision"):
        points_of(np.array([1], "M8[s]"), np.ones(1))


# ---- what is missing


@pytest.mark.parametrize("code", FLOATS)
def test_nan_is_kept_dropped_or_refused(code: str) -> None:
    values = np.arange(1300.0).astype(code)
    values[[0, 700, 1299]] = np.nan
    kept = points_of(np.arange(1300), values)
    assert len(kept) == 1300
    assert str(kept[700][1]) == "nan"
    dropped = points_of(np.arange(1300), values, on_missing="drop")
    assert [t for t, _ in dropped] == [t for t in range(1300) if t not in (0, 700, 1299)]
    with pytest.raises(ColumnError, match="NaN") as caught:
        points_of(np.arange(1300), values, on_missing="error")
    assert caught.value.index == 0


@pytest.mark.parametrize("on_missing", ["keep", "error"])
def test_nat_has_no_place_unless_it_is_dropped(on_missing: str) -> None:
    times = np.array([1, "NaT", 3], "M8[ns]")
    with pytest.raises(ColumnError, match="NaT") as caught:
        points_of(times, np.arange(3), time_precision=NANOSECOND, on_missing=on_missing)
    assert caught.value.index == 1
    dropped = points_of(times, np.arange(3), time_precision=NANOSECOND, on_missing="drop")
    assert dropped == [[1, 0], [3, 2]]


def test_a_fault_behind_dropped_points_is_named_by_its_place_in_the_array() -> None:
    values = np.full(2000, np.nan)
    values[1500] = 1.0
    timestamps = np.arange(2000)
    timestamps[1500] = -5
    with pytest.raises(ColumnError, match="-5") as caught:
        points_of(timestamps, values, on_missing="drop")
    assert caught.value.index == 1500


def test_a_column_of_missing_values_adds_nothing() -> None:
    nothing = (np.arange(9), np.full(9, np.nan))
    raw = encode_insert({"a": nothing, "b": (np.arange(1), np.ones(1))}, on_missing="drop")
    assert list(unpackb(raw, "utf-8")) == ["b"]


# ---- texts


@pytest.mark.parametrize(
    "values",
    [
        np.array(["a", "", "ß€😀", "x" * 300]),
        np.array(["a", "", "ß€😀", "x" * 300], object),
        pd.Series(["a", "", "ß€😀", "x" * 300]),
    ],
    ids=["U", "object", "pandas"],
)
def test_texts_arrive(values: Any) -> None:
    read = points_of(np.arange(4), values)
    assert read == [[0, "a"], [1, ""], [2, "ß€😀"], [3, "x" * 300]]


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT], ids=repr)
def test_missing_texts_are_dropped_or_refused(missing: object) -> None:
    values = np.array(["a", missing, "c"], object)
    assert points_of(np.arange(3), values, on_missing="drop") == [[0, "a"], [2, "c"]]
    with pytest.raises(ColumnError, match="missing") as caught:
        points_of(np.arange(3), values)
    assert caught.value.index == 1
