"""Blocks of a CSV file as columns of texts, converted one by one: finds each value that is bad.

Takes what `typed_blocks.py` does not, at several times its cost. A bad line has too few or too
many fields, a value that its column's kind cannot take, or is not UTF-8. This module needs
pyarrow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from siridb_fast.errors import FileError
from siridb_fast.files.arrow_constants import arrow_scalar, arrow_values
from siridb_fast.files.arrow_masks import are_true
from siridb_fast.files.csv.blocks import Block
from siridb_fast.files.csv.columns import CsvColumns
from siridb_fast.files.csv.faults import (
    SKIP_HINT,
    Fault,
    is_rounded,
    mixed_hint,
    odd_row,
    rounded_value,
    unfit_value,
)
from siridb_fast.files.csv.guess_numbers import beyond_floats
from siridb_fast.files.csv.lines import record_lines
from siridb_fast.files.csv.numbers import plain_numbers, without_nulls
from siridb_fast.files.csv.times import is_of_integers, read_times
from siridb_fast.files.csv.values import MISSING, Conversion, convert, is_plain, without_rows

__all__ = ["ReadBlock", "TextBlocks", "field_names", "finished", "has_large"]

EXACT_FLOATS = 2.0**53  # up to here every integer is a float
SURROGATE = re.compile("[\udc80-\udcff]")  # what stands for a byte that is not UTF-8

Lines = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ReadBlock:
    """The good rows of a block with the line of each, and the lines that are no good rows."""

    batch: pa.RecordBatch
    lines: Lines | range
    faults: list[Fault]


@dataclass(frozen=True, slots=True)
class _Texts:
    """A block as columns of strings, the line of each row, and the lines that are no rows."""

    table: pa.Table
    lines: Lines
    faults: list[Fault]


class TextBlocks:
    """Reads blocks of one file, in any order and thread.

    Args:
        columns: Those that are read.
        path: For errors.
        first_line: Of the rows.
    """

    def __init__(self, columns: CsvColumns, path: Any, first_line: int = 1) -> None:
        self._columns = columns
        self._dialect = columns.dialect
        self._options = columns.options
        self._path = path
        self._first_line = first_line

    def read(self, block: Block) -> tuple[ReadBlock, set[str]]:
        """Return what is in a block, and the columns that pyarrow takes only as texts.

        Raises:
            FileError: Rows have no line.
        """
        texts = self._texts(block)
        faults = {fault.line: fault for fault in texts.faults}
        arrays, tidied = [], set()
        for name in self._columns.names:
            done, found, is_direct = self._converted(texts, name)
            arrays.append(done.values)
            for fault in found:
                faults.setdefault(fault.line, fault)
            if not is_direct and not found:
                tidied.add(name)
        is_good = ~np.isin(texts.lines, [*faults])
        if not is_good.all():
            arrays = [array.filter(arrow_values(is_good)) for array in arrays]
        batch = finished(dict(zip(self._columns.names, arrays, strict=True)), self._columns)
        in_order = [faults[line] for line in sorted(faults)]
        return ReadBlock(batch, texts.lines[is_good], in_order), tidied

    def table(self, block: Block) -> pa.Table:
        """Return a block as columns of texts, without the lines that are no rows."""
        return self._texts(block).table

    def converted(self, array: pa.Array, name: str) -> Conversion:
        """Return a column of texts in its kind."""
        kind = self._columns.kinds[name]
        time = self._columns.time_of(name)
        if time is not None:
            missing = (*MISSING, *self._dialect.nulls)
            times = read_times(array, time, kind, missing=missing)  # type: ignore[arg-type]
            return Conversion(times.values, times.bad, reason=times.reason)
        done = convert(array, kind, every=self._options.skip_bad)
        if not self._columns.has_guessed_floats(name):
            return done
        rounded = rounded_rows(array, done.values)
        if not rounded:
            return done
        values = without_rows(done.values, rounded)
        return Conversion(values, sorted({*done.bad, *rounded}))

    def plain(self, texts: pa.Array, name: str) -> pa.Array:
        """Return the texts of a column as the conversion takes them."""
        kind = self._columns.kinds[name]
        if self._columns.time_of(name) is not None:
            return texts
        texts = without_nulls(texts, self._dialect)
        return plain_numbers(texts, self._dialect) if kind in ("integer", "float") else texts

    def _converted(self, texts: _Texts, name: str) -> tuple[Conversion, list[Fault], bool]:
        # and whether pyarrow would have taken it as it is
        given = self._columns.texts(texts.table, name)
        plain = self.plain(given, name)
        done = self.converted(plain, name)
        faults = []
        for row in done.bad:
            line = int(texts.lines[row])
            if done.reason is None:
                text = self._fault(given[row].as_py(), plain[row].as_py(), name, line)
            else:
                text = done.reason(row) + SKIP_HINT * self._may_leave_out(line)
            faults.append(Fault(line, text, name))
        is_direct = done.is_direct or self._is_direct_time(plain, name)
        is_direct = is_direct and plain.null_count == given.null_count
        is_guessed = self._columns.has_guessed_floats(name)
        return done, faults, is_direct and not (is_guessed and has_large(done.values))

    def _is_direct_time(self, texts: pa.Array, name: str) -> bool:
        kind, time = self._columns.kinds[name], self._columns.time_of(name)
        if time is None:
            return False
        if time.form == "epoch":
            return is_of_integers(time, kind) and is_plain(texts, "integer")
        return time.form == "iso" and is_plain(texts, kind)

    def _fault(self, given: str, plain: str, name: str, line: int) -> str:
        if self._columns.has_guessed_floats(name) and is_rounded(plain):
            return rounded_value(plain.strip(), name)
        kind = self._columns.kinds[name]
        if kind == "float" and (beyond := beyond_floats(plain)) is not None:
            return beyond + SKIP_HINT * self._may_leave_out(line)
        fault = unfit_value(given, name, kind, may_leave_out=self._may_leave_out(line))
        is_of_many = bool(self._columns.options.names) and kind == "float"
        return fault + (mixed_hint(name) if is_of_many else "")

    def _may_leave_out(self, line: int) -> bool:
        # Where the first line does not fit, all may be like it, and would be left out.
        return line > self._first_line and not self._options.skip_bad

    def _texts(self, block: Block) -> _Texts:
        given = block.text
        lines, _ = record_lines(given, self._dialect.delimiter, block.line)
        text, faults = _decoded(given, block.line, lines)
        odd: list[Any] = []

        def leave_out(row: Any) -> str:
            odd.append(row)
            return "skip"

        table = self._parse(text, leave_out) if len(lines) else self._no_rows()
        faults += [odd_row(row, lines) for row in odd if row.text.strip()]
        lines = np.delete(lines, [row.number - 1 for row in odd])
        if len(lines) != table.num_rows:
            reason = "a carriage return without a line feed, here or in a later line"
            raise FileError(reason, file=str(self._path), line=block.line)
        return _Texts(table, lines, faults)

    def _parse(self, text: bytes, leave_out: Any) -> pa.Table:
        names = field_names(self._columns)
        return csv.read_csv(
            pa.BufferReader(text),
            read_options=csv.ReadOptions(
                use_threads=False,  # else rows have no number
                block_size=len(text) + 1,
                column_names=names,
            ),
            parse_options=csv.ParseOptions(
                delimiter=self._dialect.delimiter,
                newlines_in_values=True,
                invalid_row_handler=leave_out,
            ),
            convert_options=csv.ConvertOptions(
                check_utf8=False,
                column_types=dict.fromkeys(names, pa.string()),
                include_columns=self._columns.fields,
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                null_values=[""],
            ),
        )

    def _no_rows(self) -> pa.Table:
        return pa.schema([(name, pa.string()) for name in self._columns.fields]).empty_table()


def field_names(columns: CsvColumns) -> list[str]:
    """Return a name for each field of a line; what is left out has one that no column can have."""
    return [name or f"\0{number}" for number, name in enumerate(columns.dialect.names)]


def finished(arrays: Mapping[str, pa.Array], columns: CsvColumns) -> pa.RecordBatch:
    """Return the columns as a batch, those that name series encoded."""
    encoded = dict(arrays)
    for name in columns.options.names:
        if name in encoded and not pa.types.is_dictionary(encoded[name].type):
            encoded[name] = encoded[name].dictionary_encode()
    return pa.RecordBatch.from_arrays([*encoded.values()], schema=columns.schema)


def has_large(array: pa.Array) -> bool:
    """Tell whether a column of floats has some among which may be integers that are rounded."""
    if not len(array):
        return False
    numbers = np.frombuffer(array.buffers()[1], np.float64, len(array), 8 * array.offset)
    highest, lowest = numbers.max(), numbers.min()
    if np.isnan(highest):
        highest, lowest = np.fmax.reduce(numbers), np.fmin.reduce(numbers)
    return bool(highest >= EXACT_FLOATS or lowest <= -EXACT_FLOATS)


def rounded_rows(texts: pa.Array, values: pa.Array) -> list[int]:
    """Return the rows whose integers are not exact as floats."""
    if not has_large(values):
        return []
    is_large = pc.greater_equal(pc.abs(values), arrow_scalar(EXACT_FLOATS))
    is_integer = pc.match_substring_regex(texts, r"^\s*[+-]?[0-9]+\s*$")
    rows = np.flatnonzero(are_true(is_large) & are_true(is_integer))
    return [row for row in rows.tolist() if is_rounded(texts[row].as_py())]


def _decoded(given: bytes, first_line: int, lines: Lines) -> tuple[bytes, list[Fault]]:
    """Return text that is UTF-8, and the records that were not."""
    try:
        given.decode()
    except UnicodeDecodeError:
        text = given.decode("utf-8", "surrogateescape")
    else:
        return given, []
    found = [n for n, line in enumerate(text.split("\n"), first_line) if SURROGATE.search(line)]
    records = np.unique(lines[np.searchsorted(lines, found, side="right") - 1])
    expected = "the line is not UTF-8 text; encoding= (--encoding) says what it is"
    return text.encode("utf-8", "replace"), [Fault(int(line), expected) for line in records]
