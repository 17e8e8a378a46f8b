"""Timestamps and values of the less usual types → the few that are stored.

One point at a time: `columns` does so for whole arrays.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from siridb_fast._wire import MAX_PAYLOAD
from siridb_fast.columns import ColumnRules, point_column
from siridb_fast.errors import ColumnError

__all__ = ["plain_array", "plain_timestamp", "plain_value"]

MAX_TEXT = MAX_PAYLOAD - 100_000  # what a name and a point take beside it

NumpyArray = np.ndarray[Any, np.dtype[Any]]


def plain_value(name: str, value: Any, index: int | None) -> float | int | bytes | None:
    """Return a value of any type as a float, an int of 64 bits or bytes; None if it is missing.

    Raises:
        ColumnError: It is nothing that can be stored; names the series and the index.
    """
    if isinstance(value, (np.generic, np.ndarray)) and np.ndim(value) == 0:
        value = value.item()
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise ColumnError(f"value {value} is no 64-bit integer", series=name, index=index)
        return int(value)
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogatepass")
    elif not isinstance(value, bytes):
        raise ColumnError(
            f"a value is an int, float, bool or str, got {value!r} of type {type(value).__name__}",
            series=name,
            index=index,
        )
    if b"\0" in value:
        raise ColumnError("the server cuts a text at its NUL", series=name, index=index)
    if len(value) > MAX_TEXT:
        raise ColumnError(
            f"a text of {len(value):,} bytes does not fit a package", series=name, index=index
        )
    return bytes(value)


def plain_timestamp(name: str, given: Any, rules: ColumnRules) -> int:
    """Return a timestamp in the database's precision, its range not checked.

    Raises:
        ColumnError: It is none, or finer than the precision; names the series.
    """
    if isinstance(given, np.integer) or (isinstance(given, int) and not isinstance(given, bool)):
        return int(given)
    if isinstance(given, datetime):
        aware = given.astimezone(UTC) if given.tzinfo else given
        given = np.datetime64(aware.replace(tzinfo=None))
    if not isinstance(given, np.datetime64):
        raise ColumnError(
            "a timestamp is an int in the database's time precision, a datetime64 or a datetime, "
            f"got {given!r} of type {type(given).__name__}",
            series=name,
        )
    rules = replace(rules, on_missing="keep")
    try:
        return int(point_column(name, np.array([given]), np.zeros(1), rules).plain()[0][0])
    except ColumnError as exc:
        raise ColumnError(exc.text, series=name) from None


def plain_array(values: NumpyArray, dimensions: int) -> NumpyArray:
    """Return numbers as int64 or float64; texts of one dimension as they are.

    Raises:
        ColumnError: Another shape or dtype, or an integer over 64 bits.
    """
    if values.ndim != dimensions:
        raise ColumnError(f"values have {dimensions} dimensions, got shape {values.shape}")
    if values.dtype.kind == "f" and values.dtype.itemsize <= 8:
        return values.astype(np.float64, copy=False)
    if values.dtype.kind == "u" and values.size and values.max() >= 2**63:
        place = np.unravel_index(values.argmax(), values.shape)
        raise ColumnError(f"value {values.max()} is no 64-bit integer", index=int(place[-1]))
    if values.dtype.kind in "iub":
        return values.astype(np.int64, copy=False)
    if dimensions == 1 and values.dtype.kind in "OUST":
        return values
    raise ColumnError(f"values are integers, float16/32/64 or bool, got {values.dtype}")
