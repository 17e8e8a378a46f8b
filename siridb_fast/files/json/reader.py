"""Files of JSON → typed record batches, with the line of every object known and bad ones named.

The fields and their kinds are those of the first block, and what is said; numbers are floats. A
column of times that are texts is read as one of a CSV file. This module needs pyarrow.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
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
    one_array,
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
from siridb_fast.files.csv.values import ARROW_TYPES, MISSING, TIMES
from siridb_fast.files.json.blocks import JsonBlock, JsonBlocks
from siridb_fast.files.json.dialect import JsonDialect
from siridb_fast.files.json.faults import fault_of
from siridb_fast.files.paths import compression

__all__ = ["JsonTable"]

TYPES = {kind: ARROW_TYPES[kind] for kind in ("float", "integer", "string", "bool")}
SHOWN_BAD = 10
Fault = tuple[str, str | None]  # what is wrong with an object, and in which field
SAMPLE = 1000  # objects that show how times are written


class JsonTable(TableFile):
    """A file of JSON, as `siridb_fast.files.base.TableFile` says.

    Args:
        path: The file.
        options: What to read of it.
        is_array: It is one array of objects, else an object a line.
    """

    dialect: JsonDialect
    reads_after_close = True

    def __init__(self, path: Path, options: ReadOptions, *, is_array: bool) -> None:
        super().__init__(path, options)
        self._is_array = is_array
        self.first_bad: list[FileError] = []
        with reading(path, "a file of JSON"):
            self.size = path.stat().st_size
        self.may_grow = not is_array and compression(path) is None
        self._line_map = LineMap()
        self._source = self._open()
        try:
            first = next((block for block in self._source if block.objects), None)
            if first is None:
                raise FileError("the file has no object", file=str(path))
            self._settle(first)
        finally:
            self._source.close()
        self._source = self._open()

    @property
    def bytes_read(self) -> int:
        """The offset in the file."""
        return self._source.bytes_read

    def batches(
        self, start: int = 0, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the batches from row ``start`` on; the rows before it are read as well."""
        self._source.close()
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
        self._fields = {field.name: _read_type(field.type) for field in found.schema}
        self._add_said()
        self._kinds = {name: str(type_) for name, type_ in self._fields.items()}
        block, table = self._table(block, pa.schema(self._fields))
        time = self._settle_time(table, block)
        self.dialect = JsonDialect(names=tuple(self._fields), time=time, is_array=self._is_array)
        types = {name: self._type(name) for name in self._fields}
        if time is not None:
            self._time_kind = time_kind(_texts(one_array(table, time.name)), time)
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

    def _add_said(self) -> None:
        # What is said of fields, also of those that come later.
        types = self._options.types
        if odd := [name for name, kind in types.items() if kind not in {*TYPES, "time"}]:
            text = f"types: {types[odd[0]]!r} of {odd[0]!r} is nothing that a file of JSON has"
            raise FileError(text, file=str(self.path))
        later = [name for name in types if name not in self._fields and self._has_field(name)]
        self._options = self._options.for_columns([*self._fields, *later])
        said = self._options.types.items()
        there = {*self._fields, *later}
        self._fields |= {n: TYPES[kind] for n, kind in said if kind in TYPES and n in there}

    def _has_field(self, name: str) -> bool:
        key = json.dumps(name, ensure_ascii=False).encode()
        with closing(self._open()) as source:
            return any(key in one for block in source for one in block.objects)

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
        texts = _texts(one_array(table, name).slice(0, SAMPLE)).to_pylist()
        rows = zip(texts, block.lines.tolist(), strict=False)
        return [Cell(text.strip(), line) for text, line in rows if text and text.strip()]

    # ---- the rows

    def _read(self, block: JsonBlock) -> pa.RecordBatch:
        block, table = self._table(block, pa.schema(self._fields))
        arrays = {name: one_array(table, name) for name in table.schema.names}
        faults = self._rounded(arrays, block)
        if (time := self.dialect.time) is not None:
            missing = (*MISSING, *self._options.csv.nulls)
            times = read_times(_texts(arrays[time.name]), time, self._time_kind, missing=missing)
            arrays[time.name] = times.values
            faults |= {row: (times.reason(row), time.name) for row in times.bad}
        if faults:
            is_good = np.ones(len(block.objects), np.bool_)
            is_good[[*faults]] = False
            arrays = {name: array.filter(arrow_values(is_good)) for name, array in arrays.items()}
            block = self._without(block, faults)
        self._line_map.add(block.lines)
        return pa.RecordBatch.from_pydict(arrays)

    def _table(self, block: JsonBlock, schema: pa.Schema | None) -> tuple[JsonBlock, pa.Table]:
        # The objects that are good, and their fields.
        try:
            return block, _parsed(block, schema)
        except (pa.ArrowInvalid, UnicodeDecodeError) as exc:
            kinds = self._kinds if schema is not None else _kinds_of(block.objects)
            found = ((row, fault_of(text, kinds)) for row, text in enumerate(block.objects))
            faults = {row: fault for row, fault in found if fault is not None}
            if not faults:
                row, reason = _unreadable(block, schema, exc)
                faults = {row: (f"not JSON that can be read: {reason}", None)}
            block = self._without(block, faults)
            with reading(self.path, "a file of JSON"):
                return block, _parsed(block, schema)

    def _without(self, block: JsonBlock, faults: Mapping[int, Fault]) -> JsonBlock:
        for row in sorted(faults):
            text, column = faults[row]
            self._report(text, int(block.lines[row]), column)
        there = np.delete(np.arange(len(block.objects)), [*faults])
        return JsonBlock([block.objects[row] for row in there.tolist()], block.lines[there])

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

    def _rounded(self, arrays: Mapping[str, pa.Array], block: JsonBlock) -> dict[int, Fault]:
        # The integers that no float is equal to, where nobody said what they are.
        faults: dict[int, Fault] = {}
        for name, type_ in self._fields.items():
            if type_ != pa.float64() or name in self._options.types or not has_large(arrays[name]):
                continue
            numbers = np.abs(np.nan_to_num(arrays[name].fill_null(0.0).to_numpy()))
            for row in np.flatnonzero(numbers >= EXACT_FLOATS).tolist():
                value = json.loads(block.objects[row]).get(name)
                if isinstance(value, int) and int(float(value)) != value:
                    faults[row] = rounded_value(str(value), name), name
        return faults


def _parsed(block: JsonBlock, schema: pa.Schema | None) -> pa.Table:
    """Return the fields of objects; None: all that there are, as they look like."""
    if not block.objects:
        return (schema or pa.schema([])).empty_table()
    text = block.text
    if not text.isascii():
        text.decode()  # pyarrow does not look
    return arrow_json.read_json(
        pa.BufferReader(text),
        arrow_json.ReadOptions(use_threads=False, block_size=len(text) + 1),
        arrow_json.ParseOptions(
            explicit_schema=schema,
            unexpected_field_behavior="infer" if schema is None else "error",
        ),
    )


def _unreadable(
    block: JsonBlock, schema: pa.Schema | None, error: Exception
) -> tuple[int, Exception]:
    """Return the first object that pyarrow does not take, and why."""
    for row in range(len(block.objects)):
        try:
            _parsed(JsonBlock(block.objects[row : row + 1], block.lines[row : row + 1]), schema)
        except pa.ArrowInvalid as exc:
            return row, exc
    raise error


def _read_type(type_: pa.DataType) -> pa.DataType:
    # pyarrow takes some texts for times, and knows nothing of what is null.
    if pa.types.is_timestamp(type_):
        return pa.string()
    return pa.float64() if pa.types.is_null(type_) else type_


def _texts(array: pa.Array) -> pa.Array:
    """Return texts, or numbers as the texts that they are."""
    if array.type == pa.string():
        return array
    numbers = arrow_texts([str(number) for number in array.fill_null(0).to_pylist()])
    return pc.if_else(array.is_valid(), numbers, arrow_null(pa.string()))


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
