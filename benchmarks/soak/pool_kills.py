"""A cluster of two pools, one of which is killed again and again while both are written to.

Two ways: packages with points of both pools to both servers, and each point to the server of its
own pool. What is lost or there twice at the end is traced to the answer that its package got.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.soak.oracle import Found, NumpyArray, Times, compare
from benchmarks.soak.soak import BURSTS, KEEPALIVE, Source, accepted_by, empty, writing
from siridb_fast import BatchWriter, Report, decode_points
from siridb_fast.delivery.dispatcher import Dispatcher
from siridb_fast.protocol.pools import pool_of
from siridb_fast.testing import SiriDBCluster, SiriDBServer

__all__ = ["write_through"]

VICTIM = 1  # the pool whose server is killed
KILL_INTERVAL = 4.0  # seconds from when the cluster is whole until the next kill, on average
DOWN = 0.5  # seconds
PACE = 0.02
DELIVERY_TIMEOUT = 20.0  # an insert on its way to a pool that is killed hangs for 300


@dataclass(slots=True)
class Trace:
    """Which packages got which answer, when, from which pool's server."""

    entries: list[tuple[float, int, str, Times]] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)

    def of(self, name: str, times: NumpyArray) -> Counter[str]:
        """Return how many of these points are in packages with which history."""
        found: Counter[str] = Counter()
        stories: dict[int, list[str]] = {int(n): [] for n in times}
        for at, pool, outcome, points in self.entries:
            for n in np.intersect1d(points.get(name, np.empty(0, np.int64)), times).tolist():
                way = "its own" if pool == pool_of(name, 2) else "the other"
                stories[n].append(f"{outcome} by {way} pool's server {self._when(at)}")
        for story in stories.values():
            found[", then ".join(story) or "never answered"] += 1
        return found

    def _when(self, at: float) -> str:
        # In seconds before or after the nearest kill.
        nearest = min(self.kills, key=lambda kill: abs(kill - at))
        return f"{round(at - nearest, 1):+} s from a kill"


@contextmanager
def traced(cluster: SiriDBCluster) -> Iterator[Trace]:
    """Note the answers to all packages."""
    trace = Trace()
    pools = {f"{servers[0].host}:{servers[0].port}": n for n, servers in enumerate(cluster.pools)}
    on_response = Dispatcher.on_response

    def noting(self: Dispatcher, package: Any, connection: Any, error: Any) -> None:
        outcome = "acknowledged" if error is None else type(error).__name__
        times = {name: pair[0] for name, pair in decode_points(package.batch.buffer).items()}
        trace.entries.append((time.monotonic(), pools[connection.name], outcome, times))
        on_response(self, package, connection, error)

    Dispatcher.on_response = noting  # type: ignore[method-assign]
    try:
        yield trace
    finally:
        Dispatcher.on_response = on_response  # type: ignore[method-assign]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the points of one run."""

    way: str
    kills: int
    found: Found
    report: list[Report]
    why: list[str]

    @property
    def is_exact(self) -> bool:
        """Tell whether every point is there once, as it was written and reported."""
        return self.found.is_exact and all(report.is_complete for report in self.report)

    def __str__(self) -> str:
        head = (
            f"{self.way}: {self.kills} kills, {self.found.wanted:,} points accepted; {self.found}"
        )
        incomplete = [str(report) for report in self.report if not report.is_complete]
        return "\n  ".join([head, *self.why, *incomplete])


async def kill_pool(cluster: SiriDBCluster, kills: int, seed: int, trace: Trace) -> None:
    """Kill the server of one pool so many times; let the cluster become whole in between."""
    victim: SiriDBServer = cluster.pools[VICTIM][0]
    chance = random.Random(seed)
    for _ in range(kills):
        await asyncio.sleep(KILL_INTERVAL * chance.uniform(0.5, 1.5))
        trace.kills.append(time.monotonic())
        victim.kill()
        await asyncio.sleep(DOWN)
        await asyncio.to_thread(victim.start)
        await asyncio.to_thread(cluster.wait_until_running)


async def write_through(way: str, kills: int, seed: int) -> Outcome:
    """Write to a cluster while one pool is killed; compare every point at the end.

    Args:
        way: ``"mixed"``, or ``"own"`` for each point to the server of its pool.
        kills: How many.
        seed: Of the pauses between them.
    """
    is_mixed = way == "mixed"
    bursts = BURSTS["mixed"]
    with SiriDBCluster(pools=2) as cluster, traced(cluster) as trace:
        cluster.create_database(buffer_size=bursts.buffer_size)
        servers = [cluster] if is_mixed else [pool[0] for pool in cluster.pools]
        pools = [None] if is_mixed else [0, 1]
        sources = [Source(n, bursts.sizes, pool=pools[n % len(pools)]) for n in range(4)]
        async with AsyncExitStack() as stack:
            writers = []
            for server in servers:
                writer = BatchWriter(
                    f"{server.url()}?{KEEPALIVE}&inactive_time=1",
                    linger=0.2,
                    durability="safe",
                    delivery_timeout=DELIVERY_TIMEOUT,
                    max_buffered=1 << 28,
                )
                writers.append(writer)
                await stack.enter_async_context(writer)
            pairs = [(writers[n % len(writers)], source) for n, source in enumerate(sources)]
            async with writing(pairs, PACE):
                await kill_pool(cluster, kills, seed, trace)
            for writer in writers:
                await empty(writer)
            reports = [await writer.close(180) for writer in writers]
        accepted = accepted_by(sources)
        found = await compare(cluster, accepted)
    why: Counter[str] = Counter()
    for what, all_times in (("lost", found.lost_times), ("twice", found.doubled_times)):
        for name, times in all_times.items():
            for story, points in trace.of(name, times).items():
                why[f"{what}, of pool {pool_of(name, 2)}: {story}"] += points
    lines = [f"{points:,} {story}" for story, points in why.most_common()]
    return Outcome(way, kills, found, reports, lines)
