"""Timestamps of a protocol → those of a database: int64 in its precision; which ones it refuses.

Pure; knows nothing of lines.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from siridb_fast.columns.time_units import SECOND, TimePrecision
from siridb_fast.formats._point_rows import NO_TIME

__all__ = ["UNITS", "Times", "database_times"]

NANOSECONDS = {  # as the parameter precision calls them, and as influxdb3 does
    "n": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
OTHER_NAMES = {
    "ns": "n",
    "u": "us",
    "µ": "us",
    "nanosecond": "n",
    "microsecond": "us",
    "millisecond": "ms",
    "second": "s",
}
UNITS = {**NANOSECONDS, **{name: NANOSECONDS[unit] for name, unit in OTHER_NAMES.items()}}
LARGEST = 2**63 - 1
FINER = (
    'its time is finer than {}, the precision of the database; on_precision_loss = "floor" takes '
    "it all the same"
)
LARGEST_SECOND = 2**32 - 1  # server-facts 11

NumpyArray = np.ndarray[Any, np.dtype[Any]]


class Times(NamedTuple):
    """Timestamps, and which of them are bad, by the reason; shape (n,)."""

    times: NumpyArray
    bad: tuple[tuple[NumpyArray, str], ...]


def database_times(
    times: NumpyArray, nanoseconds: int, precision: int, now: int, *, floors: bool
) -> Times:
    """Convert timestamps.

    Args:
        times: int64, shape (n,); ``NO_TIME`` becomes ``now``. It may be changed.
        nanoseconds: Of one of them.
        precision: The database's.
        now: In the database's precision.
        floors: One that is finer than the precision is rounded down, not bad.
    """
    unit = TimePrecision(precision)
    last = LARGEST_SECOND if precision == SECOND else LARGEST
    is_missing = times == NO_TIME
    bad = []
    found = times
    if nanoseconds < unit.nanoseconds:
        step = unit.nanoseconds // nanoseconds
        found = times // step
        if not floors:
            bad.append(
                (
                    found * step != times,
                    FINER.format(unit.unit),
                )
            )
    elif nanoseconds > unit.nanoseconds:
        factor = nanoseconds // unit.nanoseconds
        bad.append((times > last // factor, f"its time is after the last one in {unit.unit}"))
        found = times * factor
    if precision == SECOND:
        bad.append((found > last, "its time is after 2106-02-07, the last one in s"))
    bad.append((times < 0, "its time is before 1970"))
    if is_missing.any():
        found = np.where(is_missing, now, found)
        bad = [(mask & ~is_missing, reason) for mask, reason in bad]
    return Times(found, tuple((mask, reason) for mask, reason in bad if mask.any()))
