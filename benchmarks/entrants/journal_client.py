"""A program that writes ticks at a rate, with a journal or without; it prints what that took.

``python -m benchmarks.entrants.journal_client '{"url": …, "series": …, "rate": …, …}'``
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from dataclasses import dataclass

import numpy as np
import uvloop

from siridb_fast import BatchWriter, SpoolOptions
from siridb_fast.columns.time_units import NANOSECOND

__all__ = ["Job", "main"]

TICK_POINTS = 1000  # so that a tick of many series is several, some ms apart


@dataclass(frozen=True, slots=True)
class Job:
    """What is written: so many points a second, of so many series in turn."""

    url: str
    series: int
    rate: float
    seconds: float
    journal: str | None = None
    linger: float = 5.0
    max_buffered: int = 256 << 20
    is_server_there: bool = True


async def write(job: Job) -> dict[str, float]:
    """Write it; return the figures."""
    spool = None
    if job.journal is not None:
        spool = SpoolOptions(f"{job.journal}.spool", journal=job.journal, max_bytes=8 << 30)
    writer = BatchWriter(
        job.url,
        linger=job.linger,
        spool=spool,
        max_buffered=job.max_buffered,
        time_precision=NANOSECOND,
        wait_for_server=30 if job.is_server_there else "in_background",
    )
    await writer.open()
    names = [f"journal.{i:05}" for i in range(job.series)]
    tickers = [
        writer.ticker(names[i : i + TICK_POINTS]) for i in range(0, job.series, TICK_POINTS)
    ]
    values = np.arange(TICK_POINTS) * 0.5
    writing, ticks, buffered = 0.0, 0, 0
    before, begun = cpu_of_all(), time.perf_counter()
    while (late := time.perf_counter() - begun) < job.seconds:
        due = int(late * job.rate / TICK_POINTS)
        start = time.thread_time()
        while ticks < due:
            tickers[ticks % len(tickers)].write(1_700_000_000_000_000_000 + ticks, values)
            ticks += 1
            if ticks % 64 == 0:
                break
        writing += time.thread_time() - start
        await writer.drain()
        buffered = max(buffered, writer.stats().buffered_bytes)
        await asyncio.sleep(0.004)
    if job.journal is not None:
        await writer.persisted()
    elapsed = time.perf_counter() - begun
    used = cpu_of_all() - before
    stats = writer.stats()
    points = ticks * TICK_POINTS
    await writer.close(None if job.is_server_there else 0.1)
    return {
        "points": points,
        "rate": points / elapsed,
        "cores": used / elapsed,
        "writing_ns": writing * 1e9 / points,
        "fast_share": stats.fast_path / max(1, stats.delivered),
        "delivered": stats.delivered,
        "buffered_bytes": buffered,
        "persisted": stats.journal.persisted if stats.journal else 0,
        "resident": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def cpu_of_all() -> float:
    """Return the seconds of the processor that all threads of this process took."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Do what the first argument says."""
    print(json.dumps(uvloop.run(write(Job(**json.loads(sys.argv[1]))))))


if __name__ == "__main__":
    main()
