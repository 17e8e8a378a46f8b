"""BatchWriter while the server is gone or frozen: what is kept, what is bounded, who waits."""

import asyncio

import pytest

from siridb_fast import (
    BatchWriter,
    BufferFullError,
    ConnectionLost,
    RequestTimeout,
    WriterClosedError,
)
from siridb_fast.testing import ScriptedServer
from tests.delivery.held_inserts import HeldInserts, fill, scripted_writer
from tests.fix_loop import eventually
from tests.fix_server import Database

FIRST = 1_600_000_000_000_000_000
MIB = 2**20


async def count(database: Database, name: str) -> int:
    async with database.client() as client:
        return len((await client.query_arrays("select * from *"))[name][0])


async def test_restarted_server_gets_the_rest(own_database: Database, fast_retry: None) -> None:
    async with BatchWriter(own_database.url, linger=0.02) as writer:
        writer.write("a", FIRST, 1.5)
        assert (await writer.flush()).is_complete
        own_database.server.kill()
        starting = asyncio.ensure_future(asyncio.to_thread(own_database.server.start))
        written = 0
        while not starting.done():
            writer.write("a", FIRST + written, 1.5)
            written += 1
            await asyncio.wait([starting], timeout=0.001)
        writer.write("b", FIRST, 1.5)
        report = await writer.flush(timeout=20)
        assert report.points + report.in_doubt_points == written + 1
        assert report.points >= 1
    # The server forgets a young series when it is killed, so there may be less of "a".
    assert report.points - 1 <= await count(own_database, "a") <= written + 1
    assert await count(own_database, "b") == 1


async def test_memory_is_bounded_while_the_server_is_frozen(own_database: Database) -> None:
    server = own_database.server
    writer = BatchWriter(
        own_database.url, max_buffered=4 * MIB, package_bytes=200_000, linger=0.01
    )
    async with writer:
        writer.write("a", FIRST, 1.5)
        await writer.flush()
        server.pause()
        points = 1 + fill(writer)
        await eventually(lambda: writer.stats().packages_in_flight == 2)
        points += fill(writer)
        stats = writer.stats()  # a point takes 19 bytes in a package, where 16 were counted
        assert 3 * MIB < stats.buffered_bytes <= stats.max_buffered + 3 * stats.in_flight
        with pytest.raises(RequestTimeout):
            await writer.flush(timeout=0.1)
        draining = asyncio.ensure_future(writer.drain())
        refused = asyncio.ensure_future(asyncio.to_thread(writer.write, "a", FIRST, 1.5))
        done, _ = await asyncio.wait([draining, refused], timeout=0.1)
        assert not done
        server.resume()
        await asyncio.gather(draining, refused)
        report = await writer.flush()
        assert (report.points, writer.stats().delivered) == (points, points + 1)
    assert await count(own_database, "a") == points + 1


async def test_texts_count_against_the_bound() -> None:
    async with ScriptedServer(HeldInserts()) as server:
        writer = scripted_writer(server, max_buffered=MIB, package_bytes=100_000)
        await writer.open()
        assert fill(writer, "x" * 20_000) > 40
        with pytest.raises(BufferFullError):
            writer.write_tick(FIRST, {"a": "x" * 20_000, "b": "x"})
        with pytest.raises(BufferFullError, match="at once"):
            writer.write("a", FIRST, "x" * MIB)
        assert writer.stats().buffered_bytes <= MIB
        await writer.close(timeout=0.01)


async def test_thread_is_refused_if_it_asked_for_that() -> None:
    async with ScriptedServer(HeldInserts()) as server:
        writer = scripted_writer(server, max_buffered=MIB, package_bytes=100_000, on_full="raise")
        await writer.open()
        await asyncio.to_thread(fill, writer)
        await writer.close(timeout=0.01)


async def test_connection_lost_at_the_end_does_not_keep_the_writer_open(
    own_database: Database,
) -> None:
    writer = BatchWriter(own_database.url, delivery_timeout=0.3)
    await writer.open()
    own_database.server.kill()
    writer.write("a", FIRST, 1.5)
    report = await writer.close()
    assert report.rejected_points + report.in_doubt_points == 1
    failure = (report.rejected or report.in_doubt)[0]
    assert isinstance(failure.error, (WriterClosedError, ConnectionLost))
