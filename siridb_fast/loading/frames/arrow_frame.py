"""Arrow's tables and streams → columns as arrays, in place where there is nothing missing.

Whatever has ``__arrow_c_stream__`` is read here: pyarrow, Polars, DuckDB, nanoarrow, … Needs
pyarrow.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from siridb_fast.columns.casting import EXACT_INTEGERS
from siridb_fast.errors import ColumnError
from siridb_fast.files.arrow_masks import are_missing, are_true
from siridb_fast.loading.frames.base import (
    Cells,
    Coded,
    OddColumnError,
    coded_array,
    joined_name,
    levels_by_name,
    text_names,
)
from siridb_fast.loading.frames.cells import exact_decimal

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "ArrowFrame",
    "arrow_cells",
    "arrow_coded",
    "arrow_frames",
    "arrow_values",
    "dataset_reader",
    "is_arrow",
    "is_dataset",
]

LEAST_ROWS = 65_536  # of a frame that is made of the smaller batches of a stream
TUPLE = re.compile(r"\('.*\)")
READ_AHEAD = 2  # batches of a dataset
NumpyArray = np.ndarray[Any, np.dtype[Any]]
UNITS_OF_DATES = {"date32[day]": "D", "date64[ms]": "ms"}


def is_arrow(data: object) -> bool:
    """Tell whether something can be read as an Arrow table, batch or stream."""
    return hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__")


def _tuple_of(name: str) -> object:
    # "('a', 'max')" → ('a', 'max')
    if not TUPLE.fullmatch(name):
        return name
    try:
        return ast.literal_eval(name)
    except (SyntaxError, ValueError):
        return name


def is_dataset(data: object) -> bool:
    """Tell whether it is a dataset or a scanner of pyarrow, without importing pyarrow."""
    return any(base.__module__ == "pyarrow._dataset" for base in type(data).__mro__)


def dataset_reader(data: Any, columns: Sequence[str] | None) -> Any:
    """Return the stream of a dataset or a scanner, of which little is read ahead.

    Args:
        data: The dataset or scanner.
        columns: Of a dataset, to read; None: all.

    Raises:
        ColumnError: One of them is not there.
    """
    if not hasattr(data, "scanner"):
        return data.to_reader()
    for name in columns or ():
        if name not in data.schema.names:
            raise ColumnError(f"there is no column {name!r}; there are {data.schema.names}")
    given = None if columns is None else list(columns)
    scanner = data.scanner(columns=given, batch_readahead=READ_AHEAD, fragment_readahead=1)
    return scanner.to_reader()


def arrow_frames(data: Any) -> Iterator[ArrowFrame]:
    """Yield what Arrow data holds: a table as one frame, a stream as one frame after another.

    Raises:
        ColumnError: A type that this version of Arrow does not know.
    """
    pa = _pyarrow()
    try:
        if isinstance(data, pa.Table):
            yield ArrowFrame(data)
        elif isinstance(data, pa.RecordBatch):
            yield ArrowFrame(pa.Table.from_batches([data]))
        elif not hasattr(data, "__arrow_c_stream__"):
            yield ArrowFrame(pa.Table.from_batches([pa.record_batch(data)]))
        elif _is_in_memory(data):
            yield ArrowFrame(pa.RecordBatchReader.from_stream(data).read_all())
        else:
            yield from _streamed(pa.RecordBatchReader.from_stream(data))
    except pa.ArrowInvalid as exc:
        raise ColumnError(f"the frame cannot be read as Arrow data: {exc}") from None


class ArrowFrame:
    """A `pyarrow.Table`."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._positions = {name: i for i, name in enumerate(text_names(table.column_names))}

    def __len__(self) -> int:
        return int(self._table.num_rows)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return tuple(self._positions)

    @property
    def index_names(self) -> tuple[str, ...]:
        """There is no index."""
        return ()

    @property
    def shared_names(self) -> tuple[str, ...]:
        """There is no index."""
        return ()

    @property
    def times(self) -> tuple[str, ...]:
        """Of the columns of timestamps and dates."""
        types = _pyarrow().types
        schema = self._table.schema
        return tuple(
            name
            for name, i in self._positions.items()
            if types.is_timestamp(schema.field(i).type) or types.is_date(schema.field(i).type)
        )

    def cells(self, name: str, *, is_exact: bool = False) -> Cells:
        """Return a column."""
        column = self._table.column(self._positions[name])
        return arrow_cells(name, column, is_exact=is_exact)

    def floats(self, names: Sequence[str]) -> NumpyArray | None:
        """Return columns that are floats all at once."""
        pa = _pyarrow()
        batches = self._table.select([self._positions[name] for name in names]).to_batches()
        if len(batches) != 1:
            return None
        if any(type_.id != pa.lib.Type_DOUBLE for type_ in batches[0].schema.types):
            return None
        try:
            tensor = batches[0].to_tensor(null_to_nan=True, row_major=False)
        except (AttributeError, TypeError):  # an early version
            return None
        floats: NumpyArray = tensor.to_numpy().T
        return floats

    def coded(self, name: str) -> Coded:
        """Return a column as labels."""
        return arrow_coded(name, self._table.column(self._positions[name]))

    def series_of(self, name: str) -> str:
        """Return what the column is called by who wrote it.

        `query_arrow` calls the series "time" "time_", and pandas writes names of several levels as
        Python writes a tuple.
        """
        metadata = self._table.schema.field(self._positions[name]).metadata or {}
        series: str = metadata.get(b"series", b"").decode(errors="replace")
        if series and name.rstrip("_") == series.rstrip("_"):
            return series
        return joined_name(_tuple_of(name))

    def levels_of(self, name: str) -> Mapping[str, str]:
        """Return the parts of a name that pandas wrote as a tuple."""
        return levels_by_name(_tuple_of(name))


def arrow_cells(name: str, column: Any, *, is_exact: bool = False) -> Cells:
    """Return an Arrow array as numbers, times or objects; decimals as floats, unless exact.

    Raises:
        ColumnError: It is of a type that is none of these.
    """
    pa = _pyarrow()
    array = _one_array(column)
    type_ = array.type
    if type_.id in (pa.lib.Type_DOUBLE, pa.lib.Type_INT64) and len(array) and not array.null_count:
        dtype = np.float64 if type_.id == pa.lib.Type_DOUBLE else np.int64
        return Cells(np.frombuffer(array.buffers()[1], dtype, len(array), 8 * array.offset))
    if isinstance(type_, pa.BaseExtensionType):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = _decoded(array)
    if pa.types.is_decimal(array.type):
        if is_exact:
            return Cells(array.to_numpy(zero_copy_only=False))
        array = _as_floats(name, array)
    missing = are_missing(array) if array.null_count else None
    if pa.types.is_timestamp(array.type) or pa.types.is_date(array.type):
        unit = UNITS_OF_DATES.get(str(array.type)) or array.type.unit
        integer = pa.int32() if pa.types.is_date32(array.type) else pa.int64()
        integers = _numbers(array.view(integer)).astype(np.int64, copy=False)
        return Cells(integers.view(f"M8[{unit}]"), missing)
    if pa.types.is_duration(array.type) or pa.types.is_time(array.type):
        integer = pa.int32() if pa.types.is_time32(array.type) else pa.int64()
        integers = _numbers(array.view(integer)).astype(np.int64, copy=False)
        return Cells(integers.view(f"m8[{array.type.unit}]"), missing)
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
        return Cells(_numbers(array), missing)
    if pa.types.is_boolean(array.type):
        return Cells(are_true(array), missing)
    if pa.types.is_null(array.type):
        return Cells(np.zeros(len(array)), np.ones(len(array), np.bool_))
    if _is_text(array.type):
        return Cells(array.to_numpy(zero_copy_only=False), missing)
    raise OddColumnError(name, str(array.type))


def _as_floats(name: str, decimals: Any) -> Any:
    floats = decimals.cast(_pyarrow().float64())
    found = floats.to_numpy(zero_copy_only=False)
    for row in np.flatnonzero(np.abs(found) >= EXACT_INTEGERS).tolist():
        exact_decimal(name, decimals[row].as_py(), row)
    return floats


def arrow_values(name: str, data: Any) -> Cells:
    """Return one array of any library that speaks Arrow as numbers, times or text."""
    pa = _pyarrow()
    if not isinstance(data, (pa.Array, pa.ChunkedArray)):
        is_stream = hasattr(data, "__arrow_c_stream__")
        data = pa.chunked_array(data) if is_stream else pa.array(data)
    return arrow_cells(name, data)


def arrow_coded(name: str, column: Any) -> Coded:
    """Return an Arrow array as labels; what is dictionary-encoded already stays as it is."""
    pa = _pyarrow()
    if not pa.types.is_dictionary(column.type) and not _is_text(column.type):
        cells = arrow_cells(name, column)
        return coded_array(name, cells.values, cells.missing)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    if isinstance(column, pa.ChunkedArray):
        column = column.unify_dictionaries()
    array = _one_array(column)
    codes = _numbers(array.indices).astype(np.int32, copy=bool(array.null_count))
    if array.null_count:
        codes[are_missing(array)] = -1
    return _without_null_labels(codes, array.dictionary.to_pylist())


def _without_null_labels(codes: np.ndarray[Any, np.dtype[np.int32]], labels: list[Any]) -> Coded:
    # a dictionary may hold null itself, or one label twice
    if len(set(labels)) < len(labels) or None in labels:
        again = coded_array("labels", np.array(labels, dtype=object))
        codes = np.where(codes < 0, codes, again.codes[codes])
        labels = list(again.labels)
    return Coded(codes, labels)


def _decoded(array: Any) -> Any:
    # pyarrow cannot take from views of text, which Polars' categories are
    pa = _pyarrow()
    if pa.types.is_string_view(array.type.value_type):
        texts = array.dictionary.cast(pa.large_string())
        array = pa.DictionaryArray.from_arrays(array.indices, texts)
    return array.dictionary_decode()


def _one_array(column: Any) -> Any:
    # of one that may be in chunks; nothing is copied if it is one chunk
    if not hasattr(column, "chunks"):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    combined = column.combine_chunks()
    return combined if not hasattr(combined, "chunks") else combined.chunk(0)


def _numbers(array: Any) -> Any:
    # Of the buffer itself: what is null is any number, and integers stay integers.
    dtype = np.dtype(array.type.to_pandas_dtype())
    if not len(array):
        return np.empty(0, dtype)
    return np.frombuffer(array.buffers()[1], dtype, len(array), array.offset * dtype.itemsize)


def _is_text(type_: Any) -> bool:
    types = _pyarrow().types
    return any(
        is_it(type_) for is_it in (types.is_string, types.is_large_string, types.is_string_view)
    )


def _is_in_memory(data: object) -> bool:
    # A frame whose length is known is there as a whole; a stream is read batch by batch.
    return hasattr(data, "__len__") or hasattr(data, "num_rows")


def _streamed(reader: Any) -> Iterator[ArrowFrame]:
    pa = _pyarrow()
    batches: list[Any] = []
    rows = 0
    for batch in reader:
        batches.append(batch)
        rows += batch.num_rows
        if rows >= LEAST_ROWS:
            yield ArrowFrame(pa.Table.from_batches(batches))
            batches, rows = [], 0
    yield ArrowFrame(pa.Table.from_batches(batches, reader.schema))


def _pyarrow() -> Any:
    try:
        import pyarrow as pa  # an optional dependency
    except ImportError:
        raise ImportError(
            "Arrow data needs pyarrow: pip install 'siridb_fast[arrow]'", name="pyarrow"
        ) from None
    return pa
