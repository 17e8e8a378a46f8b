"""BatchWriter fed by threads: nothing lost, nothing mixed up, nobody left behind."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

import siridb_fast.concurrency.waiting
from siridb_fast import BatchWriter, WriterClosedError
from siridb_fast.testing import ScriptedServer
from tests.delivery.held_inserts import HeldInserts, fill, scripted_writer
from tests.fix_loop import eventually
from tests.fix_scripted import answer_all
from tests.fix_server import Database

FIRST = 1_600_000_000_000_000_000
MIB = 2**20
THREADS = 8
POINTS = 10_000  # of each thread, to a series of its own


@pytest.fixture
def threads() -> ThreadPoolExecutor:
    """Make threads that are joined by the test's event loop."""
    return ThreadPoolExecutor(THREADS, thread_name_prefix="writing")


def write_points(writer: BatchWriter, number: int, start: threading.Barrier) -> None:
    start.wait()
    for i in range(POINTS):
        writer.write(f"own {number}", FIRST + i, number * POINTS + i)
        writer.write("shared", FIRST + number * POINTS + i, 1.5)


def append_points(writer: BatchWriter, number: int, start: threading.Barrier) -> None:
    own, shared = writer.series(f"own {number}"), writer.series("shared")
    start.wait()
    for i in range(POINTS):
        own.append(FIRST + i, number * POINTS + i)
        shared.append(FIRST + number * POINTS + i, 1.5)


def write_ticks(writer: BatchWriter, number: int, start: threading.Barrier) -> None:
    ticker = writer.ticker([f"own {number}"])
    start.wait()
    for i in range(POINTS):
        ticker.write(FIRST + i, [number * POINTS + i])
        writer.write_tick(FIRST + number * POINTS + i, {"shared": 1.5})


def write_blocks(writer: BatchWriter, number: int, start: threading.Barrier) -> None:
    ticker = writer.ticker([f"own {number}"])
    start.wait()
    for i in range(0, POINTS, 100):
        block = np.arange(i, i + 100)
        ticker.write_block(FIRST + block, (number * POINTS + block)[:, None])
        for j in block.tolist():
            writer.write("shared", FIRST + number * POINTS + j, 1.5)


WAYS = {
    "write": write_points,
    "handle": append_points,
    "tick": write_ticks,
    "block": write_blocks,
}


# ---- exact counts and order


@pytest.mark.parametrize("way", [*WAYS, "all of them"])
async def test_every_point_of_eight_threads_arrives_once(
    database: Database, threads: ThreadPoolExecutor, way: str
) -> None:
    ways = list(WAYS.values()) if way == "all of them" else [WAYS[way]]
    writer = BatchWriter(
        database.url, max_buffered=MIB, package_bytes=50_000, linger=0.01
    )  # so little that the threads have to wait for room
    async with writer:
        start = threading.Barrier(THREADS)
        await in_threads(
            threads, [partial(ways[i % len(ways)], writer, i, start) for i in range(THREADS)]
        )
        report = await writer.flush()
        stats = writer.stats()
    total = 2 * THREADS * POINTS
    assert (report.points, report.is_complete) == (total, True)
    assert (stats.written, stats.delivered, stats.buffered_bytes) == (total, total, 0)
    async with database.client() as client:
        found = await client.query_arrays("select * from *")
    times, values = found.pop("shared")
    assert times.tolist() == list(range(FIRST, FIRST + THREADS * POINTS))
    assert set(values.tolist()) == {1.5}
    assert len(found) == THREADS
    for i in range(THREADS):
        times, values = found[f"own {i}"]
        assert times.tolist() == list(range(FIRST, FIRST + POINTS))
        assert values.tolist() == list(range(i * POINTS, (i + 1) * POINTS))


async def in_threads(threads: ThreadPoolExecutor, calls: Sequence[Callable[[], None]]) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.gather(*(loop.run_in_executor(threads, call) for call in calls))
    threads.shutdown()


async def test_threads_and_arrays_share_the_room(
    database: Database, threads: ThreadPoolExecutor
) -> None:
    writer = BatchWriter(database.url, max_buffered=MIB, package_bytes=50_000, linger=0.01)
    async with writer:
        start = threading.Barrier(THREADS)
        calls = [partial(write_points, writer, i, start) for i in range(THREADS)]
        writing = asyncio.ensure_future(in_threads(threads, calls))
        deliveries = []
        for i in range(100):  # some go into runs, some into packages of their own
            n = 500 if i % 2 else 5000
            stamps, values = np.arange(n) + i * 10_000, np.full(n, 2.5)
            deliveries.append(await writer.write_arrays("arrays", stamps, values))
        await writing
        report = await writer.flush()
        assert [(await delivery).points for delivery in deliveries] == [5000, 500] * 50
    assert report.points == 2 * THREADS * POINTS + 275_000


async def test_types_that_are_learnt_while_threads_write_are_obeyed(
    database: Database, threads: ThreadPoolExecutor
) -> None:
    names = [f"series {i}" for i in range(200)]
    points = {name: [(FIRST, 0.5)] for name in names}
    database.server.api.insert(database.name, points)

    def write(number: int) -> None:
        for i in range(20):
            for name in names:
                writer.write(name, FIRST + 1 + number * 20 + i, i)

    writer = BatchWriter(database.url, linger=0)
    async with writer:
        await in_threads(threads, [partial(write, number) for number in range(THREADS)])
        report = await writer.flush()
        assert (report.points, report.is_complete) == (THREADS * 20 * 200, True)
    async with database.client() as client:
        found = await client.query_arrays("select * from *")
    expected = [0.5, *(float(i) for _ in range(THREADS) for i in range(20))]
    assert {tuple(found[name][1].tolist()) for name in names} == {tuple(expected)}


# ---- waking up


async def test_point_of_a_thread_wakes_an_idle_event_loop(database: Database) -> None:
    heard = asyncio.Event()
    async with BatchWriter(database.url, linger=0.05, on_delivery=lambda _: heard.set()) as writer:
        for i in range(3):
            heard.clear()
            thread = threading.Timer(0.02, writer.write, ("a", FIRST + i, 1.5))
            thread.start()
            await asyncio.wait_for(heard.wait(), 5)  # the only other thing that could wake it
            thread.join()


async def test_point_leaves_when_its_linger_is_over_however_early_the_timer_was() -> None:
    async with (
        ScriptedServer(answer_all) as server,
        scripted_writer(server, linger=0.0013) as writer,
    ):
        for i in range(200):
            writer.write("a", FIRST + i, 1.5)
            await eventually(lambda sent=i + 1: writer.stats().delivered == sent, 2)  # type: ignore[misc]


async def test_threads_that_wait_for_room_are_told_that_the_writer_was_closed(
    threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        siridb_fast.concurrency.waiting, "LONGEST_WAIT", 60.0
    )  # they check no more themselves
    async with ScriptedServer(HeldInserts()) as server:
        writer = scripted_writer(server, max_buffered=MIB, package_bytes=100_000)
        await writer.open()
        fill(writer)
        ticker = writer.ticker([f"series {i}" for i in range(100)])
        calls = [
            partial(write_until_refused, partial(writer.write, "a", FIRST, 1.5)),
            partial(write_until_refused, partial(writer.series("b").append, FIRST, 1.5)),
            partial(write_until_refused, partial(writer.write_tick, FIRST, {"c": 1, "d": "x"})),
            partial(write_until_refused, partial(ticker.write, FIRST, np.arange(100))),
            partial(
                write_until_refused,
                partial(ticker.write_block, np.arange(10), np.ones((10, 100))),
            ),
        ]
        refused = asyncio.ensure_future(in_threads(threads, calls))
        await asyncio.wait([refused], timeout=0.1)  # time enough to block
        assert not refused.done()
        report = await writer.close(timeout=0.1)
        await asyncio.wait_for(refused, 10)
        stats = writer.stats()
        assert stats.written == report.rejected_points + report.in_doubt_points


def write_until_refused(write: Callable[[], None]) -> None:
    try:
        while True:
            write()
    except WriterClosedError:
        pass
