"""A flush ends, whatever becomes of what it waits for; its parts are made up where they wait."""

import asyncio
import time
from types import SimpleNamespace

from siridb_fast.batching._coalescer import Coalescer
from siridb_fast.concurrency.waiting import Waiters
from siridb_fast.writer.flusher import Flusher

DEADLINE = 10.0


async def test_flush_ends_though_a_type_is_forgotten_as_soon_as_it_came() -> None:
    coalescer = Coalescer(
        clock=time.monotonic, max_buffered=1000, linger=1, package_bytes=100, max_idle=10
    )
    coalescer.notify = lambda: None
    series = coalescer.series("a")
    resolver = SimpleNamespace(newest=series)
    packages = SimpleNamespace(generation=0, last_number=0, is_finished=lambda number: True)
    first_points = SimpleNamespace(waiting=frozenset)
    waiters = Waiters(asyncio.get_running_loop(), lambda: None)
    flusher = Flusher(
        coalescer,
        packages,  # type: ignore[arg-type]
        resolver,  # type: ignore[arg-type]
        first_points,  # type: ignore[arg-type]
        waiters,
        check=lambda: None,
        is_spool_empty=lambda: True,
        points_left=lambda: 0,
        time_for=lambda _: DEADLINE,
        failure_suffix=str,
    )
    flush = asyncio.ensure_future(flusher.deliver_all(DEADLINE, with_spool=False))
    await asyncio.sleep(0)
    assert not flush.done()

    # The type comes by one connection that is back, and in the same moment another one is back.
    assert coalescer.resolve_type(series, "float")
    resolver.newest = None
    waiters.wake()
    coalescer.forget_types()
    packages.generation += 1

    await flush
