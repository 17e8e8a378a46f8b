"""Times that are floats or decimals of a unit that was said → exact integers.

A float stands for the shortest decimal that gives it, as everybody writes and reads it:
1709251200.123 are 123 milliseconds, though no float is equal to that.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np

from siridb_fast.columns.casting import EXACT_INTEGERS
from siridb_fast.errors import ColumnError

__all__ = ["float_times", "nanoseconds_of"]

DIGITS = {"s": 9, "ms": 6, "us": 3, "ns": 0}  # down to nanoseconds
FIRST_TOO_LARGE = 2**63

NumpyArray = np.ndarray[Any, np.dtype[Any]]


def float_times(name: str, values: NumpyArray, missing: NumpyArray, unit: str) -> NumpyArray:
    """Return times as datetime64 in nanoseconds; those that are missing are anything.

    Args:
        name: Of the column.
        values: Float64, shape (n,).
        missing: Bool, shape (n,).
        unit: Of the values.

    Raises:
        ColumnError: A time is finer than a nanosecond, or too large; names the row.
    """
    times = np.zeros(len(values), np.int64)
    is_open = ~missing
    digits = DIGITS[unit]
    for shown in range(0, digits + 1, 3):
        scaled = np.rint(np.where(is_open, values, 0.0) * 10.0**shown)
        largest = min(EXACT_INTEGERS, FIRST_TOO_LARGE // 10 ** (digits - shown) - 1)
        fits = is_open & (np.abs(scaled) <= largest) & (scaled / 10.0**shown == values)
        times[fits] = scaled[fits].astype(np.int64) * 10 ** (digits - shown)
        is_open &= ~fits
    for row in np.flatnonzero(is_open).tolist():
        try:
            times[row] = nanoseconds_of(values[row].item(), unit)
        except ValueError as exc:
            raise ColumnError(f"column {name!r}: {exc}", index=row) from None
    return times.view("M8[ns]")


def nanoseconds_of(given: float | Decimal, unit: str) -> int:
    """Return a time as nanoseconds since 1970.

    Raises:
        ValueError: It is finer, or too large; says so.
    """
    number = Decimal(repr(given)) if isinstance(given, float) else given
    if not number.is_finite() or abs(number) * 10 ** DIGITS[unit] >= FIRST_TOO_LARGE:
        raise ValueError(f"the time {given} is too large for 64 bits of nanoseconds")
    nanoseconds = number.scaleb(DIGITS[unit])
    if nanoseconds != nanoseconds.to_integral_value():
        raise ValueError(f"the time {given} is finer than a nanosecond")
    return int(nanoseconds)
