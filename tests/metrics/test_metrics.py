"""Writers and clients as Prometheus sees them."""

import asyncio
import gc
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

import siridb_fast
from siridb_fast import BatchWriter, ConfigError, SpoolOptions
from siridb_fast.metrics import CAUSES, register, unregister
from siridb_fast.testing import ScriptedServer
from tests.delivery.held_inserts import INSERT_REFUSED, HeldInserts, scripted_writer
from tests.fix_loop import eventually
from tests.fix_scripted import answer_all, scripted_client
from tests.fix_server import Database
from tests.metrics.scrapes import scrape


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


async def test_points_are_counted_by_their_fate(registry: CollectorRegistry) -> None:
    held = HeldInserts()
    async with ScriptedServer(held) as server:
        writer = scripted_writer(server, linger=0)
        register(writer, "plant", registry)
        await writer.open()
        writer.write("a", 1, 1)
        await held.refuse(INSERT_REFUSED)
        await eventually(lambda: writer.stats().rejected == 1)
        delivery = await writer.write_arrays("b", np.arange(2000), np.arange(2000))
        await held.answer_points(2000)
        await delivery
        writer.write("c", 1, 1)
        await held.answer_points(1)
        await writer.close()
    found = scrape(registry)
    assert found.value("points_written_total", name="plant") == 2002
    assert found.value("points_delivered_total", name="plant", path="fast") == 2000
    assert found.value("points_delivered_total", name="plant", path="slow") == 1
    assert found.value("points_rejected_total", name="plant", cause="InsertError") == 1
    assert found.value("points_in_doubt_total", name="plant") == 0
    assert found.value("packages_delivered_total", name="plant") == 2
    assert found.value("delivered_bytes_total", name="plant") == writer.stats().bytes
    assert found.value("delivery_seconds_count", name="plant") == 2
    assert found.value("delivery_seconds_bucket", name="plant", le="+Inf") == 2
    assert found.value("delivery_seconds_sum", name="plant") == writer.stats().latency.seconds


async def test_causes_are_there_before_they_happen(registry: CollectorRegistry) -> None:
    async with ScriptedServer(answer_all) as server, scripted_writer(server) as writer:
        register(writer, "plant", registry)
        found = scrape(registry)
    for cause in CAUSES:
        assert found.value("points_rejected_total", name="plant", cause=cause) == 0
    for store in ("memory", "journal", "spool"):
        assert found.value("points_dropped_total", name="plant", store=store) == 0


async def test_points_that_are_given_up_are_counted_by_their_store(
    registry: CollectorRegistry,
) -> None:
    async with ScriptedServer(HeldInserts()) as server:
        options: dict[str, Any] = {"max_buffered": 2**20, "package_bytes": 100_000}
        writer = scripted_writer(server, on_full="drop_newest", **options)
        register(writer, "plant", registry)
        await writer.open()
        for n in range(100_000):
            writer.write("a", n, 0.5)
        await eventually(lambda: writer.stats().dropped > 0)
        found = scrape(registry)
        assert found.value("points_dropped_total", name="plant", store="memory") > 0
        assert found.value("points_dropped_total", name="plant", store="spool") == 0
        await writer.close(0.01)


async def test_what_waits_is_told_as_it_is_now(registry: CollectorRegistry) -> None:
    held = HeldInserts()
    async with ScriptedServer(held) as server, scripted_writer(server, linger=0) as writer:
        register(writer, "plant", registry)
        writer.write("a", 1, 1)
        await eventually(lambda: writer.stats().packages_in_flight == 1)
        writer.write("a", 2, 1)
        found = scrape(registry)
        assert found.value("pending_points", name="plant", state="buffered") == 1
        assert found.value("pending_points", name="plant", state="in_flight") == 1
        assert found.value("packages_in_flight", name="plant") == 1
        assert found.value("pending_bytes", name="plant") == writer.stats().buffered_bytes > 0
        assert found.value("room_bytes", name="plant") == writer.stats().room
        assert 0 < found.value("oldest_pending_seconds", name="plant") < 60
        assert found.value("series", name="plant") == 1
        await held.answer_points(2)


async def test_spool_is_told_of_writers_that_have_one(
    own_database: Database, registry: CollectorRegistry, tmp_path: Path
) -> None:
    spool = SpoolOptions(tmp_path / "plant.spool", max_bytes=1 << 20)
    writer = BatchWriter(own_database.url, linger=0.01, package_bytes=100_000, spool=spool)
    async with BatchWriter(own_database.url) as other:
        await writer.open()
        register(writer, "plant", registry)
        register(other, "other", registry)
        own_database.server.kill()
        writer.write("a", 1, 1)
        await eventually(lambda: writer.stats().ever_spooled == 1)
        found, stats = scrape(registry), writer.stats().spool
        await writer.close()
    assert stats is not None
    assert found.value("spool_points", name="plant") == 1
    assert found.value("spool_packages", name="plant") == 1
    assert found.value("spool_bytes", name="plant") == stats.bytes
    assert found.value("spool_room_bytes", name="plant") == stats.room
    assert found.value("spool_oldest_seconds", name="plant") >= 0
    assert found.value("points_spooled_total", name="plant") == 1
    assert not [name for name, _ in found.of("other") if "_spool_" in name]


async def test_connections_are_told_by_host_and_state(
    own_database: Database, fast_retry: None, registry: CollectorRegistry
) -> None:
    server = own_database.server
    host = f"{server.host}:{server.port}"
    async with own_database.client() as client, client.writer() as writer:
        register(client, "client", registry)
        register(writer, "writer", registry)
        found = scrape(registry)
        assert found.value("connections", name="client", host=host, state="connected") == 1
        assert found.value("connections", name="writer", host=host, state="connected") == 2
        assert found.value("connections", name="writer", host=host, state="missing") == 0
        server.kill()
        await eventually(lambda: not client.connected and not writer.stats().connected)
        found = scrape(registry)
        assert found.value("connections", name="client", host=host, state="missing") == 1
        assert found.value("connections", name="writer", host=host, state="connected") == 0
        await asyncio.to_thread(server.start)
        await eventually(lambda: client.stats().connected + writer.stats().connected == 3)
        found = scrape(registry)
        assert found.value("reconnects_total", name="client", host=host) == 1
        assert found.value("reconnects_total", name="writer", host=host) == 2


async def test_suspended_host_is_told_from_one_that_serves(registry: CollectorRegistry) -> None:
    async with ScriptedServer(answer_all) as server, scripted_client(server) as client:
        register(client, "client", registry)
        cluster = client._binding.here()
        connection = cluster.select()
        assert connection is not None
        cluster.suspend(connection)
        host = f"{server.host}:{server.port}"
        found = scrape(registry)
        assert found.value("connections", name="client", host=host, state="suspended") == 1
        assert found.value("connections", name="client", host=host, state="connected") == 0


async def test_no_label_is_the_name_of_a_series(registry: CollectorRegistry) -> None:
    held = HeldInserts()
    async with ScriptedServer(held) as server, scripted_writer(server) as writer:
        register(writer, "plant", registry)
        before = len(scrape(registry).samples)
        await writer.write_many({f"s{n}": ([1, 2], [1, 2]) for n in range(100)})
        assert len(scrape(registry).samples) == before
        await held.answer_points(200)


async def test_writer_that_is_not_open_yet_tells_nothing(registry: CollectorRegistry) -> None:
    async with ScriptedServer(answer_all) as server:
        writer = scripted_writer(server)
        register(writer, "plant", registry)
        assert scrape(registry).samples == {}
        with pytest.raises(ConfigError, match="is registered as 'plant'"):
            register(scripted_writer(server), "plant", registry)
        async with writer:
            assert scrape(registry).of("plant")


async def test_closed_writer_keeps_what_it_has_counted_and_nothing_else(
    registry: CollectorRegistry,
) -> None:
    async with ScriptedServer(answer_all) as server:
        async with scripted_writer(server) as writer:
            register(writer, "plant", registry)
            writer.write("a", 1, 1)
        found = scrape(registry)
        assert found.value("points_written_total", name="plant") == 1
        assert {
            name for name in found.names if "connections" in name or "pending" in name
        } == set()
        async with scripted_writer(server) as following:  # may have the name of a closed one
            register(following, "plant", registry)
            assert scrape(registry).value("points_written_total", name="plant") == 0


async def test_writer_that_is_freed_disappears(registry: CollectorRegistry) -> None:
    async with ScriptedServer(answer_all) as server:
        writer = scripted_writer(server)
        async with writer:
            register(writer, "plant", registry)
        del writer
        gc.collect()
        assert scrape(registry).samples == {}


async def test_unregistered_writer_disappears(registry: CollectorRegistry) -> None:
    async with ScriptedServer(answer_all) as server, scripted_writer(server) as writer:
        collector = register(writer, "plant", registry)
        assert register(writer, "plant", registry) is collector
        unregister("plant", registry)
        unregister("never registered", registry)
        unregister("plant", CollectorRegistry())
        assert scrape(registry).samples == {}


def test_blocking_writer_and_client_are_scraped_from_another_thread(
    database: Database, registry: CollectorRegistry
) -> None:
    with siridb_fast.connect(database.url) as client, client.writer() as writer:
        register(client, "client", registry)
        register(writer, "writer", registry)
        for number in range(20_000):
            writer.write("a", number, 0.5)
            if number % 1000 == 0:
                found = scrape(registry)
                assert found.value("points_written_total", name="writer") == number + 1
        writer.flush()
        found = scrape(registry)
    host = f"{database.server.host}:{database.server.port}"
    assert found.value("points_delivered_total", name="writer", path="fast") > 0
    assert found.value("connections", name="client", host=host, state="connected") == 1


def test_what_is_neither_writer_nor_client_is_refused(registry: CollectorRegistry) -> None:
    with pytest.raises(ConfigError, match="a writer or client has metrics"):
        register(object(), "plant", registry)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", None])
def test_name_that_is_none_is_refused(registry: CollectorRegistry, name: Any) -> None:
    with pytest.raises(ConfigError, match="name is a text that tells a source apart, got"):
        register(BatchWriter("siridb://u:p@h/db"), name, registry)


def test_names_are_in_base_units_and_counters_say_so(registry: CollectorRegistry) -> None:
    collector = register(BatchWriter("siridb://u:p@h/db"), "plant", registry)
    for family in collector.describe():
        assert family.documentation.endswith(".")
        assert not family.name.endswith(("_ms", "_kb", "_mb", "_total"))
        assert family.type in {"counter", "gauge", "histogram"}


def test_without_prometheus_client_the_error_names_the_extra() -> None:
    code = "import sys; sys.modules['prometheus_client'] = None; import siridb_fast.metrics"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install siridb_fast[metrics]" in done.stderr


def test_nothing_else_brings_prometheus_client() -> None:
    code = (
        "import sys, siridb_fast; [getattr(siridb_fast, name) for name in siridb_fast.__all__];"
        "print('prometheus_client' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
