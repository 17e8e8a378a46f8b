"""Columns and rows as a caller of a writer gives them → columns and rows that are checked.

Here is refused what has the wrong form; what is wrong with a timestamp or value, `column` and
`rows` find. Knows nothing of writers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from siridb_fast.columns._points import PointColumn
from siridb_fast.columns.column import one_dimension, point_column
from siridb_fast.columns.pairs import refuse_points
from siridb_fast.columns.rows import MixedRows, SeriesRows, group_rows, mixed_points
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.errors import ColumnError

__all__ = ["checked_columns", "grouped_rows", "names_of"]

NumpyArray = np.ndarray[Any, np.dtype[Any]]


def checked_columns(columns: object, rules: ColumnRules) -> list[PointColumn]:
    """Return the columns that a caller gives as ``{name: (timestamps, values)}``.

    Raises:
        ColumnError: One cannot be sent.
    """
    if not isinstance(columns, Mapping):
        raise ColumnError(
            f"columns are a dict {{series: (timestamps, values)}}, got {type(columns).__name__}"
        )
    parts = [_pair_column(name, pair, rules) for name, pair in columns.items()]
    for column in parts:
        column.check()
    return parts


def grouped_rows(
    names: object, codes: object, timestamps: object, values: object, rules: ColumnRules
) -> SeriesRows:
    """Return rows of many series by series, as a caller gives them to `BatchWriter.write_rows`.

    Raises:
        ColumnError: One cannot be sent.
    """
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise ColumnError(f"names are a list of str, got {type(names).__name__}")
    return group_rows(
        mixed_points(
            names,
            _codes_of(codes, names),
            one_dimension("rows", "timestamps", timestamps),
            one_dimension("rows", "values", values),
            rules,
        )
    )


def names_of(part: PointColumn | MixedRows) -> list[str]:
    """Return the series of a part."""
    return [part.name] if isinstance(part, PointColumn) else list(part.present())


def _pair_column(name: str, pair: object, rules: ColumnRules) -> PointColumn:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise ColumnError(
            f"arrays come as a pair (timestamps, values), got {type(pair).__name__}",
            series=str(name),
        )
    refuse_points(name, pair)
    return point_column(name, pair[0], pair[1], rules)


def _codes_of(given: object, names: Sequence[str]) -> NumpyArray:
    # int32, shape (n,), each of a name
    codes = one_dimension("rows", "codes", given)
    if codes.dtype.kind not in "iu":
        raise ColumnError(f"codes are integers, got {codes.dtype}")
    is_bad = (codes < 0) | (codes >= len(names))
    if is_bad.any():
        row = int(is_bad.argmax())
        raise ColumnError(f"code {codes[row]} of row {row}: there are {len(names)} names")
    return np.ascontiguousarray(codes, np.int32)
