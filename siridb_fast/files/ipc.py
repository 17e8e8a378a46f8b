"""Arrow IPC → record batches: the file format (Feather version 2) and the stream format.

The content shows which of the two a file is, not its suffix. Files are memory-mapped: batches
that are not compressed are never copied, and what was read is unmapped again, for it would show
as resident memory. Of compressed batches, one is in memory at a time, whose size whoever wrote
the file has chosen: if it is large, a file (not a stream) is read in several passes over some of
its columns each.

This module needs pyarrow (see `siridb_fast.files.open`).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from siridb_fast.errors import FileError
from siridb_fast.files.arrow_schema import (
    chosen,
    encoded,
    encoded_schema,
    guarded,
    nested_columns,
    read_columns,
    reading,
    sliced,
    width,
)
from siridb_fast.files.base import ReadOptions, TableFile
from siridb_fast.files.passes import split_passes

__all__ = ["IpcTable", "is_compressed"]

WHAT = "an Arrow IPC file or stream"
FILE_MAGIC = b"ARROW1"
FEATHER_1_MAGIC = b"FEA1"
COLUMNS_TRIED = 8  # to see whether a batch is compressed; not all of its buffers need be
MADV_DONTNEED: int | None = getattr(mmap, "MADV_DONTNEED", None)  # not on Windows


class IpcTable(TableFile):
    """An Arrow file or stream, as `siridb_fast.files.base.TableFile` says."""

    def __init__(self, path: Path, options: ReadOptions) -> None:
        super().__init__(path, options)
        with reading(path, WHAT):
            self.size = path.stat().st_size
            self._is_file = _is_file_format(path)
            self._map = _mapped(path) if self.size else None
            content = pa.py_buffer(b"" if self._map is None else self._map)
            self._source = pa.BufferReader(content)
            self._schema = self._open(None).schema
        self._options = options = options.for_columns(self._schema.names)
        columns = read_columns(self._schema, options, path)
        self.left_out = nested_columns(self._schema, options)
        self.schema = encoded_schema(self._schema, columns, options.names)
        self._sizes = self._batch_sizes() if self._is_file else []
        self._is_compressed = any(self._sizes) and is_compressed(content, _largest(self._sizes))
        self.rows = sum(self._sizes) if self._is_file else None

    @property
    def bytes_read(self) -> int:
        """The offset in a stream; of a file, as much as the rows that were yielded are of all."""
        return int(self._source.tell()) if self.rows is None else super().bytes_read

    def passes(self, common: Sequence[str], values: Sequence[str]) -> list[tuple[str, ...]]:
        """Return the values of each pass over the file: one, unless it is compressed."""
        if not self._is_compressed:
            return [tuple(values)]
        rows = max(self._sizes, default=0)  # there as mapped, as copied from there, and unpacked
        sizes = {field.name: 3 * rows * width(field.type) // 8 for field in self._schema}
        return split_passes(common, values, sizes, self._options.pass_bytes, len(values))

    def batches(
        self, start: int = 0, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the batches from row ``start`` on; whole ones before it are not read in a file."""
        self._next_row = 0
        schema = chosen(self.schema, columns)
        for batch in guarded(self._read(start, schema.names), self.path, WHAT):
            stop = self._next_row + batch.num_rows
            wanted = batch.slice(max(0, start - self._next_row))
            self._next_row = stop - wanted.num_rows
            for some in sliced(encoded(wanted, schema), self._options.batch_bytes):
                self._unmap()
                self._next_row += some.num_rows
                yield some

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def _open(
        self, included: list[int] | None
    ) -> pa.RecordBatchFileReader | pa.RecordBatchStreamReader:
        opener = pa.ipc.open_file if self._is_file else pa.ipc.open_stream
        self._source.seek(0)
        return opener(self._source, options=pa.ipc.IpcReadOptions(included_fields=included))

    def _batch_sizes(self) -> list[int]:
        """Return the rows of each batch; only the narrowest column is decompressed for it."""
        fields = self._schema
        narrow = min(range(len(fields)), key=lambda index: width(fields.field(index).type))
        with reading(self.path, WHAT):
            reader = self._open([narrow])
            return [reader.get_batch(n).num_rows for n in range(reader.num_record_batches)]

    def _read(self, start: int, columns: list[str]) -> Iterator[pa.RecordBatch]:
        reader = self._open(self._included(columns))
        if not self._is_file:
            yield from reader
            return
        for number, size in enumerate(self._sizes):
            if self._next_row + size > start:
                yield self._batch(reader, number)
            else:
                self._next_row += size

    def _included(self, columns: list[str]) -> list[int] | None:
        # None: all. The reader copies the columns that it picks, so it picks only where it unpacks
        # them.
        if self._is_file and not self._is_compressed:
            return None
        return [self._schema.get_field_index(name) for name in columns]

    def _batch(self, reader: pa.RecordBatchFileReader, number: int) -> pa.RecordBatch:
        # Some allocators do not give back what the batch before has had.
        pa.default_memory_pool().release_unused()
        self._unmap()
        return reader.get_batch(number)

    def _unmap(self) -> None:
        # What is in use is mapped again when it is touched.
        if self._map is not None and MADV_DONTNEED is not None:
            self._map.madvise(MADV_DONTNEED)


def is_compressed(file: pa.Buffer, number: int = 0) -> bool:
    """Return whether a batch of a file takes memory of its own, or cannot be read.

    A few of its columns are read, one at a time, because all of them may be large.
    """
    try:
        schema = pa.ipc.open_file(pa.BufferReader(file)).schema
        columns = [n for n in range(len(schema)) if not pa.types.is_null(schema.field(n).type)]
        tried = columns[:: -(-len(columns) // COLUMNS_TRIED) or 1]
        return not tried or any(_is_unpacked(file, number, column) for column in tried)
    except (pa.ArrowException, EOFError, OSError):
        return True


def _is_unpacked(file: pa.Buffer, number: int, column: int) -> bool:
    # A buffer that is not compressed is a slice of what was read.
    options = pa.ipc.IpcReadOptions(included_fields=[column])
    batch = pa.ipc.open_file(pa.BufferReader(file), options=options).get_batch(number)
    buffers = [one for one in batch.column(0).buffers() if one is not None and one.size]
    return any(one.parent is None for one in buffers)


def _largest(sizes: Sequence[int]) -> int:
    return max(range(len(sizes)), key=sizes.__getitem__)


def _mapped(path: Path) -> mmap.mmap:
    # It lives as long as a batch is in use.
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _is_file_format(path: Path) -> bool:
    with path.open("rb") as file:
        magic = file.read(len(FILE_MAGIC))
    if magic.startswith(FEATHER_1_MAGIC):
        text = "a Feather file of version 1; write it anew as version 2 (Arrow IPC)"
        raise FileError(text, file=str(path))
    return magic == FILE_MAGIC
