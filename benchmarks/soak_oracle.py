"""What the database holds after a soak, against what it should: by arithmetic, outside the client.

The n-th point of a series has the timestamp n and the value `value_of(n)`. Points that are there
twice are ours, but for those that bear the mark of the server: when the points of a full buffer
have gone to their shard and the process is killed before the buffer's slot is emptied on disk, it
has them twice afterwards (``test_safety.py``). That is one series for each kill at most, and fewer
points than its buffer holds, one after the other. If all of them had been sent again after an
earlier fault it could be either of us, so these are counted apart. Bursts that are longer than a
buffer leave the server nothing to double.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from siridb_fast import SiriDBClient, decode_points
from siridb_fast.dispatch import Dispatcher

__all__ = ["BUFFER_POINTS", "Found", "Resent", "compare", "resent_points", "value_of"]

BUFFER_POINTS = 64  # of a series, in a database with buffers of 1,024 bytes
NumpyArray = np.ndarray[Any, np.dtype[Any]]
Times = dict[str, NumpyArray]
Resent = dict[str, list[NumpyArray]]


@dataclass(frozen=True, slots=True)
class Found:
    """Points that are lost, there twice, or changed.

    See above for those doubled ``by_server``; ``unclear`` are those of them that had been sent
    again before.
    ``lost_times`` and ``doubled_times`` have their timestamps, by series, whoever did it.
    """

    lost: int
    doubled: int
    by_server: int
    unclear: int
    changed: int
    lost_times: Times = field(default_factory=dict)
    doubled_times: Times = field(default_factory=dict)


class HasUrl(Protocol):
    """What is needed of a server or a cluster."""

    def url(self) -> str:
        """Return the URL of the database ``dbtest``."""


def value_of(n: int) -> float:
    """Return the value of the n-th point of a series."""
    return n * 0.5


@contextmanager
def resent_points() -> Iterator[Resent]:
    """Note the timestamps of all points that writers send again, by series."""
    resent: Resent = defaultdict(list)
    send = Dispatcher._send  # noqa: SLF001

    def noting(self: Dispatcher, package: Any, connection: Any) -> bool:
        if package.error is not None:  # also of packages from disk, if they had been sent before
            for name, (times, _) in decode_points(package.batch.buffer).items():
                resent[name].append(times)
        return send(self, package, connection)

    Dispatcher._send = noting  # type: ignore[method-assign]  # noqa: SLF001
    try:
        yield resent
    finally:
        Dispatcher._send = send  # type: ignore[method-assign]  # noqa: SLF001


async def compare(server: HasUrl, accepted: Times, resent: Resent, *, kills: int) -> Found:
    """Read every series.

    Args:
        server: Has them.
        accepted: The timestamps that the client said it delivered, by series; others may be there
            too, once, and are neither lost nor changed.
        resent: Those that were sent more than once.
        kills: Of the server.
    """
    lost = changed = ours = 0
    by_server: list[tuple[int, bool]] = []
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
                lost += len(missing)
            changed += int((values != times * 0.5).sum())
            twice = unique[counts > 1]
            extra = int((counts - 1).sum())
            if extra:
                doubled_times[name] = twice
            again = np.isin(twice, np.concatenate([nothing[0], *resent.get(name, [])]))
            if extra and _is_of_one_buffer(twice, extra):
                by_server.append((extra, bool(again.all())))
            else:
                ours += extra
    by_server.sort()
    ours += sum(extra for extra, _ in by_server[kills:])
    explained = sum(extra for extra, _ in by_server[:kills])
    unclear = sum(extra for extra, was_again in by_server[:kills] if was_again)
    return Found(lost, ours, explained, unclear, changed, lost_times, doubled_times)


def _is_of_one_buffer(times: NumpyArray, extra: int) -> bool:
    return extra == len(times) < BUFFER_POINTS and bool((np.diff(times) == 1).all())
