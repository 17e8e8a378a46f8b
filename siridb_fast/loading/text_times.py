"""Columns of texts that are times, in frames and in files that have types: read as those of CSV.

How they are written is what was said, or is found in the first rows of the load and holds for all
of them. Needs pyarrow.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from siridb_fast.errors import ColumnError, FileError
from siridb_fast.files.arrow_masks import are_missing
from siridb_fast.files.csv.dialect import TimeFormat
from siridb_fast.files.csv.guess_numbers import Cell
from siridb_fast.files.csv.guess_times import settle_time
from siridb_fast.files.csv.times import read_times, time_kind
from siridb_fast.files.csv.values import MISSING
from siridb_fast.loading.frames.base import Cells
from siridb_fast.loading.options import LoadOptions

__all__ = ["TextTimes"]

SAMPLE = 1000  # texts that show how times are written

NumpyArray = np.ndarray[Any, np.dtype[Any]]


class TextTimes:
    """How the texts of times of one load are read.

    Args:
        options: Of the load.
    """

    def __init__(self, options: LoadOptions) -> None:
        self._options = options
        self._missing = {*MISSING, "NaT", *options.csv.nulls}
        self._formats: dict[str, TimeFormat] = {}

    def cells(self, name: str, cells: Cells) -> Cells:
        """Return a column of texts as times of UTC, or as integers.

        Args:
            name: Of the column.
            cells: Of text.

        Raises:
            ColumnError: They can be read in several ways; or one is no time, whose row is named.
        """
        texts = pa.array(cells.values.tolist(), pa.string(), mask=cells.missing, from_pandas=True)
        format_ = self._format(name, texts)
        kind = time_kind(texts, format_) if len(texts) else "ns"
        times = read_times(texts, format_, kind, missing=self._missing)
        if times.bad:
            row = times.bad[0]
            raise ColumnError(f"column {name!r}: {times.reason(row)}", index=row)
        integers = times.values.view(pa.int64()).fill_null(0).to_numpy()
        missing = None
        if times.values.null_count:
            missing = are_missing(times.values)
        return Cells(integers if kind == "integer" else integers.view(f"M8[{kind}]"), missing)

    def _format(self, name: str, texts: pa.Array) -> TimeFormat:
        if name not in self._formats:
            rows = enumerate(texts.to_pylist())
            there = ((row, text.strip()) for row, text in rows if text is not None)
            cells = (Cell(text, row) for row, text in there if text not in self._missing)
            sample = list(islice(cells, SAMPLE))
            found = self._settled(name, sample)
            if not sample or found is None:
                return TimeFormat(columns=(name,))  # for these, which say nothing
            self._formats[name] = found
        return self._formats[name]

    def _settled(self, name: str, sample: list[Cell]) -> TimeFormat | None:
        options = self._options
        try:
            return settle_time({name: sample}, (name,), options.csv, options.unit, "")
        except FileError as exc:
            raise ColumnError(f"column {name!r}: {exc.text}", index=exc.line) from None
