"""A writer with a spool whose server is away for minutes: how much memory does it take?

One thread writes ticks of 1,000 series at an even rate, without a server. Then that comes back,
the spool is emptied, and the points are counted.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from siridb_fast import BatchWriter, SiriDBClient, SpoolOptions
from siridb_fast.testing import SiriDBServer

__all__ = ["Outage", "measure"]

SERIES = 1000
RATE = 100_000  # points a second
TICK = 10_000_000  # nanoseconds of the database between the points of a series
MIB = 1024 * 1024
ALLOWED = 32 * MIB  # beside max_buffered
WARM_UP = 5.0  # seconds with the server
DRAIN_TIMEOUT = 600.0


@dataclass(frozen=True, slots=True)
class Outage:
    """What was measured; memory in bytes, of the whole process."""

    seconds: float
    points: int
    before: int
    peak: int
    max_buffered: int
    spooled: int
    spool_bytes: int
    drain_seconds: float
    stored: int

    @property
    def grown(self) -> int:
        """By how much the process grew at most."""
        return self.peak - self.before

    @property
    def is_good(self) -> bool:
        """Tell whether it took no more than it may, and every point is there once."""
        return self.grown <= self.max_buffered + ALLOWED and self.stored == self.points

    def __str__(self) -> str:
        return (
            f"{self.seconds:.0f} s without a server, {self.points:,} points written in all "
            f"({self.spooled:,} in the spool, {self.spool_bytes / MIB:,.0f} MiB): resident "
            f"{self.before / MIB:.0f} MiB before, {self.peak / MIB:.0f} MiB at most, "
            f"{self.grown / MIB:.0f} MiB more; max_buffered is {self.max_buffered / MIB:.0f} MiB; "
            f"emptied in {self.drain_seconds:.0f} s; {self.points - self.stored:,} points lost or "
            "doubled"
        )


def resident(field: str = "VmRSS") -> int:
    """Return the resident memory of this process in bytes; ``VmHWM`` is its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(field)]
    return int(line.split()[1]) * 1024


async def write_ticks(writer: BatchWriter, first: int, seconds: float, rate: float) -> int:
    """Write at an even rate for so long; return the number of the next tick."""
    ticker = writer.ticker([f"sensor-{n}" for n in range(SERIES)])
    values = np.random.default_rng(1).normal(size=(64, SERIES))
    start = time.monotonic()
    ticks = int(seconds * rate / SERIES)
    for n in range(ticks):
        ticker.write((first + n) * TICK, values[n % 64])
        late = time.monotonic() - start - n * SERIES / rate
        await (asyncio.sleep(-late) if late < 0 else writer.drain())
    return first + ticks


async def measure(seconds: float, rate: float = RATE, max_buffered: int = 64 * MIB) -> Outage:
    """Let a server be away for so long while points come at this rate."""
    with SiriDBServer() as server, tempfile.TemporaryDirectory() as folder:
        server.create_database()
        path = Path(folder) / "spool"
        options = SpoolOptions(path, max_bytes=1 << 34)
        url = f"{server.url()}?max_wait_retry=2"
        async with BatchWriter(url, max_buffered=max_buffered, spool=options) as writer:
            tick = await write_ticks(writer, 0, WARM_UP, rate)
            await writer.flush()
            before = resident()
            server.stop()
            tick = await write_ticks(writer, tick, seconds, rate)
            spooled, size = writer.stats().spooled, path.stat().st_size
            server.start()
            since = time.monotonic()
            while writer.stats().delivered < tick * SERIES:
                if time.monotonic() > since + DRAIN_TIMEOUT:
                    break
                await asyncio.sleep(0.1)
            emptied = time.monotonic() - since
            peak = resident("VmHWM")
        async with SiriDBClient.from_url(server.url()) as client:
            counts = await client.query_arrays("select count() from /sensor-.*/")
        stored = sum(int(values.sum()) for _, values in counts.values())
    points = tick * SERIES
    return Outage(seconds, points, before, peak, max_buffered, spooled, size, emptied, stored)
