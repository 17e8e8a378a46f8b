"""The columns of a CSV file that are read: of which fields they come, and what kind each is.

The kind of a column is what is said of it, or what the dialect says, for the whole file; only that
of times (integers or a unit of times, with zones or without) is found in the first lines. This
module needs pyarrow.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from siridb_fast.files._time_texts import Status
from siridb_fast.files.arrow_schema import one_array
from siridb_fast.files.base import ReadOptions
from siridb_fast.files.csv.dialect import Dialect, TimeFormat
from siridb_fast.files.csv.guess_numbers import are_plain
from siridb_fast.files.csv.numbers import plain_numbers, without_nulls
from siridb_fast.files.csv.times import TimeKind, joined_texts, statuses_of, time_kind
from siridb_fast.files.csv.values import ARROW_TYPES, TIMES, decide_type

__all__ = ["NAMES_TYPE", "CsvColumns"]

NAMES_TYPE = pa.dictionary(pa.int32(), pa.string())


class CsvColumns:
    """Those of one file, with kinds once they are settled.

    Attributes:
        names: Of the columns of batches, in their order.
        fields: Of the fields that are read for them, in the order of the file.
        kinds: Of each column, one of `ARROW_TYPES`; empty until it is settled.
        schema: Of the batches; empty until it is settled.
        joined: The column that comes of several fields; None if there is none.
        are_zoned: Whether all times name their zone (True) or none does; None: it is mixed.
    """

    def __init__(self, dialect: Dialect, options: ReadOptions) -> None:
        self.dialect = dialect
        self.options = options
        time = dialect.time
        self._time_name = None if time is None else time.name
        self.joined = None if time is None or len(time.columns) == 1 else time.name
        self.names = self._names()
        self.fields = self._fields()
        self.kinds: dict[str, str] = {}
        self.schema = pa.schema([])
        self.are_zoned: bool | None = None

    @property
    def all_names(self) -> list[str]:
        """Of all columns that there are, read or not."""
        own = [name for name in self.dialect.names if name]
        return own if self.joined is None else [*own, self.joined]

    def settle(self, table: pa.Table) -> None:
        """Find the kinds, by the first rows as texts."""
        numbers = self._numbers_at_first(table)
        self.kinds = {name: self._kind(name, table, name in numbers) for name in self.names}
        self.schema = pa.schema(
            (name, NAMES_TYPE if name in self.options.names else ARROW_TYPES[kind])
            for name, kind in self.kinds.items()
        )

    def time_of(self, name: str) -> TimeFormat | None:
        """Return how a column of times is read; None if it is none."""
        time = self.dialect.time
        if time is not None and name == self._time_name and self._is_for_time(name):
            return time
        kind = self.kinds.get(name, self.options.types.get(name))
        return TimeFormat(columns=(name,)) if kind == "time" or kind in TIMES else None

    def has_guessed_floats(self, name: str) -> bool:
        """Tell whether a column is of floats because nobody said what it is."""
        return self.kinds[name] == "float" and name not in self.options.types

    def texts(self, table: pa.Table, name: str) -> pa.Array:
        """Return the texts of a column, or of the columns that a time is of."""
        time = self.time_of(name)
        if time is None or len(time.columns) == 1:
            return one_array(table, name)
        parts = [without_nulls(one_array(table, part), self.dialect) for part in time.columns]
        return joined_texts(parts)

    def _names(self) -> list[str]:
        if self.options.columns is not None:
            return [*self.options.columns]
        time = self.dialect.time
        parts = () if time is None or self.joined is None else time.columns
        own = [name for name in self.dialect.names if name]
        own = [name for name in own if name not in self.options.ignore]
        kept = (name for name in own if name not in parts or name in self.options.names)
        return [*([] if self.joined is None else [self.joined]), *kept]

    def _fields(self) -> list[str]:
        time = self.dialect.time
        parts = () if time is None or self.joined is None else time.columns
        wanted = {*parts, *self.names}
        return [name for name in self.dialect.names if name and name in wanted]

    def _numbers_at_first(self, table: pa.Table) -> set[str]:
        # The columns whose first value is plainly a number: all of them are found at once.
        dialect, rows = self.dialect, table.slice(0, 1).to_pylist()
        if not rows or dialect.nulls or (dialect.decimal, dialect.thousands) != (".", None):
            return set()
        first = {name: text for name in self.names if (text := rows[0].get(name))}
        if are_plain(first.values()):
            return {*first}
        return {name for name, text in first.items() if are_plain([text])}

    def _kind(self, name: str, table: pa.Table, is_number: bool) -> str:
        given, dialect = self.options.types.get(name), self.dialect
        if name in self.options.names:
            return "string"
        if (time := self.time_of(name)) is not None:
            return self._kind_of_time(self.texts(table, name), time)
        kind = given or dialect.kinds.get(name)
        if kind == "mixed":
            return "string"  # whoever knows the series tells them apart
        if given is not None or kind in ("bool", "string"):
            return str(kind)
        if is_number:
            return "float"
        texts = without_nulls(one_array(table, name), dialect)
        return decide_type(plain_numbers(texts, dialect))

    def _kind_of_time(self, texts: pa.Array, time: TimeFormat) -> TimeKind:
        if time is self.dialect.time:
            self.are_zoned = _are_zoned(statuses_of(texts, time))
        return time_kind(texts, time)

    def _is_for_time(self, name: str) -> bool:
        return name not in self.options.names and self.options.types.get(name, "time") == "time"


def _are_zoned(statuses: npt.NDArray[np.uint8]) -> bool | None:
    is_zoned, is_local = (bool((statuses == one).any()) for one in (Status.ZONED, Status.LOCAL))
    return None if is_zoned and is_local else is_zoned
