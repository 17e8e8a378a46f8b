"""What the database holds after a soak, against what it should: by arithmetic, outside the client.

The n-th point of a series has the timestamp n and the value `value_of(n)`. Nothing that is lost,
there twice or changed is explained away: the soaks write only what a killed server does not double
by itself (`BURSTS` in `soak`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, overload

import numpy as np

from siridb_fast import SiriDBClient

__all__ = ["Found", "NumpyArray", "Times", "compare", "value_of"]

NumpyArray = np.ndarray[Any, np.dtype[Any]]
Times = dict[str, NumpyArray]


@dataclass(frozen=True, slots=True)
class Found:
    """How many points are lost, there twice, or changed, of how many that were looked for.

    ``lost_times`` and ``doubled_times`` have their timestamps, by series.
    """

    wanted: int
    lost: int
    doubled: int
    changed: int
    lost_times: Times = field(default_factory=dict)
    doubled_times: Times = field(default_factory=dict)

    @property
    def is_exact(self) -> bool:
        """Tell whether every point is there once, as it was written; without any, nobody knows."""
        return self.wanted > 0 and not (self.lost or self.doubled or self.changed)

    def __str__(self) -> str:
        return f"{self.lost:,} points lost, {self.doubled:,} doubled, {self.changed:,} changed"


class HasUrl(Protocol):
    """What is needed of a server or a cluster."""

    def url(self) -> str:
        """Return the URL of the database ``dbtest``."""


@overload
def value_of(n: int) -> float: ...
@overload
def value_of(n: NumpyArray) -> NumpyArray: ...
def value_of(n: int | NumpyArray) -> float | NumpyArray:
    """Return the value of the n-th point of a series."""
    return n * 0.5


async def compare(server: HasUrl, accepted: Times) -> Found:
    """Read every series.

    Args:
        server: Has them.
        accepted: The timestamps that the client said it delivered, by series; others may be there
            too, once, and are neither lost nor changed.
    """
    changed = doubled = 0
    lost_times, doubled_times = {}, {}
    async with SiriDBClient.from_url(server.url()) as client:
        for name, wanted in accepted.items():
            text = f'select * from "{name}"'  # noqa: S608 - our own names
            found = await client.query_arrays(text, all_points=True)
            nothing: tuple[NumpyArray, NumpyArray] = np.empty(0, np.int64), np.empty(0)
            times, values = found.get(name, nothing)
            unique, counts = np.unique(times, return_counts=True)
            missing = np.setdiff1d(wanted, unique)
            if len(missing):
                lost_times[name] = missing
            if len(unique) < len(times):
                doubled_times[name] = unique[counts > 1]
                doubled += len(times) - len(unique)
            changed += int((values != value_of(times)).sum())
    lost = sum(map(len, lost_times.values()))
    wanted_points = sum(map(len, accepted.values()))
    return Found(wanted_points, lost, doubled, changed, lost_times, doubled_times)
