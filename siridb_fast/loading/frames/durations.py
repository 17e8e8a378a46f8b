"""Durations and times of day → numbers of a unit that was said (``types={"wait": "ms"}``).

They are floats, whatever the unit: a duration that is whole in one row has a fraction in another,
and the type of a series is for good. A time of day counts from midnight.
"""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any

import numpy as np

from siridb_fast.columns.column import is_missing
from siridb_fast.columns.time_units import ATTOSECONDS
from siridb_fast.errors import ColumnError
from siridb_fast.loading.frames.base import Cells

__all__ = ["duration_cells"]

NumpyArray = np.ndarray[Any, np.dtype[Any]]


def duration_cells(name: str, cells: Cells, unit: str) -> Cells:
    """Return durations as floats.

    Args:
        name: Of the column.
        cells: timedelta64; or objects that are timedelta or time.
        unit: ``"s"``, ``"ms"``, ``"us"`` or ``"ns"``.

    Raises:
        ColumnError: A cell is no duration; names the row.
    """
    values = cells.values
    if values.dtype.kind == "O":
        values = _of_objects(name, cells)
    if values.dtype.kind != "m" or np.datetime_data(values.dtype)[0] not in ATTOSECONDS:
        raise ColumnError(
            f"column {name!r} is of type {cells.values.dtype}, and no duration or time of day, "
            f"which types= (--type {name}={unit}) says it is"
        )
    missing = np.isnat(values)
    if cells.missing is not None:
        missing |= cells.missing
    own, count = np.datetime_data(values.dtype)
    attoseconds, wanted = ATTOSECONDS[own] * count, ATTOSECONDS[unit]
    integers = values.astype(values.dtype.newbyteorder("=")).view(np.int64)
    integers = np.where(missing, 0, integers)
    if attoseconds >= wanted:
        floats = integers * float(attoseconds // wanted)
    else:
        floats = integers / float(wanted // attoseconds)
    return Cells(floats, missing if missing.any() else None)


def _of_objects(name: str, cells: Cells) -> NumpyArray:
    durations = np.full(len(cells.values), "NaT", "m8[ns]")
    for row, value in enumerate(cells.values.tolist()):
        if is_missing(value) or (cells.missing is not None and cells.missing[row]):
            continue
        if hasattr(value, "to_timedelta64"):  # pandas' own, which knows nanoseconds
            durations[row] = value.to_timedelta64()
        elif isinstance(value, (timedelta, np.timedelta64)):
            durations[row] = np.timedelta64(value)
        elif isinstance(value, time):
            durations[row] = np.timedelta64(_since_midnight(value))
        else:
            raise ColumnError(f"column {name!r}: {value!r} is no duration", index=row)
    return durations


def _since_midnight(clock: time) -> timedelta:
    return timedelta(
        hours=clock.hour,
        minutes=clock.minute,
        seconds=clock.second,
        microseconds=clock.microsecond,
    )
