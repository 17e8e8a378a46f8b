"""Parquet files → record batches, a few pages of each column in memory at a time.

A column chunk is read through a small buffer, not in whole, so that the size of row groups does
not matter; a memory map would show as resident memory of the file's size. What stays in memory
of each column is its dictionary and one page, each up to three times, so that wide files are read
in several passes over some of their columns each.

The metadata has the size of neither, so the first pages are read for it. A page begins with a
header in Thrift's compact form, whose first three fields are the type and both sizes, each written
as a byte 0x15 (the next field, an i32) and a zigzag varint.

This module needs pyarrow (see `siridb_fast.files.open`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

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
from siridb_fast.files.base import MAX_ROWS, ReadOptions, TableFile
from siridb_fast.files.passes import columns_per_pass, split_passes

__all__ = ["ParquetTable", "memory_by_column"]

WHAT = "a Parquet file"
MIB = 1024 * 1024
PROBE_ROWS = 1024  # to learn how long texts are
NEXT_I32 = 0x15
HEADER_BYTES = 32  # more than three such fields take
OTHER_BYTES = 64 * 1024  # of a column: the buffer of its chunk, and the reader as such


class ParquetTable(TableFile):
    """A Parquet file, as `siridb_fast.files.base.TableFile` says."""

    rows: int

    def __init__(self, path: Path, options: ReadOptions) -> None:
        super().__init__(path, options)
        with reading(path, WHAT):
            self.size = path.stat().st_size
            self._metadata = pq.read_metadata(path)
            arrow = self._metadata.schema.to_arrow_schema()
        self._options = options = options.for_columns(arrow.names)
        columns = read_columns(arrow, options, path)
        self.left_out = nested_columns(arrow, options)
        self._texts = [name for name in options.names if _is_text(arrow.field(name).type)]
        self._file = self._open(len(columns))
        self.schema = encoded_schema(self._file.schema_arrow, columns, options.names)
        self.rows = self._metadata.num_rows

    def passes(self, common: Sequence[str], values: Sequence[str]) -> list[tuple[str, ...]]:
        """Return the values of each pass over the file, by the memory that columns take."""
        with reading(self.path, WHAT), self.path.open("rb", buffering=0) as file:
            sizes = memory_by_column(file, self._metadata)
        most = columns_per_pass(self.rows, self._options.batch_bytes)
        return split_passes(common, values, sizes, self._options.pass_bytes, most)

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
        row_groups = [index for index, end in enumerate(ends) if end > start]
        skipped = start - (ends[row_groups[0]] - sizes[row_groups[0]]) if row_groups else 0
        self._next_row = min(start, self.rows)
        for batch in self._read(row_groups, self._rows_per_batch(schema), schema):
            wanted = batch.slice(skipped)  # empty if all of it is to be skipped
            skipped -= batch.num_rows - wanted.num_rows
            for some in sliced(wanted, 2 * self._options.batch_bytes):  # texts may be longer
                self._next_row += some.num_rows
                yield some

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

    def _rows_per_batch(self, schema: pa.Schema) -> int:
        """Return how many rows make a batch; texts are measured in the first few rows."""
        size = self._options.batch_bytes
        if not any(_is_text(field.type) for field in schema):
            return batch_rows(schema, size)
        row_groups = range(self._metadata.num_row_groups)
        filled = [n for n in row_groups if self._metadata.row_group(n).num_rows][:1]
        for batch in self._read(filled, PROBE_ROWS, schema):
            rows: int = size * batch.num_rows // max(1, batch.nbytes)
            return max(1, min(rows, MAX_ROWS))
        return PROBE_ROWS

    def _read(
        self, row_groups: list[int], rows: int, schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        if not row_groups:
            return
        with reading(self.path, WHAT):
            read = self._file.iter_batches(
                rows,
                row_groups=row_groups,
                columns=schema.names,
                use_threads=False,  # each would keep memory for later, and none is faster
            )
        for batch in guarded(read, self.path, WHAT):
            yield encoded(batch, schema)


def memory_by_column(file: BinaryIO, metadata: pq.FileMetaData) -> dict[str, int]:
    """Return for each column how many bytes of it are in memory while it is read.

    The largest row group stands for all of them.
    """
    row_groups = range(metadata.num_row_groups)
    sizes = [metadata.row_group(index).total_byte_size for index in row_groups]
    if not sizes:
        return {metadata.schema.column(n).path: 0 for n in range(metadata.num_columns)}
    largest = metadata.row_group(sizes.index(max(sizes)))
    chunks = [largest.column(index) for index in range(largest.num_columns)]
    return {chunk.path_in_schema: _memory_of(file, chunk) for chunk in chunks}


def _memory_of(file: BinaryIO, chunk: pq.ColumnChunkMetaData) -> int:
    # A dictionary is there decoded as well. Pages behind it that are larger than the first take
    # the buffers that it came through.
    dictionary = 0
    if chunk.has_dictionary_page:
        dictionary = _page_bytes(file, chunk, chunk.dictionary_page_offset)
    return 3 * dictionary + 2 * _page_bytes(file, chunk, chunk.data_page_offset) + OTHER_BYTES


def _page_bytes(file: BinaryIO, chunk: pq.ColumnChunkMetaData, offset: int) -> int:
    # The larger of both sizes; all of the chunk if there is no such header.
    file.seek(offset)
    sizes = _i32_fields(file.read(HEADER_BYTES), 3)[1:]
    whole = max(chunk.total_uncompressed_size, chunk.total_compressed_size)
    return min(whole, max(sizes)) if len(sizes) == 2 and min(sizes) >= 0 else int(whole)


def _i32_fields(data: bytes, count: int) -> list[int]:
    # The first ones, as many as there are.
    fields: list[int] = []
    offset = 0
    while len(fields) < count and data[offset : offset + 1] == bytes([NEXT_I32]):
        number = shift = 0
        is_complete = False
        while not is_complete and offset + 1 < len(data):
            offset += 1
            number |= (data[offset] & 0x7F) << shift
            shift += 7
            is_complete = data[offset] < 0x80
        if not is_complete:
            break
        fields.append(number >> 1 ^ -(number & 1))
        offset += 1
    return fields


def _is_text(kind: pa.DataType) -> bool:
    is_text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary)
    return any(check(kind) for check in (*is_text, pa.types.is_large_binary))
