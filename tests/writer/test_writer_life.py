"""The life of a BatchWriter: opened, closed, cancelled, forgotten; a server killed or frozen."""

import asyncio
import gc
import logging
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from siridb_fast import (
    AuthenticationError,
    BatchWriter,
    DeliveryError,
    Report,
    SiriDBClient,
    UnknownDatabaseError,
    WriterClosedError,
)
from siridb_fast.testing import ScriptedPeer, ScriptedServer
from tests.delivery.held_inserts import HeldInserts, fill, scripted_writer
from tests.fix_loop import eventually
from tests.fix_server import Database

FIRST = 1_600_000_000_000_000_000
MIB = 2**20


async def count(database: Database, name: str) -> int:
    async with database.client() as client:
        return len((await client.query_arrays("select * from *"))[name][0])


# ---- opening


async def test_writer_cannot_be_opened_where_it_is_not_let_in(database: Database) -> None:
    server, name = database.server, database.name
    with pytest.raises(AuthenticationError):
        await BatchWriter(server.url(name, password="wrong")).open()
    with pytest.raises(UnknownDatabaseError):
        await BatchWriter(server.url("no-such-database")).open()


async def test_writer_cannot_be_opened_where_nobody_listens(
    database: Database, unused_port: int
) -> None:
    writer = BatchWriter(f"siridb://iris:siri@127.0.0.1:{unused_port}/{database.name}")
    for _ in range(2):  # and is none the worse for it
        with pytest.raises(OSError, match=r"Connect call failed|Connection refused"):
            await writer.open()
    async with BatchWriter(f"{database.url}") as one:
        one.write("a", FIRST, 1.5)
    hosts = [("127.0.0.1", unused_port), (database.server.host, database.server.port)]
    async with SiriDBClient("iris", "siri", database.name, hosts).writer() as other:
        other.write("a", FIRST + 1, 1.5)
    assert await count(database, "a") == 2


async def test_server_that_hangs_up_at_once_is_an_error_of_the_connection() -> None:
    async def hang_up(peer: ScriptedPeer) -> None:
        await peer.accept_auth()

    async with ScriptedServer(hang_up) as server:
        with pytest.raises(ConnectionError):
            await scripted_writer(server, time_precision=None).open()


async def test_writer_outlives_the_client_that_made_it(database: Database) -> None:
    async with database.client() as client:
        writer = client.writer()
    async with writer:
        writer.write("a", FIRST, 1.5)
    assert await count(database, "a") == 1


async def test_writer_is_opened_once(database: Database) -> None:
    writer = BatchWriter(database.url)
    results = await asyncio.gather(writer.open(), writer.open(), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), WriterClosedError]
    for _ in range(2):  # also once it is closed
        with pytest.raises(WriterClosedError):
            await writer.open()
        await writer.close()


async def test_writer_that_is_closed_before_it_was_opened_stays_closed() -> None:
    async with ScriptedServer(HeldInserts()) as server:
        for is_opening in (False, True):
            writer = scripted_writer(server)
            opening = asyncio.ensure_future(writer.open()) if is_opening else None
            await asyncio.sleep(0)
            for _ in range(2):
                assert (await writer.close()).points == 0
            with pytest.raises(WriterClosedError):
                await (opening or writer.open())
            with pytest.raises(WriterClosedError):
                writer.stats()


# ---- closing


async def test_nothing_is_taken_before_the_writer_is_open_or_after_it_is_closed(
    database: Database,
) -> None:
    writer = BatchWriter(database.url)
    for state in ("not open yet", "closed"):
        ticker = writer.ticker(["a", "b"])
        calls: list[Callable[[], None]] = [
            partial(writer.write, "a", FIRST, 1.5),
            partial(writer.write_tick, FIRST, {"a": 1.5}),
            partial(writer.series("a").append, FIRST, 1.5),
            partial(ticker.write, FIRST, [1.5, 2.5]),
            partial(ticker.write_block, [FIRST], [[1.5, 2.5]]),
        ]
        for call in calls:
            with pytest.raises(WriterClosedError, match=state):
                call()
        with pytest.raises(WriterClosedError, match=state):
            await writer.write_arrays("a", [FIRST], [1.5])
        with pytest.raises(WriterClosedError, match=state):
            await writer.flush()
        if state == "not open yet":
            await writer.open()
            assert (await writer.close()).points == 0
    assert writer.stats().written == 0


async def test_all_who_close_at_once_get_the_report(database: Database) -> None:
    writer = BatchWriter(database.url)
    await writer.open()
    writer.write("a", FIRST, 1.5)
    reports = await asyncio.gather(*(writer.close() for _ in range(3)))
    assert [report.points for report in reports] == [1, 1, 1]
    assert (await writer.close()).points == 0


async def test_closing_in_vain_reports_what_was_with_the_server_and_what_was_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR, "siridb_fast")
    held = HeldInserts()
    async with ScriptedServer(held) as server:
        writer = scripted_writer(server, linger=0)
        await writer.open()
        sent = await writer.write_arrays("a", [FIRST], [1.5])
        await eventually(lambda: writer.stats().packages_in_flight == 1)
        delivery = await writer.write_arrays("b", [FIRST, FIRST + 1], [1.5, 2.5])
        report = await writer.close(timeout=0.05)
        assert (report.points, report.in_doubt_points, report.rejected_points) == (0, 1, 2)
        assert (await sent).in_doubt_points == 1
        assert (await delivery).rejected_points == 2
        assert "2 not delivered" in caplog.text
        stats = writer.stats()
        assert (stats.written, stats.in_doubt, stats.rejected) == (3, 1, 2)
        assert (stats.buffered, stats.in_flight, stats.buffered_bytes) == (0, 0, 0)


async def test_leaving_the_block_raises_what_was_not_delivered() -> None:
    async with ScriptedServer(HeldInserts()) as server:
        with pytest.raises(DeliveryError, match="1 in doubt") as caught:
            async with scripted_writer(server, delivery_timeout=0.1) as writer:
                writer.write("a", FIRST, 1.5)
        report = caught.value.report
        assert isinstance(report, Report)
        assert report.in_doubt_points == 1


async def test_error_in_the_block_stays_and_gets_a_note() -> None:
    async with ScriptedServer(HeldInserts()) as server:
        with pytest.raises(ZeroDivisionError) as caught:
            await fail_in_the_block(scripted_writer(server, delivery_timeout=0.1))
        assert "1 in doubt" in caught.value.__notes__[0]


async def fail_in_the_block(writer: BatchWriter) -> None:
    async with writer:
        writer.write("a", FIRST, 1.5)
        raise ZeroDivisionError


async def test_what_waits_for_room_is_told_that_the_writer_was_closed() -> None:
    async with ScriptedServer(HeldInserts()) as server:
        writer = scripted_writer(server, max_buffered=MIB, package_bytes=100_000)
        await writer.open()
        fill(writer)
        writing = asyncio.ensure_future(
            writer.write_arrays("b", np.arange(4000), np.arange(4000.0))
        )
        draining = asyncio.ensure_future(writer.drain())
        await asyncio.sleep(0)
        report = await writer.close(timeout=0.05)
        with pytest.raises(WriterClosedError):
            await writing
        await draining
        assert report.rejected_points + report.in_doubt_points == writer.stats().written


# ---- cancelling and forgetting


def test_cancelled_main_task_delivers_what_was_pending(database: Database) -> None:
    async def main() -> None:
        async with BatchWriter(database.url) as writer:
            writer.write("a", FIRST, 1.5)
            asyncio.get_running_loop().call_soon(task.cancel)  # as Ctrl+C does
            await asyncio.Event().wait()

    with asyncio.Runner() as runner:
        task = runner.get_loop().create_task(main())
        with pytest.raises(asyncio.CancelledError):
            runner.get_loop().run_until_complete(task)
        assert runner.run(count(database, "a")) == 1


async def test_cancelled_close_says_what_it_gave_up(caplog: pytest.LogCaptureFixture) -> None:
    async with ScriptedServer(HeldInserts()) as server:
        writer = scripted_writer(server)
        await writer.open()
        delivery = await writer.write_arrays("a", [FIRST], [1.5])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(writer.close(), 0.05)
        assert (await delivery).in_doubt_points == 1
        assert "1 in doubt" in caplog.text


def test_forgotten_writer_warns_of_its_points(database: Database) -> None:
    async def main() -> BatchWriter:
        writer = BatchWriter(database.url)
        await writer.open()
        for i in range(3):
            writer.write("a", FIRST + i, 1.5)
        return writer

    writer = asyncio.run(main())
    del writer
    with pytest.warns(ResourceWarning, match="dropped with 3 points not delivered"):
        gc.collect()


def test_writer_whose_loop_is_closed_refuses_points(database: Database) -> None:
    async def main() -> BatchWriter:
        writer = BatchWriter(database.url)
        await writer.open()
        return writer

    writer = asyncio.run(main())
    for _ in range(3):
        with pytest.raises(WriterClosedError, match="event loop"):
            writer.write("a", FIRST, 1.5)
    del writer
    with pytest.warns(ResourceWarning, match="dropped with 1 points"):
        gc.collect()
