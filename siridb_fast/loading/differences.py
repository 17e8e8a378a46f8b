"""How the points of a series in a file and in the database differ, at the times that the file has.

Points of other times are somebody else's. Knows nothing of servers and files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from siridb_fast.loading.fingerprints import value_keys

__all__ = ["Difference", "SeriesDifferences", "compare"]

SHOWN = 1000  # of one series

NumpyArray = np.ndarray[Any, np.dtype[Any]]
Kind = Literal["missing", "doubled", "changed"]
Pair = tuple[NumpyArray, NumpyArray]  # timestamps, and values


@dataclass(frozen=True, slots=True)
class Difference:
    """One point that is not once in the database as it is once in the data.

    Attributes:
        series: Its series.
        timestamp: In the database's precision.
        kind: ``"missing"``; ``"doubled"``, stored more often than the data has it; ``"changed"``,
            another value is stored at its time.
        value: Of the data.
        stored: The other value, of a changed one.
    """

    series: str
    timestamp: int
    kind: Kind
    value: float | int | str
    stored: float | int | str | None = None


@dataclass(frozen=True, slots=True)
class SeriesDifferences:
    """Those of one series: their counts, the first of them, and which points are missing."""

    missing: int
    doubled: int
    changed: int
    first: tuple[Difference, ...]
    lacking: NumpyArray  # bool, of the data's points: missing ones, not changed ones


def compare(series: str, ours: Pair, theirs: Pair) -> SeriesDifferences:
    """Compare the points of one series, as multisets; values are of the same type.

    Args:
        series: Its name.
        ours: Of the data; timestamps int64, values int64, float64 or objects.
        theirs: Of the database.
    """
    there = np.isin(theirs[0], ours[0])
    times = np.concatenate([ours[0], theirs[0][there]])
    values = np.concatenate([ours[1], theirs[1][there]])
    first, kinds = _kinds(times, value_keys(values))  # equal points are of one kind, in time order
    here = np.bincount(kinds[: len(ours[0])], minlength=len(first))
    surplus = np.bincount(kinds[len(ours[0]) :], minlength=len(first)) - here
    lacks = np.maximum(-surplus, 0)
    doubled = np.flatnonzero((surplus > 0) & (here > 0))
    others = _by_time(times[first], np.flatnonzero((surplus > 0) & (here == 0)), surplus)
    found: list[tuple[int, Kind, int, int | None]] = []  # when, what, and which points they are of
    at_others = np.isin(times[first], np.fromiter(others, np.int64, len(others)))
    for kind in np.flatnonzero((lacks > 0) & at_others).tolist():
        at = int(times[first[kind]])
        while lacks[kind] and others[at]:
            lacks[kind] -= 1
            found.append((at, "changed", first[kind], first[others[at].pop()]))
    changed = len(found)
    missing = np.flatnonzero(lacks)
    some: list[tuple[Kind, NumpyArray]] = [("doubled", doubled), ("missing", missing)]
    for word, which in some:
        found += [(int(times[first[k]]), word, first[k], None) for k in which[:SHOWN]]
    found.sort(key=lambda each: each[0])
    return SeriesDifferences(
        missing=int(lacks.sum()),
        doubled=int(surplus[doubled].sum()),
        changed=changed,
        first=tuple(
            Difference(
                *(series, at, word, _plain(values[one])),
                None if other is None else _plain(values[other]),
            )
            for at, word, one, other in found[:SHOWN]
        ),
        lacking=_last_ones(kinds[: len(ours[0])], here, lacks),
    )


def _kinds(times: NumpyArray, keys: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
    # The first point of each kind of equal points, ordered by time; and the kind of each point.
    order = np.lexsort((keys, times))
    is_new = np.ones(len(order), np.bool_)
    is_new[1:] = (np.diff(times[order]) != 0) | (np.diff(keys[order]) != 0)
    kinds = np.empty(len(order), np.int64)
    kinds[order] = np.cumsum(is_new) - 1
    return order[is_new], kinds


def _by_time(times: NumpyArray, which: NumpyArray, surplus: NumpyArray) -> dict[int, list[int]]:
    # The kinds that the data does not have, as often as they are stored.
    found: dict[int, list[int]] = {}
    for kind in which.tolist():
        found.setdefault(int(times[kind]), []).extend([kind] * int(surplus[kind]))
    return found


def _last_ones(kinds: NumpyArray, here: NumpyArray, lacks: NumpyArray) -> NumpyArray:
    # Of equal points of the data, as many as lack.
    order = np.argsort(kinds, kind="stable")
    starts = np.cumsum(here) - here
    rank = np.arange(len(kinds)) - starts[kinds[order]]
    lacking = np.zeros(len(kinds), np.bool_)
    lacking[order] = rank >= (here - lacks)[kinds[order]]
    return lacking


def _plain(value: Any) -> float | int | str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    plain: float | int | str = value.item() if isinstance(value, np.generic) else value
    return plain
