"""Cells of a column → the type that was said of it (``types=``, ``--type``), or an error.

Nothing is rounded or cut on the way: what has no counterpart in the type is named by its row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, time
from decimal import Decimal
from typing import Any

import numpy as np

from siridb_fast.columns.casting import EXACT_INTEGERS
from siridb_fast.columns.column import is_missing
from siridb_fast.columns.time_units import UNITS
from siridb_fast.errors import ColumnError
from siridb_fast.files.csv.guess_numbers import beyond_floats
from siridb_fast.loading.frames.base import Cells
from siridb_fast.loading.frames.durations import duration_cells
from siridb_fast.protocol.builtin_values import decimal_value

__all__ = ["typed_cells"]

BOOLS = {"true": 1, "false": 0, "1": 1, "0": 0}

NumpyArray = np.ndarray[Any, np.dtype[Any]]


def typed_cells(name: str, cells: Cells, kind: str | None) -> Cells:
    """Return a column as the type that was said of it; None: as it is.

    Args:
        name: Of the column.
        cells: Of any type.
        kind: ``"float"``, ``"integer"``, ``"bool"`` (which is stored as 0 and 1), ``"string"``; or
            the unit of durations.

    Raises:
        ColumnError: A cell has no counterpart in the type; names the row.
    """
    if kind is None:
        return cells
    if kind in UNITS:
        return duration_cells(name, cells, kind)
    if cells.values.dtype.kind in "mM":
        return _of_times(name, cells, kind)
    values = _converted_at_once(cells.values, kind)
    return _converted(name, cells, kind) if values is None else Cells(values, cells.missing)


def _of_times(name: str, cells: Cells, kind: str) -> Cells:
    # As text they are what ISO 8601 writes.
    if kind != "string" or cells.values.dtype.kind == "m":
        raise ColumnError(
            f"column {name!r} is of type {cells.values.dtype}, which is no {kind}, as types= "
            "(--type) says"
        )
    missing = np.isnat(cells.values)
    if cells.missing is not None:
        missing |= cells.missing
    return Cells(np.datetime_as_string(cells.values).astype(object), missing)


def _converted_at_once(values: NumpyArray, kind: str) -> NumpyArray | None:
    # None: each cell is looked at, as some may not fit
    found = values.dtype.kind
    if found in {"float": "f", "integer": "iu", "bool": "b", "string": "UST"}[kind]:
        return values
    if kind == "integer" and found == "b":
        return values.astype(np.int64)
    if kind == "float" and (found == "b" or (found in "iu" and _are_exact(values))):
        return values.astype(np.float64)
    if kind == "integer" and values.dtype == np.float64:
        return values.astype(np.int64) if _are_exact(values) and _are_whole(values) else None
    return None


def _are_exact(numbers: NumpyArray) -> bool:
    return bool(((numbers >= -EXACT_INTEGERS) & (numbers <= EXACT_INTEGERS)).all())


def _are_whole(floats: NumpyArray) -> bool:
    return bool((floats == np.trunc(floats)).all())


def _converted(name: str, cells: Cells, kind: str) -> Cells:
    values = cells.values.tolist()
    missing = np.fromiter(map(is_missing, values), np.bool_, len(values))
    if cells.missing is not None:
        missing |= cells.missing
    convert, empty = CONVERSIONS[kind]
    done = np.full(len(values), empty, object if kind == "string" else type(empty))
    for row in np.flatnonzero(~missing).tolist():
        value = _text(values[row])
        if value == "" and kind != "string":
            missing[row] = True
            continue
        try:
            done[row] = convert(value)
        except (ValueError, OverflowError):
            raise ColumnError(
                f"column {name!r}: {value!r} is no {kind}, which types= (--type) says it is",
                index=row,
            ) from None
    return Cells(done, missing if missing.any() else None)


def _text(value: Any) -> Any:
    # bytes are the text that they are, as in other columns
    value = value.decode() if isinstance(value, bytes) else value
    return value.strip() if isinstance(value, str) and not value.strip() else value


def _as_float(value: Any) -> float:
    _require_number(value)
    if isinstance(value, int) and abs(value) > EXACT_INTEGERS:
        raise ValueError  # it would be another number
    if isinstance(value, str) and beyond_floats(value):
        raise ValueError
    return decimal_value(value) if isinstance(value, Decimal) else float(value)


def _as_integer(value: Any) -> int:
    _require_number(value)
    number = int(value)
    has_fraction = not isinstance(value, str) and number != value
    if has_fraction or not -(2**63) <= number < 2**63:
        raise ValueError
    return number


def _require_number(value: Any) -> None:
    # A time is none, and neither is what only Python writes so.
    if not isinstance(value, (str, int, float, Decimal)) or "_" in str(value):
        raise ValueError


def _as_bool(value: Any) -> int:
    text = value.strip().lower() if isinstance(value, str) else str(_as_integer(value))
    if text not in BOOLS:
        raise ValueError
    return BOOLS[text]


def _as_string(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, (date, time)) else str(value)


CONVERSIONS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "float": (_as_float, math.nan),
    "integer": (_as_integer, 0),
    "bool": (_as_bool, 0),
    "string": (_as_string, None),
}
