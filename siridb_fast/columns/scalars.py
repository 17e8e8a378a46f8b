"""Timestamps and values of the less usual types → the few that are stored.

One point at a time: `column` does so for whole arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from siridb_fast.columns.column import point_column
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.errors import ColumnError
from siridb_fast.protocol._wire import MAX_PAYLOAD
from siridb_fast.protocol.builtin_values import decimal_value

__all__ = ["plain_array", "plain_timestamp", "plain_value", "shown_integer"]

MISSING_TYPES = ("NAType", "NaTType")  # of pandas, which need not be there
MAX_TEXT = MAX_PAYLOAD - 100_000  # what a name and a point take beside it

NumpyArray = np.ndarray[Any, np.dtype[Any]]


def plain_value(name: str, value: Any, index: int | None) -> float | int | bytes | None:
    """Return a value of any type as a float, an int of 64 bits or bytes; None if it is missing.

    Raises:
        ColumnError: It is nothing that can be stored; names the series and the index.
    """
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]  # a masked value stays one
    if _is_missing(value):
        return None
    if isinstance(value, np.generic) and not isinstance(value, (np.datetime64, np.timedelta64)):
        value = value.item()
    if isinstance(value, Decimal):
        try:
            return decimal_value(value)
        except ValueError as exc:
            raise ColumnError(str(exc), series=name, index=index) from None
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise ColumnError(
                f"value {shown_integer(value)} is no 64-bit integer", series=name, index=index
            )
        return int(value)
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogatepass")
    elif not isinstance(value, bytes):
        raise ColumnError(
            f"a value is an int, float, bool or str, got {value!r} of type {type(value).__name__}",
            series=name,
            index=index,
        )
    if 0 in value:
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
    if isinstance(given, (int, np.integer)) and not isinstance(given, (bool, np.timedelta64)):
        return int(given)
    if hasattr(given, "to_datetime64"):  # pandas' Timestamp, which knows nanoseconds
        given = given.to_datetime64()
    elif isinstance(given, datetime):
        offset = np.timedelta64(given.utcoffset() or timedelta(), "us")
        given = np.datetime64(given.replace(tzinfo=None), "us") - offset
    if not isinstance(given, np.datetime64):
        raise ColumnError(
            "a timestamp is an int in the database's time precision, a datetime64 or a datetime, "
            f"got {given!r} of type {type(given).__name__}",
            series=name,
        )
    if np.isnat(given):
        raise ColumnError("the timestamp is missing (NaT)", series=name)
    rules = replace(rules, on_missing="keep")
    try:
        return int(point_column(name, np.array([given]), np.zeros(1), rules).plain()[0][0])
    except ColumnError as exc:
        raise ColumnError(exc.text, series=name) from None


def plain_array(given: Any, names: Sequence[str], dimensions: int) -> NumpyArray:
    """Return a value for each name as int64 or float64; texts of one dimension as they are.

    Args:
        given: Shape (k,) for k names, or (n, k).
        names: Of the series.
        dimensions: 1 or 2.

    Raises:
        ColumnError: Another shape or dtype, a masked value, or an integer over 64 bits.
    """
    try:
        values = np.asarray(given)
    except (TypeError, ValueError) as exc:
        raise ColumnError(f"values cannot be read as an array: {exc}") from None
    if values.ndim != dimensions:
        raise ColumnError(f"values have {dimensions} dimensions, got shape {values.shape}")
    if values.shape[-1] != len(names):
        raise ColumnError(f"values have shape {values.shape}, the ticker has {len(names)} series")
    if values.dtype.kind == "f" and getattr(given, "dtype", values.dtype).kind in "iub":
        _refuse(np.asarray(given.isna()), names, "the value is missing, among integers")
    if isinstance(given, np.ma.MaskedArray):
        _refuse(np.ma.getmaskarray(given), names, "the value is masked here")
    if values.dtype.kind == "u":
        _refuse(values >= 2**63, names, "the value is no 64-bit integer")
    if values.dtype.kind == "f" and values.dtype.itemsize <= 8:
        return _aligned(values.astype(np.float64, copy=False))
    if values.dtype.kind in "iub":
        return _aligned(values.astype(np.int64, copy=False))
    if dimensions == 1 and values.dtype.kind in "OUST":
        return values
    raise ColumnError(f"values are integers, float16/32/64 or bool, got {values.dtype}")


def shown_integer(integer: int) -> str:
    """Return an integer for an error text; Python refuses to write down very long ones."""
    return f"of {integer.bit_length():,} bits" if integer.bit_length() > 999 else str(integer)


def _is_missing(value: object) -> bool:
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return bool(np.isnat(value))
    return value is None or value is np.ma.masked or type(value).__name__ in MISSING_TYPES


def _refuse(is_bad: NumpyArray, names: Sequence[str], text: str) -> None:
    if is_bad.any():
        index = np.argwhere(is_bad)[0].tolist()
        raise ColumnError(text, series=names[index[-1]], index=index[0])


def _aligned(values: NumpyArray) -> NumpyArray:
    return values if values.flags.aligned else values.copy()
