"""Points as one number: the same points give the same number, in whatever order they come.

So two multisets of points are compared in the memory of a number each. Two that differ give the
same number once in 2**64 times.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from siridb_fast.delivery.missing_points import float_keys, raw_text

__all__ = ["fingerprint", "value_keys"]

NumpyArray = np.ndarray[Any, np.dtype[Any]]

# The constants of splitmix64 (Steele, Lea and Flood, OOPSLA 2014).
STEP = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
SHIFTS = tuple(map(np.uint64, (30, 27, 31)))


def value_keys(values: NumpyArray) -> NumpyArray:
    """Return an int64 for each value: equal ones of one type have the same, in this process.

    -0.0 is 0.0, and each NaN is the same, as the server keeps them. Of texts, str or bytes, it is
    their hash.
    """
    if values.dtype.kind == "O":
        return np.fromiter((hash(raw_text(text)) for text in values), np.int64, len(values))
    if values.dtype.kind == "f":
        return float_keys(values)
    return values.astype(np.int64, copy=False)


def fingerprint(timestamps: NumpyArray, keys: NumpyArray) -> int:
    """Return the number of some points.

    Args:
        timestamps: int64, shape (n,).
        keys: What `value_keys` gives, of the same shape.
    """
    mixed = _mixed(timestamps.view(np.uint64))
    mixed += keys.view(np.uint64)
    return int(_mixed(mixed).sum())


def _mixed(numbers: NumpyArray) -> NumpyArray:
    # the output function of splitmix64
    state = numbers + STEP
    for shift, factor in zip(SHIFTS, (FIRST, SECOND), strict=False):
        state ^= state >> shift
        state *= factor
    state ^= state >> SHIFTS[2]
    return state
