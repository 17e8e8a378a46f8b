"""What of some points the database holds already: asked, compared, and only the rest kept.

A point that is there as often as here counts as stored. So nobody else may write points of the
same series and range meanwhile, and points that are meant to be there twice have to be here twice.
Knows how to ask, not how questions are carried.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import numpy as np

from siridb_fast._points import PointColumn
from siridb_fast.casting import cast_values
from siridb_fast.catalog import quote
from siridb_fast.columns import ColumnRules, point_column
from siridb_fast.errors import SelectLimitError
from siridb_fast.frame_points import FramePoints
from siridb_fast.groups import group_rows

__all__ = ["not_stored"]

NAMES_AT_ONCE = 500
QUERY_BYTES = 50_000
POINTS_AT_ONCE = 500_000  # under the server's usual limit of a million
UNNAMED = (2**32, 2**63)

NumpyArray = np.ndarray[Any, np.dtype[Any]]
Arrays = dict[str, tuple[NumpyArray, NumpyArray]]
Ask = Callable[[str], Awaitable[Arrays]]


async def not_stored(points: FramePoints, ask: Ask, rules: ColumnRules) -> FramePoints:
    """Return those of the points that the database does not hold.

    Args:
        points: In the database's precision.
        ask: Runs a select and returns its answer as arrays.
        rules: How the points were read.
    """
    ours = _by_series(points)
    names = [name for name, (timestamps, _) in ours.items() if len(timestamps)]
    counts: dict[str, int] = {}
    for some in _batches(names, lambda _: 1, NAMES_AT_ONCE):
        answer = await ask(f"select count() from {_listed(some)} {_range(ours, some)}")  # noqa: S608
        counts |= {name: int(values.sum()) for name, (_, values) in answer.items()}
    there = [name for name in names if counts.get(name)]
    stored: Arrays = {}
    for texts in (False, True):
        alike = [name for name in there if (ours[name][1].dtype.kind == "O") == texts]
        for some in _batches(alike, counts.__getitem__, POINTS_AT_ONCE):
            stored |= await _selected(ask, ours, some, texts=texts)
    columns = []
    for name in names:
        column = _column(name, *ours[name], rules)
        if name in stored:
            column = _rest(column, *stored[name], rules)
        columns.append(column)
    return FramePoints(points.rows, columns, [], points.missing)


async def _selected(ask: Ask, ours: Arrays, names: list[str], *, texts: bool) -> Arrays:
    # Of texts all: a range that cuts a shard brings wrong ones (README, "What the server does").
    limits = "" if texts else _range(ours, names)
    try:
        return await ask(f"select * from {_listed(names)} {limits}")  # noqa: S608
    except SelectLimitError:  # one series alone is always answered
        if len(names) == 1:
            raise
    middle = len(names) // 2
    first = await _selected(ask, ours, names[:middle], texts=texts)
    return first | await _selected(ask, ours, names[middle:], texts=texts)


def _by_series(points: FramePoints) -> Arrays:
    # The points of each series, however often it comes.
    found: dict[str, list[tuple[NumpyArray, NumpyArray]]] = {}
    for column in points.columns:
        timestamps, values = column.plain()
        found.setdefault(column.name, []).append((timestamps, _as_array(values)))
    for mixed in points.mixed:
        groups = group_rows(mixed)
        values = _as_array(groups.values)
        for name, start, stop in groups.bounds():
            pair = groups.timestamps[start:stop], values[start:stop]
            found.setdefault(name, []).append(pair)
    return {
        name: (
            np.concatenate([timestamps for timestamps, _ in pairs]),
            np.concatenate([values for _, values in pairs]),
        )
        for name, pairs in found.items()
    }


def _as_array(values: NumpyArray | list[bytes]) -> NumpyArray:
    return np.array(values, object) if isinstance(values, list) else values


def _column(
    name: str, timestamps: NumpyArray, values: NumpyArray, rules: ColumnRules
) -> PointColumn:
    return point_column(name, timestamps, values, rules)


def _rest(
    column: PointColumn, timestamps: NumpyArray, values: NumpyArray, rules: ColumnRules
) -> PointColumn:
    # The points of a column that are not among those of the server.
    type_ = {"f": "float", "i": "integer"}.get(values.dtype.kind, "string")
    own = column.shown_values
    if column.type != type_:
        own = cast_values(column.name, own, type_)
    ours = _keys(column.shown_timestamps, own)
    theirs = _keys(timestamps, values)
    if type_ == "string":
        ours, theirs = _numbered(ours, theirs)
    missing = ~np.isin(_occurrences(ours), _occurrences(theirs))
    return _column(
        column.name, column.shown_timestamps[missing], column.shown_values[missing], rules
    )


def _keys(timestamps: NumpyArray, values: NumpyArray) -> NumpyArray:
    # (timestamp, value) of each point, the value as the server keeps it: -0.0 is 0.0, NaN is NaN
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), np.nan, values + 0.0).view(np.int64)
    elif values.dtype.kind == "O":
        values = np.array([_text(value) for value in values.tolist()], object)
    keys = np.empty(len(timestamps), [("timestamp", np.int64), ("value", values.dtype)])
    keys["timestamp"], keys["value"] = timestamps, values
    return keys


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value


def _numbered(ours: NumpyArray, theirs: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
    # The same with a number for each different text.
    numbers: dict[str, int] = {}
    found = []
    for keys in (ours, theirs):
        values = [numbers.setdefault(text, len(numbers)) for text in keys["value"].tolist()]
        found.append(_keys(keys["timestamp"], np.array(values, np.int64)))
    return found[0], found[1]


def _occurrences(keys: NumpyArray) -> NumpyArray:
    # Each key with how many like it came before, as one opaque item: (1, a, 0), (1, a, 1), …
    order = np.lexsort((keys["value"], keys["timestamp"]))
    ordered = keys[order]
    is_new = np.ones(len(keys), np.bool_)
    is_new[1:] = ordered[1:] != ordered[:-1]
    starts = np.flatnonzero(is_new)
    counts = np.arange(len(keys)) - np.repeat(starts, np.diff([*starts, len(keys)]))
    items = np.empty((len(keys), 3), np.int64)
    items[order, 0], items[order, 1] = ordered["timestamp"], ordered["value"]
    items[order, 2] = counts
    return items.view([("", np.int64)] * 3).ravel()


def _batches(
    names: Sequence[str], weight: Callable[[str], int], limit: int
) -> Iterator[list[str]]:
    some: list[str] = []
    size = total = 0
    for name in names:
        length = len(name.encode()) + 3
        if some and (total + weight(name) > limit or size + length > QUERY_BYTES):
            yield some
            some, size, total = [], 0, 0
        some.append(name)
        size += length
        total += weight(name)
    if some:
        yield some


def _listed(names: Sequence[str]) -> str:
    return ",".join(map(quote, names))


def _range(ours: Arrays, names: Sequence[str]) -> str:
    first = min(int(ours[name][0].min()) for name in names)
    last = max(int(ours[name][0].max()) for name in names)
    if last + 1 in UNNAMED:  # no query may name these
        return f"after {first}"
    return f"between {first} and {last + 1}"
