"""Files of JSON → typed record batches, with the line of every object known and bad ones named.

The fields and their kinds are those of the first block, and what is said; numbers are floats. A
column of times that are texts is read as one of a CSV file. This module needs pyarrow.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json

from siridb_fast.errors import FileError
from siridb_fast.files.arrow_constants import arrow_null, arrow_texts, arrow_values
from siridb_fast.files.arrow_schema import (
    chosen,
    encoded,
    encoded_schema,
    nested_columns,
    read_columns,
    reading,
    sliced,
)
from siridb_fast.files.base import ReadOptions, TableFile
from siridb_fast.files.csv.dialect import TimeFormat
from siridb_fast.files.csv.faults import SKIP_HINT, rounded_value
from siridb_fast.files.csv.guess_numbers import Cell
from siridb_fast.files.csv.guess_times import settle_time
from siridb_fast.files.csv.lines import LineMap
from siridb_fast.files.csv.text_blocks import EXACT_FLOATS, has_large
from siridb_fast.files.csv.times import read_times, time_kind
from siridb_fast.files.csv.values import MISSING, TIMES
from siridb_fast.files.json.blocks import JsonBlock, JsonBlocks
from siridb_fast.files.json.dialect import JsonDialect
from siridb_fast.files.json.faults import fault_of

__all__ = ["JsonTable"]

TYPES = {"float": pa.float64(), "integer": pa.int64(), "string": pa.string(), "bool": pa.bool_()}
SHOWN_BAD = 10
SAMPLE = 1000  # objects that show how times are written


class JsonTable(TableFile):
    """A file of JSON, as `siridb_fast.files.base.TableFile` says.

    Args:
        path: The file.
        options: What to read of it.
        is_array: It is one array of objects, else an object a line.
    """

    dialect: JsonDialect

    def __init__(self, path: Path, options: ReadOptions, *, is_array: bool) -> None:
        super().__init__(path, options)
        self._is_array = is_array
        self.first_bad: list[FileError] = []
        with reading(path, "a file of JSON"):
            self.size = path.stat().st_size
        self._line_map = LineMap()
        self._source = self._open()
        try:
            first = next((block for block in self._source if block.objects), None)
            if first is None:
                raise FileError("the file has no object", file=str(path))
            self._settle(first)
        finally:
            self._source.close()

    @property
    def bytes_read(self) -> int:
        """The offset in the file."""
        return self._source.bytes_read or self.size

    def batches(
        self, start: int = 0, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the batches from row ``start`` on; the rows before it are read as well."""
        self._source = self._open()
        self._line_map, self.bad_lines, self.first_bad = LineMap(), 0, []
        schema = chosen(self.schema, columns)
        skipped = start
        for block in self._source:
            batch = self._read(block)
            wanted = batch.slice(skipped)
            skipped -= batch.num_rows - wanted.num_rows
            yield from sliced(encoded(wanted, schema), self._options.batch_bytes)
        self._source.close()

    def row_label(self, row: int) -> str:
        """Return the line of a row that was read, or its place in the array; both from 1."""
        line = self._line_map.line(row)
        if line is None:
            return f"row {row}"
        return f"object {line}" if self._is_array else f"line {line}"

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    # ---- the columns

    def _open(self) -> JsonBlocks:
        block_bytes = max(1, self._options.batch_bytes // 2)
        return JsonBlocks(self.path, block_bytes, is_array=self._is_array)

    def _settle(self, block: JsonBlock) -> None:
        block, found = self._table(block, None)
        self._options = self._options.for_columns([*found.schema.names, *self._said()])
        self._fields = {field.name: _read_type(field.type) for field in found.schema}
        self._fields |= {name: TYPES[kind] for name, kind in self._said().items()}
        self._kinds = {name: str(type_) for name, type_ in self._fields.items()}
        block, table = self._table(block, pa.schema(self._fields))
        time = self._settle_time(table, block)
        self.dialect = JsonDialect(names=tuple(self._fields), time=time, is_array=self._is_array)
        types = {name: self._type(name) for name in self._fields}
        if time is not None:
            self._time_kind = time_kind(_texts(table.column(time.name)), time)
            types[time.name] = TIMES.get(self._time_kind, pa.int64())
        self._fields = {
            name: self._fields[name] if time and name == time.name else type_
            for name, type_ in types.items()
        }
        self._kinds = {name: str(type_) for name, type_ in self._fields.items()}
        schema = pa.schema(types)
        columns = read_columns(schema, self._options, self.path)
        self.left_out = nested_columns(schema, self._options)
        self.schema = encoded_schema(schema, columns, self._options.names)

    def _said(self) -> dict[str, str]:
        types = self._options.types
        return {name: kind for name, kind in types.items() if kind in TYPES}

    def _type(self, name: str) -> pa.DataType:
        # Numbers are floats, but for labels and what is said.
        type_ = self._fields[name]
        is_kept = name in self._options.names or name in self._options.types
        return pa.float64() if pa.types.is_integer(type_) and not is_kept else type_

    def _settle_time(self, table: pa.Table, block: JsonBlock) -> TimeFormat | None:
        options = self._options
        if options.dialect is not None:
            return options.dialect.time  # as it was when the load began
        asked = options.time_columns
        maybe = {
            name: self._cells(table, name, block)
            for name, type_ in self._fields.items()
            if str(type_) in ("string", "int64", "double")
            and (name in asked or name not in options.names)
            and options.types.get(name, "time") == "time"
        }
        return settle_time(maybe, asked, options.csv, options.unit, str(self.path))

    def _cells(self, table: pa.Table, name: str, block: JsonBlock) -> list[Cell]:
        texts = _texts(table.column(name).slice(0, SAMPLE)).to_pylist()
        rows = zip(texts, block.lines.tolist(), strict=False)
        return [Cell(text.strip(), line) for text, line in rows if text and text.strip()]

    # ---- the rows

    def _read(self, block: JsonBlock) -> pa.RecordBatch:
        block, table = self._table(block, pa.schema(self._fields))
        self._refuse_rounded(table, block)
        arrays = {name: self._column(table, name) for name in table.schema.names}
        if self.dialect.time is not None:
            block, arrays = self._with_times(self.dialect.time, arrays, block)
        self._line_map.add(block.lines)
        return pa.RecordBatch.from_pydict(arrays)

    def _table(self, block: JsonBlock, schema: pa.Schema | None) -> tuple[JsonBlock, pa.Table]:
        # The objects that are good, and their fields.
        try:
            return block, _parsed(block, schema)
        except pa.ArrowInvalid as exc:
            kinds = self._kinds if schema is not None else _kinds_of(block.objects)
            block = self._without_bad(block, str(exc), kinds)
            with reading(self.path, "a file of JSON"):
                return block, _parsed(block, schema)

    def _without_bad(self, block: JsonBlock, reason: str, kinds: dict[str, str]) -> JsonBlock:
        faults = [fault_of(text, kinds) for text in block.objects]
        bad = [row for row, fault in enumerate(faults) if fault is not None]
        if not bad:
            raise FileError(f"not JSON that can be read: {reason}", file=str(self.path))
        for row in bad:
            text, column = faults[row] or ("", None)
            self._report(text, int(block.lines[row]), column)
        return _left(block, bad)

    def _report(self, text: str, line: int, column: str | None) -> None:
        if self._is_array:
            text = f"object {line}: {text}"
        hint = "" if self._options.skip_bad or line == 1 else SKIP_HINT
        where = None if self._is_array else line
        error = FileError(text + hint, file=str(self.path), line=where, column=column)
        if not self._options.skip_bad:
            raise error
        self.bad_lines += 1
        if len(self.first_bad) < SHOWN_BAD:
            self.first_bad.append(error)

    def _refuse_rounded(self, table: pa.Table, block: JsonBlock) -> None:
        said = self._said()
        for name, type_ in self._fields.items():
            if type_ != pa.float64() or name in said:
                continue
            array = self._column(table, name)
            if has_large(array):
                self._refuse_rounded_in(name, array, block)

    def _refuse_rounded_in(self, name: str, array: pa.Array, block: JsonBlock) -> None:
        numbers = np.abs(np.nan_to_num(array.fill_null(0.0).to_numpy()))
        for row in np.flatnonzero(numbers >= EXACT_FLOATS).tolist():
            value = json.loads(block.objects[row]).get(name)
            if isinstance(value, int) and int(float(value)) != value:
                text = rounded_value(str(value), name)
                raise FileError(text, file=str(self.path), line=int(block.lines[row]))

    def _with_times(
        self, time: TimeFormat, arrays: dict[str, pa.Array], block: JsonBlock
    ) -> tuple[JsonBlock, dict[str, pa.Array]]:
        missing = (*MISSING, *self._options.csv.nulls)
        times = read_times(_texts(arrays[time.name]), time, self._time_kind, missing=missing)
        for row in times.bad:
            self._report(times.reason(row), int(block.lines[row]), time.name)
        arrays = {**arrays, time.name: times.values}
        if times.bad:
            block = _left(block, times.bad)
            mask = np.ones(len(times.values), np.bool_)
            mask[times.bad] = False
            arrays = {key: array.filter(arrow_values(mask)) for key, array in arrays.items()}
        return block, arrays

    def _column(self, table: pa.Table, name: str) -> pa.Array:
        array = table.column(name).combine_chunks()
        return array if isinstance(array, pa.Array) else pa.concat_arrays(array.chunks)


def _parsed(block: JsonBlock, schema: pa.Schema | None) -> pa.Table:
    """Return the fields of objects; None: all that there are, as they look like."""
    if not block.objects:
        return (schema or pa.schema([])).empty_table()
    text = block.text
    return arrow_json.read_json(
        pa.BufferReader(text),
        arrow_json.ReadOptions(use_threads=False, block_size=len(text) + 1),
        arrow_json.ParseOptions(
            explicit_schema=schema,
            unexpected_field_behavior="infer" if schema is None else "error",
        ),
    )


def _read_type(type_: pa.DataType) -> pa.DataType:
    # pyarrow takes some texts for times, and knows nothing of what is null.
    if pa.types.is_timestamp(type_):
        return pa.string()
    return pa.float64() if pa.types.is_null(type_) else type_


def _texts(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return texts, or numbers as the texts that they are."""
    values = column.to_pylist()
    there = [value is not None for value in values]
    texts = arrow_texts(["" if value is None else str(value) for value in values])
    return (
        texts
        if all(there)
        else pc.if_else(arrow_values(np.array(there)), texts, arrow_null(pa.string()))
    )


def _left(block: JsonBlock, bad: Sequence[int]) -> JsonBlock:
    there = np.delete(np.arange(len(block.objects)), bad)
    return JsonBlock([block.objects[row] for row in there.tolist()], block.lines[there])


def _kinds_of(objects: Sequence[bytes]) -> dict[str, str]:
    """Return the kind of each field, by the first object that has one."""
    names = {bool: "bool", int: "double", float: "double", str: "string"}
    kinds: dict[str, str] = {}
    for text in objects:
        try:
            found = json.loads(text)
        except ValueError:
            continue
        for name, value in found.items() if isinstance(found, dict) else ():
            if value is not None:
                kinds.setdefault(name, names.get(type(value), "nested"))
    return kinds
