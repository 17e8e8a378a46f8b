"""Arrow columns of a file: which are read, how names are encoded, how large a row is.

This module needs pyarrow and is imported by those that need it too, inside functions only
(`siridb_fast.files.open` says how to install it). It knows nothing of files but their names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from siridb_fast.errors import FileError
from siridb_fast.files.base import MAX_ROWS, ReadOptions

__all__ = [
    "batch_rows",
    "check_columns",
    "chosen",
    "encoded",
    "encoded_schema",
    "guarded",
    "nested_columns",
    "one_array",
    "read_columns",
    "reading",
    "sliced",
    "width",
]

TEXT_BYTES = 32  # of a value of unknown width, where nothing better is known


def read_columns(schema: pa.Schema, options: ReadOptions, path: Path) -> list[str]:
    """Return the names of the columns to read; nested ones are left out unless asked for."""
    check_columns(schema.names, options, path)
    if options.columns is None:
        nested = nested_columns(schema, options)
        unread = {*nested, *options.ignore}
        flat = [name for name in schema.names if name not in unread]
        if not flat:
            raise FileError(
                "all columns are nested or ignored, and cannot be read", file=str(path)
            )
        return flat
    for name in options.columns:
        if _is_nested(kind := schema.field(name).type):
            text = f"the column is nested ({kind}), and cannot be read"
            raise FileError(text, file=str(path), column=name)
    return [*options.columns]


def nested_columns(schema: pa.Schema, options: ReadOptions) -> dict[str, str]:
    """Return the columns that are not read because they are nested, and their types."""
    if options.columns is not None:
        return {}  # a nested one that is asked for is an error
    return {
        field.name: str(field.type)
        for field in schema
        if _is_nested(field.type) and field.name not in options.ignore
    }


def check_columns(names: list[str], options: ReadOptions, path: Path) -> None:
    """Raise `FileError` for a column that is there twice, or not there and asked for."""
    present = set(names)
    if len(present) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise FileError("the file has this column more than once", file=str(path), column=twice)
    time = () if options.time is None else (options.time,)
    for name in (*(options.columns or ()), *options.names, *options.types, *time):
        if name not in present:
            text = f"the file has no such column; it has {_listed(names)}"
            raise FileError(text, file=str(path), column=name)


def chosen(schema: pa.Schema, columns: Sequence[str] | None) -> pa.Schema:
    """Return the schema of some columns, in this order; None: as it is."""
    return schema if columns is None else pa.schema([schema.field(name) for name in columns])


def encoded(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return the batch with the schema's columns, in its order, names dictionary-encoded."""
    columns = [_encode(batch.column(field.name), field.type) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def encoded_schema(schema: pa.Schema, columns: list[str], names: tuple[str, ...]) -> pa.Schema:
    """Return what the schema becomes if these columns are read and ``names`` are encoded."""
    return pa.schema([_encoded_field(schema.field(name), name in names) for name in columns])


def batch_rows(schema: pa.Schema, batch_bytes: int) -> int:
    """Return how many rows fill a batch, to judge by the columns' types."""
    widths = [width(field.type) for field in schema]
    return max(1, min(MAX_ROWS, batch_bytes * 8 // max(1, sum(widths))))


def width(kind: pa.DataType) -> int:
    """Return the bits of a value, with the one that says whether it is there."""
    if pa.types.is_dictionary(kind):
        return int(kind.index_type.bit_width) + 1
    try:
        return int(kind.bit_width) + 1
    except ValueError:  # of no fixed width
        return 8 * (TEXT_BYTES + 4) + 1


def one_array(table: pa.Table, name: str) -> pa.Array:
    """Return a column of a table as one array."""
    chunks = table.column(name).combine_chunks()
    return chunks if isinstance(chunks, pa.Array) else pa.concat_arrays(chunks.chunks)


def sliced(batch: pa.RecordBatch, batch_bytes: int) -> Iterator[pa.RecordBatch]:
    """Yield the batch in slices of about ``batch_bytes``, without a copy; nothing if empty."""
    fitting = batch.num_rows * batch_bytes // max(1, batch.nbytes)
    rows = max(1, min(MAX_ROWS, fitting))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def guarded(batches: Iterable[pa.RecordBatch], path: Path, what: str) -> Iterator[pa.RecordBatch]:
    """Yield the batches; raise `FileError` where reading fails."""
    iterator = iter(batches)
    while True:
        with reading(path, what):
            batch = next(iterator, None)
        if batch is None:
            return
        yield batch


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn what pyarrow and the system raise into `FileError`; ``what`` was expected."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileError("no such file", file=str(path)) from error
    except (pa.ArrowException, OSError, EOFError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise FileError(f"not {what} that can be read: {reason}", file=str(path)) from error


def _encode(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if array.type == kind:
        return array
    if not pa.types.is_dictionary(kind):
        return array.cast(kind)
    if not pa.types.is_dictionary(array.type):
        return array.cast(kind.value_type).dictionary_encode()
    values = array.dictionary.cast(kind.value_type)
    return pa.DictionaryArray.from_arrays(array.indices.cast(pa.int32()), values)


def _encoded_field(field: pa.Field, is_name: bool) -> pa.Field:
    kind = _plain(field.type)
    if is_name:
        values = kind.value_type if pa.types.is_dictionary(kind) else kind
        kind = pa.dictionary(pa.int32(), _plain(values))
    return pa.field(field.name, kind, field.nullable, field.metadata)


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return the type without a view, which few kernels take."""
    if kind == pa.string_view():
        return pa.large_string()
    return pa.large_binary() if kind == pa.binary_view() else kind


def _is_nested(kind: pa.DataType) -> bool:
    return bool(pa.types.is_nested(kind)) or pa.types.is_run_end_encoded(kind)


def _listed(names: list[str], limit: int = 20) -> str:
    shown = ", ".join(map(repr, names[:limit]))
    return shown if len(names) <= limit else f"{shown}, … ({len(names)} columns)"
