"""pandas' frames → columns as arrays. Backed by numpy, by Arrow, categorical or nullable.

The caller's frame is never modified, and read in place where numpy can.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

import numpy as np

from siridb_fast.loading.frames.base import Cells, Coded, coded_array, levels_by_name, text_names

__all__ = ["PandasFrame", "is_pandas"]

UNNAMED = "index"  # what an index of one level is called if it has no name


def is_pandas(data: object) -> bool:
    """Tell whether it is a pandas frame or series, without importing pandas."""
    return type(data).__module__.partition(".")[0] == "pandas" and hasattr(data, "iloc")


class PandasFrame:
    """A DataFrame; a Series is a frame of one column. Levels of the index are columns too."""

    def __init__(self, frame: Any) -> None:
        if not hasattr(frame, "columns"):
            frame = frame.to_frame(name=frame.name if frame.name is not None else "value")
        self._frame = frame
        self._labels = list(frame.columns)
        self._positions = {name: i for i, name in enumerate(text_names(self._labels))}
        self._index = frame.index.set_names(range(frame.index.nlevels))  # levels by number
        names = [_level_name(frame.index, i, self._positions) for i in range(frame.index.nlevels)]
        self._levels = {name: i for i, name in enumerate(text_names(names))}
        self._shared = [name for name in self._levels if self._is_time_and_value(name)]
        for name in self._shared:
            free = _free_name(name, {*self._positions, *self._levels})
            self._levels[free] = self._levels[name]

    def __len__(self) -> int:
        return len(self._frame)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return tuple(self._positions)

    @property
    def index_names(self) -> tuple[str, ...]:
        """Of the levels of the index that no column hides."""
        return tuple(name for name in self._levels if name not in self._positions)

    @property
    def shared_names(self) -> tuple[str, ...]:
        """Of the columns of values that are called as a level of times; it has underscores."""
        return tuple(self._shared)

    @property
    def times(self) -> tuple[str, ...]:
        """Of the index if it holds times, else of the columns that do."""
        index = tuple(name for name in self.index_names if _is_time(self._column(name)))
        return index or tuple(name for name in self._positions if _is_time(self._column(name)))

    def cells(self, name: str, *, is_exact: bool = False) -> Cells:
        """Return a column."""
        column = self._column(name)
        if _is_period(column):
            column = _start_of(column)
        if _is_arrow(column):
            from siridb_fast.loading.frames.arrow_frame import arrow_cells  # needs pyarrow

            return arrow_cells(name, column.array.__arrow_array__(), is_exact=is_exact)
        if _is_time(column):
            return Cells(column.array.asi8.view(f"M8[{column.array.unit}]"))
        if isinstance(column.dtype, np.dtype):
            return Cells(column.to_numpy())
        return _extension_cells(column)

    def floats(self, names: Sequence[str]) -> np.ndarray[Any, np.dtype[Any]] | None:
        """Return nothing: columns come one by one."""
        return None

    def coded(self, name: str) -> Coded:
        """Return a column as labels."""
        column = self._column(name)
        if hasattr(column.dtype, "categories"):
            return Coded(column.array.codes, column.array.categories.tolist())
        if _is_arrow(column):
            from siridb_fast.loading.frames.arrow_frame import arrow_coded  # needs pyarrow

            return arrow_coded(name, column.array.__arrow_array__())
        cells = self.cells(name)
        return coded_array(name, cells.values, cells.missing)

    def series_of(self, name: str) -> str:
        """Return the column's name: nothing else is said."""
        return name

    def levels_of(self, name: str) -> Mapping[str, str]:
        """Return the parts of a column's name of several levels."""
        if name not in self._positions:
            return {}
        return levels_by_name(self._labels[self._positions[name]], self._frame.columns.names)

    def _column(self, name: str) -> Any:
        if name in self._positions:
            label = self._labels[self._positions[name]]
            if isinstance(label, str):  # pandas finds it in half the time
                return self._frame[label]
            return self._frame.iloc[:, self._positions[name]]
        return self._index.get_level_values(self._levels[name])

    def _is_time_and_value(self, name: str) -> bool:
        # A level of times that is a column too, as after set_index(drop=False), is one thing.
        if name not in self._positions or _is_time(self._column(name)):
            return False
        return _is_time(self._index.get_level_values(self._levels[name]))


def _level_name(index: Any, level: int, columns: Container[str]) -> object:
    # what pandas' own reset_index() calls a level without a name
    name = index.names[level]
    if name is not None:
        return name
    return UNNAMED if index.nlevels == 1 and UNNAMED not in columns else f"level_{level}"


def _free_name(name: str, columns: Container[str]) -> str:
    while name in columns:
        name += "_"
    return name


def _is_time(column: Any) -> bool:
    return bool(column.dtype.kind == "M") or _is_period(column)


def _is_period(column: Any) -> bool:
    return type(column.dtype).__name__ == "PeriodDtype"


def _start_of(periods: Any) -> Any:
    # A period is a time span; its points are those of its start.
    return getattr(periods, "dt", periods).to_timestamp(how="start")


def _is_arrow(column: Any) -> bool:
    dtype = column.dtype
    return hasattr(dtype, "pyarrow_dtype") or getattr(dtype, "storage", None) == "pyarrow"


def _extension_cells(column: Any) -> Cells:
    # of pandas' own types: nullable numbers, strings, categories, sparse …
    missing = np.asarray(column.isna())
    if hasattr(column.dtype, "numpy_dtype"):
        dtype = column.dtype.numpy_dtype
        return Cells(column.array.to_numpy(dtype=dtype, na_value=0), missing)
    values = np.asarray(column)
    return Cells(values, missing if values.dtype.kind == "O" else None)
