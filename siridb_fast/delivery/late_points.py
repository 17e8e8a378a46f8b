"""Late points: which of them the database has, or has with another value.

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

__all__ = ["Comparison", "compare", "stored_nearby"]

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
        refused: Are not there, and the database has another value at their time.
        others: That value, for the points that are ``refused``; shape (n,).

    If another value is refused, nothing is beside one, and ``again`` are all that have to wait
    until it is known what the database has at their time.
    """

    stored: Masks = field(default_factory=dict)
    again: Masks = field(default_factory=dict)
    beside: Masks = field(default_factory=dict)
    refused: Masks = field(default_factory=dict)
    others: Masks = field(default_factory=dict)

    def with_another(self, another: Comparison) -> Comparison:
        """Return what is known with the answer of another server: what one has is stored."""
        found = Comparison()
        for name, mask in self.stored.items():
            stored = mask | another.stored[name]
            refused = (self.refused[name] | another.refused[name]) & ~stored
            found.stored[name], found.refused[name] = stored, refused
            found.again[name] = (self.again[name] | another.again[name]) & ~stored & ~refused
            found.beside[name] = (self.beside[name] | another.beside[name]) & ~stored
            found.others[name] = np.where(
                self.refused[name], self.others[name], another.others[name]
            )
        return found


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


def compare(
    packages: Sequence[Arrays], stored: Arrays, *, refuses: bool = False
) -> list[Comparison]:
    """Compare the points of packages with what the database has, and in order with one another.

    Args:
        packages: Of each the timestamps, int64, and the values by series: int64, float64 or an
            object array of str or bytes, shape (n,).
        stored: The same of the database; a series may be missing.
        refuses: Another value at the same time; else it is beside.
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
        kind.compare(results, refuses=refuses)
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

    def compare(self, results: list[Comparison], *, refuses: bool) -> None:
        # Sorted by series, time and value, equal points lie together: theirs first, then ours.
        codes = [code for code, _, _ in self.theirs] + [self.codes[one[1]] for one in self.ours]
        all_times = [one[1] for one in self.theirs] + [one[2] for one in self.ours]
        times = np.concatenate(all_times)
        values: NumpyArray = np.concatenate(
            [one[2] for one in self.theirs] + [one[3] for one in self.ours]
        )
        keys = _keys(values)
        series = np.repeat(codes, list(map(len, all_times)))
        count = sum(len(one[1]) for one in self.theirs)
        if not count and self._are_new(series, times):
            self._share_out(results, np.zeros((4, len(times)), np.bool_), values)
            return
        order = np.lexsort((keys, times, series))
        is_first_at = _changes(series[order]) | _changes(times[order])
        groups = _Groups(order, order < count, is_first_at, is_first_at | _changes(keys[order]))
        masks = np.empty((4, len(order)), np.bool_)
        masks[:, order] = groups.refused() if refuses else groups.beside()
        others = values[groups.first_of_times()] if refuses else values
        self._share_out(results, masks[:, count:], others[count:])

    def _are_new(self, series: NumpyArray, times: NumpyArray) -> bool:
        # Whether each series is there once, and its times go up: most are so, and sorting is slow.
        if len(self.codes) < len(self.ours):
            return False
        return bool(((np.diff(times) > 0) | (np.diff(series) != 0)).all())

    def _share_out(self, results: list[Comparison], masks: NumpyArray, others: NumpyArray) -> None:
        stop = 0
        for index, name, timestamps, _ in self.ours:
            start, stop = stop, stop + len(timestamps)
            one, mine = results[index], masks[:, start:stop]
            one.stored[name], one.again[name], one.beside[name], one.refused[name] = mine
            one.others[name] = others[start:stop]


@dataclass(frozen=True, slots=True)
class _Groups:
    # Points in the order of series, time and value: of equal ones, theirs come before ours.
    order: NumpyArray  # where each stands among all; theirs before ours, ours as they came
    is_theirs: NumpyArray
    is_first_at: NumpyArray  # of its series and time
    is_first: NumpyArray  # of its value, too

    def beside(self) -> tuple[NumpyArray, ...]:
        # Stored, again, beside, refused, where another value is stored beside the first one.
        is_stored = _of_groups(self.is_theirs, self.is_first)
        has_other = _of_groups(self.is_theirs, self.is_first_at) | ~self.is_first_at
        is_new = ~is_stored & self.is_first
        return is_stored, ~is_stored & ~self.is_first, is_new & has_other, is_new & False

    def refused(self) -> tuple[NumpyArray, ...]:
        # The same where it is refused: of those at one time the first that came is stored.
        is_stored = _of_groups(self.is_theirs, self.is_first)
        has_theirs = _of_groups(self.is_theirs, self.is_first_at)
        is_first = self.order == self._first_places()
        return is_stored, ~has_theirs & ~is_first, is_first & False, has_theirs & ~is_stored

    def first_of_times(self) -> NumpyArray:
        # For each of all points the place of the first one of its time: theirs, if there is any.
        places = np.empty(len(self.order), np.int64)
        places[self.order] = self._first_places()
        return places

    def _first_places(self) -> NumpyArray:
        starts = np.flatnonzero(self.is_first_at)
        of_each: NumpyArray = np.minimum.reduceat(self.order, starts)
        places: NumpyArray = of_each[np.cumsum(self.is_first_at) - 1]
        return places


def _keys(values: NumpyArray) -> NumpyArray:
    # An int64 for each value; equal ones have the same.
    if values.dtype.kind == "f":
        return float_keys(values)
    if values.dtype.kind == "O":
        numbers: dict[bytes, int] = {}
        texts = map(raw_text, values.tolist())
        return np.array([numbers.setdefault(text, len(numbers)) for text in texts], np.int64)
    return values


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
