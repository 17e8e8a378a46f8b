"""Values of one type → the type that a series already has, on request.

The server casts silently and badly (2.9 → 2, NaN → the smallest integer, "abc" → 0, 1e-7 →
"0.000000"). Here a number that has no counterpart is an error that names it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from siridb_fast.columns._points import PointColumn
from siridb_fast.columns.column import point_column
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.errors import ColumnError

__all__ = [
    "EXACT_INTEGERS",
    "cast_values",
    "count_cut",
    "fitted_column",
    "is_exact_as_float",
    "other_type",
    "refuse_fractions",
    "refuse_inexact",
    "text_of",
    "type_remedy",
]

EXACT_INTEGERS = 2**53  # up to here every integer is a double

FIRST_TOO_LARGE = 2.0**63
NumpyArray = np.ndarray[Any, np.dtype[Any]]


def cast_values(name: str, values: object, series_type: str) -> NumpyArray:
    """Return a copy of ``values`` in the type of the series.

    Args:
        name: Of the series, for error texts.
        values: Shape (n,).
        series_type: ``"integer"``: floats are cut towards zero, texts must be integers;
            ``"float"``: integers over 2**53 are rounded, texts must be numbers; ``"string"``: what
            ``str()`` gives.

    Raises:
        ColumnError: NaN, an infinity or a number over 64 bits for an integer series; a text that
            is no number.
    """
    array = np.asarray(values)
    if series_type == "string":
        return np.array([str(value) for value in array.tolist()], dtype=object)
    if array.dtype.kind in "OUST":
        return _parsed(name, array, int if series_type == "integer" else float)
    if series_type == "float":
        return array.astype(np.float64)
    if array.dtype.kind in "fu":
        wide = array.astype(np.float64 if array.dtype.kind == "f" else np.uint64)
        first = FIRST_TOO_LARGE if array.dtype.kind == "f" else np.uint64(2**63)
        bad = ~((wide >= -FIRST_TOO_LARGE) & (wide < first))
        if bad.any():
            index = int(bad.argmax())
            raise ColumnError(f"{array[index]} is no 64-bit integer", series=name, index=index)
    return array.astype(np.int64)


def count_cut(values: NumpyArray, series_type: str) -> int:
    """Return how many numbers `cast_values` changes: fractions, and integers that are no doubles.

    Args:
        values: Shape (n,), of numbers or texts; texts are not counted.
        series_type: Of the series.
    """
    if series_type == "integer" and values.dtype.kind == "f":
        numbers = values[~np.isnan(values)]
        return int((numbers != np.trunc(numbers)).sum())
    if series_type == "float" and values.dtype.kind in "iu":
        large = values[(values > EXACT_INTEGERS) | (values < -EXACT_INTEGERS)]
        return sum(int(float(value)) != value for value in large.tolist())
    return 0


def fitted_column(
    column: PointColumn, series_type: str, on_type: str, rules: ColumnRules
) -> PointColumn:
    """Return a column in the type of its series.

    Raises:
        ColumnError: It is of another type and ``on_type`` is not ``"cast"``, or what `cast_values`
            raises.
    """
    if column.type == series_type:
        return column
    if on_type == "error":
        raise other_type(column.name, series_type, column.type)
    timestamps, values = column.shown_timestamps, column.shown_values
    if rules.on_missing == "drop" and values.dtype.kind == "f":
        is_there = ~np.isnan(values)
        timestamps, values = timestamps[is_there], values[is_there]
    values = cast_values(column.name, values, series_type)
    return point_column(column.name, timestamps, values, rules)


def refuse_inexact(name: str, integers: NumpyArray) -> None:
    """Refuse integers for a series of floats that are no doubles.

    Raises:
        ColumnError: Names the first one and its index.
    """
    is_bad = (integers < -EXACT_INTEGERS) | (integers > EXACT_INTEGERS)
    if is_bad.any():
        index = int(is_bad.argmax())
        raise ColumnError(
            f"the series is of type float, and {integers[index]} is not exact as one; "
            "on_type='cast' would round it",
            series=name,
            index=index,
        )


def refuse_fractions(name: str, floats: NumpyArray, *, skips_nan: bool = False) -> None:
    """Refuse floats for a series of integers that are no integers.

    Args:
        name: Of the series.
        floats: Shape (n,).
        skips_nan: NaN are missing, and not to be refused.

    Raises:
        ColumnError: Names the first one and its index.
    """
    is_bad = ~((np.abs(floats) <= EXACT_INTEGERS) & (floats == np.trunc(floats)))
    if skips_nan:
        is_bad &= ~np.isnan(floats)
    if is_bad.any():
        index = int(is_bad.argmax())
        raise ColumnError(
            f"the series is of type integer, and {floats[index]} is no integer; "
            f"{type_remedy('integer', 'float')}",
            series=name,
            index=index,
        )


def other_type(name: str, series_type: str | None, type_: str) -> ColumnError:
    """Return the error about values of another type than their series has."""
    return ColumnError(
        f"the series is of type {series_type}, the values of type {type_}; "
        f"{type_remedy(series_type, type_)}",
        series=name,
    )


def type_remedy(series_type: str | None, type_: str | None) -> str:
    """Return what to do about values of a type in a series of another one, and keep them whole."""
    if (series_type, type_) == ("integer", "float"):
        return (
            "write integers, or drop the series and write floats from its first value on "
            "(on_type='cast' would cut them)"
        )
    if series_type == "string":
        return "on_type='cast' would store them as texts"
    if type_ == "string":
        return "on_type='cast' would store the numbers that they spell"
    return "on_type='cast' would convert them, rounded over 2**53"


def is_exact_as_float(integers: NumpyArray) -> bool:
    """Tell whether every integer is a double too, so that a float series may take it."""
    return bool(((integers >= -EXACT_INTEGERS) & (integers <= EXACT_INTEGERS)).all())


def text_of(name: str, raw: bytes, index: int | None = None) -> str:
    """Return a text that is stored as bytes.

    Raises:
        ColumnError: The bytes are not UTF-8.
    """
    try:
        return raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as exc:
        raise ColumnError(f"{raw[:80]!r} is no text: {exc}", series=name, index=index) from None


def _parsed(name: str, array: NumpyArray, parse: type[int] | type[float]) -> NumpyArray:
    numbers = []
    for index, text in enumerate(array.tolist()):
        try:
            number = parse(text)
        except (TypeError, ValueError):
            kind = "integer" if parse is int else "float"
            raise ColumnError(
                f"{text!r} is no number for a series of type {kind}", series=name, index=index
            ) from None
        if parse is int and not -(2**63) <= number < 2**63:
            raise ColumnError(f"{text!r} is no 64-bit integer", series=name, index=index)
        numbers.append(number)
    return np.array(numbers, dtype=np.int64 if parse is int else np.float64)
