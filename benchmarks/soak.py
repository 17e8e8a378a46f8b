"""A writer against a server that is killed and frozen again and again: is every point there once?

Four threads write, a fault comes about every ``--every`` seconds, and at the end every point of
every series is read and compared with what was written, by arithmetic: the n-th point of a series
has the timestamp n and a value that follows from n. Run it with ``make soak``.

One thing no client can prevent: when the points of a full buffer have gone to their shard and the
server is killed before the buffer's slot is emptied on disk, it has them twice afterwards
(``test_safety.py`` shows it). That is one series for each kill at most, and fewer points than its
buffer holds; the verdict tells them apart.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from siridb_fast import BatchWriter, Report, SiriDBClient, run
from siridb_fast.testing import SiriDBServer

THREADS = 4
SERIES_OF_A_THREAD = 25
FROZEN = 1.0  # seconds
BUFFER_POINTS = 64  # of a series, in a database with buffers of 1,024 bytes
NumpyArray = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the points of a run."""

    written: int
    lost: int
    doubled: int  # by us
    by_server: int  # doubled, by the server's own recovery
    changed: int
    kills: int
    freezes: int
    retries: int
    report: Report

    @property
    def is_exact(self) -> bool:
        """Tell whether every point is there once, as it was written."""
        return not (self.lost or self.doubled or self.changed) and self.report.is_complete

    def __str__(self) -> str:
        return (
            f"{self.written:,} points written, {self.kills} kills, {self.freezes} freezes, "
            f"{self.retries} packages sent again: {self.lost} points lost, "
            f"{self.doubled} doubled, {self.by_server} doubled by the server, "
            f"{self.changed} changed"
        )


class Thread(threading.Thread):
    """Writes points to series of its own, one at a time, until it is told to stop."""

    def __init__(self, writer: BatchWriter, number: int, stop: threading.Event) -> None:
        super().__init__(name=f"soak-{number}")
        self._writer = writer
        self._stop_event = stop
        self._random = random.Random(number)
        self.counts = {f"soak-{number}-{i}": 0 for i in range(SERIES_OF_A_THREAD)}
        self._number = number

    def run(self) -> None:
        """Write bursts, of an old series mostly and of a young one now and then."""
        while not self._stop_event.is_set():
            name = self._random.choice(list(self.counts)[-SERIES_OF_A_THREAD:])
            if self._random.random() < 0.02:
                name = f"soak-{self._number}-{len(self.counts)}"
            first = self.counts.get(name, 0)
            burst = self._random.choice([1, 10, 2000])
            for n in range(first, first + burst):
                self._writer.write(name, n, value_of(n))
            self.counts[name] = first + burst
            time.sleep(0.002)


def value_of(n: int) -> float:
    """Return the value of the n-th point of a series."""
    return n * 0.5


async def soak(seconds: float, *, every: float, seed: int, **options: Any) -> Verdict:
    """Write under faults for so long; return what the database holds in the end."""
    chance = random.Random(seed)
    kills = freezes = 0
    with SiriDBServer() as server:
        server.create_database()
        stop = threading.Event()
        async with BatchWriter(server.url(), **options) as writer:
            threads = [Thread(writer, number, stop) for number in range(THREADS)]
            for thread in threads:
                thread.start()
            try:
                end = time.monotonic() + seconds
                while time.monotonic() < end:
                    await asyncio.sleep(every * chance.uniform(0.5, 1.5))
                    if chance.random() < 0.7:
                        kills += 1
                        server.kill()
                        await asyncio.sleep(chance.choice([0, 0.5]))
                        await asyncio.to_thread(server.start)
                    else:
                        freezes += 1
                        server.pause()
                        await asyncio.sleep(FROZEN)
                        server.resume()
            finally:
                stop.set()
                for thread in threads:
                    await asyncio.to_thread(thread.join)
            report = await writer.flush(timeout=120)
            retries = writer.stats().retries
        counts = {name: n for thread in threads for name, n in thread.counts.items() if n}
        lost, doubled, changed = await compare(server, counts)
    # The most that the server may have doubled itself: a buffer of one series for each kill.
    by_server = sum(sorted(n for n in doubled if n < BUFFER_POINTS)[-kills:]) if kills else 0
    return Verdict(
        sum(counts.values()),
        lost,
        sum(doubled) - by_server,
        by_server,
        changed,
        kills,
        freezes,
        retries,
        report,
    )


async def compare(server: SiriDBServer, counts: dict[str, int]) -> tuple[int, list[int], int]:
    """Read every series; return how many points are lost, doubled by series, and changed."""
    lost = changed = 0
    doubled = []
    async with SiriDBClient.from_url(server.url()) as client:
        for name, count in counts.items():
            text = f'select * from "{name}"'  # noqa: S608 - our own names
            found = await client.query_arrays(text, all_points=True)
            nothing: tuple[NumpyArray, NumpyArray] = np.empty(0, np.int64), np.empty(0)
            times, values = found.get(name, nothing)
            unique = np.unique(times)
            if len(times) > len(unique):
                doubled.append(len(times) - len(unique))
            lost += count - len(np.intersect1d(unique, np.arange(count)))
            changed += int((values != times * 0.5).sum()) + int((unique >= count).sum())
    return lost, doubled, changed


def main() -> None:
    """Soak for as long as the command line says; fail unless every point is there once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--every", type=float, default=5.0, help="seconds between faults")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    verdict = run(
        soak(
            arguments.seconds,
            every=arguments.every,
            seed=arguments.seed,
            durability="safe",
            linger=0.2,
        )
    )
    print(verdict)
    raise SystemExit(0 if verdict.is_exact else 1)


if __name__ == "__main__":
    main()
