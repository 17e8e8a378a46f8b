"""Blocks of a CSV file read by pyarrow straight into the kinds of their columns.

A block in which anything is wrong, or odd, is not read here but by `text_blocks.py`, which finds
what it is. So are columns that pyarrow takes only as texts, such as numbers with thousands
separators: they alone, once they are known. What both read is the same. This module needs pyarrow.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from siridb_fast.files.csv.blocks import Block
from siridb_fast.files.csv.columns import NAMES_TYPE, CsvColumns
from siridb_fast.files.csv.dialect import TimeFormat
from siridb_fast.files.csv.lines import record_lines
from siridb_fast.files.csv.numbers import without_nulls
from siridb_fast.files.csv.text_blocks import (
    Lines,
    ReadBlock,
    TextBlocks,
    field_names,
    finished,
    has_large,
)
from siridb_fast.files.csv.values import (
    ARROW_TYPES,
    MISSING,
    TIMES,
    without_nan,
)

__all__ = ["TypedBlocks"]

MAX_BLOCK = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class _Plan:
    """How blocks are read: the columns that come as texts, and what pyarrow is told."""

    as_texts: frozenset[str]
    read: csv.ReadOptions
    parse: csv.ParseOptions
    convert: csv.ConvertOptions


class TypedBlocks:
    """Reads blocks of one file, in any order and thread.

    Args:
        columns: Those that are read.
        by_texts: Converts what comes as texts.
    """

    def __init__(self, columns: CsvColumns, by_texts: TextBlocks) -> None:
        self._columns = columns
        self._dialect = columns.dialect
        self._by_texts = by_texts
        self._plan = self._planned(frozenset(filter(self._is_text_only, columns.names)))

    def read_as_texts(self, names: Collection[str]) -> None:
        """Let pyarrow give some columns as texts, from the next block on."""
        if not self._plan.as_texts.issuperset(names):
            self._plan = self._planned(self._plan.as_texts.union(names))

    def read(self, block: Block) -> ReadBlock | None:
        """Return what is in a block; None if not all of it can be read here."""
        if not block.text or not _is_utf_8(block.text):
            return None
        plan = self._plan
        try:
            batch = _parsed(block.text, plan)
            arrays = self._arrays(batch, plan, may_have_nan=_may_have_nan(block.text))
        except (pa.ArrowInvalid, _NotDirect):
            return None
        lines = _lines(block, batch.num_rows, self._dialect.delimiter)
        if lines is None:
            return None
        return ReadBlock(finished(arrays, self._columns), lines, [])

    def _planned(self, as_texts: frozenset[str]) -> _Plan:
        names = field_names(self._columns)
        types = {name: pa.string() for name in names}
        own = [name for name in self._columns.names if name in types]
        types |= {name: self._type(name) for name in own if name not in as_texts}
        # One list holds for all columns; words for a missing number may be texts elsewhere.
        has_texts = any(types[name] in (pa.string(), NAMES_TYPE) for name in self._columns.fields)
        return _Plan(
            as_texts,
            csv.ReadOptions(
                use_threads=False,  # other blocks are read meanwhile
                block_size=MAX_BLOCK,
                column_names=names,
            ),
            csv.ParseOptions(delimiter=self._dialect.delimiter, newlines_in_values=True),
            csv.ConvertOptions(
                check_utf8=False,
                column_types=types,
                include_columns=self._columns.fields,
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                null_values=[*([""] if has_texts else MISSING), *self._dialect.nulls],
                decimal_point=self._dialect.decimal,
            ),
        )

    def _is_text_only(self, name: str) -> bool:
        kind, time = self._columns.kinds[name], self._columns.time_of(name)
        if time is not None:
            is_number = time.form == "epoch" and kind == "integer"
            return time is not self._dialect.time or not (is_number or self._is_plain_iso(time))
        return kind in ("float", "integer") and self._dialect.thousands is not None

    def _is_plain_iso(self, time: TimeFormat) -> bool:
        are_zoned = self._columns.are_zoned
        is_utc = are_zoned is not None and (are_zoned or time.zone == "UTC")
        return time.form == "iso" and self._columns.joined is None and is_utc

    def _type(self, name: str) -> pa.DataType:
        kind = self._columns.kinds[name]
        if name in self._columns.options.names:
            return pa.string() if self._dialect.nulls else NAMES_TYPE
        if kind in TIMES and not self._columns.are_zoned:
            return pa.timestamp(kind)
        return ARROW_TYPES[kind]

    def _arrays(
        self, batch: pa.RecordBatch, plan: _Plan, *, may_have_nan: bool
    ) -> dict[str, pa.Array]:
        found = {}
        for name, kind in self._columns.kinds.items():
            if name in plan.as_texts:
                found[name] = self._by_text(batch, name)
            elif kind == "float":
                found[name] = self._floats(batch.column(name), name, may_have_nan=may_have_nan)
            else:
                found[name] = self._others(batch.column(name), name, kind)
        return found

    def _by_text(self, batch: pa.RecordBatch, name: str) -> pa.Array:
        texts = self._columns.texts(pa.Table.from_batches([batch]), name)
        done = self._by_texts.converted(self._by_texts.plain(texts, name), name)
        if done.bad:
            raise _NotDirect
        return done.values

    def _floats(self, array: pa.Array, name: str, *, may_have_nan: bool) -> pa.Array:
        if self._columns.has_guessed_floats(name) and has_large(array):
            raise _NotDirect  # among them may be integers that are rounded
        return without_nan(array) if may_have_nan else array

    def _others(self, array: pa.Array, name: str, kind: str) -> pa.Array:
        if self._columns.time_of(name) is not None:
            lowest = pc.min(array.view(pa.int64())).as_py()
            if lowest is not None and lowest < 0:
                raise _NotDirect  # it is before 1970, and named so
            return array.view(ARROW_TYPES[kind])
        if kind == "string" and self._dialect.nulls:
            return without_nulls(array, self._dialect)
        return array


class _NotDirect(Exception):
    """A block is to be read as texts."""


def _parsed(text: bytes, plan: _Plan) -> pa.RecordBatch:
    table = csv.read_csv(
        pa.py_buffer(text),
        read_options=plan.read,
        parse_options=plan.parse,
        convert_options=plan.convert,
    )
    batches = table.to_batches()
    if len(batches) != 1:
        raise _NotDirect
    batch: pa.RecordBatch = batches[0]
    return batch


def _may_have_nan(text: bytes) -> bool:
    return b"n" in text or b"N" in text


def _is_utf_8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _lines(block: Block, rows: int, delimiter: str) -> Lines | None:
    """Return the line of each row of a block; None if they cannot be told."""
    text = block.text
    count = block.ends + (not text.endswith(b"\n"))
    if count == rows and (b"\r" not in text or _are_all_pairs(text, block.ends)):
        return np.arange(block.line, block.line + count)
    lines, _ = record_lines(text, delimiter, block.line)
    return lines if len(lines) == rows else None


def _are_all_pairs(text: bytes, ends: int) -> bool:
    # No carriage return without a line feed, which would end a line for pyarrow alone.
    return text.count(b"\r") == text.count(b"\r\n") == ends
