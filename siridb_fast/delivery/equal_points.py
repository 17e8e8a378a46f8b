"""What of a package is in the database, where other packages of the writer have equal points.

Equal points cannot be told apart, so they are counted: those of packages that are delivered come
first, and what there is beyond them is of the package in doubt. Another package in doubt has no
claim before its own look-up; one that waits for its answer has to be answered first. Where nobody
knows what was delivered, nobody can tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from siridb_fast.batching._batch import Batch
from siridb_fast.batching._ends import value_keys
from siridb_fast.columns._decode import decode_points
from siridb_fast.delivery.late_points import Comparison
from siridb_fast.delivery.missing_points import Arrays, Ask, missing_of, stored_points
from siridb_fast.delivery.packages import Packages
from siridb_fast.delivery.repeats import Note, count_at
from siridb_fast.delivery.states import PackageEvent, PackageState

__all__ = ["EqualPoints", "Look", "Notes"]

NumpyArray = np.ndarray[Any, np.dtype[Any]]
Masks = dict[str, NumpyArray]
Notes = Mapping[str, list[Note]]
Counts = dict[tuple[str, int], dict[int, int]]  # of points by key, at a timestamp of a series


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the database tells of each point of a package."""

    missing: Masks  # by series, shape (n,)
    unclear: Masks  # are there, but maybe those of another package
    late: Comparison | None = None  # of points that are compared as late ones are

    @property
    def is_stored(self) -> bool:
        """Tell whether all points are there, and of this package."""
        masks = (*self.missing.values(), *self.unclear.values())
        return not any(mask.any() for mask in masks)


class EqualPoints:
    """The equal points of the packages of one writer."""

    def __init__(self, packages: Packages) -> None:
        self._packages = packages

    async def look(self, arrays: Arrays, notes: Notes, asks: Sequence[Ask]) -> Look | None:
        """Look up the points of a package in doubt; None if others have to be answered first.

        Args:
            arrays: The points.
            notes: Those of their series.
            asks: Each runs a select at a server and returns its answer as arrays. What one of
                these servers has is stored: another one may lag behind, or have other series.
        """
        least = _aligned(arrays, notes, self._delivered(notes))
        found = [await stored_points(arrays, ask) for ask in asks]
        in_flight = [one.batch for one in self._packages.in_state(PackageState.IN_FLIGHT)]
        counts = self._delivered(notes)
        _count(in_flight, counts)
        most = _aligned(arrays, notes, counts)
        missing = _missing_of(arrays, found, least)
        unclear = _unknown(arrays, notes)
        for name, later in _missing_of(arrays, found, most).items():
            if (later != missing[name])[~unclear[name]].any():
                return None
            unclear[name] &= ~missing[name]
        return Look(missing, unclear)

    def _delivered(self, notes: Notes) -> Counts:
        # At the times that are noted; with what is acknowledged, or was found, but not booked yet.
        counts = {
            (name, note.first): dict(note.delivered)
            for name, some in notes.items()
            for note in some
            if note.delivered is not None
        }
        _count((one.batch for one in self._packages.in_state(PackageState.ACKNOWLEDGED)), counts)
        for package in self._packages.in_state(PackageState.SPLITTING):
            parts = package.parts or ()
            _count((one.batch for one in parts if one.event is PackageEvent.FOUND), counts)
        return counts


def _missing_of(arrays: Arrays, found: Sequence[Arrays], others: Masks) -> Masks:
    # What none of the servers has.
    missing = missing_of(arrays, found[0], others)
    for stored in found[1:]:
        for name, mask in missing_of(arrays, stored, others).items():
            missing[name] &= mask
    return missing


def _count(batches: Iterable[Batch], counts: Counts) -> None:
    names = {name for name, _ in counts}
    for batch in batches:
        if names.isdisjoint(batch.names):
            continue
        arrays = decode_points(batch.buffer)
        for (name, timestamp), there in counts.items():
            if name in arrays:
                count_at(timestamp, arrays[name], there)


def _aligned(arrays: Arrays, notes: Notes, counts: Counts) -> Masks:
    # How many equal points others have, for each point of the noted series.
    others = {name: np.zeros(len(arrays[name][0]), np.int64) for name in notes}
    for (name, timestamp), there in counts.items():
        timestamps, values = arrays[name]
        indices = np.flatnonzero(timestamps == timestamp)
        others[name][indices] = [there.get(key, 0) for key in value_keys(values[indices])]
    return others


def _unknown(arrays: Arrays, notes: Notes) -> Masks:
    # The points of which nobody knows whether equal ones were delivered.
    masks = {name: np.zeros(len(timestamps), np.bool_) for name, (timestamps, _) in arrays.items()}
    for name, some in notes.items():
        timestamps = arrays[name][0]
        for note in some:
            if note.delivered is None:
                masks[name] |= (timestamps >= note.first) & (timestamps <= note.last)
    return masks
