"""What is learned of a database once and believed for as long as a connection lasts.

All of it is in `DatabaseFacts`: whatever else is to be believed for longer than one request goes
there, so that it is asked for again over each new connection. The types of series are too many for
that: they are forgotten instead. Knows the text of the question; whoever owns a connection asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from siridb_fast.columns.time_units import UNITS, TimePrecision
from siridb_fast.errors import DatabaseChangedError

__all__ = [
    "ASSUMED_BUFFER_POINTS",
    "BUFFERED_POINT_BYTES",
    "FACTS_QUERY",
    "DatabaseFacts",
    "require_precision",
    "shown",
]

FACTS_QUERY = "show uuid, uptime, received_points, pool, time_precision, buffer_size"

ASSUMED_BUFFER_POINTS = 1023  # of a server that may not be asked: right up to 16 KiB a series
BUFFERED_POINT_BYTES = 16  # in the server's buffer of a series


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """What a writer has to know of its database; None: not told, or one may not ask.

    ``uuid`` is that of the server in this database: a database that is made anew has another one.
    ``may_select`` and ``pools`` are asked for only where they matter, and True and 1 elsewhere.
    """

    uuid: str | None = None
    time_precision: int | None = None
    buffer_size: int | None = None
    may_select: bool = True
    pools: int = 1

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> DatabaseFacts:
        """Return what the answer to `FACTS_QUERY` says."""
        unit = answer.get("time_precision")
        precision = None if unit is None else TimePrecision.of_unit(unit).value
        return cls(answer.get("uuid"), precision, answer.get("buffer_size"))

    @property
    def buffer_points(self) -> int:
        """How many points the server buffers of a series."""
        if self.buffer_size is None:
            return ASSUMED_BUFFER_POINTS
        return self.buffer_size // BUFFERED_POINT_BYTES


def shown(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the names and values of the answer to a ``show``."""
    return {item["name"]: item["value"] for item in answer.get("data", ())}


def require_precision(known: int | None, found: int | None, host: str = "") -> None:
    """Refuse a database of another time precision than the one that points are converted for.

    Raises:
        DatabaseChangedError: Names both. Where one is not known, nothing can be said.
    """
    if known is not None and found is not None and known != found:
        where = f" at {host}" if host else ""
        raise DatabaseChangedError(
            f"the time precision of the database{where} is {UNITS[found]}, it was {UNITS[known]} "
            "before: it is another database, or was made anew, and gets no points"
        )
