"""Frames of any library → columns as numpy arrays, in the caller's memory where that is possible.

A `Frame` has named columns of one length. It gives a column as `Cells`, numbers and times as they
are stored, or as `Coded`, labels for naming series. This module knows arrays; pandas' frames are
in ``pandas_frame``, those that come as Arrow's C stream (Polars, pyarrow, DuckDB …) in
``arrow_frame``. Nothing here knows series or databases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from siridb_fast.columns._grouping import encode_objects
from siridb_fast.columns.casting import EXACT_INTEGERS
from siridb_fast.columns.column import is_missing
from siridb_fast.errors import ColumnError

__all__ = [
    "ArrayFrame",
    "Cells",
    "Coded",
    "Frame",
    "OddColumnError",
    "coded_array",
    "joined_name",
    "levels_by_name",
    "text_names",
]

FINE_UNITS = ("ns", "ps", "fs", "as")  # finer than Python's datetime

NumpyArray = np.ndarray[Any, np.dtype[Any]]


class OddColumnError(ColumnError):
    """A column is of a type that no point can come of, whatever is in it."""

    def __init__(self, name: str, kind: str) -> None:
        text = f"column {name!r} is of type {kind}; points have numbers, bool or text"
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Cells:
    """One column. ``missing`` is bool, of the same shape: beside NaN, NaT and None. None: nowhere.

    ``values`` are numbers, bool, datetime64, timedelta64 or objects, shape (n,).
    """

    values: NumpyArray
    missing: NumpyArray | None = None


@dataclass(frozen=True, slots=True)
class Coded:
    """One column of labels: that of row i is ``labels[codes[i]]``. A missing one has code -1."""

    codes: NumpyArray  # int8, int16 or int32, shape (n,)
    labels: Sequence[Any]


class Frame(Protocol):
    """What is needed of a frame of any library."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns, as text."""

    @property
    def index_names(self) -> tuple[str, ...]:
        """Of the index, which is used only where it is named."""

    @property
    def shared_names(self) -> tuple[str, ...]:
        """Of the columns of values that are called as a level of the index that holds times."""

    @property
    def times(self) -> tuple[str, ...]:
        """Of the columns that hold times; of the index alone if it does."""

    def __len__(self) -> int:
        """Return how many rows there are."""

    def cells(self, name: str, *, is_exact: bool = False) -> Cells:
        """Return a column; decimals as floats, or as objects if it is to be exact.

        Raises:
            ColumnError: It is of a type that is neither a number nor a time nor text.
        """

    def floats(self, names: Sequence[str]) -> NumpyArray | None:
        """Return columns as float64 of shape (len(names), n), NaN where something is missing.

        None where not all of them are so in memory, or it is not known how to do that at once.
        """

    def coded(self, name: str) -> Coded:
        """Return a column as labels."""

    def series_of(self, name: str) -> str:
        """Return the series that a column is said to hold, which may have another name."""

    def levels_of(self, name: str) -> Mapping[str, str]:
        """Return the parts of a column's name of several levels, by level; none if it has one."""


class ArrayFrame:
    """A numpy structured array, or a dict of arrays of one length."""

    def __init__(self, data: NumpyArray | Mapping[str, object]) -> None:
        if isinstance(data, np.ndarray):
            if data.ndim != 1:
                raise ColumnError(f"a structured array has one dimension, got {data.shape}")
            columns = {name: data[name] for name in data.dtype.names or ()}
        else:
            columns = {name: _array(name, given) for name, given in data.items()}
        names = text_names(columns)
        self._columns = dict(zip(names, columns.values(), strict=True))
        self._rows = _common_length(self._columns)

    def __len__(self) -> int:
        return self._rows

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return tuple(self._columns)

    @property
    def index_names(self) -> tuple[str, ...]:
        """There is no index."""
        return ()

    @property
    def shared_names(self) -> tuple[str, ...]:
        """There is no index."""
        return ()

    @property
    def times(self) -> tuple[str, ...]:
        """Of the columns of datetime64."""
        return tuple(name for name, array in self._columns.items() if array.dtype.kind == "M")

    def cells(self, name: str, *, is_exact: bool = False) -> Cells:
        """Return a column."""
        array = self._columns[name]
        if isinstance(array, np.ma.MaskedArray):
            return Cells(array.data, np.ma.getmaskarray(array))
        return Cells(array)

    def floats(self, names: Sequence[str]) -> NumpyArray | None:
        """Return nothing: columns come one by one."""
        return None

    def coded(self, name: str) -> Coded:
        """Return a column as labels."""
        cells = self.cells(name)
        return coded_array(name, cells.values, cells.missing)

    def series_of(self, name: str) -> str:
        """Return the column's name: nothing else is said."""
        return name

    def levels_of(self, name: str) -> Mapping[str, str]:
        """Return nothing: names have one level."""
        return {}


def coded_array(name: str, values: NumpyArray, missing: NumpyArray | None = None) -> Coded:
    """Return an array as labels; bytes of a numpy array are text.

    Raises:
        ColumnError: Objects that cannot be labels, such as lists; or bytes that are no UTF-8.
    """
    try:
        if values.dtype.kind == "S":
            values = np.char.decode(values, "utf-8")
        if values.dtype.kind in "UTV":
            values = values.astype(object)
        encoded = None
        if values.dtype.kind == "O":
            encoded = encode_objects(np.ascontiguousarray(values), is_missing)
    except (TypeError, UnicodeDecodeError) as exc:
        raise ColumnError(f"column {name!r} cannot name series: {exc}") from None
    if encoded is not None:
        codes, labels = encoded
    else:
        different, inverse = np.unique(values, return_inverse=True)
        codes, labels = inverse.astype(np.int32), _labels(different)
        missing_codes = [code for code, label in enumerate(labels) if is_missing(label)]
        if missing_codes:
            codes[np.isin(codes, missing_codes)] = -1
    if missing is not None:
        codes[missing] = -1
    return Coded(codes, labels)


def _labels(different: NumpyArray) -> list[Any]:
    # Dates that are finer than Python's remain numpy's: as text they are dates too.
    if different.dtype.kind != "M" or np.datetime_data(different.dtype)[0] not in FINE_UNITS:
        return list(different.tolist())
    coarse = different.astype("datetime64[us]")
    is_same = np.array_equal(coarse, different, equal_nan=True)
    return list(coarse.tolist() if is_same else different)


def levels_by_name(label: object, names: Sequence[object] = ()) -> Mapping[str, str]:
    """Return the parts of a name of several levels, as ``column_0`` … and by the levels' names."""
    if not isinstance(label, tuple):
        return {}
    parts = list(map(_text_name, label))
    named = {str(name): part for name, part in zip(names, parts, strict=False) if name is not None}
    return {f"column_{number}": part for number, part in enumerate(parts)} | named


def text_names(labels: Sequence[object] | Mapping[Any, object]) -> tuple[str, ...]:
    """Return the names of columns as text; the parts of a name of several levels with dots.

    Empty parts at the end are left out: pandas has them where an index became a column.

    Raises:
        ColumnError: Two columns have one name, or a name is bytes that are not UTF-8.
    """
    are_names = {*map(type, labels)} == {str}  # as of most frames; there may be thousands
    names = tuple(labels) if are_names else tuple(map(joined_name, labels))
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ColumnError(f"two columns have the name {twice!r}")
    return names


def joined_name(label: object) -> str:
    """Return the name of a column as text."""
    if not isinstance(label, tuple):
        return _text_name(label)
    parts = list(map(_text_name, label))
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    return ".".join(parts)


def _text_name(label: object) -> str:
    try:
        return label.decode() if isinstance(label, bytes) else str(label)
    except UnicodeDecodeError:
        raise ColumnError(f"the name of column {label!r} is not UTF-8") from None


def _array(name: object, given: object) -> NumpyArray:
    try:
        array = np.asanyarray(given)
    except (TypeError, ValueError) as exc:
        raise ColumnError(f"column {name!r} cannot be read as an array: {exc}") from None
    if array.ndim != 1:
        raise ColumnError(f"column {name!r} has one dimension, got shape {array.shape}")
    if isinstance(given, (list, tuple)) and _is_changed(given, array):
        array = np.array(given, object)
    return array


def _is_changed(given: Sequence[object], array: NumpyArray) -> bool:
    # numpy makes texts of numbers that are among texts, and floats of large integers
    if array.dtype.kind in "US":
        return any(not isinstance(item, (str, bytes)) for item in given)
    if array.dtype.kind != "f" or not (np.abs(array) > EXACT_INTEGERS).any():
        return False
    return any(isinstance(item, (int, np.integer)) for item in given)


def _common_length(columns: Mapping[str, NumpyArray]) -> int:
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        (one, first), (other, second) = min(lengths.items()), max(lengths.items())
        for name, length in lengths.items():
            if length != first:
                other, second = name, length
        raise ColumnError(f"column {one!r} has {first} rows, but column {other!r} has {second}")
    return next(iter(lengths.values()), 0)
