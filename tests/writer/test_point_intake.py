"""What is given point by point or tick by tick: stored as given, or refused at the call, whole."""

import datetime as dt
import enum
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from siridb_fast import ColumnError
from siridb_fast.writer._ticker import Ticker
from tests.writer.point_intakes import (
    Call,
    by_tick,
    by_ticker,
    by_write,
    check_refused,
    intake,
    shown,
    stored,
    ways,
    with_earlier_points,
)

NAN = math.nan

BAD_VALUES = [
    (object(), "of type object"),
    ([1.5], "of type list"),
    (np.array([1.5]), "of type ndarray"),
    ((), "of type tuple"),
    ({}, "of type dict"),
    (1j, "of type complex"),
    (np.complex64(1), "of type complex"),
    (np.longdouble(1), "of type longdouble|of type float128"),
    (dt.datetime(2020, 1, 1), "of type datetime"),
    (np.datetime64(5, "ns"), "of type datetime64"),
    (np.timedelta64(5, "ns"), "of type timedelta64"),
    (None, "missing"),
    (pd.NA, "missing"),
    (pd.NaT, "missing"),
    (np.datetime64("NaT"), "missing"),
    (np.ma.masked, "missing"),
    (2**63, "no 64-bit integer"),
    (-(2**63) - 1, "no 64-bit integer"),
    (Decimal(2**53 + 1), "no float is equal to"),
    (10**5000, "no 64-bit integer"),
    (np.uint64(2**63), "no 64-bit integer"),
    ("a\0b", "NUL"),
    (b"\0", "NUL"),
    ("text", "of type float, the value 'text' is not"),
    (2**53 + 1, "of type float, the value 9007199254740993 is not"),
]


@ways
@pytest.mark.parametrize(("value", "reason"), BAD_VALUES, ids=shown)
def test_a_bad_value_is_refused(way: Call, value: Any, reason: str) -> None:
    taker = with_earlier_points()
    index = 0 if way in (by_tick, by_ticker) else None
    check_refused(taker, lambda: way(taker, 5, value), reason, "s", index)


GOOD_VALUES = [
    (1.5, 1.5),
    (np.float32(1.5), 1.5),
    (np.float16(0.25), 0.25),
    (np.array(1.5), 1.5),
    (-0.0, -0.0),
    (math.inf, math.inf),
    (0, 0),
    (-(2**63), -(2**63)),
    (2**63 - 1, 2**63 - 1),
    (True, 1),
    (np.bool_(False), 0),
    (np.uint64(5), 5),
    (np.array(5, object), 5),
    ("", b""),
    ("häns", "häns".encode()),
    ("\ud800", b"\xed\xa0\x80"),
    (b"\xff", b"\xff"),
    (np.str_("x"), b"x"),
]


@ways
@pytest.mark.parametrize(("value", "expected"), GOOD_VALUES, ids=repr)
def test_a_good_value_is_stored_as_it_was_given(way: Call, value: Any, expected: Any) -> None:
    taker = intake()
    for timestamp in (5, 6, 7):
        way(taker, timestamp, value)
    assert repr(stored(taker, "s")) == repr([(t, expected) for t in (5, 6, 7)])


@ways
@pytest.mark.parametrize("value", [NAN, np.float32(NAN), None, pd.NA, pd.NaT, np.ma.masked])
def test_a_missing_value_is_left_out_on_request(way: Call, value: Any) -> None:
    taker = intake(on_missing="drop")
    way(taker, 5, value)
    others = 1 if way in (by_tick, by_ticker) else 0
    assert (stored(taker, "s"), taker._coalescer.points) == ([], others)
    assert (taker._coalescer.run_bytes > 0) == (others > 0)


@ways
@pytest.mark.parametrize("value", [NAN, np.float32(NAN), None, pd.NA])
def test_a_missing_value_is_refused_on_request(way: Call, value: Any) -> None:
    taker = with_earlier_points(on_missing="error")
    index = 0 if way in (by_tick, by_ticker) else None
    check_refused(taker, lambda: way(taker, 5, value), "the value is missing", "s", index)


BAD_NAMES = [
    ("", "1 to 65,534 bytes, got 0", ""),
    ("x" * 65_535, "got 65,535", "x" * 65_535),
    ("ü" * 32_768, "got 65,536", "ü" * 32_768),
    ("a\0b", "NUL", "a\0b"),
    ("\ud800", "not valid text", "\ud800"),
    (5, "a series' name is a str, got 5 of type int", None),
    (None, "got None", None),
    (b"s", "of type bytes", None),
]


@pytest.mark.parametrize(("name", "reason", "series"), BAD_NAMES, ids=shown)
def test_a_bad_name_is_refused(name: Any, reason: str, series: str | None) -> None:
    taker = with_earlier_points()
    calls: list[Callable[[], Any]] = [
        lambda: taker.write(name, 5, 1.5),
        lambda: taker.series(name),
        lambda: taker.write_tick(5, {"s": 1.5, name: 2.5}),
        lambda: Ticker(taker, ["s", name]),
    ]
    for call in calls:
        check_refused(taker, call, reason, series, None)


class Named(str, enum.Enum):  # noqa: UP042 - StrEnum would be no test
    """A str whose str() is not its value."""

    S = "s"
    NEW = "new"


def test_a_subclass_of_str_names_the_series_of_its_value() -> None:
    taker = intake()
    taker.write(Named.NEW, 1, 0.5)
    taker.write(Named.S, 1, 0.5)
    taker.series(Named.S).append(2, 0.5)
    taker.write_tick(3, {Named.S: 0.5})
    Ticker(taker, [Named.S]).write(4, [0.5])
    assert [t for t, _ in stored(taker, "s")] == [1, 2, 3, 4]
    assert taker._coalescer.series_count == 2
    assert type(taker.series(Named.S).name) is str


CASTS = [
    ("s", 2**53 + 1, float(2**53)),
    ("s", "2.5", 2.5),
    ("s", True, 1.0),
    ("whole", 2.9, 2),
    ("whole", -2.9, -2),
    ("whole", "12", 12),
    ("text", 12, b"12"),
    ("text", 1e-7, b"1e-07"),
    ("text", True, b"1"),
]


@pytest.mark.parametrize(("name", "value", "expected"), CASTS)
def test_a_value_of_another_type_is_cast_on_request(name: str, value: Any, expected: Any) -> None:
    taker = with_earlier_points(casts=True)
    taker.write(name, 2, value)
    Ticker(taker, [name]).write(3, [value])
    assert stored(taker, name)[1:] == [(2, expected), (3, expected)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("whole", value) for value in (NAN, math.inf, 2.0**63, "x", "1" * 5000, b"\xff")],
        *[("s", value) for value in ("x", b"\xff")],
    ],
)
def test_what_cannot_be_cast_is_refused(name: str, value: Any) -> None:
    taker = with_earlier_points(casts=True)
    reason = "is no number|no 64-bit integer|is no text"
    check_refused(taker, lambda: taker.write(name, 2, value), reason, name, None)
    check_refused(taker, lambda: taker.write_tick(2, {"new": 1, name: value}), reason, name, 1)


@pytest.mark.parametrize("value", [2**53, -(2**53), 0, np.int8(-3), True])
def test_a_whole_number_is_a_float_too(value: Any) -> None:
    taker = with_earlier_points()
    by_write(taker, 2, value)
    assert stored(taker, "s")[1:] == [(2, float(value))]
    for other in (1.0, "x"):
        with pytest.raises(ColumnError, match="of type integer"):
            taker.write("whole", 2, other)


@pytest.mark.parametrize("values", [None, 5, [("s", 1.5)], "s", {"s"}, pd.Series({"s": 1.5})])
def test_a_tick_is_a_dict(values: Any) -> None:
    taker = with_earlier_points()
    check_refused(taker, lambda: taker.write_tick(5, values), "a tick is a dict", None, None)


def test_an_empty_tick_is_nothing() -> None:
    taker = intake()
    taker.write_tick(5, {})
    Ticker(taker, []).write(5, [])
    Ticker(taker, []).write(5, np.array([]))
    assert (taker._coalescer.accepted, taker._coalescer.run_bytes) == (0, 0)
