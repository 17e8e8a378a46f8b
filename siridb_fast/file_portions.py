"""Files as portions of a load: batch by batch, with what is delivered written down on the way.

Names rows as the file does. Runs in the thread that reads.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from siridb_fast.arrow_frames import ArrowFrame
from siridb_fast.delivery import Report
from siridb_fast.errors import ColumnError, FileError
from siridb_fast.files import ReadOptions, TableFile, find_files, open_file
from siridb_fast.frame_points import FramePoints, FrameReader
from siridb_fast.load_options import LoadOptions

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FilePortions", "Progressing"]


class Progressing(Protocol):
    """Where it is written down how far a file is; rows count from the start of the file."""

    def begin(self, file: Path) -> tuple[int, int]:
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
        self._progress = progress
        self._read_options = _read_options(options)
        self._size_before = 0
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
        return self._size_before + (0 if current is None else current.bytes_read)

    def __iter__(self) -> Iterator[FilePortion]:
        for file in self.files:
            with open_file(file, self._read_options) as table:
                self._current = table
                try:
                    yield from self._portions(file, table)
                finally:
                    self._current = None
                    self.bad_lines += table.bad_lines
                    self.first_bad.extend(table.first_bad)
            self._size_before += file.stat().st_size

    def _portions(self, file: Path, table: TableFile) -> Iterator[FilePortion]:
        # Of the rows that are not delivered; those that may be come by themselves.
        progress = self._progress
        row, doubtful = (0, 0) if progress is None else progress.begin(file)
        portion: FilePortion | None = None
        for batch in table.batches(row):
            for some in _cut(batch, doubtful - row):
                if portion is not None:
                    yield portion
                is_doubtful = row < doubtful
                portion = FilePortion(file, table, some, row, is_doubtful, progress)
                row += some.num_rows
        if portion is None:
            portion = FilePortion(file, table, _no_rows(table), row, False, progress)
        portion.is_last = True
        yield portion


@dataclass(slots=True)
class FilePortion:
    """One batch of rows of a file."""

    file: Path
    table: TableFile
    batch: pa.RecordBatch
    row: int  # its first
    is_doubtful: bool  # it may be stored already
    progress: Progressing | None
    is_last: bool = False  # of its file

    @property
    def total_rows(self) -> int | None:
        """Nobody counts lines; see ``bytes_read``."""
        return None

    @property
    def stop(self) -> int:
        """The row after its last."""
        return self.row + int(self.batch.num_rows)

    def read(self, reader: FrameReader) -> FramePoints:
        """Return its points; what is wrong with them is named by file and line or row."""
        try:
            points = reader.read(ArrowFrame(_table(self.batch)))
        except ColumnError as exc:
            raise self._in_file(exc) from None
        if self.progress is not None:
            self.progress.start(self.file, self.stop)
        return points

    def delivered(self, report: Report) -> None:
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
        place = self.table.place(self.row + exc.index)
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


def _table(batch: Any) -> Any:
    import pyarrow as pa  # of the extra; a batch is there already

    return pa.Table.from_batches([batch])


def _no_rows(table: TableFile) -> Any:
    import pyarrow as pa

    return pa.RecordBatch.from_pylist([], schema=table.schema)
