"""How a table file is read: the options, and what every kind of file offers its reader.

Sizes are bytes. This module knows nothing of a file format, nor of pyarrow.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Literal, Self, get_args

from siridb_fast.columns.typed_values import SERIES, TIME, TYPED_VALUES, is_long_form, reasons_in
from siridb_fast.errors import ConfigError, FileError
from siridb_fast.files.csv.dialect import Dialect, Unit, joined_name
from siridb_fast.files.csv.given import CsvGiven, check_character
from siridb_fast.files.paths import Format

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MAX_ROWS", "ColumnType", "ReadOptions", "TableFile", "settled_types"]

MAX_ROWS = 1_048_576
MAX_BATCH_BYTES = 1 << 30  # the offsets of Arrow strings have 31 bits
MIB = 1024 * 1024
ColumnType = Literal["float", "integer", "string", "bool", "time", "mixed", "s", "ms", "us", "ns"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What to read of a file, validated.

    ``columns`` are read and no others, in this order (None: all). ``names`` are the columns that
    name series: they come dictionary-encoded, with int32 codes. Of these and of ``types``,
    ``optional`` ones need not be there (`for_columns`). ``time`` is the time column. Of all
    columns, those to ``ignore`` are not read.
    ``format`` is what the file is, whatever its suffix says.
    ``batch_bytes`` is the size of decoded batches that is aimed at, ``pass_bytes`` what may be in
    memory of all columns that are read at one time; wider files are read in several passes.

    For CSV alone: ``types`` of columns (a column without one is what the dialect says, numbers are
    floats; of other files they are only checked to be there), ``delimiter`` (None: it is guessed),
    ``csv``: what else is said of its text, and ``skip_bad`` to leave bad lines out and count them,
    where the first one otherwise is an error. ``time_columns`` are the columns that hold the time,
    if several do; ``time`` is then the name of the one column that comes of them. ``unit`` is that
    of times that are numbers. With a ``dialect`` nothing is guessed.
    """

    columns: tuple[str, ...] | None = None
    names: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    time: str | None = None
    skip_bad: bool = False
    delimiter: str | None = None
    csv: CsvGiven = field(default_factory=CsvGiven)
    time_columns: tuple[str, ...] = ()
    unit: Unit | None = None
    dialect: Dialect | None = None
    format: Format | None = None
    batch_bytes: int = 8 * MIB
    pass_bytes: int = 64 * MIB

    def __post_init__(self) -> None:
        if self.columns is not None:
            object.__setattr__(self, "columns", _texts("columns", self.columns))
            if not self.columns:
                raise ConfigError("columns names at least one column, got none")
        object.__setattr__(self, "names", _texts("names", self.names))
        object.__setattr__(self, "ignore", _texts("ignore", self.ignore))
        object.__setattr__(self, "types", settled_types(self.types, self.names))
        if self.time is not None and not isinstance(self.time, str):
            raise ConfigError(f"time is the name of a column, got {self.time!r}")
        self._settle_time()
        if not isinstance(self.skip_bad, bool):
            raise ConfigError(f"skip_bad is true or false, got {self.skip_bad!r}")
        check_character("delimiter", self.delimiter)
        for name in ("batch_bytes", "pass_bytes"):
            size = getattr(self, name)
            if type(size) is not int or not 1 <= size <= MAX_BATCH_BYTES:
                raise ConfigError(
                    f"{name} is an integer from 1 to {MAX_BATCH_BYTES:,}, got {size}"
                )

    def for_columns(self, there: Collection[str]) -> Self:
        """Return the options for a file of these columns, without optional ones it lacks.

        A file that a query wrote says the types of its values in the names of their columns, and
        so do dead letters.
        """
        reasons = () if self.columns else reasons_in(there)
        if reasons and not self.names and self.time_columns in ((), (TIME,)):
            options = replace(self, time_columns=(TIME,), ignore=(*self.ignore, *reasons))
            return options.for_columns({*there} - {*reasons})
        if is_long_form(there) and not self.names and self.time_columns in ((), (TIME,)):
            types = {name: kind for name, kind in TYPED_VALUES.items() if name in there}
            return replace(self, names=(SERIES,), types={**types, **self.types}, optional=())
        absent = {name for name in self.optional if name not in there}
        if not absent:
            return self
        columns = self.columns and tuple(name for name in self.columns if name not in absent)
        names = tuple(name for name in self.names if name not in absent)
        types = {name: kind for name, kind in self.types.items() if name not in absent}
        return replace(self, columns=columns, names=names, types=types, optional=())

    def _settle_time(self) -> None:
        columns = _texts("time_columns", self.time_columns)
        if not columns and self.time is not None:
            columns = (self.time,)
        object.__setattr__(self, "time_columns", columns)
        if columns:
            object.__setattr__(self, "time", joined_name(columns))


def settled_types(types: Mapping[str, str], names: Collection[str]) -> Mapping[str, str]:
    """Return the types of columns under the names they have here.

    Args:
        types: Of columns.
        names: Columns that name series.

    Raises:
        ConfigError: There is no such type, or a column that names series is no text.
    """
    called = {"int": "integer", "str": "string"}  # as Python calls them
    found = {column: called.get(kind, kind) for column, kind in types.items()}
    known = get_args(ColumnType)
    for column, kind in found.items():
        if kind not in known:
            expected = ", ".join(known)
            raise ConfigError(f"the type of column {column!r} is one of {expected}: {kind!r}")
        if column in names and kind != "string":
            raise ConfigError(f"column {column!r} names series, its type is string: {kind!r}")
    return MappingProxyType(found)


class TableFile(ABC):
    """A file of rows and columns; a context manager, and an iterable of record batches.

    Rows are counted from the first good row of the file, which is 0. One iteration runs at a
    time: `batches` begins anew.
    """

    path: Path
    schema: pa.Schema  # what the batches have
    size: int  # bytes on disk
    rows: int | None = None  # of the whole file; None where only reading shows it (CSV, streams)
    left_out: Mapping[str, str] = MappingProxyType(
        {}
    )  # nested columns that are not read, and types
    dialect: Dialect | None = None  # how a CSV file is read
    reads_after_close: bool = False  # `batches` opens it anew
    may_grow: bool = False  # lines may be appended to it
    bad_lines: int = 0  # left out so far (CSV with ``skip_bad``)
    first_bad: Sequence[FileError] = ()  # what was wrong with the first few of them

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self.path = path
        self._options = options
        self._next_row = 0  # after those that were yielded

    @property
    def bytes_read(self) -> int:
        """Bytes on disk that were read, for a progress bar; compressed ones where they are."""
        return self.size * self._next_row // self.rows if self.rows else self.size

    @property
    def types(self) -> Mapping[str, str]:
        """What was said of columns that it has."""
        return self._options.types

    def passes(self, common: Sequence[str], values: Sequence[str]) -> list[tuple[str, ...]]:
        """Return the values of each pass over the file, in all of which ``common`` are read too.

        The same file and options give the same passes; more than one only if ``rows`` is known.
        """
        return [tuple(values)]

    @abstractmethod
    def batches(
        self, start: int = 0, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the batches from row ``start`` on, of some columns in this order (None: all)."""

    def row_label(self, row: int) -> str:
        """Return where a row that was yielded is: "line 17" in CSV (from 1), else "row 17"."""
        return f"row {row}"

    @abstractmethod
    def close(self) -> None:
        """Close the file."""

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self.batches()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _texts(option: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ConfigError(f"{option} is a tuple of column names, got {value!r}")
    if not all(isinstance(name, str) for name in value):
        raise ConfigError(f"{option} is a tuple of column names, got {value!r}")
    if len(set(value)) < len(value):
        raise ConfigError(f"{option} names each column once, got {value!r}")
    return tuple(value)
