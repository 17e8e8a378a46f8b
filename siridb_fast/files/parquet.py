"""Parquet files → record batches, a few pages of each column in memory at a time.

A column chunk is read through a small buffer, not in whole, so that the size of row groups does
not matter; a memory map would show as resident memory of the file's size. What stays in memory
of each column is its dictionary and one page, each up to three times, so that wide files are read
in several passes over some of their columns each.

This module needs pyarrow (see `siridb_fast.files.open`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from siridb_fast.errors import FileError
from siridb_fast.files.arrow_schema import (
    batch_rows,
    chosen,
    encoded,
    encoded_schema,
    guarded,
    nested_columns,
    read_columns,
    reading,
    sliced,
)
from siridb_fast.files.base import MAX_ROWS, Batches, ReadOptions
from siridb_fast.files.parquet_pages import held_bytes
from siridb_fast.files.passes import column_groups, suitable_columns

__all__ = ["ParquetTable"]

WHAT = "a Parquet file"
MIB = 1024 * 1024
PROBE_ROWS = 1024  # to learn how long texts are


class ParquetTable(Batches):
    """A Parquet file, as `siridb_fast.files.base.TableFile` says."""

    bad_lines = 0
    first_bad: Sequence[FileError] = ()

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self.path = path
        self._options = options
        with reading(path, WHAT):
            self.size = path.stat().st_size
            self._metadata = pq.read_metadata(path)
            arrow = self._metadata.schema.to_arrow_schema()
        columns = read_columns(arrow, options, path)
        self.left_out = nested_columns(arrow, options)
        self._texts = [name for name in options.names if _is_text(arrow.field(name).type)]
        self._file = self._open(len(columns))
        self.schema = encoded_schema(self._file.schema_arrow, columns, options.names)
        self.rows: int = self._metadata.num_rows
        self._next_row = 0

    @property
    def bytes_read(self) -> int:
        """The share of the file that the rows behind are."""
        return self.size * self._next_row // self.rows if self.rows else self.size

    def groups(self, kept: Sequence[str], values: Sequence[str]) -> list[tuple[str, ...]]:
        """Return the values in groups, each to be read with ``kept`` in a pass of its own."""
        with reading(self.path, WHAT), self.path.open("rb", buffering=0) as file:
            sizes = held_bytes(file, self._metadata)
        most = suitable_columns(self.rows, self._options.batch_bytes)
        return column_groups(kept, values, sizes, self._options.pass_bytes, most)

    def batches(
        self, start: int = 0, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the batches from row ``start`` on; row groups before it are not read."""
        schema = chosen(self.schema, columns)
        self._file.close(force=True)
        pa.default_memory_pool().release_unused()  # what another pass has had
        self._file = self._open(len(schema))
        metadata = self._metadata
        sizes = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]
        ends = [*accumulate(sizes)]
        groups = [index for index, end in enumerate(ends) if end > start]
        skipped = start - (ends[groups[0]] - sizes[groups[0]]) if groups else 0
        self._next_row = min(start, self.rows)
        for batch in self._read(groups, self._suitable_rows(schema), schema):
            left = batch.slice(skipped)  # empty if all of it is to be skipped
            skipped -= batch.num_rows - left.num_rows
            for part in sliced(left, 2 * self._options.batch_bytes):  # texts longer than thought
                self._next_row += part.num_rows
                yield part

    def place(self, row: int) -> str:
        """Return the row, counted from 0."""
        return f"row {row}"

    def close(self) -> None:
        """Close the file."""
        self._file.close(force=True)

    def _open(self, columns: int) -> pq.ParquetFile:
        buffer = self._options.batch_bytes // max(1, columns)
        with reading(self.path, WHAT):
            return pq.ParquetFile(
                self.path,
                metadata=self._metadata,
                read_dictionary=self._texts,
                pre_buffer=False,
                buffer_size=min(MIB, max(16 * 1024, buffer)),
            )

    def _suitable_rows(self, schema: pa.Schema) -> int:
        """Return how many rows make a batch; texts are measured in the first few rows."""
        size = self._options.batch_bytes
        if not any(_is_text(field.type) for field in schema):
            return batch_rows(schema, size)
        groups = range(self._metadata.num_row_groups)
        filled = [n for n in groups if self._metadata.row_group(n).num_rows][:1]
        for batch in self._read(filled, PROBE_ROWS, schema):
            rows: int = size * batch.num_rows // max(1, batch.nbytes)
            return max(1, min(rows, MAX_ROWS))
        return PROBE_ROWS

    def _read(self, groups: list[int], rows: int, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        if not groups:
            return
        with reading(self.path, WHAT):
            read = self._file.iter_batches(
                rows,
                row_groups=groups,
                columns=schema.names,
                use_threads=False,  # each would keep memory for later, and none is faster
            )
        for batch in guarded(read, self.path, WHAT):
            yield encoded(batch, schema)


def _is_text(kind: pa.DataType) -> bool:
    is_text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary)
    return any(check(kind) for check in (*is_text, pa.types.is_large_binary))
