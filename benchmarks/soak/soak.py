"""A writer against a server that fails in every way again and again: is every point there once?

Four threads write, a fault comes about every ``--every`` seconds: SIGKILL and restart, SIGSTOP,
and, from a proxy in front of the server, cuts in the middle of packages and answers, resets, black
holes, stalls and refusals. At the end every point of every series is read and compared. The same
can be done to the reference driver. ``make soak`` runs it (`benchmarks/soak/__main__.py`).
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from siridb.connector import SiriDBClient as ReferenceClient

from benchmarks.soak.oracle import Found, NumpyArray, compare, value_of
from siridb_fast import BatchWriter, Report
from siridb_fast.protocol.pools import name_in_pool
from siridb_fast.testing import FaultProxy, SiriDBServer

__all__ = [
    "BURSTS",
    "KEEPALIVE",
    "Source",
    "accepted_by",
    "empty",
    "soak",
    "soak_reference",
    "writing",
]

THREADS = 4
SERIES_OF_A_THREAD = 25
PACE = 0.05  # seconds between the bursts of a thread: 100 million points in half an hour
LASTING = 1.0  # seconds, of what is healed
ON_SERVER = ("kill", "freeze")
IN_BETWEEN = ("cut", "reset", "black_hole", "stall", "refuse", "throttle")
DRAIN_TIMEOUT = 180.0
KEEPALIVE = "keepalive_interval=1&max_wait_retry=2"


@dataclass(frozen=True, slots=True)
class Bursts:
    """How many points come at once, and how large the database's buffers of a series are."""

    sizes: list[int]
    buffer_size: int


# A server that is killed when it has just emptied a buffer has its points twice, of itself, where
# buffers are smaller than a block of stdio (test_durability.py). So either they are not, or
# nothing is short enough to be buffered: all that is there twice is ours.
BURSTS = {"mixed": Bursts([1, 10, 2000], 8192), "long": Bursts([100, 500, 2000], 1024)}


@dataclass(slots=True)
class Verdict:
    """What became of the points of a run."""

    found: Found
    faults: dict[str, int]
    retries: int | None = None  # packages sent again, where that is known
    report: Report | None = None

    @property
    def is_exact(self) -> bool:
        """Tell whether every point is there once, as it was written."""
        is_complete = self.report is None or self.report.is_complete
        return is_complete and self.found.is_exact

    def __str__(self) -> str:
        faults = ", ".join(f"{count} × {kind}" for kind, count in sorted(self.faults.items()))
        again = "" if self.retries is None else f"{self.retries} packages sent again; "
        return f"{self.found.wanted:,} points accepted; {faults}; {again}{self.found}"


@dataclass(slots=True)
class Source:
    """Bursts of points for series of its own, of an old one mostly and of a young one at times."""

    number: int
    bursts: list[int]
    pool: int | None = None  # of two, that all series are of
    counts: dict[str, int] = field(default_factory=dict)
    chance: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self.chance.seed(self.number)
        for i in range(SERIES_OF_A_THREAD):
            self.counts[self._name(i)] = 0

    def next(self) -> tuple[str, range]:
        """Return a series and the timestamps of its next points."""
        name = self.chance.choice(list(self.counts)[-SERIES_OF_A_THREAD:])
        if self.chance.random() < 0.02:
            name = self._name(len(self.counts))
        first = self.counts.get(name, 0)
        self.counts[name] = first + self.chance.choice(self.bursts)
        return name, range(first, self.counts[name])

    def _name(self, i: int) -> str:
        name = f"soak-{self.number}-{i}"
        return name if self.pool is None else name_in_pool(name, self.pool, 2)


def write_on(writer: BatchWriter, source: Source, stop: threading.Event, pace: float) -> None:
    """Write bursts until `stop` is set."""
    while not stop.is_set():
        name, numbers = source.next()
        for n in numbers:
            writer.write(name, n, value_of(n))
        time.sleep(pace)


@asynccontextmanager
async def writing(pairs: list[tuple[BatchWriter, Source]], pace: float) -> AsyncIterator[None]:
    """Write from each source to its writer, in a thread each, until the block is left."""
    stop = threading.Event()
    threads = [threading.Thread(target=write_on, args=(*pair, stop, pace)) for pair in pairs]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            await asyncio.to_thread(thread.join)


def accepted_by(sources: list[Source]) -> dict[str, NumpyArray]:
    """Return the timestamps of all points that sources gave, by series."""
    return {
        name: np.arange(count)
        for source in sources
        for name, count in source.counts.items()
        if count
    }


async def torment(
    server: SiriDBServer, proxy: FaultProxy, seconds: float, every: float, seed: int
) -> dict[str, int]:
    """Do one fault after another; return how many there were of each kind."""
    chance = random.Random(seed)
    faults: dict[str, int] = {}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await asyncio.sleep(every * chance.uniform(0.5, 1.5))
        kind: Any = chance.choice([*ON_SERVER * 2, *IN_BETWEEN])
        faults[kind] = faults.get(kind, 0) + 1
        if kind == "kill":
            server.kill()
            await asyncio.sleep(chance.choice([0, 0.5]))
            await asyncio.to_thread(server.start)
        elif kind == "freeze":
            server.pause()
            await asyncio.sleep(LASTING)
            server.resume()
        else:
            await asyncio.to_thread(proxy.strike, kind, LASTING)
            await asyncio.sleep(LASTING)
            await asyncio.to_thread(proxy.heal)
    return faults


async def empty(writer: BatchWriter) -> None:
    """Wait until a writer has delivered everything, in memory or on disk; not for ever."""
    end = time.monotonic() + DRAIN_TIMEOUT
    while time.monotonic() < end:
        stats = writer.stats()
        if not (stats.buffered or stats.in_flight or stats.spooled):
            return
        await asyncio.sleep(0.1)


async def soak(
    seconds: float,
    *,
    every: float,
    seed: int,
    bursts: str = "mixed",
    pace: float = PACE,
    threads: int = THREADS,
    **options: Any,
) -> Verdict:
    """Write under faults for so long; return what the database holds in the end."""
    with (
        SiriDBServer() as server,
        FaultProxy(server.host, server.port, seed=seed) as proxy,
    ):
        server.create_database(buffer_size=BURSTS[bursts].buffer_size)
        sources = [Source(number, BURSTS[bursts].sizes) for number in range(threads)]
        url = f"siridb://iris:siri@{proxy.host}:{proxy.port}/dbtest?{KEEPALIVE}"
        async with BatchWriter(url, **options) as writer:
            async with writing([(writer, source) for source in sources], pace):
                faults = await torment(server, proxy, seconds, every, seed)
            await empty(writer)
            report = await writer.close(DRAIN_TIMEOUT)
        retries = writer.stats().retries
        accepted = accepted_by(sources)
        found = await compare(server, accepted)
    return Verdict(found, faults, retries, report)


async def soak_reference(seconds: float, *, every: float, seed: int, bursts: str) -> Verdict:
    """Do the same to the reference driver, with what it does about errors by itself.

    A burst whose insert raises an error is not accepted; the next one has other points.
    """
    accepted: dict[str, list[NumpyArray]] = {}

    async def insert_on(client: Any, source: Source, is_over: Callable[[], bool]) -> None:
        while not is_over():
            name, numbers = source.next()
            try:
                await client.insert({name: [[n, value_of(n)] for n in numbers]})
            except Exception as exc:  # noqa: BLE001 - it raises all kinds
                print(f"reference driver: {exc!r}")
            else:
                accepted.setdefault(name, []).append(np.array(numbers))
            await asyncio.sleep(PACE)

    with (
        SiriDBServer() as server,
        FaultProxy(server.host, server.port, seed=seed) as proxy,
    ):
        server.create_database(buffer_size=BURSTS[bursts].buffer_size)
        stop = threading.Event()
        client = ReferenceClient("iris", "siri", "dbtest", [(proxy.host, proxy.port)])
        await client.connect()
        tasks = [
            asyncio.create_task(insert_on(client, Source(n, BURSTS[bursts].sizes), stop.is_set))
            for n in range(THREADS)
        ]
        faults = await torment(server, proxy, seconds, every, seed)
        stop.set()
        await asyncio.wait(tasks, timeout=DRAIN_TIMEOUT)
        for task in tasks:
            task.cancel()
        client.close()
        inserted = {name: np.concatenate(parts) for name, parts in accepted.items()}
        found = await compare(server, inserted)
    return Verdict(found, faults)
