"""What is printed: rows under names of columns, made from points or from any other answer.

Knows nothing of files and terminals. Rules: integers and floats stay what they are; a timestamp is
ISO 8601 in UTC, with the digits that its unit has, or an integer where that is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from siridb_fast.columns.iso_times import iso
from siridb_fast.columns.typed_values import SERIES, VALUE, is_long_form

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "AnswerGrid",
    "Grid",
    "PointGrid",
    "as_text",
    "is_select",
    "names_in",
    "with_typed_values",
    "without_times",
]

SELECTS = ("select", "timeit select")
TIMING = "__timeit__"
BATCH = 10_000


class Grid(Protocol):
    """Rows under names of columns."""

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""

    def __len__(self) -> int: ...

    def rows(self, start: int, stop: int) -> Iterator[tuple[object, ...]]:
        """Yield the rows from ``start`` up to ``stop``."""


@dataclass(frozen=True, slots=True)
class PointGrid:
    """Points: an Arrow table with a column ``time``, its timestamps as text or as integers."""

    table: pa.Table
    is_raw: bool

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self.table.column_names)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def rows(self, start: int, stop: int) -> Iterator[tuple[object, ...]]:
        """Yield the rows from ``start`` up to ``stop``."""
        for offset in range(start, stop, BATCH):
            chunk = self.table.slice(offset, min(BATCH, stop - offset))
            yield from zip(*map(self._cells, chunk.schema, chunk.columns), strict=True)

    def _cells(self, field: pa.Field, column: pa.ChunkedArray) -> list[object]:
        if not _is_time(field):
            return list(column.to_pylist())
        stamps = column.to_numpy().astype(np.int64)
        return list(stamps.tolist() if self.is_raw else iso(stamps, field.type.unit))


class AnswerGrid:
    """Any other answer of the server: a list, settings, a count, a message."""

    def __init__(self, answer: dict[str, Any]) -> None:
        answer = {key: value for key, value in answer.items() if key != TIMING}
        self.columns: list[str] = list(answer)
        self._rows: list[tuple[object, ...]] = [tuple(answer.values())]
        if "columns" in answer and len(answer) == 2:
            self.columns = answer["columns"]
            (found,) = (rows for key, rows in answer.items() if key != "columns")
            self._rows = [tuple(row) for row in found]
        elif list(answer) == ["data"]:
            self.columns = ["name", "value"]
            self._rows = [(item["name"], item["value"]) for item in answer["data"]]

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self, start: int, stop: int) -> Iterator[tuple[object, ...]]:
        """Yield the rows from ``start`` up to ``stop``."""
        return islice(self._rows, start, stop)

    @property
    def message(self) -> str | None:
        """The text, where the answer is nothing but a text."""
        if len(self.columns) == 1 and len(self._rows) == 1:
            (value,) = self._rows[0]
            return value if isinstance(value, str) else None
        return None


def as_text(value: object) -> object:
    """Return a name or text of the database as str, and any other value as it is.

    What is not UTF-8 comes as bytes; its odd bytes become lone surrogates (PEP 383).
    """
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def is_select(query: str) -> bool:
    """Tell whether a query asks for points."""
    return " ".join(query.split()[:2]).lower().startswith(SELECTS)


def names_in(table: pa.Table) -> list[str | bytes]:
    """Return the names of the series in an Arrow table, wide or long."""
    if table.column_names[0] == SERIES and is_long_form(table.column_names):
        series = table.column(SERIES).unify_dictionaries()
        return list(series.chunk(0).dictionary.to_pylist()) if series.num_chunks else []
    fields = [field for field in table.schema if not _is_time(field)]
    return [
        (field.metadata or {}).get(b"series", field.name.encode()).decode() for field in fields
    ]


def with_typed_values(table: pa.Table) -> pa.Table:
    """Return a long table whose column of values says its type, if that is not float."""
    typed = {"int64": "value_integer", "string": "value_text"}
    names = [
        typed.get(str(field.type), VALUE) if field.name == VALUE else field.name
        for field in table.schema
    ]
    return table.rename_columns(names)


def without_times(table: pa.Table) -> pa.Table:
    """Return an Arrow table with integers for its timestamps."""
    import pyarrow as pa

    schema = pa.schema([pa.field(f.name, pa.int64()) if _is_time(f) else f for f in table.schema])
    return table.cast(schema)


def _is_time(field: pa.Field) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_timestamp(field.type))
