"""`stats()`: what the figures of writers and clients say, and when they change."""

import asyncio
import time
from pathlib import Path

import numpy as np

import siridb_fast
from siridb_fast import BatchWriter, ColumnError, SpoolOptions
from siridb_fast.delivery.latency import LATENCY_BOUNDS, LatencyCounts
from siridb_fast.testing import ScriptedServer
from tests.delivery.held_inserts import INSERT_REFUSED, HeldInserts, scripted_writer
from tests.fix_loop import eventually
from tests.fix_server import Database

ROOM = 1 << 20


async def test_oldest_age_counts_from_the_first_point_until_it_is_delivered() -> None:
    held = HeldInserts()
    async with ScriptedServer(held) as server, scripted_writer(server, linger=0) as writer:
        assert writer.stats().oldest_age == 0
        before = time.monotonic()
        writer.write("a", 1, 1)
        await eventually(lambda: writer.stats().packages_in_flight == 1)
        writer.write("a", 2, 2)  # which is younger
        await eventually(lambda: writer.stats().oldest_age > 0.05)
        assert writer.stats().oldest_age <= time.monotonic() - before
        await held.answer_points(2)
        await eventually(lambda: writer.stats().delivered == 2)
        assert writer.stats().oldest_age == 0


async def test_oldest_age_counts_points_whose_type_is_asked_for() -> None:
    async with ScriptedServer(HeldInserts()) as server:
        writer = scripted_writer(server)
        await writer.open()
        writer.write("a", 1, 1)  # the event loop had no turn yet, so nothing was asked
        engine = writer._engine
        assert engine is not None
        engine._type_resolver.start(may_ask=False)
        assert writer.stats().oldest_age > 0
        await writer.close(timeout=0.01)


async def test_oldest_age_of_arrays_counts_from_their_package() -> None:
    held = HeldInserts()
    async with ScriptedServer(held) as server, scripted_writer(server) as writer:
        delivery = await writer.write_arrays("a", np.arange(60_000), np.arange(60_000))
        await eventually(lambda: writer.stats().packages_in_flight == 1)
        assert 0 < writer.stats().oldest_age < 60
        await held.answer_points(60_000)
        assert (await delivery).points == 60_000


async def test_room_is_what_is_left_of_the_bound() -> None:
    held = HeldInserts()
    async with (
        ScriptedServer(held) as server,
        scripted_writer(server, linger=0, max_buffered=ROOM, package_bytes=100_000) as writer,
    ):
        assert writer.stats().room == ROOM
        writer.write("a", 1, "x" * 1000)
        stats = writer.stats()
        assert stats.room == ROOM - stats.buffered_bytes < ROOM - 1000
        await held.answer_points(1)


async def test_rejected_points_are_counted_by_their_cause() -> None:
    held = HeldInserts()
    async with ScriptedServer(held) as server:
        writer = scripted_writer(server, linger=0)
        await writer.open()
        writer.write("a", 1, 1)
        writer.write("a", 2, 2)
        await held.refuse(INSERT_REFUSED)
        await eventually(lambda: writer.stats().rejected == 2)
        writer.write("a", 3, 3)
        await writer.close(timeout=0.01)
        stats = writer.stats()
    assert stats.rejected_by["InsertError"] == 2
    assert sum(stats.rejected_by.values()) == stats.rejected


async def test_points_of_another_type_are_rejected_by_the_column(database: Database) -> None:
    async with database.client() as client:
        await client.insert({"a": [[1, 1]]})
    writer = BatchWriter(database.url, linger=0)
    await writer.open()
    writer.write("a", 2, 0.5)
    await writer.flush()
    assert writer.stats().rejected_by == {ColumnError.__name__: 1}
    await writer.close()


async def test_connections_are_counted_by_host(own_database: Database, fast_retry: None) -> None:
    server = own_database.server
    async with BatchWriter(own_database.url, connections=2) as writer:
        (host,) = writer.stats().hosts
        assert host.host == f"{server.host}:{server.port}"
        assert (host.connected, host.connections, host.reconnects) == (2, 2, 0)
        server.kill()
        await eventually(lambda: writer.stats().connected == 0)
        assert writer.stats().connections == 2
        await asyncio.to_thread(server.start)
        await eventually(lambda: writer.stats().connected == 2)
        assert writer.stats().reconnects == 2
    assert writer.stats().connected == 0


async def test_client_counts_its_connections(own_database: Database, fast_retry: None) -> None:
    server = own_database.server
    client = own_database.client()
    assert client.stats().connections == 0
    async with client:
        assert (client.stats().connected, client.stats().connections) == (1, 1)
        server.kill()
        await eventually(lambda: client.stats().connected == 0)
        await asyncio.to_thread(server.start)
        await eventually(lambda: client.stats().connected == 1)
        assert client.stats().reconnects == 1
    assert client.stats().connected == 0


def test_figures_of_blocking_classes_outlive_their_event_loop(database: Database) -> None:
    with siridb_fast.connect(database.url) as client, client.writer() as writer:
        assert (client.stats().connected, writer.stats().connected) == (1, 2)
        writer.write("a", 1, 1)
    assert (client.stats().connected, client.stats().connections) == (0, 1)
    assert (writer.stats().delivered, writer.stats().connected) == (1, 0)


async def test_look_ups_are_counted_by_what_they_found(
    own_database: Database, fast_retry: None
) -> None:
    server = own_database.server
    async with BatchWriter(own_database.url, linger=0.01) as writer:
        writer.write("a", 1, 0.5)
        await writer.flush()
        server.pause()
        delivery = await writer.write_arrays("a", np.arange(10, 1010), np.arange(1000.0))
        await eventually(lambda: writer.stats().packages_in_flight == 1)
        server.kill()
        await eventually(lambda: writer.stats().lookups.running == 1)
        await asyncio.to_thread(server.start)
        assert (await delivery).points == 1000
        found = writer.stats().lookups
    assert (found.running, found.missing, found.stored, found.unknown) == (0, 1, 0, 0)


async def test_spool_tells_what_is_on_disk(own_database: Database, tmp_path: Path) -> None:
    options = SpoolOptions(tmp_path / "plant.spool", max_bytes=ROOM)
    writer = BatchWriter(own_database.url, linger=0.01, package_bytes=100_000, spool=options)
    await writer.open()
    spool = writer.stats().spool
    assert spool is not None
    assert (spool.packages, spool.points, spool.bytes, spool.room) == (0, 0, 0, ROOM)
    assert spool.oldest_age == 0
    own_database.server.kill()
    await eventually(lambda: writer.stats().connected == 0)
    writer.write("a", 1, 1)
    await eventually(lambda: writer.stats().spooled == 1)
    await eventually(lambda: (writer.stats().spool or spool).oldest_age > 0)
    await eventually(lambda: writer.stats().ever_spooled == 1)
    stats = writer.stats()
    assert stats.spool is not None
    assert (stats.spool.packages, stats.spool.points, stats.ever_spooled) == (1, 1, 1)
    assert stats.spool.room == ROOM - stats.spool.bytes < ROOM
    await writer.close()


async def test_points_dropped_from_the_spool_are_counted(
    own_database: Database, tmp_path: Path
) -> None:
    options = SpoolOptions(tmp_path / "plant.spool", max_bytes=40_000, on_full="drop_oldest")
    writer = BatchWriter(own_database.url, linger=0.01, package_bytes=10_000, spool=options)
    await writer.open()
    own_database.server.kill()
    await eventually(lambda: writer.stats().connected == 0)
    await writer.write_arrays("a", np.arange(5000), np.random.default_rng(1).random(5000))
    await eventually(lambda: writer.stats().dropped > 0)
    await writer.close()
    stats = writer.stats()
    assert stats.dropped == stats.rejected + stats.in_doubt
    assert stats.dropped + stats.spooled == 5000


async def test_writer_without_spool_has_no_figures_of_one(database: Database) -> None:
    async with BatchWriter(database.url) as writer:
        assert (writer.stats().spool, writer.stats().spooled) == (None, 0)


async def test_latency_counts_each_package_once(database: Database) -> None:
    async with BatchWriter(database.url, package_bytes=10_000) as writer:
        await (await writer.write_arrays("a", np.arange(5000), np.arange(5000.0)))
        stats = writer.stats()
    assert sum(stats.latency.packages) == stats.packages > 1
    assert stats.latency.seconds > 0


def test_latency_is_counted_at_the_edge_of_its_bound() -> None:
    counts = LatencyCounts()
    edges = [0.0, 0.005, 0.0051, 300.0, 300.1]
    for seconds in edges:
        counts.count(seconds)
    found = dict(zip([*LATENCY_BOUNDS, "more"], counts.stats().packages, strict=True))
    assert (found[0.005], found[0.01], found[300.0], found["more"]) == (2, 1, 1, 1)
    assert counts.stats().seconds == sum(edges)


async def test_figures_say_whether_the_writer_takes_points(database: Database) -> None:
    async with BatchWriter(database.url) as writer:
        assert writer.stats().is_open
    assert not writer.stats().is_open
