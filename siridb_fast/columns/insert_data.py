"""What `insert` is given → parts: columns of arrays, and the reference driver's lists of points.

The reference driver takes ``{name: [[timestamp, value], …]}`` or ``[{"name": …, "points": …}]``.
In both forms points may here also be a pair of columns, ``(timestamps, values)``: of arrays, or a
tuple of two lists. Data without any columns is not checked: the server judges it, as it does
behind the reference driver.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from siridb_fast.columns._points import PointColumn
from siridb_fast.columns.column import is_array, point_column, raw_series_name
from siridb_fast.columns.pairs import is_pair_of_lists
from siridb_fast.columns.payloads import Part, one_payload
from siridb_fast.columns.rules import ColumnRules, MissingPolicy, PrecisionLossPolicy
from siridb_fast.errors import ColumnError
from siridb_fast.protocol._qpack import packb

if TYPE_CHECKING:
    from siridb_fast.protocol._buffer import PayloadBuffer

__all__ = ["encode_insert", "parts_of", "plain_payload"]

Pair = tuple[Any, Any]


def encode_insert(
    data: object,
    *,
    time_precision: int | None = None,
    on_missing: MissingPolicy = "keep",
    on_precision_loss: PrecisionLossPolicy = "error",
) -> PayloadBuffer | bytes:
    """Return the payload of one insert package, for those who send or keep it themselves.

    Args:
        data: As for `SiriDBClient.insert`: lists and arrays, mixed freely.
        time_precision: The database's: SECOND, MILLISECOND, MICROSECOND or NANOSECOND. Needed for
            datetime64 timestamps and to refuse seconds over 32 bits.
        on_missing: NaN and NaT: ``"keep"`` (NaN is sent, NaT refused), ``"drop"`` or ``"error"``.
        on_precision_loss: A timestamp finer than the precision: ``"error"`` or ``"floor"``.

    Returns:
        A read-only bytes-like object (it supports the buffer protocol), for
        `SiriDBClient.insert_packed`.

    Raises:
        ColumnError: Names the series and the index that cannot be sent.
        PackageTooLargeError: The payload is over the server's limit of 41,943,040 bytes.
        PackingOverflowError: A Python integer outside 64 bits.
    """
    payload = plain_payload(data)
    if payload is not None:
        return payload
    rules = ColumnRules(
        time_precision=time_precision, on_missing=on_missing, on_precision_loss=on_precision_loss
    )
    return one_payload(parts_of(data, rules)).buffer


def plain_payload(data: object) -> bytes | None:
    """Return the payload of data in the reference driver's forms; None if there are columns in it.

    Raises:
        ColumnError: A name begins with NUL, over which a server hangs for good.
        PackingOverflowError: An integer outside 64 bits.
    """
    for name, points in _named(data):
        if _is_columns(name, points):
            return None
        if isinstance(name, (str, bytes)) and name[:1] in ("\0", b"\0"):
            raise ColumnError("a name that begins with NUL hangs the server", series=str(name))
    return packb(data)


def parts_of(data: object, rules: ColumnRules) -> list[Part]:
    """Return each series of ``data``, as a column or with its list of points.

    Raises:
        ColumnError: Names the series that is not of either form.
    """
    if isinstance(data, (list, tuple)):
        for index, item in enumerate(data):
            if not (isinstance(item, dict) and {"points"} <= item.keys() <= {"name", "points"}):
                raise ColumnError(
                    f"item {index} is no {{'name': …, 'points': …}}: the server would refuse it"
                )
    return [_part(name, points, rules) for name, points in _named(data)]


def _named(data: object) -> Iterable[Pair]:
    # (name, points) of whatever looks like a series
    if isinstance(data, dict):
        return data.items()
    if isinstance(data, (list, tuple)):
        return _named_of_list(data)
    return ()


def _named_of_list(data: Iterable[object]) -> Iterator[Pair]:
    for item in data:
        if isinstance(item, dict) and "points" in item:
            yield item.get("name"), item["points"]


def _is_columns(name: object, points: object) -> bool:
    if type(points) is list and len(points) != 2:
        return False  # what lists of points nearly always are
    if isinstance(points, (tuple, list)):
        if type(points) is tuple and any(map(is_array, points)):
            return True
        if len(points) == 2 and (is_array(points[0]) or is_array(points[1])):
            return True
        return is_pair_of_lists(name, points)
    return is_array(points)


def _part(name: Any, points: Any, rules: ColumnRules) -> PointColumn | tuple[str, object]:
    if not _is_columns(name, points):
        raw_series_name(name)
        return name, points
    if is_array(points):
        raise ColumnError(
            "points are a list, or a pair of arrays (timestamps, values); got one "
            f"{type(points).__name__}",
            series=str(name),
        )
    if len(points) != 2:
        raise ColumnError(
            f"arrays come as a pair (timestamps, values), got {len(points)} of them",
            series=str(name),
        )
    return point_column(name, points[0], points[1], rules)
