"""The shape of TSBS `iot`: trucks whose rows come late, out of order, with gaps, or not at all.

Each truck has a row of seven readings and one of three diagnostics every ten seconds. The order of
arrival and the gaps are those of iot/simulator.go and iot/batch_config.go; values those of
iot/readings.go and iot/diagnostics.go.

TSBS itself refuses to make `iot` for SiriDB, for some tags are numbers. Here series are named as
its serializer would, with those tags as text. A value that TSBS clears is missing, and no point. A
tag that it clears would make another series of the same measurement, and is left as it is.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise

import numpy as np

from benchmarks.data import data, unsorted
from benchmarks.data.tsbs import FIRST, SEED, STEP, bounded_walks, choices
from siridb_fast import encode_insert

__all__ = ["DIAGNOSTICS", "FIELDS", "READINGS", "Iot", "arrivals"]

READINGS = (
    "latitude", "longitude", "elevation", "velocity", "heading", "grade", "fuel_consumption"
)  # fmt: skip
DIAGNOSTICS = ("fuel_state", "current_load", "status")
FIELDS = len(READINGS) + len(DIAGNOSTICS)
STATUS = FIELDS - 1  # the only field of integers
READINGS_DIGITS = (5, 5, 0, 0, 0, 0, 1)
READINGS_STEPS = (0.005, 0.005, 10.0, 10.0, 5.0, 5.0, 5.0)  # at most, up and down
READINGS_BOUNDS = (
    (-90.0, 90.0), (-180.0, 180.0), (0.0, 5000.0), (0.0, 100.0), (0.0, 360.0), (0.0, 100.0),
    (0.0, 50.0),
)  # fmt: skip
READINGS_STARTS = (
    (0.0, 90.0), (0.0, 180.0), (0.0, 500.0), (0.0, 0.0), (0.0, 360.0), (0.0, 0.0), (25.0, 25.0)
)  # fmt: skip
LOAD, LOAD_CHANGES = 5000.0, 0.05

BATCH = 10  # entries
MISSING_BATCH, LATE_BATCH, INSERT_BATCH = 0.01, 0.05, 0.5
MISSING, LATE, INSERT = 0.1, 0.3, 0.5
CLEARED = 0.1  # of the entries, one field

FLEETS = ["East", "West", "North", "South"]
DRIVERS = ["Derek", "Rodney", "Albert", "Andy", "Seth", "Trish"]
MODELS = {"F-150": (2000, 200, 15), "G-2000": (5000, 300, 19), "H-2": (1500, 150, 12)}
VERSIONS = ["v1.0", "v1.5", "v2.0", "v2.3"]


class Iot:
    """So many trucks, for so many times in a lap; rows are in the order of their arrival.

    Attributes:
        truck: Shape (rows,): whose row it is.
        is_readings: Shape (rows,): of which measurement.
        time: Shape (rows,): of which time within the lap.
        values: Shape (rows, 7): those of a row, NaN where one is missing; diagnostics have three.
    """

    def __init__(self, trucks: int, times: int) -> None:
        self.hosts, self.times = trucks, times
        self.series = trucks * FIELDS
        random = np.random.default_rng(SEED)
        self._tags = _truck_tags(trucks, random)
        entries = arrivals(2 * trucks * times, random)
        self.time, within = np.divmod(entries, 2 * trucks)
        self.is_readings = within < trucks
        self.truck = within % trucks
        self.values = self._rows(random)
        _clear(self.values, self.is_readings, random)
        self.rows = len(entries)
        self.points = self.points_of(self.rows)

    def names(self, entrant: str) -> list[str]:
        """Return the names of an entrant's series: of each truck its readings, its diagnostics."""
        return [
            f"{measurement}|name={entrant}_truck_{truck},{tags}|{field}"
            for truck, tags in enumerate(self._tags)
            for measurement, fields in (("readings", READINGS), ("diagnostics", DIAGNOSTICS))
            for field in fields
        ]

    def timestamps(self, lap: int) -> data.Array:
        """Return the times of a lap."""
        return FIRST + np.arange(lap * self.times, (lap + 1) * self.times, dtype=np.int64) * STEP

    def by_series(self, entrant: str, lap: int, series: int) -> list[memoryview]:
        """Return packages with all of a lap of so many series each, in order."""
        names = self.names(entrant)
        codes, stamps, values = self.flat(lap, 0, self.rows)
        order = np.argsort(codes, kind="stable")
        stamps, values = stamps[order], values[order]
        bounds = np.searchsorted(codes[order], np.arange(self.series + 1))
        columns = [
            (stamps[a:b], values[a:b].astype(np.int64) if code % FIELDS == STATUS else values[a:b])
            for code, (a, b) in enumerate(pairwise(bounds.tolist()))
        ]
        pairs = [pair for pair in zip(names, columns, strict=True) if len(pair[1][0])]
        return [
            memoryview(encode_insert(dict(pairs[first : first + series])))
            for first in range(0, len(pairs), series)
        ]

    def by_rows(self, entrant: str, lap: int, rows: int, batches: int) -> list[memoryview]:
        """Return packages with so many rows each, as `tsbs.Shape` says; late points stay late."""
        names, bounds = self.names(entrant), range(0, (batches + 1) * rows, rows)
        return [self._batch(names, lap, start, stop) for start, stop in pairwise(bounds)]

    def points_of(self, rows: int) -> int:
        """Return how many points are in the first rows of a lap."""
        return int(np.count_nonzero(~np.isnan(self.values[:rows])))

    def flat(self, lap: int, start: int, stop: int) -> tuple[data.Array, data.Array, data.Array]:
        """Return series, timestamps and values of all points of some rows, as they come."""
        part = slice(start, stop)
        values = self.values[part]
        row, field = np.nonzero(~np.isnan(values))
        first = np.where(self.is_readings[part], 0, len(READINGS))[row]
        codes = self.truck[part][row] * FIELDS + first + field
        return codes, self.timestamps(lap)[self.time[part][row]], values[row, field]

    def _batch(self, names: list[str], lap: int, start: int, stop: int) -> memoryview:
        codes, stamps, values = self.flat(lap, start, stop)
        order = np.argsort(codes, kind="stable")
        codes = codes[order]
        points = unsorted.records(stamps[order], values[order], codes % FIELDS == STATUS)
        first = np.flatnonzero(np.diff(codes, prepend=-1))
        parts = np.split(points, first[1:])
        return unsorted.package(zip((names[i] for i in codes[first]), parts, strict=True))

    def _rows(self, random: np.random.Generator) -> data.Array:
        shape = self.times, self.hosts
        values = np.full((len(self.time), len(READINGS)), np.nan)
        for i, (digits, most) in enumerate(zip(READINGS_DIGITS, READINGS_STEPS, strict=True)):
            starts = random.uniform(*READINGS_STARTS[i], self.hosts)
            walks = bounded_walks(starts, random.uniform(-most, most, shape), *READINGS_BOUNDS[i])
            values[:, i] = _cut(walks, digits)[self.time, self.truck]
        readings = self.is_readings
        values[~readings, len(DIAGNOSTICS) :] = np.nan
        for i, field in enumerate(
            (_fuel(shape, random), _load(shape, random), _status(shape, random))
        ):
            values[~readings, i] = field[self.time[~readings], self.truck[~readings]]
        return values


def arrivals(entries: int, random: np.random.Generator) -> data.Array:
    """Return which of the entries arrive, in the order they do."""
    arrived: list[int] = []
    late_batches: deque[list[int]] = deque()
    late: deque[int] = deque()
    entry = 0
    while entry < entries:
        missing, is_late, inserts = random.random(3) < (MISSING_BATCH, LATE_BATCH, INSERT_BATCH)
        if missing:
            entry += BATCH
        elif late_batches and inserts:
            arrived += late_batches.popleft()
        else:
            entry, batch = _batch(entry, entries, late, random)
            late_batches.append(batch) if is_late else arrived.extend(batch)
    for batch in late_batches:
        arrived += batch
    return np.array([*arrived, *late])


def _batch(
    entry: int, entries: int, late: deque[int], random: np.random.Generator
) -> tuple[int, list[int]]:
    # Ten entries have a fate; those that come in place of missing and late ones just arrive.
    batch: list[int] = []
    waiting = len(late)
    fates = (random.random((BATCH, 3)) < (INSERT, MISSING, LATE)).tolist()
    while len(batch) < BATCH and entry < entries:
        inserts, is_missing, is_late = fates.pop() if fates else (False, False, False)
        if inserts and waiting:
            waiting -= 1
            one = late.popleft()
        else:
            one = entry
            entry += 1
        if is_missing:
            continue
        (late if is_late else batch).append(one)
    return entry, batch


def _clear(values: data.Array, is_readings: data.Array, random: np.random.Generator) -> None:
    rows = np.flatnonzero(random.random(len(values)) < CLEARED)
    fields = np.where(is_readings[rows], len(READINGS), len(DIAGNOSTICS))
    values[rows, random.integers(0, len(READINGS), len(rows)) % fields] = np.nan


def _cut(values: data.Array, digits: int) -> data.Array:
    cut: data.Array = np.trunc(values * 10.0**digits) / 10.0**digits
    return cut


def _fuel(shape: tuple[int, int], random: np.random.Generator) -> data.Array:
    # Down from 1 by at most 0.001 at a time; an empty tank is filled.
    return _cut(1.0 - np.cumsum(random.uniform(0.0, 0.001, shape), axis=0) % 1.0, 1)


def _load(shape: tuple[int, int], random: np.random.Generator) -> data.Array:
    # Another one now and then, none at first.
    changes = random.random(shape) < LOAD_CHANGES
    loads = np.where(changes, random.uniform(0.0, LOAD, shape), 0.0)
    last = np.maximum.accumulate(np.where(changes, np.arange(shape[0])[:, None], 0), axis=0)
    return _cut(np.take_along_axis(loads, last, axis=0), 0)


def _status(shape: tuple[int, int], random: np.random.Generator) -> data.Array:
    return _cut(bounded_walks(np.zeros(shape[1]), random.standard_normal(shape), 0.0, 5.0), 0)


def _truck_tags(trucks: int, random: np.random.Generator) -> list[str]:
    columns = [choices(of, trucks, random) for of in (FLEETS, DRIVERS, list(MODELS), VERSIONS)]
    return [
        f"fleet={fleet},driver={driver},model={model},device_version={version},"
        "load_capacity={},fuel_capacity={},nominal_fuel_consumption={}".format(*MODELS[model])
        for fleet, driver, model, version in zip(*columns, strict=True)
    ]
