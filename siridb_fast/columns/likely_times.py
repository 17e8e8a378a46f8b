"""Whether timestamps are of the unit that a database has, or rather of another one.

A database takes any integer, and does not know its unit: nanoseconds in one of milliseconds are of
the year 56 million. From 1990 to 2100 no number is a likely time in two units. Says so once; knows
nothing of packages and servers.
"""

from __future__ import annotations

import logging
from typing import Final

from siridb_fast.columns.time_units import PRECISIONS, UNITS, TimePrecision

__all__ = ["LikelyTimes", "likely_precision"]

FIRST: Final = 631_152_000  # 1990, in seconds
LAST: Final = 4_102_444_800  # 2100

logger = logging.getLogger("siridb_fast")


def likely_precision(timestamp: int) -> TimePrecision | None:
    """Return in which unit an integer is a time of these decades; None: in none."""
    for precision in PRECISIONS:
        if FIRST * precision.per_second <= timestamp < LAST * precision.per_second:
            return precision
    return None


class LikelyTimes:
    """Warns once, of the first timestamps that look like those of another unit.

    Args:
        given: The unit that whoever loads has said that its integers are of; None: the database's.
        is_load: The advice is for loads, which have ``unit=``.
    """

    def __init__(self, given: str | None = None, *, is_load: bool = False) -> None:
        self._given = given
        self._is_load = is_load
        self.warning: str | None = None

    def note(self, first: int, last: int, time_precision: int | None) -> None:
        """Take note of the first and last time that are sent to a database."""
        if self.warning is not None or time_precision is None:
            return
        for timestamp in (first, last):
            likely = likely_precision(timestamp)
            if likely is not None and likely != time_precision:
                self.warning = self._text(timestamp, likely, TimePrecision(time_precision))
                logger.warning("%s", self.warning)
                return

    def _text(self, timestamp: int, likely: TimePrecision, stored: TimePrecision) -> str:
        what = (
            f"timestamp {timestamp} is sent to a database of {stored.unit}, and looks like a time "
            f"in {likely.unit}"
        )
        if not self._is_load:
            return f"{what}: give datetime64 or datetime, or integers in {stored.unit}"
        of_given = stored if self._given is None else TimePrecision.of_unit(self._given)
        index = of_given + likely - stored  # what was given was converted before it came here
        if not 0 <= index < len(UNITS):
            return f"{what}: the times are not in {of_given.unit}"
        return f"{what}: load with unit={UNITS[index]!r} (--unit {UNITS[index]})"
