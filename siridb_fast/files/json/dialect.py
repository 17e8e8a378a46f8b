"""How one file of JSON is read: which field has the times, and how they are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from siridb_fast.files.csv.dialect import Dialect, time_text

__all__ = ["JsonDialect"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonDialect(Dialect):
    """As a `Dialect` of CSV files, of which only names and times are of use here."""

    is_array: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return what `Dialect.from_json` takes."""
        found = Dialect.as_json(self)
        del found["is_array"]  # the file's name says it
        return found

    def __str__(self) -> str:
        form = "an array of JSON objects" if self.is_array else "a JSON object a line"
        return form if self.time is None else f"{form}, {time_text(self.time)}"
