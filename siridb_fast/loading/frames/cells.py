"""Cells of the less usual types → numbers, text and times of the few that points are made of.

Objects are read one by one; arrays of numbers stay as they are, in place.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np

from siridb_fast.columns.casting import EXACT_INTEGERS
from siridb_fast.columns.column import is_missing
from siridb_fast.columns.rows import has_nat
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.columns.scalars import plain_timestamp, shown_integer
from siridb_fast.errors import ColumnError
from siridb_fast.loading.frames.base import Cells
from siridb_fast.loading.frames.float_times import float_times, nanoseconds_of
from siridb_fast.protocol.builtin_values import decimal_value

__all__ = ["VALUE_KINDS", "are_texts", "exact_decimal", "time_cells", "value_cells"]

FIRST_TOO_LARGE = 2**63
VALUE_KINDS = "iufbUSTO"  # of numpy's dtypes

NumpyArray = np.ndarray[Any, np.dtype[Any]]


def value_cells(name: str, cells: Cells, rules: ColumnRules) -> Cells:
    """Return a column of values as numbers or text, with all that is missing marked.

    NaN in a column of floats is not marked: whoever writes the points leaves it out on the way.

    Raises:
        ColumnError: A cell is neither a number nor text, or missing where that is refused.
    """
    if cells.values.dtype.kind == "O":
        cells = _object_values(name, cells)
    elif cells.values.dtype.kind == "m":
        raise ColumnError(
            f"column {name!r} is of type {cells.values.dtype}; types= (--type {name}=s) stores "
            "durations and times of day as numbers of s, ms, us or ns"
        )
    elif cells.values.dtype.kind not in VALUE_KINDS:
        raise ColumnError(
            f"column {name!r} is of type {cells.values.dtype}; values are numbers, bool or text, "
            "and values= names the columns that have them"
        )
    missing = cells.missing
    if missing is None or not missing.any():
        return Cells(cells.values)
    if rules.on_missing == "keep" and cells.values.dtype.kind == "f":
        return Cells(np.where(missing, np.nan, cells.values))
    if rules.on_missing != "drop":
        raise ColumnError(
            f"column {name!r}: the value is missing; on_missing='drop' would leave it out",
            index=int(missing.argmax()),
        )
    return Cells(cells.values, missing)


def time_cells(name: str, cells: Cells, unit: str | None, rules: ColumnRules) -> Cells:
    """Return a column of times as int64 in the database's precision, or as datetime64.

    Args:
        name: Of the column.
        cells: Integers, floats, datetime64, or objects such as datetime and Decimal.
        unit: Of numbers; None: the database's precision, and they are whole.
        rules: What to do about precision.

    Raises:
        ColumnError: They are no times; names the row, where there is one.
    """
    values, missing = cells.values, cells.missing
    if values.dtype.kind == "M":
        if has_nat(values):
            is_nat = np.isnat(values)
            missing = is_nat if missing is None else missing | is_nat
        return Cells(values, missing)
    if values.dtype.kind == "O":
        return _object_times(name, cells, unit, rules)
    if values.dtype.kind == "f":
        values, missing = _whole(name, cells, unit)
        if values.dtype.kind == "M":
            return Cells(values, missing)
    elif values.dtype.kind not in "iu":
        raise ColumnError(
            f"column {name!r}: times are integers or dates, got {values.dtype}"
            + ("; text is read by pyarrow, which is missing" if values.dtype.kind in "UST" else "")
        )
    return Cells(_with_unit(name, values, unit), missing)


def are_texts(cells: Cells) -> bool:
    """Tell whether all cells that are there are text, and some are."""
    if cells.values.dtype.kind != "O":
        return cells.values.dtype.kind in "UT"
    types = {type(value) for value in cells.values.tolist() if not is_missing(value)}
    return bool(types) and all(issubclass(type_, str) for type_ in types)


def _with_unit(name: str, values: NumpyArray, unit: str | None) -> NumpyArray:
    if values.dtype == np.uint64 and len(values) and values.max() >= FIRST_TOO_LARGE:
        row = int((values >= FIRST_TOO_LARGE).argmax())
        raise ColumnError(f"column {name!r}: {values[row]} is no time of 63 bits", index=row)
    integers = np.ascontiguousarray(values, np.int64)
    return integers if unit is None else integers.view(f"M8[{unit}]")


def _whole(name: str, cells: Cells, unit: str | None) -> tuple[NumpyArray, NumpyArray]:
    # Integers that became floats because some are missing, as they do in pandas; or times with
    # a fraction, as datetime64.
    values = cells.values.astype(np.float64)
    missing = np.isnan(values)
    if cells.missing is not None:
        missing = missing | cells.missing
    numbers = np.where(missing, 0.0, values)
    is_bad = (np.abs(numbers) > EXACT_INTEGERS) | (numbers != np.trunc(numbers))
    if is_bad.any():
        if unit is not None:
            return float_times(name, values, missing, unit), missing
        row = int(is_bad.argmax())
        raise ColumnError(
            f"column {name!r}: the time {values[row]} is a float with a fraction, or too large to "
            "be exact; unit= (--unit) says what it is of",
            index=row,
        )
    return numbers.astype(np.int64), missing


def _object_times(name: str, cells: Cells, unit: str | None, rules: ColumnRules) -> Cells:
    values = cells.values.tolist()
    missing = np.fromiter(map(is_missing, values), np.bool_, len(values))
    if cells.missing is not None:
        missing |= cells.missing
    times = np.zeros(len(values), np.int64)
    for row in np.flatnonzero(~missing).tolist():
        try:
            times[row] = plain_timestamp(name, _as_time(values[row], unit), rules)
        except (ColumnError, OverflowError) as exc:
            text = exc.text if isinstance(exc, ColumnError) else str(exc)
            raise ColumnError(f"column {name!r}: {text}", index=row) from None
    return Cells(times, missing)


def _as_time(given: Any, unit: str | None) -> Any:
    if isinstance(given, (float, Decimal)):
        return _as_number(given, unit)
    is_integer = isinstance(given, (int, np.integer))
    if unit is not None and is_integer and not isinstance(given, (bool, np.timedelta64)):
        return np.int64(given).view(f"M8[{unit}]")
    if isinstance(given, date) and not isinstance(given, datetime):
        return np.datetime64(given, "D")
    return given


def _as_number(given: float | Decimal, unit: str | None) -> Any:
    if given == int(given):
        return _as_time(int(given), unit)
    if unit is None:
        raise ColumnError(f"the time {given} has a fraction; unit= (--unit) says what it is of")
    try:
        return np.int64(nanoseconds_of(given, unit)).view("M8[ns]")
    except ValueError as exc:
        raise ColumnError(str(exc)) from None


def _object_values(name: str, cells: Cells) -> Cells:
    values = cells.values.tolist()
    missing = np.fromiter(map(is_missing, values), np.bool_, len(values))
    if cells.missing is not None:
        missing |= cells.missing
    there = np.flatnonzero(~missing).tolist()
    types = {type(values[row]) for row in there}
    if all(issubclass(type_, (str, bytes)) for type_ in types):
        return Cells(cells.values, missing)
    numbers = np.zeros(len(values), np.float64)
    if all(issubclass(type_, (int, np.integer, np.bool_)) for type_ in types):
        numbers = np.zeros(len(values), np.int64)
    for row in there:
        numbers[row] = _number(name, values[row], row, is_float=numbers.dtype.kind == "f")
    return Cells(numbers, missing)


def exact_decimal(name: str, value: Decimal, row: int) -> float:
    """Return a decimal as a float.

    Raises:
        ColumnError: It is a whole number that no float is equal to; names the row.
    """
    try:
        return decimal_value(value)
    except ValueError as exc:
        remedy = f"types= (--type {name}=integer) takes it as it is"
        raise ColumnError(f"column {name!r}: {exc}; {remedy}", index=row) from None


def _number(name: str, value: Any, row: int, *, is_float: bool) -> float | int:
    if isinstance(value, (int, np.integer, np.bool_)):
        number = int(value)
        if is_float and abs(number) > EXACT_INTEGERS:
            raise ColumnError(
                f"column {name!r}: {shown_integer(number)} is among floats, and not exact as one",
                index=row,
            )
        if not -FIRST_TOO_LARGE <= number < FIRST_TOO_LARGE:
            raise ColumnError(
                f"column {name!r}: {shown_integer(number)} is no 64-bit integer", index=row
            )
        return number
    if isinstance(value, Decimal):
        return exact_decimal(name, value, row)
    if isinstance(value, (float, np.floating)):
        return float(value)
    raise ColumnError(
        f"column {name!r}: a value is a number, bool or text, all of one kind, got {value!r} of "
        f"type {type(value).__name__}",
        index=row,
    )
