"""Points of many series → one frame of pandas or one table of Arrow.

Wide: a row for each time, a column for each series. Long: a row for each point. Works on whole
columns, never point by point, and never changes a value: no integer passes through a float unless
it is exact. Knows nothing of queries; pandas and pyarrow are imported where they are needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from siridb_fast.columns.time_units import TimePrecision
from siridb_fast.columns.typed_values import SERIES, TIME, VALUE
from siridb_fast.errors import TableError

if TYPE_CHECKING:
    import pandas
    import pyarrow

__all__ = [
    "Form",
    "arrow_table",
    "check_form",
    "pandas_frame",
    "require_pandas",
    "require_pyarrow",
]

TYPES = {"f": "value_float", "i": "value_integer", "O": "value_text"}  # of several types

Form = Literal["wide", "long"]
NumpyArray = np.ndarray[Any, np.dtype[Any]]
Points = dict[str, tuple[np.ndarray[Any, np.dtype[np.int64]], NumpyArray]]


@dataclass(frozen=True, slots=True)
class Column:
    """A series as a column of a wide table.

    ``values`` has an element for each row; it means something only where ``is_missing``, an array
    of bool, is false. None: it has a value in every row.
    """

    name: str
    values: NumpyArray
    is_missing: NumpyArray | None


def pandas_frame(points: Points, precision: int, form: Form = "wide") -> pandas.DataFrame:
    """Return points as a frame.

    Args:
        points: ``{name: (timestamps, values)}``; timestamps int64 of shape (n,), not negative;
            values float64, int64 or object (str), also (n,).
        precision: SECOND … NANOSECOND: of the timestamps.
        form: ``"wide"``: index ``time`` of dtype ``datetime64[unit, UTC]``, sorted; a column of
            each series: float64 with NaN in the gaps, int64 without gaps or Int64 with NA in them,
            the dtype of pandas for text (str since pandas 3, object before) with a missing value
            in them. ``"long"``: columns ``series`` (categorical), ``time`` (``datetime64[unit,
            UTC]``) and ``value`` (float64, int64 or text), in the order of the points; of points
            of several types ``value_float``, ``value_integer`` and ``value_text``, with gaps.
    """
    import pandas as pd

    unit = TimePrecision(precision).unit
    if form == "long":
        # in the type that pandas gives codes, which it would copy otherwise
        names, codes, times, columns = _long(points, np.min_scalar_type(-max(1, len(points))))
        return pd.DataFrame(
            {
                SERIES: pd.Categorical.from_codes(codes, _pandas_names(names)),
                TIME: _pandas_times(times, unit),
                **{column.name: _pandas_column(column, None) for column in columns},
            },
            copy=False,
        )
    rows, columns = _wide(points)
    index = _pandas_times(rows, unit).rename("time")
    series = {number: _pandas_column(column, index) for number, column in enumerate(columns)}
    frame = pd.DataFrame(series, index=index, copy=False)
    frame.columns = _pandas_names([column.name for column in columns])
    return frame


def arrow_table(points: Points, precision: int, form: Form = "wide") -> pyarrow.Table:
    """Return points as a table.

    Args:
        points: As for `pandas_frame`.
        precision: SECOND … NANOSECOND: of the timestamps.
        form: ``"wide"``: a column ``time`` of type ``timestamp[unit, UTC]``, sorted, and one of
            each series: double, int64 or string, with nulls in the gaps; the series "time" is
            called ``time_``. ``"long"``: columns ``series`` (``dictionary<int32, string>``),
            ``time`` and ``value``, or the columns of values that `pandas_frame` has.

    Raises:
        TableError: A name or a text is not UTF-8.
    """
    import pyarrow as pa

    unit = TimePrecision(precision).unit
    _require_text_names(points)
    try:
        return _wide_table(points, unit) if form == "wide" else _long_table(points, unit)
    except pa.ArrowInvalid:
        _require_text_values(points)
        raise


def check_form(form: object) -> None:
    """Refuse a form that does not exist."""
    if form not in ("wide", "long"):
        raise ValueError(f"form is 'wide' or 'long', got {form!r}")


def require_pandas() -> None:
    """Refuse to begin what needs pandas, if it is not installed."""
    try:
        import pandas  # noqa: F401
    except ImportError as exc:
        raise ImportError("query_frame needs pandas: pip install siridb_fast[pandas]") from exc


def require_pyarrow() -> None:
    """Refuse to begin what needs pyarrow, if it is not installed."""
    try:
        import pyarrow  # noqa: F401
    except ImportError as exc:
        raise ImportError("query_arrow needs pyarrow: pip install siridb_fast[arrow]") from exc


def _long_table(points: Points, unit: str) -> pyarrow.Table:
    import pyarrow as pa

    names, codes, times, columns = _long(points, np.dtype(np.int32))
    series = pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(names, pa.string()))
    arrays = [series, _arrow_times(times, unit)]
    arrays += [_arrow_values(column.values, column.is_missing) for column in columns]
    return pa.table(arrays, names=[SERIES, TIME, *(column.name for column in columns)])


def _wide_table(points: Points, unit: str) -> pyarrow.Table:
    import pyarrow as pa

    rows, columns = _wide(points)
    arrays = [_arrow_times(rows, unit)]
    arrays += [_arrow_values(column.values, column.is_missing) for column in columns]
    fields = [pa.field("time", arrays[0].type)]
    for column, array in zip(columns, arrays[1:], strict=True):
        name = _free_name(column.name, points)
        metadata = {"series": column.name} if name != column.name else None
        fields.append(pa.field(name, array.type, metadata=metadata))
    return pa.table(arrays, schema=pa.schema(fields))


def _require_text_names(points: Points) -> None:
    # What is bytes is not UTF-8, as a string of Arrow is; binary would be another type.
    for name in points:
        if isinstance(name, bytes):
            raise TableError(
                f"the name of series {name!r} is not UTF-8, as a string of Arrow is; "
                "query_arrays and query_frame have it"
            )


def _require_text_values(points: Points) -> None:
    for name, (times, values) in points.items():
        texts = values.tolist() if values.dtype.kind == "O" else []
        for at, text in zip(times.tolist(), texts, strict=False):
            if isinstance(text, bytes):
                raise TableError(
                    f"series {name!r}: the text {text[:80]!r} at {at} is not UTF-8, as a string "
                    "of Arrow is; query_arrays and query_frame have it"
                )


def _wide(points: Points) -> tuple[NumpyArray, list[Column]]:
    series = {name: _sorted(*pair) for name, pair in points.items()}
    runs = [Runs.of(times) for times in _distinct(times for times, _ in series.values())]
    times = _union([run.times for run in runs])
    heights = np.ones(len(times), np.int64)  # rows of each time
    for run in runs:
        if not run.is_single:
            found = np.searchsorted(times, run.times)
            heights[found] = np.maximum(heights[found], run.counts)
    starts = np.cumsum(heights) - heights
    rows = np.repeat(times, heights)
    columns = []
    known: NumpyArray | None = None
    row_numbers = starts[:0]
    for name, (own, values) in series.items():
        if known is None or not np.array_equal(known, own):
            run = Runs.of(own)
            firsts = starts[np.searchsorted(times, run.times)]
            row_numbers = np.repeat(firsts, run.counts) + run.ranks()
            known = own
        columns.append(_scatter(name, values, row_numbers, len(rows)))
    return rows, columns


def _union(all_times: list[NumpyArray]) -> NumpyArray:
    # Of arrays that are each sorted and distinct. A stable sort merges them; `np.unique` would
    # begin anew.
    if len(all_times) == 1:
        return all_times[0]
    merged = np.concatenate([np.empty(0, np.int64), *all_times])
    merged.sort(kind="stable")
    is_first = np.ones(len(merged), bool)
    np.not_equal(merged[1:], merged[:-1], out=is_first[1:])
    return merged[is_first]


@dataclass(frozen=True, slots=True)
class Runs:
    """Sorted timestamps as distinct times, and how many points are at each."""

    times: NumpyArray
    counts: NumpyArray
    is_single: bool

    @classmethod
    def of(cls, timestamps: NumpyArray) -> Runs:
        """Find the runs of equal timestamps."""
        is_first = np.ones(len(timestamps), bool)
        np.not_equal(timestamps[1:], timestamps[:-1], out=is_first[1:])
        if is_first.all():
            return cls(timestamps, np.ones(len(timestamps), np.int64), is_single=True)
        firsts = np.flatnonzero(is_first)
        counts = np.diff(firsts, append=len(timestamps))
        return cls(timestamps[firsts], counts, is_single=False)

    def ranks(self) -> NumpyArray:
        """Return the number of each point among those of its time, from 0."""
        if self.is_single:
            return np.zeros(len(self.times), np.int64)
        firsts = np.cumsum(self.counts) - self.counts
        ranks: NumpyArray = np.arange(self.counts.sum()) - np.repeat(firsts, self.counts)
        return ranks


def _sorted(times: NumpyArray, values: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
    if bool((times[1:] >= times[:-1]).all()):
        return times, values
    order = np.argsort(times, kind="stable")
    return times[order], values[order]


def _distinct(arrays: Iterable[NumpyArray]) -> list[NumpyArray]:
    # Series that are measured together have the same timestamps, one after the other.
    found = [np.empty(0, np.int64), *arrays]
    return [later for first, later in pairwise(found) if not np.array_equal(first, later)]


def _scatter(name: str, values: NumpyArray, row_numbers: NumpyArray, rows: int) -> Column:
    # Points have rows of their own, in order: as many as there are rows, and all are taken.
    if len(values) == rows:
        return Column(name, values, None)
    is_missing = np.ones(rows, bool)
    is_missing[row_numbers] = False
    column = _filled(rows, values.dtype.kind)
    column[row_numbers] = values
    return Column(name, column, is_missing)


def _long(
    points: Points, codes_type: np.dtype[Any]
) -> tuple[list[str], NumpyArray, NumpyArray, list[Column]]:
    names = list(points)
    lengths = [len(times) for times, _ in points.values()]
    codes = np.repeat(np.arange(len(names), dtype=codes_type), lengths)
    times = np.concatenate([np.empty(0, np.int64), *(times for times, _ in points.values())])
    filled = [values for _, values in points.values() if len(values)]
    kinds = [kind for kind in TYPES if any(values.dtype.kind == kind for values in filled)]
    if len(kinds) > 1:
        return names, codes, times, [_of_kind(kind, filled) for kind in kinds]
    dtype = filled[0].dtype if filled else np.dtype(np.float64)
    values = np.concatenate([np.empty(0, dtype), *filled], dtype=dtype)
    return names, codes, times, [Column(VALUE, values, None)]


def _of_kind(kind: str, filled: list[NumpyArray]) -> Column:
    # The values of one type, and gaps where those of the others are.
    column = _filled(sum(map(len, filled)), kind)
    is_missing = np.ones(len(column), bool)
    start = 0
    for values in filled:
        stop = start + len(values)
        if values.dtype.kind == kind:
            column[start:stop], is_missing[start:stop] = values, False
        start = stop
    return Column(TYPES[kind], column, is_missing)


def _filled(rows: int, kind: str) -> NumpyArray:
    dtype = {"f": np.float64, "i": np.int64, "O": np.object_}[kind]
    return np.full(rows, {"f": np.nan, "i": 0, "O": None}[kind], dtype)


def _pandas_times(times: NumpyArray, unit: str) -> Any:
    import pandas as pd

    # Integers are times of UTC, and taken in place; dates would be copied twice.
    return pd.DatetimeIndex(times, dtype=pd.DatetimeTZDtype(unit, "UTC"), copy=False)


def _pandas_names(names: Sequence[str | bytes]) -> Any:
    # Of the type that this pandas gives to text: str since 3, object before and for bytes.
    import pandas as pd

    return pd.Index(names) if names else pd.Index([], dtype=pd.Index([""]).dtype)


def _pandas_column(column: Column, index: Any) -> Any:
    import pandas as pd

    values: Any = column.values
    if values.dtype.kind == "i" and column.is_missing is not None:
        values = pd.arrays.IntegerArray(values, column.is_missing)
    return _pandas_values(values, index)


def _pandas_values(values: Any, index: Any = None) -> Any:
    # Texts get the type that this pandas gives them, as names do.
    import pandas as pd

    dtype = None if values.dtype.kind == "O" and len(values) else values.dtype
    return pd.Series(values, index=index, dtype=dtype, copy=False)


def _arrow_times(times: NumpyArray, unit: str) -> Any:
    import pyarrow as pa

    return pa.array(times).cast(pa.timestamp(unit, "UTC"))


def _arrow_values(values: NumpyArray, is_missing: NumpyArray | None) -> Any:
    import pyarrow as pa

    types = {"f": pa.float64(), "i": pa.int64(), "O": pa.string()}
    return pa.array(values, types[values.dtype.kind], mask=is_missing)


def _free_name(name: str, points: Points) -> str:
    if name == "time":
        while name in points:
            name += "_"
    return name
