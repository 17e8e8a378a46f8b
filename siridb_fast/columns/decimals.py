"""Python's `Decimal` among values: a float, as it is in every other door."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np

from siridb_fast.errors import ColumnError
from siridb_fast.protocol.builtin_values import decimal_value

__all__ = ["without_decimals"]

EXACT_INTEGERS = 2**53
NUMBERS = (Decimal, float, int, np.floating, np.integer)

NumpyArray = np.ndarray[Any, np.dtype[Any]]


def without_decimals(name: str, values: NumpyArray) -> NumpyArray:
    """Return objects of which some are decimals, and all are numbers or None, as floats.

    What has no decimals, or something else too, comes back as it is.

    Raises:
        ColumnError: A whole number among them is not exact as a float; names series and index.
    """
    first = next((item for item in values if item is not None), None)
    if not isinstance(first, NUMBERS):
        return values  # most objects are texts
    items = values.tolist()
    if not any(isinstance(item, Decimal) for item in items):
        return values
    if not all(item is None or isinstance(item, NUMBERS) for item in items):
        return values
    for index, item in enumerate(items):
        if isinstance(item, (int, np.integer)) and abs(int(item)) > EXACT_INTEGERS:
            raise ColumnError(
                f"{item} is among decimals, and not exact as a float", series=name, index=index
            )
    floats = np.full(len(items), np.nan)
    for index, item in enumerate(items):
        if item is not None:
            floats[index] = _float(name, item, index)
    return floats


def _float(name: str, item: Any, index: int) -> float:
    try:
        return decimal_value(item) if isinstance(item, Decimal) else float(item)
    except ValueError as exc:
        raise ColumnError(str(exc), series=name, index=index) from None
