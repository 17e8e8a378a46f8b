"""Values that are almost of a built-in type, as exactly that type."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np

__all__ = ["builtin_of", "decimal_value"]

EXACT_INTEGERS = 2**53  # up to here every integer is a float


def builtin_of(value: object) -> Any:
    """Return a value of a subclass of a built-in type, or a scalar of numpy, as that type.

    A `Decimal` is a float, as in every other door.

    Raises:
        TypeError: It is none of these.
        ValueError: A decimal is a whole number that no float is equal to.
    """
    for kind in (float, int, str, bytes, list, tuple, dict):
        if isinstance(value, kind):
            return _exactly(kind, value)
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.floating):
        return float(value)
    if isinstance(value, Decimal):
        return decimal_value(value)
    raise TypeError(f"qpack has no type for {type(value).__module__}.{type(value).__qualname__}")


def decimal_value(value: Decimal) -> float:
    """Return the nearest float; NaN of either kind is NaN.

    Raises:
        ValueError: It is a whole number that no float is equal to.
    """
    if value.is_nan():
        return math.nan
    number = float(value)
    if abs(number) >= EXACT_INTEGERS and number != value == value.to_integral_value():
        raise ValueError(f"{value} is a whole number that no float is equal to")
    return number


def _exactly(kind: type, value: Any) -> Any:
    # The base class's own conversion, so that no override of a subclass is called.
    if kind is float:
        return float.__float__(value)
    if kind is int:
        return int.__int__(value)
    if kind is str:
        return str.__str__(value)
    if kind is bytes:
        return bytes(memoryview(value))
    if kind is list:
        return list.copy(value)
    if kind is tuple:
        return tuple(tuple.__iter__(value))
    return dict(dict.items(value))
