"""How a table file is read: the options, and what every kind of file offers its reader.

Sizes are bytes. This module knows nothing of a file format, nor of pyarrow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, Self, get_args

from siridb_fast.errors import ConfigError, FileError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MAX_ROWS", "Batches", "ColumnType", "ReadOptions", "TableFile"]

MAX_ROWS = 1_048_576
MAX_BATCH_BYTES = 1 << 30  # the offsets of Arrow strings have 31 bits
MIB = 1024 * 1024
ColumnType = Literal["float", "integer", "string", "bool", "time"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What to read of a file, validated.

    ``columns`` are read and no others, in this order (None: all). ``names`` are the columns that
    name series: they come dictionary-encoded, with int32 codes. ``time`` is the time column.
    ``batch_bytes`` is the size of decoded batches that is aimed at, ``pass_bytes`` what may be in
    memory of all columns that are read at one time; wider files are read in several passes.

    For CSV alone: ``types`` of columns (a column without one takes that of its first batch; see
    `csv_values`), ``delimiter`` (None: a comma, or a tab if the suffix is .tsv), and ``skip_bad``
    to leave bad lines out and count them, where the first one otherwise is an error.
    """

    columns: tuple[str, ...] | None = None
    names: tuple[str, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    time: str | None = None
    skip_bad: bool = False
    delimiter: str | None = None
    batch_bytes: int = 8 * MIB
    pass_bytes: int = 64 * MIB

    def __post_init__(self) -> None:
        if self.columns is not None:
            object.__setattr__(self, "columns", _texts("columns", self.columns))
            if not self.columns:
                raise ConfigError("columns names at least one column, got none")
        object.__setattr__(self, "names", _texts("names", self.names))
        object.__setattr__(self, "types", MappingProxyType(dict(self.types)))
        self._check_types()
        if self.time is not None and not isinstance(self.time, str):
            raise ConfigError(f"time is the name of a column, got {self.time!r}")
        if not isinstance(self.skip_bad, bool):
            raise ConfigError(f"skip_bad is true or false, got {self.skip_bad!r}")
        self._check_delimiter()
        for name in ("batch_bytes", "pass_bytes"):
            size = getattr(self, name)
            if type(size) is not int or not 1 <= size <= MAX_BATCH_BYTES:
                raise ConfigError(
                    f"{name} is an integer from 1 to {MAX_BATCH_BYTES:,}, got {size}"
                )

    def _check_types(self) -> None:
        known = get_args(ColumnType)
        for column, kind in self.types.items():
            if kind not in known:
                expected = ", ".join(known)
                raise ConfigError(f"the type of column {column!r} is one of {expected}: {kind!r}")
            if column in self.names and kind != "string":
                raise ConfigError(f"column {column!r} names series, its type is string: {kind!r}")

    def _check_delimiter(self) -> None:
        text = self.delimiter
        if text is None:
            return
        if not isinstance(text, str) or len(text) != 1 or not text.isascii() or text in '"\r\n':
            raise ConfigError(
                f"delimiter is one ASCII character, no quote or end of line, got {text!r}"
            )


class Batches:
    """What all table files share: a block ends with `close`, iterating yields the batches."""

    left_out: Sequence[str] = ()  # columns that cannot be read and were not asked for

    def groups(self, kept: Sequence[str], values: Sequence[str]) -> list[tuple[str, ...]]:
        """Return the values as one group: all are read in one pass."""
        return [tuple(values)]

    def batches(
        self, start: int = 0, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the batches from row ``start`` on."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the file."""
        raise NotImplementedError

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


class TableFile(Protocol):
    """A file of rows and columns; a context manager, and an iterable of record batches.

    Rows are counted from the first good row of the file, which is 0. One iteration runs at a
    time: `batches` begins anew.
    """

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def schema(self) -> pa.Schema:
        """What the batches will have."""

    @property
    def rows(self) -> int | None:
        """All rows of the file; None where only reading tells (CSV, Arrow streams)."""

    @property
    def size(self) -> int:
        """Bytes on disk."""

    @property
    def bytes_read(self) -> int:
        """Bytes on disk that are behind, for a progress bar; compressed ones where they are."""

    @property
    def left_out(self) -> Sequence[str]:
        """The columns that are not read because they are nested; none if columns are chosen."""

    @property
    def bad_lines(self) -> int:
        """Lines left out so far (CSV with ``skip_bad``)."""

    @property
    def first_bad(self) -> Sequence[FileError]:
        """What was wrong with the first few of them."""

    def groups(self, kept: Sequence[str], values: Sequence[str]) -> list[tuple[str, ...]]:
        """Return the values in groups, each to be read with ``kept`` in a pass of its own.

        The same file and options give the same groups; more than one only if ``rows`` is known.
        """

    def batches(
        self, start: int = 0, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the batches from row ``start`` on, of some columns in this order (None: all)."""

    def place(self, row: int) -> str:
        """Tell where a row that was yielded is: "line 17" in CSV (from 1), else "row 17"."""

    def close(self) -> None:
        """Close the file."""

    def __iter__(self) -> Iterator[pa.RecordBatch]: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def _texts(option: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ConfigError(f"{option} is a tuple of column names, got {value!r}")
    if not all(isinstance(name, str) for name in value):
        raise ConfigError(f"{option} is a tuple of column names, got {value!r}")
    if len(set(value)) < len(value):
        raise ConfigError(f"{option} names each column once, got {value!r}")
    return tuple(value)
