"""`late="compare"`: whatever is sent again, however it is cut and ordered, is stored once."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import siridb_fast
from siridb_fast import BatchWriter
from tests.fix_examples import examples
from tests.fix_server import Database
from tests.writer.late_stream import FIRST, Point, Stream, points_of, require_once


def compares(url: str, **options: Any) -> BatchWriter:
    settings: dict[str, Any] = {"late": "compare", "linger": 0.01}
    return BatchWriter(url, **(settings | options))


async def write_somehow(writer: BatchWriter, body: Sequence[Point], way: int) -> list[Any]:
    """Write a body in one of the ways that there are; return the deliveries, if it has some."""
    if way == 0:
        return [await writer.write_many(points_of(body))]
    if way == 1:
        found = []
        for type_ in "fis":
            some = [one for one in body if one.series[0] == type_]
            if some:
                names = sorted({one.series for one in some})
                values = [one.value for one in some]
                delivery = await writer.write_rows(
                    names,
                    [names.index(one.series) for one in some],
                    [one.timestamp for one in some],
                    np.array(values, object) if type_ == "s" else np.array(values),
                )
                found.append(delivery)
        return found
    for one in body:
        if way == 2:
            writer.write(one.series, one.timestamp, one.value)
        else:
            writer.series(one.series).append(one.timestamp, one.value)
    await writer.drain()
    return []


@pytest.mark.parametrize("seed", range(examples(6)))
async def test_stream_that_is_sent_again_in_other_bodies_is_stored_once(
    database: Database, seed: int
) -> None:
    stream = Stream(seed)
    deliveries = []
    async with compares(database.url) as writer:
        for body in stream.bodies():
            deliveries += await write_somehow(writer, body, stream.random.randrange(4))
            if stream.random.random() < 0.2:
                await asyncio.sleep(stream.random.choice([0, 0.01, 0.05]))
        reports = [await delivery for delivery in deliveries]
        report = await writer.flush()
        stats = writer.stats()
    assert all(one.is_complete for one in reports)
    assert report.points == stats.written == stats.delivered
    assert stats.late is not None
    assert 0 < stats.late.already_stored <= stats.late.compared
    assert stats.late.waiting == 0
    assert stats.written - stats.late.already_stored == len(
        {
            (p.series, p.timestamp, str(p.value + 0.0 if p.series[0] == "f" else p.value))
            for p in stream.points
        }
    )
    await require_once(database, stream.points)


async def test_tickers_are_compared_too(database: Database) -> None:
    names = [f"f{i}" for i in range(20)]
    rows = np.random.default_rng(1).random((50, 20)).round(1)
    times = FIRST + np.arange(50) * 1000
    async with compares(database.url) as writer:
        ticker = writer.ticker(names)
        for first in (0, 20, 10, 0, 30):
            for time, row in zip(times[first:].tolist(), rows[first:], strict=True):
                ticker.write(time, row)
            ticker.write_block(times[:first], rows[:first])
            writer.write_tick(int(times[0]), dict(zip(names, rows[0].tolist(), strict=True)))
            await asyncio.sleep(0.02)
    points = [
        Point(name, int(time), value)
        for time, row in zip(times, rows.tolist(), strict=True)
        for name, value in zip(names, row, strict=True)
    ]
    await require_once(database, points)


async def test_long_columns_are_compared_piece_by_piece(database: Database) -> None:
    times = FIRST + np.arange(60_000) * 1000
    values = np.arange(60_000) % 7 / 2
    order = np.random.default_rng(2).permutation(60_000)
    async with compares(database.url) as writer:
        first = await writer.write_arrays("f", times[:40_000], values[:40_000])
        again = await writer.write_arrays("f", times[10_000:], values[10_000:])
        mixed = await writer.write_arrays("f", times[order], values[order])
        assert [(await one).points for one in (first, again, mixed)] == [40_000, 50_000, 60_000]
        late = writer.stats().late
    assert late is not None
    assert late.already_stored == 90_000
    async with database.client() as client:
        arrays = await client.query_arrays("select * from *")
    assert np.array_equal(arrays["f"][0], times)
    assert np.array_equal(arrays["f"][1], values)


async def test_point_far_in_the_past_does_not_have_all_between_read(database: Database) -> None:
    times = FIRST + np.arange(300_000) * 1000
    async with compares(database.url) as writer:
        await (await writer.write_arrays("f", times, np.arange(300_000) / 2))
        old = await writer.write_arrays("f", [5, FIRST, int(times[-1])], [1.5, 0.0, 7.25])
        assert (await old).points == 3
        late = writer.stats().late
    assert late is not None
    assert (late.compared, late.already_stored, late.beside) == (3, 1, 1)
    async with database.client() as client:
        answer = await client.query("select count() from *")
    assert answer["f"][0][1] == 300_002


def test_threads_that_send_the_same_through_a_blocking_writer_store_it_once(
    database: Database,
) -> None:
    stream = Stream(7, points=600)

    def send(writer: siridb_fast.BlockingWriter, seed: int) -> None:
        for body in Stream(7, points=600).bodies(1 + seed):
            for one in body:
                writer.write(one.series, one.timestamp, one.value)

    with siridb_fast.BlockingWriter(database.url, late="compare", linger=0.01) as writer:
        threads = [threading.Thread(target=send, args=(writer, n)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        report = writer.flush()
        assert report.is_complete
    asyncio.run(require_once(database, stream.points))


async def test_integers_for_a_series_of_floats_are_those_floats(database: Database) -> None:
    async with database.client() as client:
        await client.insert({"f": [[FIRST, 2.0], [FIRST + 1, -0.0]]})
    async with compares(database.url) as writer:
        writer.write("f", FIRST, 2)
        writer.write("f", FIRST + 1, 0)
        writer.write("f", FIRST + 2, 3)
        await writer.flush()
        late = writer.stats().late
    assert late is not None
    assert (late.compared, late.already_stored) == (2, 2)
    points = [Point("f", FIRST, 2.0), Point("f", FIRST + 1, 0.0), Point("f", FIRST + 2, 3.0)]
    await require_once(database, points)


async def test_points_of_a_series_go_straight_when_they_are_newer(database: Database) -> None:
    async with compares(database.url) as writer:
        for i in range(50):
            writer.write("f", FIRST + i, 0.5)
            if i % 10 == 0:
                await writer.flush()
        await writer.flush()
        late = writer.stats().late
        assert late is not None
        assert late.compared == 0


async def test_memory_is_bounded_while_late_points_wait(database: Database) -> None:
    times = FIRST + np.arange(40_000) * 1000
    async with compares(database.url, max_buffered=1 << 20, package_bytes=100_000) as writer:
        await (await writer.write_arrays("f", times, np.arange(40_000) / 2))
        for _ in range(6):
            for first in range(0, 40_000, 2_000):
                some = slice(first, first + 2_000)
                await writer.write_arrays("f", times[some], np.arange(40_000)[some] / 2)
                assert writer.stats().buffered_bytes <= 1 << 20
        assert (await writer.flush()).is_complete
    async with database.client() as client:
        answer = await client.query("select count() from *")
    assert answer["f"][0][1] == 40_000
