"""The shapes of TSBS, the Time Series Benchmark Suite: `cpu-only` here, `iot` in `tsbs_iot.py`.

Made anew from what its generators do (Timescale's tsbs on GitHub, pkg/data/usecases), seeded. A
row is all fields of one host at one time; rows come in the order of time. As its SiriDB loader
names series (pkg/targets/siridb/serializer.go), all tags are in the name: about 150 bytes, more
than a point.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol

import numpy as np

from benchmarks.data import data
from siridb_fast import encode_insert

__all__ = ["FIRST", "METRICS", "STEP", "CpuOnly", "Shape", "bounded_walks", "choices"]

STEP = 10_000_000_000  # nanoseconds
FIRST = 1_451_606_400_000_000_000  # 2016-01-01
SEED = 20_160_101
METRICS = tuple(
    f"usage_{name}"
    for name in (
        "user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest",
        "guest_nice",
    )
)  # fmt: skip

# devops/host.go; a datacenter is its region and a letter.
DATACENTERS = [
    region + letter
    for region, letters in {
        "us-east-1": "abce", "us-west-1": "ab", "us-west-2": "abc", "eu-west-1": "abc",
        "eu-central-1": "ab", "ap-southeast-1": "ab", "ap-southeast-2": "ab",
        "ap-northeast-1": "ac", "sa-east-1": "abc",
    }.items()
    for letter in letters
]  # fmt: skip
TAGS = {
    "rack": [str(i) for i in range(100)],
    "os": ["Ubuntu16.10", "Ubuntu16.04LTS", "Ubuntu15.10"],
    "arch": ["x64", "x86"],
    "team": ["SF", "NYC", "LON", "CHI"],
    "service": [str(i) for i in range(20)],
    "service_version": ["0", "1"],
    "service_environment": ["production", "staging", "test"],
}


class Shape(Protocol):
    """Hosts and what they measure: so many rows in a lap, whose values are those of every lap."""

    hosts: int
    rows: int
    points: int

    def names(self, entrant: str) -> list[str]:
        """Return the names of an entrant's series, a host's side by side."""
        ...

    def by_series(self, entrant: str, lap: int, series: int) -> list[memoryview]:
        """Return packages with all of a lap of so many series each."""
        ...

    def by_rows(self, entrant: str, lap: int, rows: int, batches: int) -> list[memoryview]:
        """Return packages with so many rows each, as they come, of the first rows of a lap.

        That is what the loader sends (cmd/tsbs_load_siridb): rows of one package are put together
        by series, so a host gives each of its series a point for every row of its that is in it.
        """
        ...

    def points_of(self, rows: int) -> int:
        """Return how many points are in the first rows of a lap."""
        ...


class CpuOnly:
    """So many hosts with ten metrics each, clamped random walks from 0 to 100, cut to integers.

    Attributes:
        values: Shape (times, hosts * metrics), int64, a host's metrics side by side.
    """

    def __init__(self, hosts: int, times: int) -> None:
        self.hosts, self.times = hosts, times
        self.rows = hosts * times
        self.series = hosts * len(METRICS)
        self.points = times * self.series
        random = np.random.default_rng(SEED)
        self._tags = _host_tags(hosts, random)
        starts = random.uniform(0.0, 100.0, self.series)
        steps = random.standard_normal((times, self.series), np.float32)
        self.values = bounded_walks(starts, steps, 0.0, 100.0).astype(np.int64)

    def names(self, entrant: str) -> list[str]:
        """Return the names of an entrant's series, a host's side by side."""
        return [
            f"cpu|hostname={entrant}_host_{host},{tags}|{metric}"
            for host, tags in enumerate(self._tags)
            for metric in METRICS
        ]

    def timestamps(self, lap: int) -> data.Array:
        """Return the times of a lap."""
        return FIRST + np.arange(lap * self.times, (lap + 1) * self.times, dtype=np.int64) * STEP

    def by_series(self, entrant: str, lap: int, series: int) -> list[memoryview]:
        """Return packages with all of a lap of so many series each."""
        names, stamps = self.names(entrant), self.timestamps(lap)
        columns = np.ascontiguousarray(self.values.T)
        return [
            _package(names[first : first + series], stamps, columns[first : first + series])
            for first in range(0, self.series, series)
        ]

    def by_rows(self, entrant: str, lap: int, rows: int, batches: int) -> list[memoryview]:
        """Return packages with so many rows each, as `Shape` says."""
        names, stamps = self.names(entrant), self.timestamps(lap)
        bounds = range(0, (batches + 1) * rows, rows)
        return [self._batch(names, stamps, start, stop) for start, stop in pairwise(bounds)]

    def lines(self, lap: int = 0) -> bytes:
        """Return a lap as line protocol, a line for each host at each time."""
        heads = [f"cpu,hostname=host_{host},{tags} " for host, tags in enumerate(self._tags)]
        made = []
        for at, row in zip(self.timestamps(lap).tolist(), self.values.tolist(), strict=True):
            for host, head in enumerate(heads):
                values = row[host * len(METRICS) : (host + 1) * len(METRICS)]
                fields = zip(METRICS, values, strict=True)
                made.append(f"{head}{','.join(f'{name}={v}i' for name, v in fields)} {at}\n")
        return "".join(made).encode()

    def points_of(self, rows: int) -> int:
        """Return how many points are in the first rows of a lap."""
        return rows * len(METRICS)

    def _batch(self, names: list[str], stamps: data.Array, start: int, stop: int) -> memoryview:
        points = {}
        for host in range(self.hosts):
            times = slice(-((host - start) // self.hosts), -((host - stop) // self.hosts))
            if times.start < times.stop:
                for series in range(host * len(METRICS), (host + 1) * len(METRICS)):
                    points[names[series]] = stamps[times], self.values[times, series]
        return memoryview(encode_insert(points))


def bounded_walks(starts: data.Array, steps: data.Array, low: float, high: float) -> data.Array:
    """Return random walks that stay within bounds; shape (times, walks), as ``steps``."""
    walks = np.empty(steps.shape)
    now = starts
    for i, step in enumerate(steps):
        now = np.clip(now + step, low, high) if i else now
        walks[i] = now
    return walks


def choices(options: list[str], count: int, random: np.random.Generator) -> list[str]:
    """Return so many of the options, at random."""
    return [options[index] for index in random.integers(0, len(options), count)]


def _package(names: list[str], stamps: data.Array, columns: data.Array) -> memoryview:
    points = {name: (stamps, column) for name, column in zip(names, columns, strict=True)}
    return memoryview(encode_insert(points))


def _host_tags(hosts: int, random: np.random.Generator) -> list[str]:
    datacenters = choices(DATACENTERS, hosts, random)
    columns = [[f"{tag}={one}" for one in choices(of, hosts, random)] for tag, of in TAGS.items()]
    return [
        f"region={datacenter[:-1]},datacenter={datacenter},{','.join(tags)}"
        for datacenter, *tags in zip(datacenters, *columns, strict=True)
    ]
