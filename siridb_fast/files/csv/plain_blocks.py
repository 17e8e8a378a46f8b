"""Blocks of a CSV file whose fields are plain, read by a kernel of our own at a third of the cost.

Gives what pyarrow would give of the same text, to the bit. Any other block is left to it
(`typed_blocks.py`), which is slower, and takes and refuses everything. This module needs pyarrow.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from siridb_fast.files._plain_records import joined_texts, numbered_texts, read_plain
from siridb_fast.files.csv.blocks import Block
from siridb_fast.files.csv.columns import NAMES_TYPE, CsvColumns

__all__ = ["PlainBlocks"]

LEFT_OUT, FLOAT, INTEGER, TEXT = range(4)
KINDS = {pa.float64(): FLOAT, pa.int64(): INTEGER}
FEWEST_BYTES = 4096  # of a block, below which nothing is won
MOST_ODD = 2  # blocks that are not plain, before no more are tried

Array = npt.NDArray[np.int64]
Spans = npt.NDArray[np.int32]


class PlainBlocks:
    """Reads blocks of one file, in any order and thread.

    Args:
        columns: Those that are read.
        as_texts: Those of numbers that come as texts.
        types: What each field is to be; one that is neither a float nor an integer is a text.
    """

    def __init__(
        self, columns: CsvColumns, as_texts: Collection[str], types: dict[str, pa.DataType]
    ) -> None:
        dialect = columns.dialect
        self._delimiter, self._point = dialect.delimiter, dialect.decimal
        self._types = {name: types[name] for name in columns.fields}
        kinds = [_kind(name, self._types, as_texts) for name in dialect.names]
        self._kinds = np.array(kinds, np.uint8)
        self._numbers = kinds.count(FLOAT) + kinds.count(INTEGER)
        self._texts = kinds.count(TEXT)
        # A number may stand for a missing one, and a delimiter have several bytes.
        self._odd = MOST_ODD if dialect.nulls or not dialect.delimiter.isascii() else 0

    def read(self, block: Block) -> dict[str, pa.Array] | None:
        """Return the fields of a block, by name; None if not all of it is plain."""
        if self._odd == MOST_ODD or len(block.data) < FEWEST_BYTES:
            return None
        text, rows = block.data if block.is_ended else block.text + b"\n", block.rows
        numbers = np.empty((self._numbers, rows), np.int64)
        missing = np.zeros(self._numbers, np.int64)
        starts, stops = (np.empty((self._texts, rows), np.int32) for _ in range(2))
        delimiter, point = ord(self._delimiter), ord(self._point)
        is_plain = read_plain(text, delimiter, point, self._kinds, numbers, missing, starts, stops)
        found = self._arrays(text, numbers, missing, starts, stops) if is_plain else None
        self._odd = self._odd + 1 if found is None else 0
        return found

    def _arrays(
        self, text: bytes | memoryview, numbers: Array, missing: Array, starts: Spans, stops: Spans
    ) -> dict[str, pa.Array] | None:
        of_numbers = _number_arrays(numbers, missing.tolist(), self._kinds)
        spans = zip(starts, stops, strict=True)
        kinds = self._kinds[self._kinds != LEFT_OUT].tolist()
        arrays = {}
        for (name, type_), kind in zip(self._types.items(), kinds, strict=True):
            array = next(of_numbers) if kind != TEXT else _texts(text, *next(spans), type_)
            if array is None:
                return None
            arrays[name] = array
        return arrays


def _kind(name: str, types: dict[str, pa.DataType], as_texts: Collection[str]) -> int:
    if name not in types:
        return LEFT_OUT
    if name in as_texts:
        return TEXT
    return KINDS.get(types[name], TEXT)


def _number_arrays(
    numbers: Array, missing: list[int], kinds: npt.NDArray[np.uint8]
) -> Iterator[pa.Array]:
    # Of each row of numbers; without a copy, where all are there.
    rows = numbers.shape[1]
    buffers = [None, pa.py_buffer(numbers)]
    all_of_kind = {
        FLOAT: pa.Array.from_buffers(pa.float64(), numbers.size, buffers, 0),
        INTEGER: pa.Array.from_buffers(pa.int64(), numbers.size, buffers, 0),
    }
    of_numbers = (kind for kind in kinds.tolist() if kind in all_of_kind)
    for index, (kind, count) in enumerate(zip(of_numbers, missing, strict=True)):
        if count:
            yield pa.array(numbers[index].view(np.float64), from_pandas=True)
        else:
            yield all_of_kind[kind].slice(rows * index, rows)


def _texts(
    text: bytes | memoryview, starts: Spans, stops: Spans, type_: pa.DataType
) -> pa.Array | None:
    if type_ == NAMES_TYPE:
        if (stops < starts).any():
            return None
        codes, labels = numbered_texts(text, starts, stops)
        return pa.DictionaryArray.from_arrays(
            codes, pa.array(labels, pa.binary()).cast(pa.string())
        )
    offsets, data, is_there = joined_texts(text, starts, stops)
    mask = None if is_there.all() else pa.py_buffer(np.packbits(is_there, bitorder="little"))
    buffers = [mask, pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.string(), len(starts), buffers)
