"""Blocks of a CSV file read by pyarrow straight into the kinds of their columns.

A block in which anything is wrong, or odd, is not read here but by `text_blocks.py`, which finds
what it is. So are columns that pyarrow takes only as texts, such as numbers with thousands
separators: they alone, once they are known. What both read is the same. This module needs pyarrow.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from siridb_fast.files._records import has_byte, is_ascii
from siridb_fast.files.arrow_constants import arrow_scalar
from siridb_fast.files.csv.blocks import Block
from siridb_fast.files.csv.columns import NAMES_TYPE, CsvColumns
from siridb_fast.files.csv.dialect import TimeFormat
from siridb_fast.files.csv.lines import record_lines
from siridb_fast.files.csv.numbers import without_nulls
from siridb_fast.files.csv.plain_blocks import PlainBlocks
from siridb_fast.files.csv.text_blocks import (
    EXACT_FLOATS,
    Lines,
    ReadBlock,
    TextBlocks,
    field_names,
    finished,
    has_large,
)
from siridb_fast.files.csv.times import is_of_integers, units_of
from siridb_fast.files.csv.values import (
    ARROW_TYPES,
    MISSING,
    TIMES,
    without_nan,
)

__all__ = ["TypedBlocks"]

MAX_BLOCK = (1 << 31) - 1
COLUMNS_AT_ONCE = 500  # that are copied to be looked at together
MAX_TIME = (1 << 63) - 1
RETURN = ord("\r")
PLAIN_TYPES = (pa.float64(), pa.int64(), pa.string(), NAMES_TYPE)


@dataclass(frozen=True, slots=True)
class _Plan:
    """How blocks are read.

    Attributes:
        as_texts: The columns that come as texts.
        floats: Those of floats that do not.
        guessed: Those of them of which nobody said so.
        others: The rest of those that are not as they are to be.
        plain: Reads blocks whose fields are plain.
        plain_texts: The columns that come as texts from there.
    """

    as_texts: frozenset[str]
    floats: list[str]
    guessed: frozenset[str]
    others: list[str]
    read: csv.ReadOptions
    parse: csv.ParseOptions
    convert: csv.ConvertOptions
    convert_words: csv.ConvertOptions  # of text that may have words for missing numbers
    plain: PlainBlocks
    plain_texts: frozenset[str]


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
        if not block.data or not _is_utf_8(block.data):
            return None
        plan = self._plan
        try:
            batch = self._by_kernel(block, plan)
            if batch is None:
                batch = self._by_pyarrow(block, plan)
        except (pa.ArrowInvalid, _NotDirect):
            return None
        lines = _lines(block, batch.num_rows, self._dialect.delimiter)
        return None if lines is None else ReadBlock(batch, lines, [])

    def _by_kernel(self, block: Block, plan: _Plan) -> pa.RecordBatch | None:
        arrays = plan.plain.read(block)
        if arrays is None:
            return None
        others = [name for name in plan.others if name not in plan.plain_texts]
        return self._finished(arrays, plan.plain_texts, others)

    def _by_pyarrow(self, block: Block, plan: _Plan) -> pa.RecordBatch:
        batch = _parsed(block.data, plan)
        # There may be thousands of columns: most are left alone.
        for first in range(0, len(plan.floats), COLUMNS_AT_ONCE):
            some = plan.floats[first : first + COLUMNS_AT_ONCE]
            if _may_have_large(batch.select(some)) and any(
                _is_odd(batch.column(name), name in plan.guessed) for name in some
            ):
                raise _NotDirect
        arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
        if _may_have_words(block.data):
            arrays |= {name: without_nan(arrays[name]) for name in plan.floats}
        return self._finished(arrays, plan.as_texts, plan.others)

    def _planned(self, as_texts: frozenset[str]) -> _Plan:
        names = field_names(self._columns)
        types = {name: pa.string() for name in names}
        own = [name for name in self._columns.names if name in types]
        types |= {name: self._type(name) for name in own if name not in as_texts}
        # One list holds for all columns; words for a missing number may be texts elsewhere.
        has_texts = any(types[name] in (pa.string(), NAMES_TYPE) for name in self._columns.fields)
        kinds = {n: kind for n, kind in self._columns.kinds.items() if n not in as_texts}
        floats = [name for name, kind in kinds.items() if kind == "float"]
        # pyarrow builds a table of them for each column of each block: few, where there are none.
        words = [] if has_texts else MISSING
        convert, convert_words = (
            csv.ConvertOptions(
                check_utf8=False,
                column_types=types,
                include_columns=self._columns.fields,
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                null_values=["", *some, *self._dialect.nulls],
                decimal_point=self._dialect.decimal,
            )
            for some in ([], words)
        )
        return _Plan(
            as_texts,
            floats,
            frozenset(filter(self._columns.has_guessed_floats, floats)),
            [name for name, kind in kinds.items() if kind == "string" or self._is_time(name)],
            csv.ReadOptions(
                use_threads=False,  # other blocks are read meanwhile
                block_size=MAX_BLOCK,
                column_names=names,
            ),
            csv.ParseOptions(delimiter=self._dialect.delimiter, newlines_in_values=True),
            convert,
            convert_words,
            PlainBlocks(self._columns, as_texts, types),
            as_texts.union(name for name in own if types[name] not in PLAIN_TYPES),
        )

    def _is_time(self, name: str) -> bool:
        return self._columns.time_of(name) is not None

    def _is_text_only(self, name: str) -> bool:
        kind, time = self._columns.kinds[name], self._columns.time_of(name)
        if time is not None:
            is_direct = is_of_integers(time, kind) or self._is_plain_iso(time)
            return time is not self._dialect.time or not is_direct
        return kind in ("float", "integer") and self._dialect.thousands is not None

    def _is_plain_iso(self, time: TimeFormat) -> bool:
        are_zoned = self._columns.are_zoned
        is_utc = are_zoned is not None and (are_zoned or time.zone == "UTC")
        return time.form == "iso" and self._columns.joined is None and is_utc

    def _type(self, name: str) -> pa.DataType:
        kind = self._columns.kinds[name]
        if name in self._columns.options.names:
            return pa.string() if self._dialect.nulls else NAMES_TYPE
        time = self._columns.time_of(name)
        if time is not None and time.form == "epoch":
            return pa.int64()
        if kind in TIMES and not self._columns.are_zoned:
            return pa.timestamp(kind)
        return ARROW_TYPES[kind]

    def _finished(
        self, arrays: Mapping[str, pa.Array], as_texts: Collection[str], others: Collection[str]
    ) -> pa.RecordBatch:
        # The columns as they are to be.
        changed = {name: self._by_text(arrays, name) for name in as_texts}
        changed |= {name: self._others(arrays[name], name) for name in others}
        there = {**arrays, **changed}
        return finished({name: there[name] for name in self._columns.names}, self._columns)

    def _by_text(self, arrays: Mapping[str, pa.Array], name: str) -> pa.Array:
        time = self._columns.time_of(name)
        parts = (name,) if time is None else time.columns
        texts = self._columns.texts(pa.table({part: arrays[part] for part in parts}), name)
        done = self._by_texts.converted(self._by_texts.plain(texts, name), name)
        if done.bad:
            raise _NotDirect
        return done.values

    def _others(self, array: pa.Array, name: str) -> pa.Array:
        kind, time = self._columns.kinds[name], self._columns.time_of(name)
        if time is not None:
            return _times(array.view(pa.int64()), time, kind)
        if kind == "string" and self._dialect.nulls:
            return without_nulls(array, self._dialect)
        return array


class _NotDirect(Exception):
    """A block is to be read as texts."""


def _times(integers: pa.Array, time: TimeFormat, kind: str) -> pa.Array:
    # What is no time of SiriDB is found among the texts, and named.
    lowest, highest = pc.min_max(integers).as_py().values()
    factor = units_of(time, kind)
    if lowest is not None and not 0 <= lowest <= highest <= MAX_TIME // factor:
        raise _NotDirect
    if factor > 1:
        integers = pc.multiply(integers, arrow_scalar(factor))
    return integers.view(ARROW_TYPES[kind])


def _parsed(text: bytes | memoryview, plan: _Plan) -> pa.RecordBatch:
    table = csv.read_csv(
        pa.py_buffer(text),
        read_options=plan.read,
        parse_options=plan.parse,
        convert_options=plan.convert_words if _may_have_words(text) else plan.convert,
    )
    batches = table.to_batches()
    if len(batches) != 1:
        raise _NotDirect
    batch: pa.RecordBatch = batches[0]
    return batch


def _may_have_large(batch: pa.RecordBatch) -> bool:
    """Tell whether columns of floats may have large ones, looking at all of them at once."""
    body = np.frombuffer(pa.ipc.read_message(batch.serialize()).body, np.float64)
    return not (len(body) and body.max() < EXACT_FLOATS and body.min() > -EXACT_FLOATS)


def _is_odd(array: pa.Array, is_guessed: bool) -> bool:
    # Among them may be integers that are rounded, or numbers that became infinite.
    return has_large(array) and (is_guessed or pc.any(pc.is_inf(array)).as_py())


def _may_have_words(text: bytes | memoryview) -> bool:
    # All words of `MISSING` have one of them, and so has NaN.
    return any(has_byte(text, one) for one in b"nN")


def _is_utf_8(text: bytes | memoryview) -> bool:
    if is_ascii(text):
        return True
    try:
        str(text, "utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _lines(block: Block, rows: int, delimiter: str) -> Lines | range | None:
    """Return the line of each row of a block; None if they cannot be told."""
    count = block.rows
    if count == rows and (
        not has_byte(block.data, RETURN) or _are_all_pairs(block.text, block.ends)
    ):
        return range(block.line, block.line + count)
    lines, _ = record_lines(block.text, delimiter, block.line)
    return lines if len(lines) == rows else None


def _are_all_pairs(text: bytes, ends: int) -> bool:
    # No carriage return without a line feed, which would end a line for pyarrow alone.
    return text.count(b"\r") == text.count(b"\r\n") == ends
