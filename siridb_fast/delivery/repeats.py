"""Times at which more than one package of a writer has points of the same series.

A point that is in the database tells nothing of a package in doubt, if an equal one was in another
package. Of most runs nothing is noted: they are newer than whatever left of their series before.
A run that goes on at the newest timestamp is noted with the points there that are delivered, by
value; of a run that goes back further, only that nobody knows what was delivered at its times.
A package of which only a part was found leaves two that may share a time, too.
Knows nothing of servers, or of what is looked up.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from siridb_fast.batching._batch import Batch
from siridb_fast.batching._ends import value_keys
from siridb_fast.batching._repeat import Repeat, note_run
from siridb_fast.batching._series import Series
from siridb_fast.columns._decode import decode_points

__all__ = ["NoRepeats", "Note", "Repeats"]

MAX_NOTES = 100_000  # beyond that the oldest are forgotten: nobody knows then
FEW_NOTES = 64  # that are not looked through for those of no use

NumpyArray = np.ndarray[Any, np.dtype[Any]]


@dataclass(slots=True, eq=False)
class Note:
    """Timestamps of a series, both included, at which more than one package has points."""

    series: Series
    first: int
    last: int
    number: int  # of the newest package that has some
    delivered: dict[int, int] | None  # points at the one timestamp, by key; None: unknown


class Repeats:
    """Those of one writer.

    Args:
        series_of: Returns the series of a name, if the writer knows it.
    """

    def __init__(self, series_of: Callable[[str], Series | None] = lambda _: None) -> None:
        self._series_of = series_of
        self._notes: OrderedDict[Note, None] = OrderedDict()  # the newest number last
        self._by_name: dict[str, list[Note]] = {}
        self._forgotten: dict[str, Note] = {}
        self._gaps: dict[str, tuple[int, int]] = {}  # between two times nothing of a series left
        self._rows: set[int] = set()  # on disk only, of packages that this writer made
        self._enough = FEW_NOTES  # notes, to look through them

    def begin(self, batch: Batch, number: int, is_finished: Callable[[int], bool]) -> None:
        """Take note of a package that is new; ``is_finished`` as `Packages` tells."""
        for repeat in batch.repeats:
            self._place(repeat, number)
        if len(self._notes) > self._enough:  # the package itself does not count as unfinished yet
            self._tidy(lambda one: one < number and is_finished(one))

    def begin_recalled(self, batch: Batch, number: int, row_id: int) -> None:
        """Take note of a package that was read from disk; it may be of a former writer."""
        if row_id in self._rows:
            self._rows.discard(row_id)
            for name in self._by_name.keys() & batch.names:
                for note in self._by_name[name]:
                    self._touch(note, number)
            return
        repeats: list[Repeat] = []
        for name, (timestamps, _) in decode_points(batch.buffer).items():
            series = self._series_of(name)
            if series is not None:
                note_run(series, int(timestamps[0]), int(timestamps[-1]), repeats)
        for repeat in repeats:
            self._place(repeat, number)

    def begin_parts(self, one: Batch, other: Batch, number: int) -> None:
        """Take note that two packages take the place of one."""
        names = set(one.names).intersection(other.names)
        if not names:
            return
        arrays = decode_points(one.buffer), decode_points(other.buffer)
        for name in names:
            series = self._series_of(name) or Series(name)
            for timestamp in np.intersect1d(arrays[0][name][0], arrays[1][name][0]).tolist():
                if self._note_at(name, timestamp) is None:
                    self._add(series, timestamp, timestamp, number, {})

    def leave_on_disk(self, row_id: int) -> None:
        """Take note that a package is on disk only."""
        self._rows.add(row_id)

    def count_delivered(self, batch: Batch, number: int) -> None:
        """Count the points of a package that is delivered."""
        names = batch.note_stored(self._by_name)
        if not names:
            return
        arrays = decode_points(batch.buffer)
        for name in names:
            for note in self._by_name.get(name, []):
                if note.delivered is not None:
                    count_at(note.first, arrays[name], note.delivered)
            series = self._series_of(name)
            if series is not None:
                self._count_newest(series, arrays[name], number)

    def notes_of(self, names: Iterable[str]) -> Mapping[str, list[Note]]:
        """Return the notes of those of these series that have any."""
        found = {name: list(self._by_name[name]) for name in self._by_name.keys() & set(names)}
        for name in self._forgotten.keys() & set(names):
            found.setdefault(name, []).append(self._forgotten[name])
        return found

    # ---- taking note

    def _place(self, repeat: Repeat, number: int) -> None:
        # The run began at, or before, the newest timestamp of what had left.
        series, first, last = repeat.series, repeat.first, repeat.last
        gap = self._gaps.get(series.name)
        if last < repeat.oldest:
            self._gaps[series.name] = last, repeat.oldest
        elif gap is not None and gap[0] <= first and last < gap[1]:  # old points, in order
            self._gaps[series.name] = last, gap[1]
            if first == gap[0]:
                self._add(series, first, first, number, None)
        elif first == repeat.newest:
            note = self._note_at(series.name, first)
            if note is None:
                delivered = {repeat.key: repeat.points} if repeat.points else {}
                self._add(series, first, first, number, delivered)
            else:
                self._touch(note, number)
        else:
            self._gaps.pop(series.name, None)
            first, last = max(first, repeat.oldest), min(last, repeat.newest)
            self._add(series, first, last, number, None)

    def _count_newest(
        self, series: Series, points: tuple[NumpyArray, NumpyArray], number: int
    ) -> None:
        # What is at the newest timestamp that left, if that is not counted by a note.
        newest = series.newest_sent
        delivered: dict[int, int] = {}
        count_at(newest, points, delivered)
        if not delivered or self._note_at(series.name, newest) is not None:
            return
        if len(delivered) == 1:
            series.note_stored(*delivered.popitem())
        else:
            self._add(series, newest, newest, number, delivered)

    def _note_at(self, name: str, timestamp: int) -> Note | None:
        notes = self._by_name.get(name, [])
        exact = (note for note in notes if note.delivered is not None)
        return next((note for note in exact if note.first == timestamp), None)

    def _add(
        self, series: Series, first: int, last: int, number: int, delivered: dict[int, int] | None
    ) -> None:
        note = Note(series, first, last, number, delivered)
        self._notes[note] = None
        self._by_name.setdefault(series.name, []).append(note)

    def _touch(self, note: Note, number: int) -> None:
        note.number = number
        self._notes.move_to_end(note)

    # ---- forgetting

    def _tidy(self, is_finished: Callable[[int], bool]) -> None:
        # Without those that no package is left for, now or later.
        for note in list(self._notes):
            if self._rows or not is_finished(note.number):
                break
            if note.last < note.series.newest_sent:
                self._remove(note)
        while len(self._notes) > MAX_NOTES:
            self._forget(next(iter(self._notes)))
        self._enough = max(FEW_NOTES, 2 * len(self._notes))

    def _forget(self, note: Note) -> None:
        self._remove(note)
        known = self._forgotten.setdefault(
            note.series.name, Note(note.series, note.first, note.last, note.number, None)
        )
        known.first = min(known.first, note.first)
        known.last = max(known.last, note.last)

    def _remove(self, note: Note) -> None:
        del self._notes[note]
        notes = self._by_name[note.series.name]
        notes.remove(note)
        if not notes:
            del self._by_name[note.series.name]


class NoRepeats(Repeats):
    """Those of a writer of which no two packages have equal points: nothing is noted."""

    def begin(self, batch: Batch, number: int, is_finished: Callable[[int], bool]) -> None:
        """Do nothing."""

    def begin_recalled(self, batch: Batch, number: int, row_id: int) -> None:
        """Do nothing."""

    def begin_parts(self, one: Batch, other: Batch, number: int) -> None:
        """Do nothing."""

    def leave_on_disk(self, row_id: int) -> None:
        """Do nothing."""

    def count_delivered(self, batch: Batch, number: int) -> None:
        """Do nothing."""


def count_at(
    timestamp: int, points: tuple[NumpyArray, NumpyArray], counts: dict[int, int]
) -> None:
    """Add how many of the points there are at a timestamp, by the keys of their values."""
    timestamps, values = points
    for key in value_keys(values[timestamps == timestamp]):
        counts[key] = counts.get(key, 0) + 1
