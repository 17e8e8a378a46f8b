"""Files as portions of a load: batch by batch, with what is delivered written down on the way.

A wide file comes in several passes, each over all rows and some columns of values, one pass after
the other. Names rows as the file does. Runs in the thread that reads.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from siridb_fast.delivery.report import Report
from siridb_fast.errors import ColumnError, FileError
from siridb_fast.files.csv.dialect import Dialect
from siridb_fast.files.open import ReadOptions, TableFile, alike_files, find_files, open_file
from siridb_fast.loading.column_roles import ColumnRoles
from siridb_fast.loading.file_heads import SMALL, FileHeads
from siridb_fast.loading.file_roles import as_table, file_roles, labels_of
from siridb_fast.loading.frame_reader import FramePoints, FrameReader
from siridb_fast.loading.frames.arrow_frame import ArrowFrame
from siridb_fast.loading.odd_units import refuse_odd_unit
from siridb_fast.loading.options import LoadOptions
from siridb_fast.loading.portion_groups import PortionGroup, grouped

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FileProgress", "FileSource"]

TOGETHER = 200  # short files, of which it is noted at once that they are about to leave
LEVEL = re.compile(r"column_\d+")

logger = logging.getLogger("siridb_fast")


class FileProgress(Protocol):
    """Notes how far a file is; rows count from the start of its first pass."""

    @property
    def has_done(self) -> bool:
        """Tell whether files of the load were loaded before, and are left out."""

    def dialect_of(self, file: Path) -> str:
        """Return how it was read when it began, as JSON; '' where it begins now."""

    def begin(
        self, file: Path, passes: str, dialect: str, *, may_grow: bool = False
    ) -> tuple[int, int]:
        """Return up to which row it is stored, and up to which it may be."""

    def announce(self, files: Sequence[Path]) -> None:
        """Note with the next row that leaves that any row of these files may."""

    def start(self, file: Path, rows: int) -> None:
        """Note that rows up to this one are about to leave."""

    def deliver(self, file: Path, rows: int) -> None:
        """Note that rows up to this one are stored."""

    def finish(self, file: Path) -> None:
        """Note that all of it is stored."""


class FileSource:
    """The batches of some files, one file after another.

    Args:
        paths: Files, folders and patterns.
        options: Of the load.
        progress: Where it is written down; None: nowhere.

    Raises:
        FileError: There is no such file.
    """

    def __init__(
        self,
        paths: Iterable[str | os.PathLike[str]],
        options: LoadOptions,
        progress: FileProgress | None = None,
    ) -> None:
        self.files = find_files(paths, options.format)
        self._sizes = {file: _size(file) for file in self.files}  # one may vanish later
        self.size = sum(self._sizes.values())
        self.bad_lines = 0
        self.first_bad: list[FileError] = []
        self.dialects: dict[str, list[Path]] = {}  # how CSV files are read, and which files
        self._progress = progress
        self._options = options
        self._read_options = _read_options(options)
        self._heads = FileHeads(options.types)
        self._alike = alike_files() if len(self.files) > 1 else None
        self._size_before = 0
        self._passes_behind, self._passes = 0, 1  # of the current file
        self._current: TableFile | None = None

    @property
    def skipped(self) -> Mapping[Path, FileError]:
        """The files that were left out, and why."""
        return self._heads.skipped

    @property
    def bad_so_far(self) -> int:
        """How many bad lines were left out, up to here."""
        current = self._current
        return self.bad_lines + (0 if current is None else current.bad_lines)

    @property
    def bytes_read(self) -> int:
        """How far it is, in bytes on disk."""
        current = self._current
        if current is None:
            return self._size_before
        behind = self._passes_behind * current.size + current.bytes_read
        return self._size_before + behind // self._passes

    def __iter__(self) -> Iterator[FilePortion | PortionGroup]:
        if len(self.files) > 1 or self._options.skip_bad_files:
            self._look_at_heads()
        return self._each() if len(self.files) == 1 else grouped(self._each())

    def _each(self) -> Iterator[FilePortion]:
        announced: set[Path] = set()
        for number, file in enumerate(self.files):
            if file in self._heads.skipped:
                continue
            if file not in announced:
                announced = self._announce(number)
            kept = self._heads.take(file)
            with self._open(file) if kept is None else kept[0] as table:
                self._passes_behind, self._passes = 0, 1
                self._current = table
                if table.dialect is not None:
                    self.dialects.setdefault(str(table.dialect), []).append(file)
                try:
                    roles = self._roles(file, table) if kept is None else kept[1]
                    yield from self._portions(file, table, roles)
                finally:
                    self._current = None
                    self.bad_lines += table.bad_lines
                    self.first_bad.extend(table.first_bad)
            self._size_before += self._sizes[file]

    def _announce(self, number: int) -> set[Path]:
        # Short files are noted together, for each note waits for the disk.
        if self._progress is None or len(self.files) == 1:
            return set()
        some = (f for f in self.files[number : number + TOGETHER] if f not in self._heads.skipped)
        short = {*takewhile(lambda file: self._sizes[file] <= SMALL, some)}
        self._progress.announce([*short])
        return short

    def _look_at_heads(self) -> None:
        self._heads.look_at(self.files, self._opened, skips=self._options.skip_bad_files)
        has_done = self._progress is not None and self._progress.has_done
        if len(self._heads.skipped) == len(self.files) and not has_done:
            raise next(iter(self._heads.skipped.values()))
        for file, exc in self._heads.skipped.items():
            logger.warning("%s, and the file is left out", exc)
            self._size_before += self._sizes[file]

    def _open(self, file: Path) -> TableFile:
        # It is read as it was when it began. A column goes before what is said by the path.
        template = self._options.name_template
        levels = filter(LEVEL.fullmatch, template.fields)  # of the names of columns
        types = self._options.types if len(self.files) > 1 else ()  # some file has to have them
        optional = (*labels_of(file, template), *levels, *types)
        options = replace(self._read_options, optional=optional)
        dialect = self._heads.dialects.get(file)
        noted = "" if self._progress is None else self._progress.dialect_of(file)
        if noted:
            dialect = Dialect.from_json(json.loads(noted))
        options = options if dialect is None else replace(options, dialect=dialect)
        return open_file(file, options, self._alike)

    def _opened(self, file: Path) -> tuple[TableFile, ColumnRoles]:
        table = self._open(file)
        try:
            return table, self._roles(file, table)
        except FileError:
            table.close()
            raise

    def _roles(self, file: Path, table: TableFile) -> ColumnRoles:
        options = self._options
        return file_roles(file, table, options, labels_of(file, options.name_template))

    def _portions(self, file: Path, table: TableFile, roles: ColumnRoles) -> Iterator[FilePortion]:
        # Of the rows that are not delivered; those that may be stored are portions of their own.
        passes = self._plan(table, roles)
        progress = self._progress
        row, started = 0, 0
        if progress is not None:
            row, started = progress.begin(
                file, _described(passes), _noted(table.dialect), may_grow=table.may_grow
            )
        if not row and table.dialect is not None and not table.dialect.is_plain:
            _read_through(table)
        total = len(passes) * (table.rows or 0)  # 0: unknown, so each waits for the one behind it
        portion: FilePortion | None = None
        for current, batch in self._read(table, passes, row):
            for rows in _cut(batch, started - row):
                if portion is not None:
                    yield portion
                maybe_stored = row < started
                portion = FilePortion(file, table, rows, current, row, maybe_stored, progress)
                row += rows.num_rows
                if row < total:
                    yield portion
                    portion = None
        if portion is None:
            last = passes[-1]
            no_rows = _no_rows(table, last.columns)
            portion = FilePortion(file, table, no_rows, last, row, False, progress)
        portion.is_last = True
        yield portion

    def _plan(self, table: TableFile, roles: ColumnRoles) -> list[Pass]:
        # Return the passes over the file.
        roles = self._heads.with_kinds(table, roles)
        columns_of_passes = table.passes((roles.time, *roles.keys), roles.values)
        last = len(columns_of_passes) - 1
        return [
            Pass(replace(roles, values=values), number * (table.rows or 0), number == last)
            for number, values in enumerate(columns_of_passes)
        ]

    def _read(
        self, table: TableFile, passes: list[Pass], start: int
    ) -> Iterator[tuple[Pass, pa.RecordBatch]]:
        # Yield batches from row `start` on, each with its pass.
        self._passes = len(passes)
        for number, current in enumerate(passes):
            self._passes_behind = number
            for batch in table.batches(max(0, start - current.first), current.columns):
                yield current, batch


@dataclass(frozen=True, slots=True)
class Pass:
    """One reading of a file, over some of its columns of values."""

    roles: ColumnRoles
    first: int  # how many rows the passes before it have
    is_last: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """All that are read; one may name series and be a value too."""
        roles = self.roles
        return tuple(dict.fromkeys((roles.time, *roles.keys, *roles.values)))


@dataclass(slots=True)
class FilePortion:
    """One batch of rows of a file; it lets go of them once they are read."""

    file: Path
    table: TableFile
    batch: Any  # a `pyarrow.RecordBatch`; None once it was read
    current: Pass
    start: int  # its first row, among those of all passes
    maybe_stored: bool  # it may be stored already
    progress: FileProgress | None
    is_last: bool = False  # of its file
    rows: int = field(init=False)  # how many it has

    def __post_init__(self) -> None:
        self.rows = int(self.batch.num_rows)

    @property
    def total_rows(self) -> int | None:
        """Unknown: nobody counts lines; see ``FileSource.bytes_read``."""
        return None

    @property
    def is_whole(self) -> bool:
        """Tell whether it is all of its file."""
        return self.is_last and not self.start

    @property
    def stop(self) -> int:
        """The row after its last."""
        return self.start + self.rows

    def read(self, reader: FrameReader) -> FramePoints:
        """Return its points; what is wrong with them is named by file and line or row.

        Rows count in the last pass, where they are complete.
        """
        batch, self.batch = self.batch, None
        try:
            self._check_unit(batch, reader.rules.time_precision)
            points = reader.read(ArrowFrame(as_table(batch.schema, batch)), self.current.roles)
        except ColumnError as exc:
            raise self._in_file(exc) from None
        return points if self.current.is_last else replace(points, rows=0)

    def _check_unit(self, batch: pa.RecordBatch, time_precision: int | None) -> None:
        dialect = self.table.dialect
        if dialect is not None and dialect.time is not None:
            times = batch.column(self.current.roles.time)
            refuse_odd_unit(times, dialect.time, time_precision)

    def on_leaving(self) -> None:
        """Write down that its rows may be stored from now on."""
        if self.progress is not None:
            self.progress.start(self.file, self.stop)

    def on_delivered(self, report: Report) -> None:
        """Write down that its rows are stored, if they are."""
        if self.progress is None or not report.is_complete:
            return
        self.progress.deliver(self.file, self.stop)
        if self.is_last:
            self.progress.finish(self.file)

    def _in_file(self, exc: ColumnError) -> FileError:
        text = exc.text if exc.series is None else f"series {exc.series!r}: {exc.text}"
        if exc.index is None:
            return FileError(text, file=str(self.file))
        label = self.table.row_label(self.start - self.current.first + exc.index)
        if label.startswith("line "):
            return FileError(text, file=str(self.file), line=int(label.removeprefix("line ")))
        return FileError(f"{label}: {text}", file=str(self.file))


def _read_options(options: LoadOptions) -> ReadOptions:
    return ReadOptions(
        columns=options.columns,
        names=options.name_template.fields,
        ignore=options.ignored,
        time_columns=options.time_columns,
        types=options.types,
        skip_bad=options.skip_bad,
        delimiter=options.delimiter,
        csv=options.csv,
        unit=options.unit,
        format=options.format,
    )


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        raise FileError("no such file", file=str(file)) from None


def _read_through(table: TableFile) -> None:
    # What contradicts a guess of numbers or times is found before the first point leaves.
    for _ in table.batches():
        pass


def _noted(dialect: Dialect | None) -> str:
    return "" if dialect is None else json.dumps(dialect.as_json())


def _cut(batch: Any, rows: int) -> Iterator[Any]:
    # in two, where the rows end that may be stored
    if 0 < rows < batch.num_rows:
        yield batch.slice(0, rows)
        yield batch.slice(rows)
    else:
        yield batch


def _no_rows(table: TableFile, columns: tuple[str, ...]) -> Any:
    import pyarrow as pa

    return pa.RecordBatch.from_pylist([], schema=table.schema).select(columns)


def _described(passes: list[Pass]) -> str:
    # How many columns of values each has; which they are follows from file and options.
    return " ".join(str(len(each.roles.values)) for each in passes)
