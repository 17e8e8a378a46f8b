"""The shape of TSBS `cpu-only`: hosts with ten metrics each, every ten seconds, as integers.

As its SiriDB loader names series, all tags are in the name: about 150 bytes, more than a point.
Values are clamped random walks from 0 to 100. A row is one host at one time; rows come in the
order of time.
"""

from __future__ import annotations

import numpy as np

from benchmarks import data
from siridb_fast import encode_insert

__all__ = ["METRICS", "STEP", "Tsbs"]

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
TAGS = (
    "region=eu-central-1,datacenter=eu-central-1a,rack=6,os=Ubuntu15.10,arch=x86,team=SF,"
    "service=19,service_version=1,service_environment=test"
)


class Tsbs:
    """So many hosts, so many rows of each in a lap.

    Attributes:
        values: Shape (times, hosts * metrics), int64, a host's metrics side by side.
    """

    def __init__(self, hosts: int, times: int) -> None:
        self.hosts, self.times = hosts, times
        self.series = hosts * len(METRICS)
        self.points = times * self.series
        self.values = _walks(times, self.series)

    def names(self, entrant: str) -> list[str]:
        """Return the names of an entrant's series, a host's side by side."""
        return [
            f"cpu|hostname={entrant}_host_{host},{TAGS}|{metric}"
            for host in range(self.hosts)
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

    def by_rows(self, entrant: str, lap: int, rows: int, times: int) -> list[memoryview]:
        """Return packages with so many rows each, as they come, of the first times of a lap.

        That is what the loader sends: rows of one package are put together by series, so a host
        gives each of its series a point for every time that is in it.
        """
        names, stamps = self.names(entrant), self.timestamps(lap)
        step = rows // self.hosts
        return [
            _package(names, stamps[i : i + step], self.values[i : i + step].T)
            for i in range(0, times, step)
        ]


def _package(names: list[str], stamps: data.Array, columns: data.Array) -> memoryview:
    points = {name: (stamps, column) for name, column in zip(names, columns, strict=True)}
    return memoryview(encode_insert(points))


def _walks(times: int, series: int) -> data.Array:
    random = np.random.default_rng(SEED)
    steps = random.normal(0.0, 1.0, (times, series))
    steps[0] = random.uniform(0.0, 100.0, series)
    walks = np.empty_like(steps)
    now = np.zeros(series)
    for i, step in enumerate(steps):
        now = np.clip(now + step, 0.0, 100.0)
        walks[i] = now
    return walks.astype(np.int64)
