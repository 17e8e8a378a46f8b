"""One dead letter: points of a series, why they are there, and since when.

What its file has of it, whatever the form. Knows nothing of files.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from siridb_fast.columns.iso_times import iso
from siridb_fast.columns.time_units import UNITS, Unit
from siridb_fast.delivery.report import Failure
from siridb_fast.errors import ConflictError, SiriDBError, conflict_text

__all__ = ["VALUE_COLUMNS", "Letter"]

VALUE_COLUMNS: Final = {"f": "value_float", "i": "value_integer", "O": "value_text"}
YEAR_10000 = 253_402_300_800  # seconds; ISO 8601 ends there
LAST_TIMES: Final[dict[Unit, int]] = {
    "s": YEAR_10000 - 1,
    "ms": YEAR_10000 * 10**3 - 1,
    "us": YEAR_10000 * 10**6 - 1,
    "ns": 2**63 - 1,
}


@dataclass(frozen=True, slots=True, eq=False)
class Letter:
    """The points of a failure, and when it was reported.

    Made by `of`. ``unit`` is that of the timestamps; None if nobody knows it, or one of them is
    after the year 9999.
    """

    series: str
    timestamps: np.ndarray[Any, np.dtype[np.int64]]
    values: np.ndarray[Any, Any]
    unit: Unit | None
    reasons: str | list[str]  # of all points, or of each
    error: str
    refused_at: datetime

    @classmethod
    def of(cls, failure: Failure, at: float) -> Letter:
        """Make the letter of a failure that was reported ``at`` a time of the system's clock.

        Raises:
            SiriDBError: The points are not kept, or have a text that is not UTF-8.
        """
        timestamps, values = failure.arrays()
        return cls(
            _checked_text(failure.series, failure.series),
            timestamps,
            _checked_values(failure.series, values),
            _unit_of(failure.time_precision, timestamps),
            _reasons(failure.error),
            type(failure.error).__name__,
            datetime.fromtimestamp(at, UTC),
        )

    @property
    def points(self) -> int:
        """How many."""
        return len(self.timestamps)

    @property
    def reason_of_each(self) -> list[str]:
        """The reason of each point."""
        return [self.reasons] * self.points if isinstance(self.reasons, str) else self.reasons

    @property
    def size(self) -> int:
        """How many bytes the points have."""
        texts = self.values.tolist() if self.values.dtype.kind == "O" else []
        return self.timestamps.nbytes + self.values.nbytes + sum(map(len, texts))

    @property
    def column(self) -> str:
        """The name of the column that the values are in."""
        return VALUE_COLUMNS[self.values.dtype.kind]

    @property
    def times(self) -> list[str] | list[int]:
        """Timestamps as ISO 8601; as integers where there is no unit."""
        if self.unit is None:
            numbers: list[int] = self.timestamps.tolist()
            return numbers
        return iso(self.timestamps, self.unit)


def _reasons(error: BaseException) -> str | list[str]:
    if isinstance(error, ConflictError):
        points = zip(error.timestamps, error.values, error.stored, strict=True)
        return [_utf8(conflict_text(error.series, *point)) for point in points]
    return _utf8(str(error))


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _unit_of(
    precision: int | None, timestamps: np.ndarray[Any, np.dtype[np.int64]]
) -> Unit | None:
    unit = None if precision is None else UNITS[precision]
    return unit if unit is None or np.all(timestamps <= LAST_TIMES[unit]) else None


def _checked_values(series: str, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    for text in values.tolist() if values.dtype.kind == "O" else ():
        _checked_text(series, text)
    return values


def _checked_text(series: str, text: object) -> str:
    try:
        if isinstance(text, str):
            text.encode()
            return text
    except UnicodeEncodeError:  # it holds a lone surrogate
        pass
    raise SiriDBError(f"series {series!r} has a text that is not UTF-8")
