"""Timestamps of single points and ticks: in the unit of the database, or refused at the call."""

import datetime as dt
import enum
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from siridb_fast.columns.time_units import SECOND
from tests.writer.point_intakes import (
    Call,
    check_refused,
    intake,
    shown,
    stored,
    ways,
    with_earlier_points,
)


class Whole(enum.IntEnum):
    ONE = 1


BAD_TIMESTAMPS = [
    (True, "of type bool"),
    (1.0, "of type float"),
    (np.float64(1), "of type float64"),
    ("1", "of type str"),
    (b"1", "of type bytes"),
    (None, "of type NoneType"),
    (Decimal(1), "of type Decimal"),
    (dt.date(2020, 1, 1), "of type date"),
    (np.bool_(True), "of type bool"),
    (-1, r"timestamp -1 is not in 0\.\.9223372036854775807"),
    (np.int8(-1), "timestamp -1 is not in"),
    (2**63, "timestamp 9223372036854775808 is not in"),
    (np.uint64(2**63), "timestamp 9223372036854775808 is not in"),
    (-(2**63) - 1, "is not in"),
    (10**5000, "is not in"),
    (np.datetime64("1969-12-31"), "is not in"),
    (np.datetime64("3000-01-01"), "is not in"),
    (np.datetime64(1001, "ps"), "finer than"),
    (np.datetime64("NaT"), "missing"),
    (np.datetime64("NaT", "s"), "missing"),
    (pd.NaT, "missing"),
    (np.timedelta64(5, "s"), "of type timedelta64"),
    (dt.datetime(1960, 1, 1), "is not in"),
    (dt.datetime.max.replace(tzinfo=dt.timezone(-dt.timedelta(hours=5))), "is not in"),
]


@ways
@pytest.mark.parametrize(("timestamp", "reason"), BAD_TIMESTAMPS, ids=shown)
def test_a_bad_timestamp_is_refused(way: Call, timestamp: Any, reason: str) -> None:
    taker = with_earlier_points()
    check_refused(taker, lambda: way(taker, timestamp, 1.5), reason, "s", None)


@ways
@pytest.mark.parametrize("timestamp", [2**32, 2**40, dt.datetime(2200, 1, 1)])
def test_a_timestamp_over_32_bits_is_refused_in_seconds(way: Call, timestamp: Any) -> None:
    taker = with_earlier_points(time_precision=SECOND)
    reason = r"is not in 0\.\.4294967295"
    check_refused(taker, lambda: way(taker, timestamp, 1.5), reason, "s", None)


UTC_PLUS_2 = dt.timezone(dt.timedelta(hours=2))
GOOD_TIMESTAMPS = [
    (0, 0),
    (2**63 - 1, 2**63 - 1),
    (np.int16(5), 5),
    (np.uint64(2**63 - 1), 2**63 - 1),
    (Whole.ONE, 1),
    (np.datetime64(1, "D"), 86_400 * 10**9),
    (np.datetime64(1, "M"), 31 * 86_400 * 10**9),
    (np.datetime64(7, "us"), 7000),
    (np.datetime64(7, "ns"), 7),
    (np.datetime64(7000, "ps"), 7),
    (dt.datetime(1970, 1, 1, 0, 0, 1), 10**9),
    (dt.datetime(1970, 1, 1, 2, 0, 0, 3, tzinfo=UTC_PLUS_2), 3000),
    (pd.Timestamp(1_600_000_000_123_456_789), 1_600_000_000_123_456_789),
    (pd.Timestamp(1_600_000_000_123_456_789, tz="US/Eastern"), 1_600_000_000_123_456_789),
]


@ways
@pytest.mark.parametrize(("timestamp", "expected"), GOOD_TIMESTAMPS, ids=shown)
def test_a_good_timestamp_is_stored_in_the_unit_of_the_database(
    way: Call, timestamp: Any, expected: int
) -> None:
    taker = intake()
    way(taker, timestamp, 1.5)
    assert stored(taker, "s") == [(expected, 1.5)]


@pytest.mark.parametrize("given", [np.datetime64(1999, "ms"), dt.datetime(1970, 1, 1, 0, 0, 1, 9)])
def test_a_timestamp_that_is_too_fine_is_cut_on_request(given: Any) -> None:
    taker = intake(time_precision=SECOND, on_precision_loss="floor")
    taker.write("s", given, 1.5)
    assert stored(taker, "s") == [(1, 1.5)]
