"""Points of lines on their way into a database: named, timed, and fitted to the types of series.

A line that has a point which cannot be stored is refused as a whole. Knows nothing of writers; who
has the types of series gives them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from siridb_fast.formats._point_rows import ValueKind
from siridb_fast.formats.points import BadLine, ParsedPoints
from siridb_fast.gateway.series_table import SeriesTable, SeriesType
from siridb_fast.gateway.times import database_times

__all__ = ["Group", "Rows", "fitted", "groups", "joined", "new_types", "rows_of"]

FLOAT, INTEGER, TEXT = int(ValueKind.FLOAT), int(ValueKind.INTEGER), int(ValueKind.TEXT)
EXACT = 2**53
OF_KIND = np.array([SeriesType.FLOAT, SeriesType.INTEGER, SeriesType.STRING], np.uint8)
KINDS = ("a float", "an integer", "a text")

NumpyArray = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Rows:
    """Points in the order of their lines, as `ParsedPoints` has them, and the lines that are bad.

    ``codes`` are numbers of series in ``table``; times are of the database.
    """

    table: SeriesTable
    codes: NumpyArray
    times: NumpyArray
    values: NumpyArray
    lines: NumpyArray
    kinds: NumpyArray
    texts: list[bytes]
    bad: list[BadLine] = field(default_factory=list)
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.codes)

    def where(self, is_wanted: NumpyArray) -> Rows:
        """Return some of them; bool, shape (n,)."""
        names = ("codes", "times", "values", "lines", "kinds")
        return replace(self, **{name: getattr(self, name)[is_wanted] for name in names})

    def without(self, reasons: Mapping[int, str]) -> Rows:
        """Return the rows of all other lines, and note why these are refused."""
        if not reasons:
            return self
        kept = self.where(~np.isin(self.lines, np.fromiter(reasons, np.int64, len(reasons))))
        return replace(kept, bad=[*self.bad, *(BadLine(*one) for one in reasons.items())])


class Group(NamedTuple):
    """Points of one type: float64, int64 or str, of the series ``names[codes[i]]``."""

    names: list[str]
    codes: NumpyArray
    times: NumpyArray
    values: NumpyArray


def rows_of(
    points: ParsedPoints,
    table: SeriesTable,
    *,
    nanoseconds: int,
    precision: int,
    now: int,
    floors: bool,
) -> Rows:
    """Return parsed points with times of the database, without what rules leave out.

    The other arguments are those of `database_times`.
    """
    rows = Rows(
        table,
        points.series,
        points.times,
        points.values,
        points.lines,
        points.kinds,
        points.texts,
        points.bad,
    )
    if table.has_left_out:
        rows = _without_left_out(rows)
    times, bad = database_times(rows.times, nanoseconds, precision, now, floors=floors)
    rows = replace(rows, times=times)
    if bad:
        reasons: dict[int, str] = {}
        for mask, reason in bad:
            for line in np.unique(rows.lines[mask]).tolist():
                reasons.setdefault(line, reason)
        rows = rows.without(reasons)
    return rows


def _without_left_out(rows: Rows) -> Rows:
    table = rows.table
    is_out = table.left_out[rows.codes]
    if not is_out.any():
        return rows
    reasons: dict[int, str] = {}
    if table.refused:
        numbers = np.fromiter(table.refused, np.int64, len(table.refused))
        for index in np.flatnonzero(np.isin(rows.codes, numbers)).tolist():
            reasons.setdefault(int(rows.lines[index]), table.refused[int(rows.codes[index])])
        rows = rows.without(reasons)
        is_out = table.left_out[rows.codes]
    return replace(rows.where(~is_out), left_out=int(is_out.sum()))


def new_types(rows: Rows, codes: NumpyArray) -> NumpyArray:
    """Return the types that series get which the database does not have, by what their points are.

    A rule decides; else the first point, but that a series with a float is one of floats.

    Args:
        rows: Points, of these series and of others.
        codes: Of the new series, sorted.
    """
    found = rows.table.fixed[codes]
    is_new = np.isin(rows.codes, codes)
    their, kinds = rows.codes[is_new], rows.kinds[is_new]
    if rows.table.numbers_are_floats:
        kinds = np.where(kinds == INTEGER, FLOAT, kinds)
    _, first = np.unique(their, return_index=True)
    first_kinds = kinds[first]
    have_floats = np.isin(codes, their[kinds == FLOAT])
    first_kinds = np.where((first_kinds == INTEGER) & have_floats, FLOAT, first_kinds)
    types: NumpyArray = np.where(found == SeriesType.UNKNOWN, OF_KIND[first_kinds], found)
    return types


def fitted(rows: Rows, types: NumpyArray) -> Rows:
    """Return the rows whose values go into their series exactly.

    Args:
        rows: Points.
        types: Of the series, by their codes.
    """
    theirs, own = types[rows.codes], OF_KIND[rows.kinds]
    is_other = theirs != own
    if not is_other.any():
        return rows
    is_bad = is_other.copy()
    floats = is_other & (rows.kinds == FLOAT) & (theirs == SeriesType.INTEGER)
    if floats.any():
        is_bad[floats] = ~_are_whole(rows.values[floats].view(np.float64))
    integers = is_other & (rows.kinds == INTEGER) & (theirs == SeriesType.FLOAT)
    if integers.any():
        is_bad[integers] = ~_are_exact(rows.values[integers])
    reasons: dict[int, str] = {}
    for index in np.flatnonzero(is_bad).tolist():
        reasons.setdefault(int(rows.lines[index]), _reason(rows, index, int(theirs[index])))
    return rows.without(reasons)


def _are_whole(values: NumpyArray) -> NumpyArray:
    is_within: NumpyArray = (values >= -(2.0**63)) & (values < 2.0**63)
    whole: NumpyArray = is_within & (np.floor(values) == values)
    return whole


def _are_exact(values: NumpyArray) -> NumpyArray:
    is_small = (values >= -EXACT) & (values <= EXACT)
    if is_small.all():
        return is_small
    return np.array([int(float(value)) == value for value in values.tolist()], np.bool_)


def _reason(rows: Rows, index: int, type_: int) -> str:
    kind, value = int(rows.kinds[index]), rows.values[index]
    shown: object = int(value)
    if kind == FLOAT:
        shown = float(value.view(np.float64))
    elif kind == TEXT:
        shown = rows.texts[int(value)].decode()[:40]
    name = rows.table.names[int(rows.codes[index])]
    what = "inexact as a float" if (kind, type_) == (INTEGER, SeriesType.FLOAT) else KINDS[kind]
    return f"series {name!r} is of type {SeriesType(type_).name.lower()}, {shown!r} is {what}"


def groups(rows: Rows, types: NumpyArray) -> Iterator[Group]:
    """Yield the points of each type, in their order; the rows are `fitted`."""
    theirs = types[rows.codes]
    for type_ in (SeriesType.FLOAT, SeriesType.INTEGER, SeriesType.STRING):
        mask = theirs == type_
        if mask.any():
            some = rows if mask.all() else rows.where(mask)
            yield Group(rows.table.names, some.codes, some.times, _values(some, type_))


def _values(rows: Rows, type_: SeriesType) -> NumpyArray:
    if type_ == SeriesType.STRING:
        return np.array([rows.texts[i].decode() for i in rows.values.tolist()], object)
    kind = FLOAT if type_ == SeriesType.FLOAT else INTEGER
    is_own = rows.kinds == kind
    found = rows.values.view(np.float64) if kind == FLOAT else rows.values
    if is_own.all():
        return found
    if kind == FLOAT:
        return np.where(is_own, found, rows.values.astype(np.float64))
    floats = np.where(is_own, 0, rows.values).view(np.float64)  # bits of 0 are those of 0.0
    return np.where(is_own, found, floats.astype(np.int64))


def joined(parts: Sequence[Rows]) -> Rows:
    """Return the rows of several texts, of one table, whose lines have different numbers."""
    if len(parts) == 1:
        return parts[0]
    texts: list[bytes] = []
    values = []
    for one in parts:
        values.append(np.where(one.kinds == TEXT, one.values + len(texts), one.values))
        texts += one.texts
    return Rows(
        parts[0].table,
        np.concatenate([one.codes for one in parts]),
        np.concatenate([one.times for one in parts]),
        np.concatenate(values),
        np.concatenate([one.lines for one in parts]),
        np.concatenate([one.kinds for one in parts]),
        texts,
        [bad for one in parts for bad in one.bad],
        sum(one.left_out for one in parts),
    )
