"""A client process of its own whose memory is measured.

``flood URL SECONDS MAX_BUFFERED`` writes ticks of 1,000 series as fast as `drain` lets it, for so
many seconds. ``flood series N`` and ``flood points N`` put N points into a writer that has nowhere
to send them: one of each of N series, or all into 1,000. Each prints its resident memory when all
is ready, waits for a line on its input where the first is told to, and prints in the end how much
more it was at most, and the writer's own account of that; all in bytes, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from benchmarks.entrants.lap import Sensors
from benchmarks.harness.residency import peak, resident
from siridb_fast import BatchWriter
from siridb_fast.batching._coalescer import Coalescer
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.concurrency.loops import new_event_loop
from siridb_fast.writer._point_intake import PointIntake

SERIES, TICKS = 1000, 1000
NAME_BYTES = 24
ROOM = 1 << 40
FIRST = 1_600_000_000_000_000_000
STEP = 1_000_000_000


def main(kind: str, *arguments: str) -> None:
    """Do as the arguments say."""
    if kind in ("series", "points"):
        _print(_fill(kind, int(arguments[0])))
    else:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            _print(runner.run(_flood(kind, float(arguments[0]), int(arguments[1]))))


async def _flood(url: str, seconds: float, max_buffered: int) -> dict[str, Any]:
    values = Sensors(SERIES, TICKS).values
    account = 0
    async with BatchWriter(url, max_buffered=max_buffered) as writer:
        ticker = writer.ticker([f"sensor {i}" for i in range(SERIES)])
        before, tick = resident(), 0
        print("ready", flush=True)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            ticker.write(FIRST + tick * STEP, values[tick % TICKS])
            tick += 1
            account = max(account, writer.stats().buffered_bytes)
            await writer.drain()
        report = await writer.flush()
        most = peak()
    assert report.is_complete
    return {"points": tick * SERIES, "peak": most - before, "buffered_bytes": account}


def _fill(kind: str, points: int) -> dict[str, Any]:
    coalescer = Coalescer(
        clock=time.monotonic,
        max_buffered=ROOM,
        linger=3600.0,
        package_bytes=1_000_000,
        max_idle=10_000_000,
    )
    coalescer.notify = lambda: None
    intake = PointIntake(coalescer, ColumnRules(time_precision=None), casts=False)
    coalescer.open(64)
    series = points if kind == "series" else SERIES
    if kind == "points":
        for i in range(series):
            intake.write(f"sensor {i}".ljust(NAME_BYTES), FIRST, 0.5)
    before, account = resident(), coalescer.buffered_bytes
    for i in range(points):
        intake.write(f"sensor {i % series}".ljust(NAME_BYTES), FIRST + i, i + 0.5)
    account = coalescer.buffered_bytes - account
    return {"points": points, "peak": resident() - before, "buffered_bytes": account}


def _print(figures: dict[str, Any]) -> None:
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
