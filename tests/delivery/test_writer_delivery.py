"""BatchWriter's word on every point: deliveries, reports, callbacks and figures that add up."""

import asyncio
import time
from typing import Any

import numpy as np
import pytest

from siridb_fast import BatchWriter, Delivered, Failure, InsertError, RequestTimeout
from siridb_fast.testing import ScriptedServer
from tests.delivery.held_inserts import INSERT_REFUSED, HeldInserts, points_of, scripted_writer
from tests.fix_loop import eventually
from tests.fix_server import Database

FIRST = 1_600_000_000_000_000_000
SECOND = 1_000_000_000
Columns = dict[str, tuple[np.ndarray, np.ndarray]]


def stamps(n: int, start: int = 0) -> np.ndarray:
    return FIRST + np.arange(start, start + n, dtype=np.int64) * SECOND


async def stored(database: Database) -> dict[str, tuple[list[int], list[Any]]]:
    async with database.client() as client:
        arrays = await client.query_arrays("select * from *")
    return {name: (times.tolist(), values.tolist()) for name, (times, values) in arrays.items()}


def adds_up(writer: BatchWriter) -> bool:
    stats = writer.stats()
    fates = stats.delivered + stats.rejected + stats.in_doubt
    return stats.written == stats.buffered + stats.in_flight + fates


# ---- deliveries


async def test_delivery_may_be_awaited_again_and_by_many(database: Database) -> None:
    async with BatchWriter(database.url, linger=0.05) as writer:
        delivery = await writer.write_arrays("a", stamps(3), np.arange(3))
        assert not delivery.is_done
        reports = await asyncio.gather(*(wait_for(delivery) for _ in range(3)))
        assert [report.points for report in reports] == [3, 3, 3]
        assert await delivery is reports[0]
        assert delivery.is_done
        await writer.write_arrays("a", stamps(3), np.arange(3))  # and nobody awaits this one


async def wait_for(delivery: Any) -> Any:
    return await delivery


async def test_delivery_survives_those_who_lose_patience_with_it() -> None:
    held = HeldInserts()
    async with ScriptedServer(held) as server, scripted_writer(server, linger=0) as writer:
        delivery = await writer.write_arrays("a", stamps(3), np.arange(3))
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(wait_for(delivery), 0.01)
        await held.answer()
        assert (await delivery).points == 3


async def test_flush_that_loses_patience_loses_nothing_else() -> None:
    held = HeldInserts()
    async with ScriptedServer(held) as server, scripted_writer(server) as writer:
        for i in range(3):
            writer.write("a", FIRST + i, i)
            with pytest.raises(RequestTimeout, match=f"{i + 1} points"):
                await writer.flush(timeout=0.02)
        flushing = asyncio.ensure_future(writer.flush())
        inserts = await held.answer_points(3)
        assert [insert["a"] for insert in inserts] == [
            [[FIRST, 0]],
            [[FIRST + 1, 1], [FIRST + 2, 2]],
        ]
        assert (await flushing).points == 3


async def test_points_of_merged_runs_are_counted_for_whom_they_belong_to(
    database: Database,
) -> None:
    async with BatchWriter(database.url) as writer:
        deliveries = []
        for i in range(5):
            writer.write("a", int(stamps(1, 100 * i)[0]), 0.5)
            columns = {
                "a": (stamps(10 + i, 100 * i + 1), np.ones(10 + i)),
                "b": (stamps(i, 100 * i), np.ones(i)),
            }
            deliveries.append(await writer.write_many(columns))
        report = await writer.flush()
        assert [(await delivery).points for delivery in deliveries] == [10, 12, 14, 16, 18]
        assert (report.points, report.packages) == (5 + 70, 1)
        assert adds_up(writer)


async def test_long_columns_are_counted_over_all_their_packages(database: Database) -> None:
    async with BatchWriter(database.url, package_bytes=10_000) as writer:
        columns = {"a": (stamps(5000), np.ones(5000)), "b": (stamps(3), np.ones(3))}
        delivery = await writer.write_many(columns)
        await writer.flush()
        report = await delivery
        assert (report.points, report.rejected_points) == (5003, 0)
        assert report.packages > 10
        stats = writer.stats()
        assert (stats.written, stats.delivered, adds_up(writer)) == (5003, 5003, True)


async def test_no_points_are_delivered_at_once(database: Database) -> None:
    async with BatchWriter(database.url) as writer:
        for columns in ({}, {"a": (stamps(0), np.ones(0))}):
            delivery = await writer.write_many(columns)
            assert (await delivery).points == 0


async def test_concurrent_flushes_share_the_points(database: Database) -> None:
    async with BatchWriter(database.url) as writer:
        for i in range(100):
            writer.write(f"series {i % 10}", FIRST + i, 1.5)
        reports = await asyncio.gather(*(writer.flush() for _ in range(5)))
        assert sorted(report.points for report in reports) == [0, 0, 0, 0, 100]


async def test_points_come_out_in_the_order_of_their_time(database: Database) -> None:
    order = np.random.default_rng(1).permutation(3000)
    async with BatchWriter(database.url, package_bytes=10_000, linger=0.01) as writer:
        for start in range(0, 2000, 100):
            for i in order[start : start + 100].tolist():
                writer.write("a", FIRST + i, i)
            await writer.drain()
        await writer.write_arrays("a", FIRST + order[2000:], order[2000:])
    assert (await stored(database))["a"] == (
        list(range(FIRST, FIRST + 3000)),
        list(range(3000)),
    )


# ---- figures and callbacks


@pytest.mark.parametrize(
    ("buffer_size", "points", "is_fast"),
    [(1024, 64, False), (1024, 65, True), (8192, 512, False), (8192, 513, True)],
)
async def test_only_runs_over_the_servers_buffer_count_as_fast(
    make_database: Any, buffer_size: int, points: int, is_fast: bool
) -> None:
    database = make_database(buffer_size=buffer_size)
    async with BatchWriter(database.url) as writer:
        for i in range(points):
            writer.write("a", FIRST + i, 1.5)
        await writer.flush()
        stats = writer.stats()
        assert (stats.fast_path, stats.slow_path) == ((points, 0) if is_fast else (0, points))


async def test_callbacks_hear_of_each_package_and_each_failure() -> None:
    held = HeldInserts()
    delivered: list[Delivered] = []
    failures: list[Failure] = []
    async with ScriptedServer(held) as server:
        writer = scripted_writer(server, on_delivery=delivered.append, on_error=failures.append)
        began = time.monotonic()
        async with writer:
            for name in ("a", "b"):
                writer.write(name, FIRST, 1.5)
                flushing = asyncio.ensure_future(writer.flush())
                await (held.answer() if name == "a" else held.refuse(INSERT_REFUSED, "no b"))
                await flushing
        told = delivered[0]
        assert (len(delivered), told.points, told.series) == (1, 1, ("a",))
        assert told.host == f"{server.host}:{server.port}"
        assert 0 <= told.seconds <= told.latency <= time.monotonic() - began
        assert [(failure.series, failure.points) for failure in failures] == [("b", 1)]
        assert str(failures[0].error) == "no b"


async def test_callbacks_that_raise_do_no_harm(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError

    async with BatchWriter(database.url, on_delivery=fail, on_error=fail) as writer:
        for i in range(3):
            writer.write("a", FIRST + i, 1.5)
            assert (await writer.flush()).points == 1
    assert caplog.text.count("raised an error, which is ignored") == 3


async def test_callback_may_write_and_what_it_writes_is_delivered(database: Database) -> None:
    def note(delivered: Delivered) -> None:
        if "notes" not in delivered.series:
            writer.write("notes", FIRST, delivered.points)

    writer = BatchWriter(database.url, on_delivery=note)
    async with writer:
        writer.write_tick(FIRST, {"a": 1.5, "b": 2.5})
        await writer.flush()
        await writer.flush()
    assert (await stored(database))["notes"] == ([FIRST], [2])


# ---- refused packages


@pytest.mark.parametrize("bad", [0, 5, 15])
async def test_refused_package_is_cut_until_the_bad_series_is_alone(bad: int) -> None:
    held = HeldInserts()
    name = f"series {bad}"
    async with ScriptedServer(held) as server, scripted_writer(server) as writer:
        columns = {f"series {i}": (stamps(i + 1), np.arange(i + 1)) for i in range(16)}
        delivery = await writer.write_many(columns)
        flushing = asyncio.ensure_future(writer.flush())
        refused: list[dict[str, Any]] = []
        while len(refused) < 5:
            peer, package = await held.take()
            held.packages.put_nowait((peer, package))
            if name in points_of(package):
                refused.append(points_of(await held.refuse(INSERT_REFUSED, "bad timestamp")))
            else:
                await held.answer()
        answering = asyncio.ensure_future(held.answer_points(1000))
        report = await flushing
        answering.cancel()
        assert [len(insert) for insert in refused] == [16, 8, 4, 2, 1]
        assert report.points == sum(range(17)) - (bad + 1)
        assert [(f.series, f.points) for f in report.rejected] == [(name, bad + 1)]
        assert isinstance(report.rejected[0].error, InsertError)
        assert (await delivery).rejected == report.rejected
        assert adds_up(writer)
        assert writer.stats().buffered_bytes == 0


async def test_one_series_of_the_wrong_precision_harms_no_other(make_database: Any) -> None:
    database = make_database(time_precision="s")
    database.server.api.query(database.name, "create user 'limited' set password 'l-pw'")
    database.server.api.query(database.name, "grant insert to user 'limited'")
    url = database.server.url(database.name, username="limited", password="l-pw")
    writer = BatchWriter(url)
    await writer.open()
    deliveries = [
        await writer.write_arrays(f"series {i}", np.arange(100), np.arange(100)) for i in range(30)
    ]
    deliveries.append(await writer.write_arrays("in ns", stamps(50), np.arange(50)))
    await eventually(lambda: all(delivery.is_done for delivery in deliveries), timeout=10)
    reports = [await delivery for delivery in deliveries]
    assert {(report.points, report.rejected_points) for report in reports[:-1]} == {(100, 0)}
    assert (reports[-1].points, reports[-1].rejected_points) == (0, 50)
    report = await writer.close()
    assert (report.points, report.rejected_points) == (3000, 50)
    found = await stored(database)
    assert {name: len(times) for name, (times, _) in found.items()} == {
        f"series {i}": 100 for i in range(30)
    }
