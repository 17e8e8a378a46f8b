"""CSV files → typed record batches, with the line of every row known and bad lines named.

Blocks of text are read in several threads, a few ahead, and come in their order: by
`typed_blocks.py` where all is as it should be, else by `text_blocks.py`. Blank lines are passed
over.

This module needs pyarrow (see `siridb_fast.files.open`).
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from siridb_fast.columns.time_units import UNITS
from siridb_fast.errors import FileError
from siridb_fast.files.arrow_schema import check_columns, reading, sliced
from siridb_fast.files.base import MAX_ROWS, ReadOptions, TableFile
from siridb_fast.files.csv.ahead import in_order
from siridb_fast.files.csv.blocks import Block, CsvBlocks, split_header
from siridb_fast.files.csv.columns import CsvColumns
from siridb_fast.files.csv.dialect import Dialect
from siridb_fast.files.csv.faults import Fault
from siridb_fast.files.csv.head import settled_dialect
from siridb_fast.files.csv.lines import LineMap
from siridb_fast.files.csv.text_blocks import ReadBlock, TextBlocks
from siridb_fast.files.csv.typed_blocks import TypedBlocks
from siridb_fast.files.paths import compression

__all__ = ["CsvTable"]

SHOWN_BAD = 10
SMALLEST_BLOCK = 64
FIRST_BLOCK = 256 * 1024  # shows the kinds of times
SMALL_BLOCK = 1024 * 1024  # the first one: what comes behind reading begins soon
MAX_THREADS = 4
WIDE = 500  # columns, from which on a block of the usual size has too few rows
WIDE_FACTOR = 2
FEW_ROWS = 200  # of a batch, which costs much for each column
FIELD_BYTES = 12  # of a value, beside the bytes of texts


class CsvTable(TableFile):
    """A CSV file, as `siridb_fast.files.base.TableFile` says.

    Args:
        path: The file.
        options: What to read of it.
        like: Another file of the same options and header, as which it is read.

    Attributes:
        header: The lines above the rows, if they are to be known.
        columns: What is known of its columns.
        first_line: Of the rows.
    """

    dialect: Dialect
    header: bytes = b""
    reads_after_close = True
    columns: CsvColumns
    first_line: int

    def __init__(self, path: Path, options: ReadOptions, like: CsvTable | None = None) -> None:
        super().__init__(path, options)
        self.first_bad: list[FileError] = []
        with reading(path, "a CSV file"):
            found = path.stat()
        self.size = found.st_size
        self.may_grow = compression(path) is None
        self._known_size = found.st_size if stat.S_ISREG(found.st_mode) else None
        _refuse_durations(options, path)
        self.dialect = settled_dialect(path, options) if like is None else like.dialect
        self._options = options = options.for_columns(self.dialect.names)
        self.columns = CsvColumns(self.dialect, options) if like is None else like.columns
        self._line_map = LineMap()
        self.first_line = 1 if like is None else like.first_line  # of points
        self._kept: list[pa.RecordBatch] | None = None
        self._source = self._open(min(self._block_bytes, FIRST_BLOCK))
        try:
            if like is None:
                self._settle()
        finally:
            self._source.close()
        self._by_texts = TextBlocks(self.columns, path, self.first_line)
        self._typed = TypedBlocks(self.columns, self._by_texts)
        self.schema = self.columns.schema

    @property
    def bytes_read(self) -> int:
        """The offset in the file."""
        return self._source.bytes_read

    def batches(
        self, start: int = 0, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the batches from row ``start`` on; the rows before it are read as well."""
        if self._kept is None:
            self._source.close()
            self._source = self._open(self._block_bytes)
            self._line_map = LineMap()
            self.bad_lines = 0
            self.first_bad = []
        skipped = start
        for batch in _gathered(
            self._read() if self._kept is None else self._kept, self._batch_bytes
        ):
            wanted = batch.slice(skipped)  # empty if all of it is to be skipped
            if columns is not None and wanted.schema.names != list(columns):
                wanted = wanted.select(list(columns))
            skipped -= batch.num_rows - wanted.num_rows
            if wanted.num_rows and self._is_surely_small(wanted):
                yield wanted
            else:
                yield from sliced(wanted, 2 * self._batch_bytes)
        self._source.close()

    def keep_rows(self) -> None:
        """Read all rows, and keep them for whoever asks.

        Raises:
            FileError: A row cannot be read.
        """
        self._kept = [*self.batches()]

    @property
    def options(self) -> ReadOptions:
        """What is read of it."""
        return self._options

    def row_label(self, row: int) -> str:
        """Return the line of a row that was read; lines count from 1, the header's too."""
        line = self._line_map.line(row)
        if line is not None:
            return f"line {line}"
        with CsvTable(self.path, self._options) as again:  # forgotten: too many lines were odd
            end = 0
            for batch in again.batches():
                end += batch.num_rows
                if row < end:
                    break
            return again.row_label(row)

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    @property
    def _block_bytes(self) -> int:
        return max(SMALLEST_BLOCK, self._options.batch_bytes // 2) * self._factor

    @property
    def _batch_bytes(self) -> int:
        return self._options.batch_bytes * self._factor

    @property
    def _factor(self) -> int:
        return WIDE_FACTOR if len(self.columns.fields) > WIDE else 1

    def _is_surely_small(self, batch: pa.RecordBatch) -> bool:
        # To look at each of thousands of columns takes as long as to read them.
        most = self._block_bytes + FIELD_BYTES * batch.num_rows * batch.num_columns
        return bool(batch.num_rows <= MAX_ROWS and most <= 2 * self._batch_bytes)

    def _open(self, block_bytes: int) -> CsvBlocks:
        first = block_bytes if self._factor > 1 else min(block_bytes, SMALL_BLOCK)
        return CsvBlocks(self.path, self.dialect, block_bytes, self._known_size, first)

    def _bodies(self) -> Iterator[Block]:
        """Yield the blocks after the header, which is read first."""
        has_begun = False
        for block in self._source:
            if has_begun:
                yield block
            elif (body := split_header(block, self.dialect, self.path)) is not None:
                has_begun = True
                self.first_line = body.line
                yield body
        if not has_begun:
            raise FileError("the file is empty, expected a header", file=str(self.path))

    def _settle(self) -> None:
        # Find the kinds of the columns, by the first block that has rows.
        reader = TextBlocks(self.columns, self.path)
        table = None
        for block in self._bodies():
            check_columns(self.columns.all_names, self._options, self.path)
            table = reader.table(block)
            if table.num_rows:
                break
        assert table is not None  # noqa: S101 - there is a block, or an error
        self.columns.settle(table)

    def _read(self) -> Iterator[pa.RecordBatch]:
        # Yield the good rows of each block.
        # Blocks of many columns are large: no more of them at a time than have to be.
        is_wide = self._factor > 1
        threads = 1 if is_wide else min(MAX_THREADS, pa.cpu_count())
        ahead = 1 if is_wide else threads + 1  # so that no thread waits for the next
        for block in in_order(self._read_block, self._bodies(), threads, ahead):
            if block.faults:
                self._report(block.faults)
            self._line_map.add(block.lines)
            yield block.batch

    def _read_block(self, block: Block) -> ReadBlock:
        if (read := self._typed.read(block)) is not None:
            return read
        read, tidied = self._by_texts.read(block)
        self._typed.read_as_texts(tidied)
        return read

    def _report(self, faults: list[Fault]) -> None:
        if not self._options.skip_bad:
            raise self._error(faults[0])
        self.bad_lines += len(faults)
        self.first_bad += map(self._error, faults[: SHOWN_BAD - len(self.first_bad)])

    def _error(self, fault: Fault) -> FileError:
        path = str(self.path)
        return FileError(fault.text, file=path, line=fault.line, column=fault.column)


def _refuse_durations(options: ReadOptions, path: Path) -> None:
    for name, kind in options.types.items():
        if kind in UNITS:
            text = f"type {kind!r} is of durations, which CSV files have none of; try 'float'"
            raise FileError(text, file=str(path), column=name)


def _gathered(batches: Iterable[pa.RecordBatch], max_bytes: int) -> Iterator[pa.RecordBatch]:
    """Yield batches of which those of few rows and many columns are put together."""
    few: list[pa.RecordBatch] = []
    rows = size = 0
    try:
        for batch in batches:
            few.append(batch)
            rows += batch.num_rows
            size += batch.nbytes if rows < FEW_ROWS else 0
            if rows >= FEW_ROWS or size >= max_bytes:
                yield _as_one(few)
                few, rows, size = [], 0, 0
    except FileError:
        if few:
            yield _as_one(few)  # they are before what is wrong
        raise
    if few:
        yield _as_one(few)


def _as_one(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    found = pa.Table.from_batches(batches).combine_chunks().to_batches()
    return found[0] if found else batches[0]
