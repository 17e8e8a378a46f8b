"""Late points: which of them the database has, and what it has around them.

An equal point at an equal time is the same point, whoever stored it and however often it is there
or here. Values are compared as the server keeps them: -0.0 is 0.0, NaN is NaN, and an integer for
a series of floats is that float. Knows how to ask, not how questions are carried; knows nothing of
packages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from siridb_fast.columns.casting import cast_values
from siridb_fast.delivery.missing_points import (
    Arrays,
    Ask,
    count_points,
    float_keys,
    raw_text,
    select_points,
)
from siridb_fast.errors import ColumnError
from siridb_fast.query.select import name_batches

__all__ = ["Comparison", "compare", "missing_late_points", "stored_nearby"]

READ_AT_ONCE = 100_000  # points: more of them are read only where there are many late ones
READ_FOR_EACH = 4  # late point
TYPES = {"f": "float", "i": "integer"}  # by numpy's kinds

NumpyArray = np.ndarray[Any, np.dtype[Any]]
Masks = dict[str, NumpyArray]
Parts = dict[str, list[tuple[NumpyArray, NumpyArray]]]  # of the points of each series


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is known of the points of one package, by series: bool arrays, shape (n,).

    Attributes:
        stored: Are in the database.
        again: Are not, and one like it is in this package or in one that was compared before it.
        beside: Are neither, but at the time of another value.
    """

    stored: Masks = field(default_factory=dict)
    again: Masks = field(default_factory=dict)
    beside: Masks = field(default_factory=dict)


async def missing_late_points(ours: Arrays, ask: Ask) -> Masks:
    """Return for each series which of its points the database lacks, however often it has them.

    The arguments are those of `stored_nearby`.
    """
    (result,) = compare([ours], await stored_nearby([ours], ask))
    return {name: ~mask for name, mask in result.stored.items()}


async def stored_nearby(packages: Sequence[Arrays], ask: Ask) -> Arrays:
    """Return what the database has of the series of these points, in the range of theirs.

    Points far from one another are asked for one after the other, where there are many between.

    Args:
        packages: Of each the timestamps and values by series, at least one point of each.
        ask: Runs a select and returns its answer as arrays.
    """
    times: dict[str, list[NumpyArray]] = {}
    texts: dict[str, list[NumpyArray]] = {}
    for arrays in packages:
        for name, (timestamps, values) in arrays.items():
            parts = texts if values.dtype.kind == "O" else times
            parts.setdefault(name, []).append(timestamps)
    found = await _read_texts(list(texts), ask)
    jobs = [{name: np.concatenate(some) for name, some in times.items()}]
    while jobs:
        jobs += await _read(jobs.pop(), ask, found)
    return {name: _joined(some) for name, some in found.items()}


async def _read_texts(names: list[str], ask: Ask) -> Parts:
    # All of them: no range of texts is safe.
    counts = await count_points(ask, {}, names, texts=True)
    found: Parts = {}
    for some in name_batches(counts, limit=READ_AT_ONCE, weight=counts.__getitem__):
        for name, pair in (await select_points(ask, {}, some, texts=True)).items():
            found[name] = [pair]
    return found


async def _read(
    times: dict[str, NumpyArray], ask: Ask, found: Parts
) -> list[dict[str, NumpyArray]]:
    # What there is in these times goes to `found`; or they are cut, if that is too much.
    ours = {name: (timestamps, timestamps) for name, timestamps in times.items()}
    counts = await count_points(ask, ours, list(ours), texts=False)
    there = {name: timestamps for name, timestamps in times.items() if counts.get(name)}
    many = max(READ_AT_ONCE, READ_FOR_EACH * sum(map(len, there.values())))
    if sum(map(counts.__getitem__, there)) > many:
        parts = _halves(there)
        if parts:
            return parts
    for some in name_batches(there, limit=many, weight=counts.__getitem__):
        for name, pair in (await select_points(ask, ours, some, texts=False)).items():
            found.setdefault(name, []).append(pair)
    return []


def _halves(times: dict[str, NumpyArray]) -> list[dict[str, NumpyArray]]:
    # The earlier and the later half of all times; none if they are all one.
    all_times = np.unique(np.concatenate(list(times.values())))
    if len(all_times) < 2:
        return []
    middle = all_times[(len(all_times) - 1) // 2]
    halves: list[dict[str, NumpyArray]] = [{}, {}]
    for name, timestamps in times.items():
        is_early = timestamps <= middle
        for half, part in zip(halves, (timestamps[is_early], timestamps[~is_early]), strict=True):
            if len(part):
                half[name] = part
    return halves


def _joined(parts: list[tuple[NumpyArray, NumpyArray]]) -> tuple[NumpyArray, NumpyArray]:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([one[0] for one in parts]), np.concatenate([one[1] for one in parts])


def compare(packages: Sequence[Arrays], stored: Arrays) -> list[Comparison]:
    """Compare the points of packages with what the database has, and in order with one another.

    Args:
        packages: Of each the timestamps, int64, and the values by series: int64, float64 or an
            object array of str or bytes, shape (n,).
        stored: The same of the database; a series may be missing.
    """
    kinds: dict[str, _Compared] = {}
    for index, arrays in enumerate(packages):
        for name, (timestamps, values) in arrays.items():
            there = stored.get(name)
            values, there = _alike(name, values, there)
            kind = kinds.setdefault(values.dtype.kind, _Compared({}, [], []))
            kind.add(index, name, (timestamps, values), there)
    results = [Comparison() for _ in packages]
    for kind in kinds.values():
        kind.compare(results)
    return results


def _alike(
    name: str, values: NumpyArray, there: tuple[NumpyArray, NumpyArray] | None
) -> tuple[NumpyArray, tuple[NumpyArray, NumpyArray] | None]:
    # The values in the type that they have, or will have, in the database. Values that cannot be
    # stored there are not there.
    if there is None or not len(there[0]):  # of none the type is not known
        return values, None
    if values.dtype.kind == there[1].dtype.kind:
        return values, there
    try:
        return cast_values(name, values, TYPES.get(there[1].dtype.kind, "string")), there
    except ColumnError:
        return values, None


@dataclass(slots=True)
class _Compared:
    # Points of one kind of values, in the packages and in the database.
    codes: dict[str, int]  # of series
    ours: list[tuple[int, str, NumpyArray, NumpyArray]]  # package, series, timestamps, values
    theirs: list[tuple[int, NumpyArray, NumpyArray]]  # code, timestamps, values

    def add(
        self,
        index: int,
        name: str,
        points: tuple[NumpyArray, NumpyArray],
        there: tuple[NumpyArray, NumpyArray] | None,
    ) -> None:
        if name not in self.codes:
            self.codes[name] = len(self.codes)
            if there is not None:
                self.theirs.append((self.codes[name], *there))
        self.ours.append((index, name, *points))

    def compare(self, results: list[Comparison]) -> None:
        # Sorted by series, time and value, equal points lie together: theirs first, then ours.
        codes = [code for code, _, _ in self.theirs] + [self.codes[one[1]] for one in self.ours]
        all_times = [one[1] for one in self.theirs] + [one[2] for one in self.ours]
        times = np.concatenate(all_times)
        keys = _keys([one[2] for one in self.theirs] + [one[3] for one in self.ours])
        series = np.repeat(codes, list(map(len, all_times)))
        count = sum(len(one[1]) for one in self.theirs)
        if not count and self._are_new(series, times):
            self._share_out(results, np.zeros((3, len(times)), np.bool_))
            return
        order = np.lexsort((keys, times, series))
        is_theirs = order < count
        is_first_at = _changes(series[order]) | _changes(times[order])
        is_first = is_first_at | _changes(keys[order])
        has_theirs = _of_groups(is_theirs, is_first)
        has_other = _of_groups(is_theirs, is_first_at) | ~is_first_at
        is_new = ~has_theirs & is_first
        masks = np.empty((3, len(order)), np.bool_)
        masks[:, order] = has_theirs, ~has_theirs & ~is_first, is_new & has_other
        self._share_out(results, masks[:, count:])

    def _are_new(self, series: NumpyArray, times: NumpyArray) -> bool:
        # Whether each series is there once, and its times go up: most are so, and sorting is slow.
        if len(self.codes) < len(self.ours):
            return False
        return bool(((np.diff(times) > 0) | (np.diff(series) != 0)).all())

    def _share_out(self, results: list[Comparison], masks: NumpyArray) -> None:
        stop = 0
        for index, name, timestamps, _ in self.ours:
            start, stop = stop, stop + len(timestamps)
            one = results[index]
            one.stored[name], one.again[name], one.beside[name] = masks[:, start:stop]


def _keys(values: Sequence[NumpyArray]) -> NumpyArray:
    # An int64 for each value; equal ones have the same.
    joined: NumpyArray = np.concatenate(values)
    if joined.dtype.kind == "f":
        return float_keys(joined)
    if joined.dtype.kind == "O":
        numbers: dict[bytes, int] = {}
        texts = map(raw_text, joined.tolist())
        return np.array([numbers.setdefault(text, len(numbers)) for text in texts], np.int64)
    return joined


def _changes(ordered: NumpyArray) -> NumpyArray:
    # Where a value is another one than that before it; the first is.
    changes = np.ones(len(ordered), np.bool_)
    changes[1:] = ordered[1:] != ordered[:-1]
    return changes


def _of_groups(mask: NumpyArray, is_first: NumpyArray) -> NumpyArray:
    # For each item whether the mask is set of any in its group.
    starts = np.flatnonzero(is_first)
    of_each: NumpyArray = np.logical_or.reduceat(mask, starts)[np.cumsum(is_first) - 1]
    return of_each
