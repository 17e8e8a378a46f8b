"""How series of a file of points are called, and the parts of their names for a template."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from siridb_fast.columns.typed_values import SERIES
from siridb_fast.errors import FileError
from siridb_fast.files.arrow_constants import arrow_texts, arrow_values
from siridb_fast.formats.points import PointKey

__all__ = ["LabelCodes", "SeriesLabels"]

Part = Callable[[PointKey], str]


@dataclass(frozen=True, slots=True)
class SeriesLabels:
    """The parts of the names of series.

    Attributes:
        parts: By their names, one of them that of the whole: ``series``.
    """

    parts: Mapping[str, Part]

    def names_of(self, series: Sequence[PointKey]) -> list[str]:
        """Return the names of all parts, with the tags that some series have."""
        tags = {name: None for key in series for name, _ in key.tags}
        return [*dict.fromkeys([*self.parts, *tags])]

    def codes(self, series: Sequence[PointKey], names: Sequence[str], path: Path) -> LabelCodes:
        """Return the columns of some parts.

        Args:
            series: Which come to be known while the file is read.
            names: Of the parts.
            path: Of the file, for error texts.
        """
        return LabelCodes(series, {name: self.parts.get(name) for name in names}, path)


class LabelCodes:
    """Columns of labels for the points of series, dictionary-encoded.

    Args:
        series: By their numbers.
        parts: Of each column; None: it is a tag.
        path: Of the file.
    """

    def __init__(
        self, series: Sequence[PointKey], parts: Mapping[str, Part | None], path: Path
    ) -> None:
        self._series = series
        self._columns = {name: _Column(name, part) for name, part in parts.items()}
        self._known = 0
        self._names: dict[str, PointKey] = {}
        self._path = path

    def columns(self, numbers: np.ndarray[tuple[int], np.dtype[np.int32]]) -> dict[str, pa.Array]:
        """Return the labels of points, by the numbers of their series.

        Raises:
            FileError: Two series have one name.
        """
        for key in self._series[self._known :]:
            for column in self._columns.values():
                label = column.add(key)
                if column.name == SERIES and self._names.setdefault(str(label), key) != key:
                    raise self._of_one_name(str(label), key)
        self._known = len(self._series)
        return {name: column.of(numbers) for name, column in self._columns.items()}

    def _of_one_name(self, name: str, key: PointKey) -> FileError:
        return FileError(
            f"two series would have the name {name!r}: {self._names[name]} and {key}; a template "
            "(series=, --series) tells them apart",
            file=str(self._path),
        )


class _Column:
    # The different labels, and which of them each series has.

    def __init__(self, name: str, part: Part | None) -> None:
        self.name = name
        self._part = part
        self._labels: dict[str, int] = {}
        self._codes: list[int] = []  # -1: none
        self._arrays: tuple[np.ndarray[tuple[int], np.dtype[np.int32]], pa.Array] | None = None

    def add(self, key: PointKey) -> str | None:
        label = dict(key.tags).get(self.name) if self._part is None else self._part(key)
        code = -1 if label is None else self._labels.setdefault(label, len(self._labels))
        self._codes.append(code)
        self._arrays = None
        return label

    def of(self, numbers: np.ndarray[tuple[int], np.dtype[np.int32]]) -> pa.Array:
        if self._arrays is None:
            self._arrays = np.array(self._codes, np.int32), arrow_texts(self._labels)
        codes, labels = self._arrays
        found = codes[numbers]
        return pa.DictionaryArray.from_arrays(arrow_values(found, found >= 0), labels)
