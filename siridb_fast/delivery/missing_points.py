"""Which of some points the database does not hold: asked, and compared as multisets.

A point that is there as often as here counts as stored, beyond those that are known to be others'.
So nobody else may write points of the same series and range meanwhile.
Texts are compared as the bytes that they are: another client's may not be UTF-8. Knows how to ask,
not how questions are carried.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import numpy as np

from siridb_fast.columns.casting import cast_values
from siridb_fast.errors import SelectLimitError
from siridb_fast.query.select import name_batches, quote

__all__ = [
    "Arrays",
    "Ask",
    "count_points",
    "float_keys",
    "listed",
    "missing_of",
    "missing_points",
    "range_of",
    "raw_text",
    "select_points",
    "stored_points",
]

POINTS_AT_ONCE = 500_000  # under the server's usual limit of a million
UNNAMED = (2**32, 2**63)  # of times: no query may name them

NumpyArray = np.ndarray[Any, np.dtype[Any]]
Arrays = dict[str, tuple[NumpyArray, NumpyArray]]
Ask = Callable[[str], Awaitable[Arrays]]


async def missing_points(ours: Arrays, ask: Ask) -> dict[str, NumpyArray]:
    """Return for each series which of its points the database lacks: a bool array, shape (n,).

    The arguments are those of `stored_points`.
    """
    return missing_of(ours, await stored_points(ours, ask))


def missing_of(
    ours: Arrays, stored: Arrays, others: Mapping[str, NumpyArray] | None = None
) -> dict[str, NumpyArray]:
    """Return for each series which of its points are not stored: a bool array, shape (n,).

    ``others`` tells of some series how many equal points there are of others, for each point:
    int64, shape (n,).
    """
    return {
        name: _missing(name, points, stored[name], (others or {}).get(name, 0))
        if name in stored and len(stored[name][0])  # of none the type is not known
        else np.ones(len(points[0]), np.bool_)
        for name, points in ours.items()
    }


async def stored_points(ours: Arrays, ask: Ask) -> Arrays:
    """Return what the database has of these series, in the ranges of these points and around.

    First they are counted, which settles it for a range that is empty; the others are read. Of
    texts all are, for want of a range that the server gets right.

    Args:
        ours: Of each series the timestamps, int64 in the database's precision, and the values:
            int64, float64, or an object array of str or bytes. At least one point each.
        ask: Runs a select and returns its answer as arrays.
    """
    stored: Arrays = {}
    for texts in (False, True):
        alike = [name for name in ours if (ours[name][1].dtype.kind == "O") == texts]
        counts = await count_points(ask, ours, alike, texts=texts)
        there = [name for name in alike if counts.get(name)]
        for some in name_batches(there, limit=POINTS_AT_ONCE, weight=counts.__getitem__):
            stored |= await select_points(ask, ours, some, texts=texts)
    return stored


async def count_points(
    ask: Ask, ours: Arrays, names: Sequence[str], *, texts: bool
) -> dict[str, int]:
    """Return how many points the database has of these series in the range of ours; of texts all.

    A range over texts makes the server write beyond its memory, and crash soon after (2.0.52).
    """
    counts: dict[str, int] = {}
    for some in name_batches(names):
        limits = "" if texts else range_of(ours, some)
        answer = await ask(f"select count() from {listed(some)} {limits}")  # noqa: S608
        counts |= {name: sum(values.tolist()) for name, (_, values) in answer.items()}
    return counts


async def select_points(ask: Ask, ours: Arrays, names: list[str], *, texts: bool) -> Arrays:
    """Return what the database has of these series in the range of their points.

    Of texts all: a range that cuts a shard brings wrong ones (README, "What the server does").
    """
    limits = "" if texts else range_of(ours, names)
    try:
        return await ask(f"select * from {listed(names)} {limits}")  # noqa: S608
    except SelectLimitError:  # one series alone is always answered
        if len(names) == 1:
            raise
    middle = len(names) // 2
    first = await select_points(ask, ours, names[:middle], texts=texts)
    return first | await select_points(ask, ours, names[middle:], texts=texts)


def _missing(
    name: str,
    ours: tuple[NumpyArray, NumpyArray],
    theirs: tuple[NumpyArray, NumpyArray],
    others: NumpyArray | int,
) -> NumpyArray:
    type_, values = _type_of(theirs[1]), ours[1]
    if type_ != _type_of(values):
        values = cast_values(name, values, type_)
    here, there = _keys(ours[0], values), _keys(*theirs)
    if type_ == "string":
        here, there = _numbered(here, there)
    return _beyond(here, there, others)


def _type_of(values: NumpyArray) -> str:
    return {"f": "float", "i": "integer"}.get(values.dtype.kind, "string")


def _keys(timestamps: NumpyArray, values: NumpyArray) -> NumpyArray:
    # (timestamp, value) of each point, the value as the server keeps it: -0.0 is 0.0, NaN is NaN
    if values.dtype.kind == "f":
        values = float_keys(values)
    keys = np.empty(len(timestamps), [("timestamp", np.int64), ("value", values.dtype)])
    keys["timestamp"], keys["value"] = timestamps, values
    return keys


def _numbered(ours: NumpyArray, theirs: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
    # The same with a number for each different text.
    numbers: dict[bytes, int] = {}
    found = []
    for keys in (ours, theirs):
        texts = map(raw_text, keys["value"].tolist())
        values = [numbers.setdefault(text, len(numbers)) for text in texts]
        found.append(_keys(keys["timestamp"], np.array(values, np.int64)))
    return found[0], found[1]


def float_keys(values: NumpyArray) -> NumpyArray:
    """Return an int64 for each float: -0.0 is 0.0, and each NaN is the same."""
    return np.where(np.isnan(values), np.nan, values + 0.0).view(np.int64)


def raw_text(text: str | bytes) -> bytes:
    """Return the bytes of a text."""
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")


def _beyond(ours: NumpyArray, theirs: NumpyArray, others: NumpyArray | int) -> NumpyArray:
    # Which of ours has as many equal ones before it, with ``others``, as there are of theirs.
    keys = np.concatenate((theirs, ours))
    times, values = keys["timestamp"], keys["value"]
    order = np.lexsort((values, times))  # stable: theirs come before ours
    times, values = times[order], values[order]
    is_new = np.ones(len(keys), np.bool_)
    is_new[1:] = (times[1:] != times[:-1]) | (values[1:] != values[:-1])
    starts = np.flatnonzero(is_new)
    is_ours = order >= len(theirs)
    stored = np.add.reduceat(~is_ours, starts, dtype=np.int64)
    group = np.cumsum(is_new)[is_ours] - 1
    before = np.empty(len(ours), np.int64)
    rest = np.empty(len(ours), np.int64)
    places = order[is_ours] - len(theirs)
    before[places] = np.flatnonzero(is_ours) - starts[group] - stored[group]
    rest[places] = stored[group]
    return before + others >= rest


def listed(names: Sequence[str]) -> str:
    """Return names as a query has them."""
    return ",".join(map(quote, names))


def range_of(ours: Mapping[str, tuple[NumpyArray, NumpyArray]], names: Sequence[str]) -> str:
    """Return the clause of a query for the times of the points of these series."""
    times = np.concatenate([ours[name][0] for name in names])
    first, last = int(times.min()), int(times.max())
    if last + 1 in UNNAMED:
        return f"after {first}"
    return f"between {first} and {last + 1}"
