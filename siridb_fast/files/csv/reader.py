"""CSV files → typed record batches, with the line of every row known and bad lines named.

Each block of text is parsed by pyarrow as strings, which cannot fail, and then converted column by
column (see `values.py`), so that a value that does not fit is found, not just met. A bad line has
too few or too many fields, a value that its column's type cannot take, or is not UTF-8. Blank
lines are passed over.

This module needs pyarrow (see `siridb_fast.files.open`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv

from siridb_fast.errors import FileError
from siridb_fast.files.arrow_schema import check_columns, reading, sliced
from siridb_fast.files.base import ReadOptions, TableFile
from siridb_fast.files.csv.blocks import Block, CsvBlocks, split_header
from siridb_fast.files.csv.dialect import Dialect, TimeFormat
from siridb_fast.files.csv.guess_numbers import is_number
from siridb_fast.files.csv.head import settled_dialect
from siridb_fast.files.csv.lines import LineMap, record_lines
from siridb_fast.files.csv.numbers import plain_numbers, without_nulls
from siridb_fast.files.csv.times import MARK, epoch_texts, has_fractions, iso_texts, joined
from siridb_fast.files.csv.values import (
    ARROW_TYPES,
    EXPECTED,
    UTC,
    convert,
    decide_time,
    decide_type,
)

__all__ = ["CsvTable"]

SHOWN_BAD = 10
SMALLEST_BLOCK = 64
NAMES_TYPE = pa.dictionary(pa.int32(), pa.string())
SURROGATE = re.compile("[\udc80-\udcff]")  # what stands for a byte that is not UTF-8

Lines = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Fault:
    """What is wrong with one line; ``column`` is None if it is the line as such."""

    line: int
    text: str
    column: str | None = None


@dataclass(frozen=True, slots=True)
class _Texts:
    """A block as columns of strings, the line of each row, and the lines that are no rows."""

    table: pa.Table
    lines: Lines
    faults: list[_Fault]


class CsvTable(TableFile):
    """A CSV file, as `siridb_fast.files.base.TableFile` says."""

    dialect: Dialect

    def __init__(self, path: Path, options: ReadOptions) -> None:
        super().__init__(path, options)
        self.first_bad: list[FileError] = []
        self.dialect = settled_dialect(path, options)
        self._delimiter = self.dialect.delimiter
        with reading(path, "a CSV file"):
            self.size = path.stat().st_size
        self._names = [name for name in self.dialect.names if name]
        self._line_map = LineMap()
        self._first_line = 1  # of points
        self._source = self._open()
        self._kinds = self._decide_kinds()
        self.schema = pa.schema(
            (name, NAMES_TYPE if name in options.names else ARROW_TYPES[kind])
            for name, kind in self._kinds.items()
        )
        self._source.close()

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
        self._line_map = LineMap()
        self.bad_lines = 0
        self.first_bad = []
        skipped = start
        for block in self._bodies():
            batch = self._typed(self._texts(block))
            wanted = batch.slice(skipped)  # empty if all of it is to be skipped
            if columns is not None:
                wanted = wanted.select(list(columns))
            skipped -= batch.num_rows - wanted.num_rows
            yield from sliced(wanted, 2 * self._options.batch_bytes)
        self._source.close()

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

    def _open(self) -> CsvBlocks:
        block_bytes = max(SMALLEST_BLOCK, self._options.batch_bytes // 2)
        return CsvBlocks(self.path, self.dialect, block_bytes)

    def _bodies(self) -> Iterator[Block]:
        """Yield the blocks after the header, which is read first."""
        has_begun = False
        for block in self._source:
            if has_begun:
                yield block
            elif (body := split_header(block, self.dialect, self.path)) is not None:
                has_begun = True
                self._first_line = body.line
                yield body
        if not has_begun:
            raise FileError("the file is empty, expected a header", file=str(self.path))

    def _decide_kinds(self) -> dict[str, str]:
        """Return a kind of `ARROW_TYPES` for each column, from the first block that has rows."""
        table = None
        for block in self._bodies():
            check_columns([*self._names, *self._joined], self._options, self.path)
            table = self._texts(block).table
            if table.num_rows:
                break
        assert table is not None  # noqa: S101 - there is a block, or an error
        return {name: self._kind(name, self._column(table, name)) for name in self._read_names()}

    @property
    def _joined(self) -> list[str]:
        # The column that comes of several.
        time = self.dialect.time
        return [] if time is None or len(time.columns) == 1 else [time.name]

    def _read_names(self) -> list[str]:
        # The columns of the batches, in their order.
        if self._options.columns is not None:
            return [*self._options.columns]
        time = self.dialect.time
        parts = () if time is None or not self._joined else time.columns
        own = (name for name in self._names if name not in parts or name in self._options.names)
        return [*self._joined, *own]

    def _column(self, table: pa.Table, name: str) -> pa.Array:
        # Its texts, of times in ISO 8601 if they are no numbers.
        time = self.dialect.time
        if time is None or name != time.name:
            return _array(table, name)
        columns = [without_nulls(_array(table, part), self.dialect) for part in time.columns]
        texts = joined(columns)
        return texts if time.form in ("iso", "epoch") else iso_texts(texts, time.form)

    def _kind_of_time(self, texts: pa.Array, time: TimeFormat) -> str:
        if time.form != "epoch" or not has_fractions(texts):
            return decide_time(texts, integers=time.form == "epoch")
        if time.unit is None:
            reason = "times with decimals are of a unit that has to be said: unit= (--unit)"
            raise FileError(reason, file=str(self.path), column=time.name)
        return "ns"

    def _kind(self, name: str, texts: pa.Array) -> str:
        given = self._options.types.get(name)
        if name in self._options.names:
            return "string"
        texts = without_nulls(texts, self.dialect)
        time = self.dialect.time
        if given in (None, "time") and time is not None and time.name == name:
            return self._kind_of_time(texts, time)
        if given == "time":
            return decide_time(texts, integers=name == self._options.time)
        if given is not None or self.dialect.kinds.get(name) == "bool":
            return given or "bool"
        found = decide_type(plain_numbers(texts, self.dialect))
        is_number = self.dialect.kinds.get(name) == "float" and found == "string"
        return "float" if is_number else found

    def _texts(self, block: Block) -> _Texts:
        lines, _ = record_lines(block.text, self._delimiter, block.line)
        text, faults = self._decoded(block, lines)
        odd: list[Any] = []

        def leave_out(row: Any) -> str:
            odd.append(row)
            return "skip"

        table = self._parse(text, leave_out) if len(lines) else self._no_rows()
        faults += [_odd_fault(row, lines) for row in odd if row.text.strip()]
        lines = np.delete(lines, [row.number - 1 for row in odd])
        if len(lines) != table.num_rows:
            reason = "a carriage return without a line feed, here or in a later line"
            raise FileError(reason, file=str(self.path), line=block.line)
        return _Texts(table, lines, faults)

    def _decoded(self, block: Block, lines: Lines) -> tuple[bytes, list[_Fault]]:
        """Return text that is UTF-8, and the records that were not."""
        try:
            block.text.decode()
        except UnicodeDecodeError:
            text = block.text.decode("utf-8", "surrogateescape")
        else:
            return block.text, []
        found = [
            n for n, line in enumerate(text.split("\n"), block.line) if SURROGATE.search(line)
        ]
        records = np.unique(lines[np.searchsorted(lines, found, side="right") - 1])
        expected = "the line is not UTF-8 text; encoding= (--encoding) says what it is"
        return text.encode("utf-8", "replace"), [_Fault(int(line), expected) for line in records]

    def _parse(self, text: bytes, leave_out: Any) -> pa.Table:
        # What is left out has a name too, which no column can have.
        names = [name or f"\0{number}" for number, name in enumerate(self.dialect.names)]
        return csv.read_csv(
            pa.BufferReader(text),
            read_options=csv.ReadOptions(
                use_threads=False,  # else rows have no number
                block_size=len(text) + 1,
                column_names=names,
            ),
            parse_options=csv.ParseOptions(
                delimiter=self._delimiter,
                newlines_in_values=True,
                invalid_row_handler=leave_out,
            ),
            convert_options=csv.ConvertOptions(
                check_utf8=False,
                column_types=dict.fromkeys(names, pa.string()),
                include_columns=self._sources(),
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                null_values=[""],
            ),
        )

    def _sources(self) -> list[str]:
        # The columns of the file that are read.
        time = self.dialect.time
        parts = time.columns if time is not None and self._joined else ()
        chosen = self._options.columns or self._names
        own = [name for name in chosen if name not in self._joined]
        return [*dict.fromkeys([*parts, *own])]

    def _no_rows(self) -> pa.Table:
        columns = self._sources()
        return pa.schema([(name, pa.string()) for name in columns]).empty_table()

    def _typed(self, texts: _Texts) -> pa.RecordBatch:
        """Convert the columns; leave the rows out that are bad, or raise for the first."""
        faults = {fault.line: fault for fault in texts.faults}
        columns = []
        for name, kind in self._kinds.items():
            array = self._column(texts.table, name)
            time = self.dialect.time
            done = convert(
                self._plain(array, name, kind),
                kind,
                every=self._options.skip_bad,
                time=time if time is not None and time.name == name else UTC,
            )
            for row in done.bad:
                line = int(texts.lines[row])
                # Where the first line does not fit, all may be like it, and would be left out.
                may_leave_out = line > self._first_line and not self._options.skip_bad
                value = _given(array[row].as_py())
                text = _unfit(value, name, kind, may_leave_out=may_leave_out)
                text += self._hint(name, kind, value)
                faults.setdefault(line, _Fault(line, text, name))
            columns.append(done.values)
        if faults:
            self._report([faults[line] for line in sorted(faults)])
        is_good = ~np.isin(texts.lines, [*faults])
        self._line_map.add(texts.lines[is_good])
        return self._batch(columns, None if is_good.all() else pa.array(is_good))

    def _hint(self, name: str, kind: str, value: str) -> str:
        # Which option may be what is missing.
        time = self.dialect.time
        if time is not None and time.name == name:
            zone = f"; in {time.zone} a time may exist twice, or not at all: fold= (--fold)"
            form = "" if time.form in ("iso", "epoch") else f"; the format is {time.form!r}"
            option = "; time_format= (--time-format) says how times are written"
            return form + (zone if time.zone != "UTC" else option)
        if kind in ("integer", "float") and is_number(value):
            return "; decimal= (--decimal) and thousands= (--thousands) say how it is written"
        return "; nulls= (--null) says what stands for a missing value" if kind == "float" else ""

    def _plain(self, texts: pa.Array, name: str, kind: str) -> pa.Array:
        texts = without_nulls(texts, self.dialect)
        time = self.dialect.time
        if time is not None and time.name == name:
            is_number = time.form == "epoch" and kind in ("ns", "us")
            return epoch_texts(texts, time.unit or "ns") if is_number else texts
        return plain_numbers(texts, self.dialect) if kind in ("integer", "float") else texts

    def _batch(self, columns: list[pa.Array], is_good: pa.Array | None) -> pa.RecordBatch:
        if is_good is not None:
            columns = [column.filter(is_good) for column in columns]
        for index, name in enumerate(self._kinds):
            if name in self._options.names:
                columns[index] = columns[index].dictionary_encode()
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _report(self, faults: list[_Fault]) -> None:
        if not self._options.skip_bad:
            raise self._error(faults[0])
        self.bad_lines += len(faults)
        self.first_bad += map(self._error, faults[: SHOWN_BAD - len(self.first_bad)])

    def _error(self, fault: _Fault) -> FileError:
        path = str(self.path)
        return FileError(fault.text, file=path, line=fault.line, column=fault.column)


def _array(table: pa.Table, name: str) -> pa.Array:
    chunks = table.column(name).combine_chunks()
    return chunks if isinstance(chunks, pa.Array) else pa.concat_arrays(chunks.chunks)


def _odd_fault(row: Any, lines: Lines) -> _Fault:
    text = f"expected {row.expected_columns} fields, got {row.actual_columns}: {_shown(row.text)}"
    return _Fault(int(lines[row.number - 1]), text)


def _unfit(value: str, name: str, kind: str, *, may_leave_out: bool) -> str:
    text = f"expected {EXPECTED[kind]}, got {_shown(value)}"
    if kind == "integer" and not convert(pa.array([value]), "float").bad:
        return (
            f"{text}; to go on: types={{{name!r}: 'float'}} (--type {name}=float) for all of the "
            "file: what is stored of it as integers is to be dropped first"
        )
    if not may_leave_out:
        return text
    return f"{text}; to go on: leave out such lines with skip_bad (--skip-bad)"


def _given(text: str) -> str:
    return text.removeprefix(MARK)


def _shown(text: str, limit: int = 80) -> str:
    return repr(text) if len(text) <= limit else f"{text[:limit]!r}…"
