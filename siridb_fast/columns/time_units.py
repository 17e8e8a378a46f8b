"""What a unit of time is: to the server, to numpy, and in seconds.

The one place that says so. Knows nothing of timestamps: what lies in an array is read and checked
in `column`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, Literal

__all__ = [
    "ATTOSECONDS",
    "MICROSECOND",
    "MILLISECOND",
    "NANOSECOND",
    "PRECISIONS",
    "SECOND",
    "UNITS",
    "TimePrecision",
    "Unit",
]

Unit = Literal["s", "ms", "us", "ns"]  # the server and numpy have the same names for them

UNITS: Final[tuple[Unit, ...]] = ("s", "ms", "us", "ns")  # by the server's code
ATTOSECONDS: Final = {  # of one unit of numpy's, which are more than the server's
    "as": 1,
    "fs": 10**3,
    "ps": 10**6,
    "ns": 10**9,
    "us": 10**12,
    "ms": 10**15,
    "s": 10**18,
    "m": 60 * 10**18,
    "h": 3_600 * 10**18,
    "D": 86_400 * 10**18,
    "W": 604_800 * 10**18,
}


class TimePrecision(IntEnum):
    """The unit of a database's timestamps, by the code that the server has for it."""

    SECOND = 0
    MILLISECOND = 1
    MICROSECOND = 2
    NANOSECOND = 3

    @classmethod
    def of_unit(cls, unit: str) -> TimePrecision:
        """Return the precision of that unit.

        Raises:
            ValueError: No database has it.
        """
        if unit not in UNITS:
            raise ValueError(f"a time precision is s, ms, us or ns, got {unit!r}")
        return cls(UNITS.index(unit))

    @property
    def unit(self) -> Unit:
        """The name of the unit."""
        return UNITS[self]

    @property
    def per_second(self) -> int:
        """How many of it make a second."""
        return int(1000**self)

    @property
    def nanoseconds(self) -> int:
        """How many nanoseconds one of it has."""
        return 10**9 // self.per_second


PRECISIONS: Final = tuple(TimePrecision)

# Public, and plain integers: they are shown to users, and packed.
SECOND: Final[int] = TimePrecision.SECOND.value
MILLISECOND: Final[int] = TimePrecision.MILLISECOND.value
MICROSECOND: Final[int] = TimePrecision.MICROSECOND.value
NANOSECOND: Final[int] = TimePrecision.NANOSECOND.value
