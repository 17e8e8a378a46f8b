"""Files as portions of a load: batch by batch, with what is delivered written down on the way.

A wide file comes in several passes, each over all rows and some columns of values, one pass after
the other. Names rows as the file does. Runs in the thread that reads.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from siridb_fast.delivery.report import Report
from siridb_fast.errors import ColumnError, FileError
from siridb_fast.files.open import ReadOptions, TableFile, find_files, open_file
from siridb_fast.loading.column_roles import Layout, layout_of
from siridb_fast.loading.frame_reader import FramePoints, FrameReader
from siridb_fast.loading.frames.arrow_frame import ArrowFrame
from siridb_fast.loading.options import LoadOptions

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FilePortions", "Progressing"]

logger = logging.getLogger("siridb_fast")


class Progressing(Protocol):
    """Where it is written down how far a file is; rows count from the start of its first pass."""

    def begin(self, file: Path, passes: str) -> tuple[int, int]:
        """Return up to where it is delivered, and up to where it may be."""

    def start(self, file: Path, rows: int) -> None:
        """Note that rows up to this one are about to leave."""

    def deliver(self, file: Path, rows: int) -> None:
        """Note that rows up to this one are stored."""

    def finish(self, file: Path) -> None:
        """Note that all of it is stored."""


class FilePortions:
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
        progress: Progressing | None = None,
    ) -> None:
        self.files = find_files(paths)
        self.size = sum(file.stat().st_size for file in self.files)
        self.bad_lines = 0
        self.first_bad: list[FileError] = []
        self.left_out: dict[str, None] = {}  # columns that are nested
        self._progress = progress
        self._options = options
        self._read_options = _read_options(options)
        self._size_before = 0
        self._passes_behind, self._passes = 0, 1  # of the current file
        self._current: TableFile | None = None

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

    def __iter__(self) -> Iterator[FilePortion]:
        for file in self.files:
            with open_file(file, self._read_options) as table:
                self._passes_behind, self._passes = 0, 1
                self._current = table
                self._note_left_out(file, table)
                try:
                    yield from self._portions(file, table)
                finally:
                    self._current = None
                    self.bad_lines += table.bad_lines
                    self.first_bad.extend(table.first_bad)
            self._size_before += file.stat().st_size

    def _note_left_out(self, file: Path, table: TableFile) -> None:
        for name in table.left_out:
            if name not in self.left_out:
                logger.warning("%s: column %r is nested, and left out", file, name)
                self.left_out[name] = None

    def _portions(self, file: Path, table: TableFile) -> Iterator[FilePortion]:
        # Of the rows that are not delivered; those that may be come by themselves.
        passes = self._planned(file, table)
        progress = self._progress
        place, doubtful = (0, 0)
        if progress is not None:
            place, doubtful = progress.begin(file, _text_of(passes))
        portion: FilePortion | None = None
        for within, batch in self._read(table, passes, place):
            for some in _cut(batch, doubtful - place):
                if portion is not None:
                    yield portion
                maybe_stored = place < doubtful
                portion = FilePortion(file, table, some, within, place, maybe_stored, progress)
                place += some.num_rows
        if portion is None:
            within = passes[-1]
            nothing = _no_rows(table, within.columns)
            portion = FilePortion(file, table, nothing, within, place, False, progress)
        portion.is_last = True
        yield portion

    def _planned(self, file: Path, table: TableFile) -> list[Pass]:
        # the passes over the file
        try:
            layout = layout_of(ArrowFrame(_table(table.schema)), self._options)
        except ColumnError as exc:
            raise FileError(exc.text, file=str(file)) from None
        columns_of_passes = table.passes((layout.time, *layout.keys), layout.values)
        last = len(columns_of_passes) - 1
        return [
            Pass(replace(layout, values=values), number * (table.rows or 0), number == last)
            for number, values in enumerate(columns_of_passes)
        ]

    def _read(
        self, table: TableFile, passes: list[Pass], start: int
    ) -> Iterator[tuple[Pass, pa.RecordBatch]]:
        # from a place on
        self._passes = len(passes)
        for number, within in enumerate(passes):
            self._passes_behind = number
            for batch in table.batches(max(0, start - within.first), within.columns):
                yield within, batch


@dataclass(frozen=True, slots=True)
class Pass:
    """One reading of a file, over the columns of a layout."""

    layout: Layout
    first: int  # how many rows the passes before it have
    is_last: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """All that are read; one may name series and be a value too."""
        layout = self.layout
        return tuple(dict.fromkeys((layout.time, *layout.keys, *layout.values)))


@dataclass(slots=True)
class FilePortion:
    """One batch of rows of a file."""

    file: Path
    table: TableFile
    batch: pa.RecordBatch
    within: Pass
    place: int  # of its first row, among those of all passes
    maybe_stored: bool  # it may be stored already
    progress: Progressing | None
    is_last: bool = False  # of its file

    @property
    def total_rows(self) -> int | None:
        """Nobody counts lines; see ``bytes_read``."""
        return None

    @property
    def stop(self) -> int:
        """The place after its last."""
        return self.place + int(self.batch.num_rows)

    def read(self, reader: FrameReader) -> FramePoints:
        """Return its points; what is wrong with them is named by file and line or row.

        Rows count in the last pass, where they are complete.
        """
        try:
            points = reader.read(
                ArrowFrame(_table(self.batch.schema, self.batch)), self.within.layout
            )
        except ColumnError as exc:
            raise self._in_file(exc) from None
        return points if self.within.is_last else replace(points, rows=0)

    def on_leaving(self) -> None:
        """Write down that its rows may be stored from now on."""
        if self.progress is not None:
            self.progress.start(self.file, self.stop)

    def on_delivered(self, report: Report) -> None:
        """Write it down."""
        if self.progress is None or not report.is_complete:
            return
        self.progress.deliver(self.file, self.stop)
        if self.is_last:
            self.progress.finish(self.file)

    def _in_file(self, exc: ColumnError) -> FileError:
        text = exc.text if exc.series is None else f"series {exc.series!r}: {exc.text}"
        if exc.index is None:
            return FileError(text, file=str(self.file))
        place = self.table.row_label(self.place - self.within.first + exc.index)
        if place.startswith("line "):
            return FileError(text, file=str(self.file), line=int(place.removeprefix("line ")))
        return FileError(f"{place}: {text}", file=str(self.file))


def _read_options(options: LoadOptions) -> ReadOptions:
    keys = options.naming.fields
    columns = None
    if options.values is not None and options.time is not None:
        columns = tuple(dict.fromkeys((options.time, *keys, *options.values)))
    return ReadOptions(
        columns=columns,
        names=keys,
        time=options.time,
        types=options.types,
        skip_bad=options.skip_bad,
        delimiter=options.delimiter,
    )


def _cut(batch: Any, rows: int) -> Iterator[Any]:
    # in two, where the rows end that are in doubt
    if 0 < rows < batch.num_rows:
        yield batch.slice(0, rows)
        yield batch.slice(rows)
    else:
        yield batch


def _table(schema: pa.Schema, *batches: pa.RecordBatch) -> pa.Table:
    import pyarrow as pa  # of the extra; a file is open already

    return pa.Table.from_batches(batches, schema)


def _no_rows(table: TableFile, columns: tuple[str, ...]) -> Any:
    import pyarrow as pa

    return pa.RecordBatch.from_pylist([], schema=table.schema).select(columns)


def _text_of(passes: list[Pass]) -> str:
    # How many columns of values each has; which they are, the file and the options tell.
    return " ".join(str(len(within.layout.values)) for within in passes)
