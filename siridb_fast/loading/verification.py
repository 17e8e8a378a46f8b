"""Is all of some data in the database, each point once? Found by reading both.

The data is read once. Of each series is kept how many points it has, in which times, and their
fingerprint; that of what the database has in these times is the same, or the series differs. Only
of series that differ are the points compared one by one, for which the data is read again, as
often as it takes to have a bounded number of points in memory (of one series: all of them).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from siridb_fast.columns.casting import cast_values
from siridb_fast.columns.column import point_column
from siridb_fast.delivery.missing_points import Arrays, stored_points
from siridb_fast.loading.already_stored import arrays_of
from siridb_fast.loading.differences import Difference, SeriesDifferences, compare
from siridb_fast.loading.fingerprints import fingerprint, value_keys
from siridb_fast.loading.frame_reader import FramePoints
from siridb_fast.loading.loader import Loader
from siridb_fast.loading.sources import Portion
from siridb_fast.query.select import name_batches
from siridb_fast.writer.column_intake import open_delivery

__all__ = ["Verification", "Verifier"]

POINTS_AT_ONCE = 2_000_000  # of the data, in memory
WINDOW = 500_000  # points of one series that are asked for at once, if they are spread evenly
SHOWN = 1000
TEXT_WEIGHT = 8  # a text takes the memory of so many numbers
BITS = (1 << 64) - 1

NumpyArray = np.ndarray[Any, np.dtype[Any]]
Sources = Callable[[], Iterable[Portion]]


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found.

    Attributes:
        rows: Of the data.
        series: That it has points of.
        points: That it has.
        missing: How many of them the database does not have.
        doubled: How many the database has more often than the data.
        changed: How many have another value in the database, at the same time of their series.
        by_series: The counts of these three, of each series that differs.
        differences: The first 1,000 of them.
        expired: How many points are older than what the database keeps; such ones may be missing.
        repaired: How many missing points were sent, and are stored now.
        time_precision: Of the database, and so of the timestamps of differences.
    """

    rows: int = 0
    series: int = 0
    points: int = 0
    missing: int = 0
    doubled: int = 0
    changed: int = 0
    by_series: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()
    expired: int = 0
    repaired: int = 0
    time_precision: int | None = None

    @property
    def is_complete(self) -> bool:
        """Tell whether each point is stored, and as often as the data has it."""
        return not (self.missing - self.repaired or self.doubled or self.changed)

    def __str__(self) -> str:
        text = f"{self.points:,} points of {self.series:,} series: "
        if not (self.missing or self.doubled or self.changed):
            return text + "all are stored, each once"
        text += f"{self.missing:,} missing, {self.doubled:,} doubled, {self.changed:,} changed"
        return text + (f"; {self.repaired:,} repaired" if self.repaired else "")


@dataclass(slots=True)
class _Known:
    # What is kept of a series of the data.
    type: str
    points: int = 0
    first: int = 2**63 - 1
    last: int = -(2**63)
    fingerprint: int = 0

    def add(self, timestamps: NumpyArray, values: NumpyArray) -> None:
        self.points += len(timestamps)
        self.first = min(self.first, int(timestamps.min()))
        self.last = max(self.last, int(timestamps.max()))
        self.fingerprint += fingerprint(timestamps, value_keys(values))
        self.fingerprint &= BITS

    @property
    def weight(self) -> int:
        return self.points * (TEXT_WEIGHT if self.type == "string" else 1)

    def windows(self) -> Iterator[tuple[int, int]]:
        # First and last time of each. Of texts all at once: a range that cuts a shard of them
        # brings wrong ones.
        parts = 1 if self.type == "string" else -(-self.points // WINDOW)
        width = -(-(self.last - self.first + 1) // parts)
        for start in range(self.first, self.last + 1, width):
            yield start, min(start + width - 1, self.last)


class Verifier:
    """Compares data with one database.

    Args:
        loader: Reads the data; it sends what is missing, where that is asked for.
        sources: Returns the portions of the data, each time it is called.
    """

    def __init__(self, loader: Loader, sources: Sources) -> None:
        self._loader = loader
        self._writer = loader.writer
        self._sources = sources
        self._known: dict[str, _Known] = {}
        self._rows = 0

    async def verify(self, *, repairs: bool = False) -> Verification:
        """Compare all of it.

        Args:
            repairs: Send what is missing.

        Raises:
            ColumnError: The data has what the database could not store.
        """
        await self._loader.open()
        try:
            async with aclosing(self._loader.checked(self._sources())) as checked:
                async for points in checked:
                    self._add(points)
            differing = [name async for name in self._differing()]
            found: dict[str, SeriesDifferences] = {}
            repaired = 0
            for names in self._batches(differing, POINTS_AT_ONCE):
                some, lacking = await self._compared(names)
                found |= some
                repaired += await self._sent(lacking) if repairs else 0
            return self._result(found, repaired)
        finally:
            await self._loader.leave()

    def _add(self, points: FramePoints) -> None:
        self._rows += points.rows
        for name, (timestamps, values) in arrays_of(points).items():
            known = self._known.get(name)
            if known is None:
                known = self._known[name] = _Known(self._writer.type_of(name))
            known.add(timestamps, _fitted(name, values, known.type))

    def _batches(self, names: Iterable[str], limit: int) -> Iterator[list[str]]:
        return name_batches(names, limit=limit, weight=lambda name: self._known[name].weight)

    async def _differing(self) -> AsyncIterator[str]:
        # The series whose points in the database have another fingerprint.
        small = [name for name, known in self._known.items() if known.weight <= WINDOW]
        for names in self._batches(small, WINDOW):
            stored = await stored_points(self._limits(names), self._writer.query_arrays)
            for name in names:
                known = self._known[name]
                found = fingerprint(*_keyed(*_between(stored, name, known.first, known.last)))
                if found != known.fingerprint:
                    yield name
        for name in self._known.keys() - set(small):
            if await self._stored_fingerprint(name) != self._known[name].fingerprint:
                yield name

    async def _stored_fingerprint(self, name: str) -> int:
        known, found = self._known[name], 0
        for first, last in known.windows():
            limits = {name: (np.array([first, last]), _no_values(known.type))}
            stored = await stored_points(limits, self._writer.query_arrays)
            found += fingerprint(*_keyed(*_between(stored, name, first, last)))
        return found & BITS

    async def _compared(self, names: list[str]) -> tuple[dict[str, SeriesDifferences], Arrays]:
        # One by one; also the points that are missing.
        ours = await self._points_of(names)
        stored = await stored_points(self._limits(names), self._writer.query_arrays)
        found, lacking = {}, {}
        for name in names:
            known = self._known[name]
            theirs = _between(stored, name, known.first, known.last)
            found[name] = compare(name, ours[name], theirs)
            which = found[name].lacking
            lacking[name] = (ours[name][0][which], ours[name][1][which])
        return found, lacking

    async def _points_of(self, names: list[str]) -> Arrays:
        wanted = set(names)
        found: dict[str, list[tuple[NumpyArray, NumpyArray]]] = {name: [] for name in names}
        async with aclosing(self._loader.checked(self._sources())) as checked:
            async for points in checked:
                for name, (timestamps, values) in arrays_of(points).items():
                    if name in wanted:
                        fitted = _fitted(name, values, self._known[name].type)
                        found[name].append((timestamps, fitted))
        return {
            name: (np.concatenate([t for t, _ in pairs]), np.concatenate([v for _, v in pairs]))
            for name, pairs in found.items()
        }

    async def _sent(self, lacking: Arrays) -> int:
        columns = [
            point_column(name, *pair, self._loader.rules)
            for name, pair in lacking.items()
            if len(pair[0])
        ]
        delivery = open_delivery()
        await self._writer.take(columns, delivery)
        delivery.seal(0.0)
        report = await self._writer.flush()
        report.require_complete()
        return report.points

    def _limits(self, names: Iterable[str]) -> Arrays:
        # Of the points of series, as much as a select takes of them.
        return {
            name: (np.array([known.first, known.last]), _no_values(known.type))
            for name, known in ((name, self._known[name]) for name in names)
        }

    def _result(self, found: dict[str, SeriesDifferences], repaired: int) -> Verification:
        by_series = {
            name: (some.missing, some.doubled, some.changed)
            for name, some in found.items()
            if some.missing or some.doubled or some.changed
        }
        first = [each for name in by_series for each in found[name].first]
        missing, doubled, changed = (
            sum(counts[kind] for counts in by_series.values()) for kind in range(3)
        )
        return Verification(
            rows=self._rows,
            series=len(self._known),
            points=sum(known.points for known in self._known.values()),
            missing=missing,
            doubled=doubled,
            changed=changed,
            by_series=by_series,
            differences=tuple(first[:SHOWN]),
            expired=self._loader.expired,
            repaired=repaired,
            time_precision=self._writer.time_precision,
        )


def _fitted(name: str, values: NumpyArray, type_: str) -> NumpyArray:
    own = {"f": "float", "i": "integer"}.get(values.dtype.kind, "string")
    return values if own == type_ else cast_values(name, values, type_)


def _between(stored: Arrays, name: str, first: int, last: int) -> tuple[NumpyArray, NumpyArray]:
    if name not in stored:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    timestamps, values = stored[name]
    inside = (timestamps >= first) & (timestamps <= last)
    return timestamps[inside], values[inside]


def _keyed(timestamps: NumpyArray, values: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
    return timestamps, value_keys(values)


def _no_values(type_: str) -> NumpyArray:
    return np.empty(2, {"float": np.float64, "integer": np.int64}.get(type_, np.object_))
