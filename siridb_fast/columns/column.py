"""What a caller gives as arrays → `PointColumn`.

Everything that the server would refuse, silently change or choke on (README, "What the server
does") is refused here, with the series and the index named, before a byte is sent. Arrays are
viewed, not copied, and never modified.
"""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from siridb_fast.columns._arrays import Kind
from siridb_fast.columns._points import PointColumn
from siridb_fast.columns.decimals import without_decimals
from siridb_fast.columns.rules import MISSING, ColumnRules
from siridb_fast.columns.time_units import ATTOSECONDS, SECOND, UNITS
from siridb_fast.errors import ColumnError

__all__ = [
    "is_array",
    "is_missing",
    "one_dimension",
    "plain_column",
    "point_column",
    "raw_series_name",
]

MAX_NAME_BYTES = 65_534
KINDS = {
    "i1": Kind.INT8, "i2": Kind.INT16, "i4": Kind.INT32, "i8": Kind.INT64,
    "u1": Kind.UINT8, "u2": Kind.UINT16, "u4": Kind.UINT32, "u8": Kind.UINT64,
    "f2": Kind.FLOAT16, "f4": Kind.FLOAT32, "f8": Kind.FLOAT64, "b1": Kind.BOOL,
}  # fmt: skip

NumpyArray = np.ndarray[Any, np.dtype[Any]]


def is_array(value: object) -> bool:
    """Tell whether ``value`` is an array rather than Python's own list or tuple."""
    return isinstance(value, (np.ndarray, memoryview)) or (
        not isinstance(value, (list, tuple, dict, str, bytes, bytearray, np.generic))
        and (hasattr(value, "__array__") or _has_buffer(value))
    )


def is_missing(value: object) -> bool:
    """Tell whether an object stands for nothing: None, NaN, NaT, or pandas' NA and NaT."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return bool(np.isnat(value))
    if isinstance(value, Decimal):
        return value.is_nan()
    return type(value).__name__ in ("NAType", "NaTType")  # of pandas, which need not be there


def point_column(name: str, timestamps: object, values: object, rules: ColumnRules) -> PointColumn:
    """Return the column of one series, viewing the arrays that are given.

    Args:
        name: Of the series; 1 to 65,534 bytes of UTF-8 without NUL.
        timestamps: Shape (n,), any integer dtype in the database's precision, or datetime64.
        values: Shape (n,), any integer dtype, float16, float32, float64, bool, str or object
            (str; or decimals, which become floats).
        rules: What to do about missing values and precision.

    Raises:
        ColumnError: Names the series and, where there is one, the index.
    """
    raw_name = raw_series_name(name)
    times = one_dimension(name, "timestamps", timestamps)
    items = one_dimension(name, "values", values)
    if items.dtype.kind == "O":
        items = without_decimals(name, items)
    if len(times) != len(items):
        raise ColumnError(f"{len(times)} timestamps but {len(items)} values", series=name)
    integers, scale = _integer_timestamps(name, times, rules)
    given: Any = items
    if items.dtype.kind in "OUST":
        given = _texts(name, items, rules)
        value_kind, is_swapped = Kind.INT8, False
    else:
        value_kind, is_swapped = _kind(name, "values", items)
    timestamp_kind, timestamps_swapped = _kind(name, "timestamps", integers)
    return PointColumn(
        name, raw_name, integers, given, timestamp_kind, value_kind, timestamps_swapped,
        is_swapped, shown_timestamps=times, shown_values=items, numerator=scale.numerator,
        denominator=scale.denominator, timestamp_bits=32 if rules.time_precision == SECOND else 63,
        is_datetime=times.dtype.kind == "M", floors=rules.on_precision_loss == "floor",
        on_missing=MISSING[rules.on_missing],
    )  # fmt: skip


def plain_column(
    name: str, timestamps: NumpyArray, values: NumpyArray, rules: ColumnRules
) -> PointColumn:
    """Return the column of one series, of arrays that are known to need no conversion.

    Args:
        name: Of the series; 1 to 65,534 bytes of UTF-8 without NUL.
        timestamps: int64, shape (n,), in the database's precision.
        values: int64 or float64, shape (n,), in the machine's byte order.
        rules: What to do about missing values.

    Raises:
        ColumnError: Of the name.
    """
    kind = Kind.FLOAT64 if values.dtype.kind == "f" else Kind.INT64
    return PointColumn(
        name, raw_series_name(name), timestamps, values, Kind.INT64, kind, False, False,
        shown_timestamps=timestamps, shown_values=values, numerator=1, denominator=1,
        timestamp_bits=32 if rules.time_precision == SECOND else 63, is_datetime=False,
        floors=rules.on_precision_loss == "floor", on_missing=MISSING[rules.on_missing],
    )  # fmt: skip


def raw_series_name(name: object) -> bytes:
    """Return a series' name as it goes out.

    Raises:
        ColumnError: The server would refuse the name, cut it at a NUL, or hang over it.
    """
    if not isinstance(name, str):
        raise ColumnError(f"a series' name is a str, got {name!r} of type {type(name).__name__}")
    try:
        raw = name.encode()
    except UnicodeEncodeError as exc:
        raise ColumnError(f"the name is not valid text: {exc}", series=name) from None
    if not 1 <= len(raw) <= MAX_NAME_BYTES:
        raise ColumnError(
            f"a name has 1 to {MAX_NAME_BYTES:,} bytes, got {len(raw):,}", series=name
        )
    if 0 in raw:
        raise ColumnError("a name with a NUL is cut there by the server, or hangs it", series=name)
    return raw


def one_dimension(name: str, what: str, given: object) -> NumpyArray:
    """Return what is given as an array of one dimension; masked and missing ones are refused."""
    if isinstance(given, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(given)
        if mask.any():
            index = int(mask.ravel().argmax())
            raise ColumnError(
                f"{what} is masked here; give .compressed()", series=name, index=index
            )
        given = given.data
    _refuse_missing_integers(name, what, given)
    try:
        array = np.asarray(given)
    except (TypeError, ValueError) as exc:
        raise ColumnError(f"{what} cannot be read as an array: {exc}", series=name) from None
    if array.ndim != 1:
        raise ColumnError(f"{what} has one dimension, got shape {array.shape}", series=name)
    return array


def _refuse_missing_integers(name: str, what: str, given: Any) -> None:
    # pandas' nullable integers: numpy would make them floats, which are rounded over 2**53
    kind = getattr(getattr(given, "dtype", None), "kind", "")
    if isinstance(given, np.ndarray) or kind not in "iub" or not hasattr(given, "isna"):
        return
    missing = np.asarray(given.isna())
    if missing.any():
        raise ColumnError(
            f"{what} is missing here, among integers; leave it out with .dropna()",
            series=name,
            index=int(missing.argmax()),
        )


def _integer_timestamps(
    name: str, times: NumpyArray, rules: ColumnRules
) -> tuple[NumpyArray, Fraction]:
    if times.dtype.kind in "iu":
        return times, Fraction(1)
    if times.dtype.kind != "M":
        raise ColumnError(
            f"timestamps are integers or datetime64, got {times.dtype}{_hint(times)}", series=name
        )
    unit, count = np.datetime_data(times.dtype)
    if unit in ("Y", "M"):
        days = times.astype("datetime64[D]")
        if not np.array_equal(days.astype(times.dtype), times, equal_nan=True):
            raise ColumnError(f"a timestamp of {times.dtype} is out of range", series=name)
        times, unit, count = days, "D", 1
    if unit not in ATTOSECONDS:
        raise ColumnError("timestamps are datetime64 without a unit", series=name)
    if rules.time_precision is None:
        raise ColumnError(
            "datetime64 timestamps need the database's time precision, which is unknown, as the "
            "user may not ask for it (the right 'show'); to go on: time_precision= "
            "(--time-precision)",
            series=name,
        )
    integers = times.view(np.dtype(np.int64).newbyteorder(times.dtype.byteorder))
    precision = ATTOSECONDS[UNITS[rules.time_precision]]
    scale = Fraction(ATTOSECONDS[unit] * count, precision)
    if scale.numerator >= 2**63:
        raise ColumnError(f"timestamps of {times.dtype} are too coarse to convert", series=name)
    return integers, scale


def _hint(times: NumpyArray) -> str:
    if times.dtype.kind == "O" and len(times):
        return f" holding {type(times[0]).__name__}; convert with np.asarray(…, 'datetime64[us]')"
    return ""


def _kind(name: str, what: str, array: NumpyArray) -> tuple[Kind, bool]:
    code = array.dtype.str[1:]
    if code not in KINDS:
        raise ColumnError(
            f"{what} are integers, float16/32/64, bool or str, got {array.dtype}", series=name
        )
    return KINDS[code], not array.dtype.isnative


def _texts(name: str, values: NumpyArray, rules: ColumnRules) -> list[bytes | None]:
    texts: list[bytes | None] = []
    for index, value in enumerate(values.tolist()):
        if isinstance(value, str):
            text = value.encode("utf-8", "surrogatepass")
        elif isinstance(value, bytes):
            text = value
        elif is_missing(value):
            _check_missing_text(name, index, value, rules)
            texts.append(None)
            continue
        else:
            raise ColumnError(
                f"an object array holds str, got {value!r} of type {type(value).__name__}; "
                "convert numbers with .astype()",
                series=name,
                index=index,
            )
        # b"\0" in text would raise an error on its way, and drop it: 2,000 instructions
        if 0 in text:
            raise ColumnError("the server cuts a text at its NUL", series=name, index=index)
        texts.append(text)
    return texts


def _check_missing_text(name: str, index: int, value: object, rules: ColumnRules) -> None:
    if rules.on_missing != "drop":
        raise ColumnError(
            f"the text is missing ({value}); on_missing='drop' would leave the point out",
            series=name,
            index=index,
        )


def _has_buffer(value: object) -> bool:
    try:
        memoryview(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True
