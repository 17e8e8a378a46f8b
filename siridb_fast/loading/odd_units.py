"""Times of CSV files that are numbers of another unit than the database has.

A number is a likely time of these decades in one unit only (see `columns.likely_times`). Where
nobody said the unit, seconds in a database of milliseconds would be stored as January 1970.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from siridb_fast.columns.likely_times import likely_precision
from siridb_fast.columns.time_units import TimePrecision
from siridb_fast.errors import ColumnError
from siridb_fast.files.csv.dialect import TimeFormat

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["refuse_odd_unit"]


def refuse_odd_unit(times: pa.Array, time: TimeFormat, time_precision: int | None) -> None:
    """Refuse times that are likely only in another unit than that of the database.

    Args:
        times: Integers, as a file has them.
        time: How they were read; nothing is refused where the unit was said.
        time_precision: The database's; None if it is not known.

    Raises:
        ColumnError: Names the first or last of the odd ones by its row, and the unit that fits.
    """
    import pyarrow as pa  # of the extra; a file is open already
    import pyarrow.compute as pc

    if time.form != "epoch" or time.unit is not None or time_precision is None:
        return
    if not pa.types.is_integer(times.type):
        return  # their type was said, and is refused as one of times
    for timestamp in pc.min_max(times).as_py().values():
        likely = None if timestamp is None else likely_precision(timestamp)
        if likely is not None and likely != time_precision:
            row = times.to_pylist().index(timestamp)
            raise ColumnError(
                _text(time.name, timestamp, likely, TimePrecision(time_precision)), index=row
            )


def _text(name: str, timestamp: int, likely: TimePrecision, stored: TimePrecision) -> str:
    return (
        f"column {name!r}: {timestamp} looks like a time in {likely.unit}, and the database has "
        f"{stored.unit}; unit={likely.unit!r} (--unit {likely.unit}) reads it so, "
        f"unit={stored.unit!r} (--unit {stored.unit}) takes it as it is"
    )
