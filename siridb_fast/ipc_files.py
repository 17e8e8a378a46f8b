"""Arrow IPC → record batches: the file format (Feather version 2) and the stream format.

The content tells which of the two a file is, not its suffix. Files are memory-mapped: batches
that are not compressed are never copied; of compressed ones, one is in memory at a time, whose
size whoever wrote the file has chosen.

This module needs pyarrow (see `siridb_fast.files`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from siridb_fast.arrow_columns import (
    encoded,
    encoded_schema,
    guarded,
    read_columns,
    reading,
    sliced,
)
from siridb_fast.errors import FileError
from siridb_fast.file_options import Batches, ReadOptions

__all__ = ["IpcTable"]

WHAT = "an Arrow IPC file or stream"
FILE_MAGIC = b"ARROW1"
FEATHER_1_MAGIC = b"FEA1"


class IpcTable(Batches):
    """An Arrow file or stream, as `siridb_fast.file_options.TableFile` says."""

    bad_lines = 0
    first_bad: Sequence[FileError] = ()

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self.path = path
        self._options = options
        with reading(path, WHAT):
            self.size = path.stat().st_size
            self._is_file = _is_file_format(path)
            self._source = pa.memory_map(str(path)) if self.size else pa.BufferReader(b"")
            schema = self._open(None).schema
        columns = read_columns(schema, options, path)
        self.schema = encoded_schema(schema, columns, options.names)
        self._included = [schema.get_field_index(name) for name in columns]
        self._sizes = self._batch_sizes(schema) if self._is_file else []
        self.rows: int | None = sum(self._sizes) if self._is_file else None
        self._next_row = 0

    @property
    def bytes_read(self) -> int:
        """The position in a stream; of a file, the share that the rows behind are."""
        if self.rows is None:
            return int(self._source.tell())
        return self.size * self._next_row // self.rows if self.rows else self.size

    def batches(self, start: int = 0) -> Iterator[pa.RecordBatch]:
        """Yield the batches from row ``start`` on; whole ones before it are not read in a file."""
        self._next_row = 0
        for batch in guarded(self._read(start), self.path, WHAT):
            behind = self._next_row + batch.num_rows
            left = batch.slice(max(0, start - self._next_row))
            self._next_row = behind - left.num_rows
            for part in sliced(encoded(left, self.schema), self._options.batch_bytes):
                self._next_row += part.num_rows
                yield part

    def place(self, row: int) -> str:
        """Return the row, counted from 0."""
        return f"row {row}"

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def _open(
        self, included: list[int] | None
    ) -> pa.RecordBatchFileReader | pa.RecordBatchStreamReader:
        opener = pa.ipc.open_file if self._is_file else pa.ipc.open_stream
        self._source.seek(0)
        return opener(self._source, options=pa.ipc.IpcReadOptions(included_fields=included))

    def _batch_sizes(self, schema: pa.Schema) -> list[int]:
        """Return the rows of each batch; only the narrowest column is decompressed for it."""
        narrow = min(range(len(schema)), key=lambda index: _width(schema.field(index).type))
        with reading(self.path, WHAT):
            reader = self._open([narrow])
            return [reader.get_batch(n).num_rows for n in range(reader.num_record_batches)]

    def _read(self, start: int) -> Iterator[pa.RecordBatch]:
        reader = self._open(self._included)
        if not self._is_file:
            yield from reader
            return
        for number, size in enumerate(self._sizes):
            if self._next_row + size > start:
                yield reader.get_batch(number)
            else:
                self._next_row += size


def _is_file_format(path: Path) -> bool:
    with path.open("rb") as file:
        magic = file.read(len(FILE_MAGIC))
    if magic.startswith(FEATHER_1_MAGIC):
        text = "a Feather file of version 1; write it anew as version 2 (Arrow IPC)"
        raise FileError(text, file=str(path))
    return magic == FILE_MAGIC


def _width(kind: pa.DataType) -> int:
    try:
        return int(kind.bit_width)
    except ValueError:  # of no fixed width
        return 1 << 16
