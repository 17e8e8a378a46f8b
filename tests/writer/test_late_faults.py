"""`late="compare"` while connections are cut, servers are killed and writers begin anew."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from siridb_fast import BatchWriter
from siridb_fast.testing import FaultProxy
from tests.fix_examples import examples
from tests.fix_server import Database
from tests.writer.late_stream import Point, Stream, points_of, require_once


def compares(url: str, **options: Any) -> BatchWriter:
    settings: dict[str, Any] = {"late": "compare", "linger": 0.01}
    return BatchWriter(url, **(settings | options))


async def send(writer: BatchWriter, stream: Stream, body: list[Point]) -> None:
    if stream.random.random() < 0.5:
        await writer.write_many(points_of(body))
        return
    for one in body:
        writer.write(one.series, one.timestamp, one.value)
    await writer.drain()


@pytest.mark.parametrize("seed", range(examples(3)))
async def test_stream_is_stored_once_while_connections_are_cut(
    database: Database, proxy: FaultProxy, seed: int
) -> None:
    stream = Stream(100 + seed)
    url = f"siridb://iris:siri@{proxy.host}:{proxy.port}/{database.name}"
    async with compares(url) as writer:
        for body in stream.bodies():
            if stream.random.random() < 0.2:
                direction: Any = stream.random.choice(["requests", "answers"])
                cut = stream.random.choice([proxy.cut, proxy.reset])
                cut(stream.random.randrange(400), direction)
            await send(writer, stream, body)
            await asyncio.sleep(stream.random.choice([0, 0, 0.02]))
        assert (await writer.flush(100)).is_complete
    await require_once(database, stream.points)


@pytest.mark.parametrize("seed", range(examples(2)))
async def test_stream_is_stored_once_by_writers_one_after_the_other(
    database: Database, seed: int
) -> None:
    stream = Stream(200 + seed)
    bodies = stream.bodies()
    while bodies:
        async with compares(database.url) as writer:
            for _ in range(min(len(bodies), stream.random.randrange(1, 12))):
                await send(writer, stream, bodies.pop(0))
    await require_once(database, stream.points)


async def test_what_a_former_writer_left_in_the_spool_goes_first(
    own_database: Database, tmp_path: Path
) -> None:
    stream = Stream(300)
    bodies = stream.bodies()
    options: dict[str, Any] = {"spool": tmp_path / "spool"}
    async with compares(own_database.url, **options) as writer:
        for body in bodies[:10]:
            await send(writer, stream, body)
        await writer.flush()
        own_database.server.kill()
        for body in bodies[5:20]:
            await send(writer, stream, body)
        report = await writer.close(1)
    assert not report.rejected_points
    own_database.server.restart()
    async with compares(own_database.url, **options) as writer:
        for body in bodies[15:] + bodies:
            await send(writer, stream, body)
        assert (await writer.close(100)).is_complete
    await require_once(own_database, stream.points)


@pytest.mark.parametrize("spool", [False, True])
async def test_server_that_is_killed_and_comes_back_has_each_point_once(
    own_database: Database, tmp_path: Path, spool: bool
) -> None:
    stream = Stream(400, types="fi")
    bodies = stream.bodies()
    options: dict[str, Any] = {"spool": tmp_path / "spool"} if spool else {}
    async with compares(own_database.url, durability="safe", **options) as writer:
        for index, body in enumerate(bodies):
            if index % 25 == 10:
                own_database.server.kill()
            await send(writer, stream, body)
            if index % 25 == 13:
                await asyncio.sleep(0.1)
                own_database.server.restart()
        assert not (await writer.close(100)).rejected_points
    if spool:  # what no server had taken when it was closed
        async with compares(own_database.url, **options) as writer:
            await send(writer, stream, stream.points)
            assert (await writer.close(100)).is_complete
    await require_once(own_database, stream.points)
