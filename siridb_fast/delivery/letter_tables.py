"""Dead letters as files of Parquet, each whole when it appears.

Parquet has its table of contents at the end, so that nothing can be appended, and a file without
it cannot be read. So letters wait in memory until many are together, and each file is written
under another name first. What waits is lost with the process. This module needs pyarrow.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from siridb_fast.columns.typed_values import SERIES, TIME
from siridb_fast.delivery.letter import VALUE_COLUMNS, Letter

__all__ = ["LetterTables"]

FILE_POINTS = 100_000  # of a file, and that wait in memory
FILE_BYTES = 16 * 1024 * 1024
FILE_SECONDS = 60.0  # that the first of them waits, if others come
TYPES = {"f": pa.float64(), "i": pa.int64(), "O": pa.string()}


class LetterTables:
    """The files of dead letters of one name: ``letters.parquet``, ``letters-2.parquet``, ….

    Args:
        path: Of the first.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._letters: list[Letter] = []
        self._size = 0
        self.waiting = 0  # points
        self.written = 0  # points

    def write(self, letter: Letter) -> None:
        """Take the points of a failure.

        Raises:
            OSError: Many wait, and the disk does not take them; these are not among them.
        """
        if self._letters and self._is_due(letter):
            self.flush()
        self._letters.append(letter)
        self._size += letter.size
        self.waiting += letter.points

    def flush(self) -> None:
        """Write what waits into a file of its own.

        Raises:
            OSError: The disk does not take it; it goes on waiting.
        """
        if not self._letters:
            return
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            with draft.open("wb") as file:
                pq.write_table(_table(self._letters), file)
                file.flush()
                os.fsync(file.fileno())
            draft.rename(self._free_path())
        finally:
            draft.unlink(missing_ok=True)
        self.written += self.waiting
        self.close()

    def close(self) -> None:
        """Forget what waits."""
        self._letters, self._size, self.waiting = [], 0, 0

    def _is_due(self, letter: Letter) -> bool:
        first = self._letters[0]
        is_full = self.waiting >= FILE_POINTS or self._size >= FILE_BYTES
        is_old = (letter.refused_at - first.refused_at).total_seconds() >= FILE_SECONDS
        return is_full or is_old or letter.unit != first.unit

    def _free_path(self) -> Path:
        path, number = self.path, 1
        while path.exists():
            number += 1
            path = self.path.with_stem(f"{self.path.stem}-{number}")
        return path


def _table(letters: list[Letter]) -> pa.Table:
    owners = pa.array(np.repeat(np.arange(len(letters)), [letter.points for letter in letters]))
    time = pa.array(np.concatenate([letter.timestamps for letter in letters]))
    unit = letters[0].unit

    def of_each(cells: list[Any], kind: pa.DataType) -> pa.Array:
        return pa.array(cells, kind).take(owners)

    return pa.table(
        {
            SERIES: of_each([letter.series for letter in letters], pa.string()),
            TIME: time if unit is None else time.cast(pa.timestamp(unit, "UTC")),
            **{VALUE_COLUMNS[kind]: _values(letters, kind) for kind in TYPES},
            "reason": _reasons(letters, owners),
            "error": of_each([letter.error for letter in letters], pa.string()),
            "refused_at": of_each(
                [letter.refused_at for letter in letters], pa.timestamp("ms", "UTC")
            ),
        }
    )


def _reasons(letters: list[Letter], owners: pa.Array) -> pa.Array:
    if all(isinstance(letter.reasons, str) for letter in letters):
        return pa.array([letter.reasons for letter in letters], pa.string()).take(owners)
    return pa.array([one for letter in letters for one in letter.reason_of_each], pa.string())


def _values(letters: list[Letter], kind: str) -> pa.ChunkedArray:
    # Of one type; gaps where a letter has values of another one.
    type_ = TYPES[kind]
    chunks = [
        pa.array(letter.values, type_)
        if letter.values.dtype.kind == kind
        else pa.nulls(letter.points, type_)
        for letter in letters
    ]
    return pa.chunked_array(chunks, type_)
