"""A writer whose database becomes another one behind it: asked over each new connection."""

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from siridb_fast import (
    BatchWriter,
    DatabaseChangedError,
    RequestTimeout,
    SpoolError,
)
from siridb_fast.connection.cluster import Cluster
from siridb_fast.connection.config import parse_url
from siridb_fast.connection.open import open_connection
from siridb_fast.query.database_facts import DatabaseFacts
from siridb_fast.query.server_queries import ServerQueries
from siridb_fast.testing import SiriDBServer
from siridb_fast.writer.handshake import Handshake
from siridb_fast.writer.options import WriterOptions
from tests.fix_changes import drop, remake, replace_server
from tests.fix_loop import eventually
from tests.fix_server import Database

FIRST = 1_600_000_000_000_000_000
QUICK = "max_wait_retry=1&keepalive_interval=1.5"  # a busy machine takes a part of that
pytestmark = [pytest.mark.server, pytest.mark.usefixtures("fast_retry")]


async def series_of(database: Database) -> int:
    async with database.client() as client:
        return int((await client.query("count series"))["series"])


# ---- another time precision


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
async def test_points_of_another_precision_never_go_to_the_server_that_took_the_place_of_one(
    own_database: Database, unit: str
) -> None:
    writer = BatchWriter(f"{own_database.url}?{QUICK}")
    await writer.open()
    writer.write("a", FIRST, 1.5)
    assert (await writer.flush()).points == 1
    await asyncio.to_thread(replace_server, own_database, time_precision=unit)
    writer.write("a", FIRST + 1, 2.5)
    with pytest.raises(RequestTimeout, match=f"time precision .* is {unit}, it was ns"):
        await writer.flush(3)
    report = await writer.close(0.1)
    assert (report.points, report.rejected_points) == (0, 1)
    assert await series_of(own_database) == 0


async def test_package_that_was_in_flight_never_goes_to_a_database_of_another_precision(
    own_database: Database,
) -> None:
    writer = BatchWriter(f"{own_database.url}?{QUICK}", on_doubt="resend")
    await writer.open()
    writer.write("a", FIRST, 1.5)
    await writer.flush()
    own_database.server.pause()
    writer.write("a", FIRST + 1, 2.5)
    with pytest.raises(RequestTimeout):
        await writer.flush(0.2)
    assert writer.stats().in_flight == 1
    await asyncio.to_thread(replace_server, own_database, time_precision="ms")
    with pytest.raises(RequestTimeout, match="time precision"):
        await writer.flush(3)
    assert not (await writer.close(0.1)).is_complete
    assert await series_of(own_database) == 0


async def test_points_of_another_precision_stay_in_the_spool(
    own_database: Database, tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    writer = BatchWriter(f"{own_database.url}?{QUICK}", spool=spool)
    await writer.open()
    await asyncio.to_thread(replace_server, own_database, time_precision="ms")
    for n in range(10):
        writer.write("a", FIRST + n, 1.5)
    await writer.flush()
    report = await writer.close(1)
    assert report.is_complete
    assert writer.stats().spooled == 10
    assert await series_of(own_database) == 0
    with pytest.raises(SpoolError, match="for the time precision 'ns', and was opened for 'ms'"):
        await BatchWriter(own_database.url, spool=spool).open()
    await asyncio.to_thread(replace_server, own_database, time_precision="ns")
    async with BatchWriter(own_database.url, spool=spool):
        pass
    async with own_database.client() as client:
        assert len((await client.query_arrays("select * from 'a'"))["a"][0]) == 10


# ---- dropped, behind a connection that stays


@pytest.mark.parametrize("unit", ["ns", "ms"])
async def test_database_that_is_dropped_and_made_anew_behind_a_connection_is_noticed(
    own_database: Database, unit: str, caplog: pytest.LogCaptureFixture
) -> None:
    writer = BatchWriter(f"{own_database.url}?{QUICK}")
    await writer.open()
    writer.write("a", FIRST, 1.5)
    await writer.flush()
    await asyncio.to_thread(drop, own_database)
    with caplog.at_level(logging.WARNING):
        await asyncio.to_thread(remake, own_database, time_precision=unit)
    assert "dropped the database" in caplog.text
    writer.write("a", FIRST + 1, 2.5)
    if unit == "ns":
        assert (await writer.flush()).points == 1
    else:
        with pytest.raises(RequestTimeout, match="time precision"):
            await writer.flush(3)
    await writer.close(0.1)
    assert await series_of(own_database) == (unit == "ns")


async def test_client_gives_up_the_connection_to_a_database_that_was_dropped(
    own_database: Database,
) -> None:
    async with own_database.client(keepalive_interval=1.5, max_wait_retry=1) as client:
        await client.insert({"a": [[FIRST, 1.5]]})
        await asyncio.to_thread(drop, own_database)
        await eventually(lambda: not client.connected)


# ---- everything that is learned is asked for over each new connection

Change = Callable[[Database, ExitStack], Awaitable[None]]


async def _replace(database: Database, _: ExitStack) -> None:
    await asyncio.to_thread(replace_server, database)


async def _more_buffer(database: Database, _: ExitStack) -> None:
    await asyncio.to_thread(replace_server, database, buffer_size=8192)


async def _other_precision(database: Database, _: ExitStack) -> None:
    await asyncio.to_thread(replace_server, database, time_precision="ms")


async def _no_select(database: Database, _: ExitStack) -> None:
    await database_query(database, "revoke select from user 'iris'")


async def _another_pool(database: Database, stack: ExitStack) -> None:
    server = database.server
    entry = {"dbname": database.name, "host": server.host, "port": server.port}
    entry |= {"username": "iris", "password": "siri"}
    second = stack.enter_context(SiriDBServer(options={"heartbeat_interval": 3}))
    await asyncio.to_thread(second.api.service, "new-pool", entry)


async def database_query(database: Database, text: str) -> None:
    await asyncio.to_thread(database.server.api.query, database.name, text)


CHANGES: dict[str, Change] = {
    "uuid": _replace,
    "time_precision": _other_precision,
    "buffer_size": _more_buffer,
    "may_select": _no_select,
    "pools": _another_pool,
}


@pytest.mark.parametrize("name", CHANGES)
async def test_whatever_is_learned_is_learned_anew_over_each_connection(
    own_database: Database, name: str
) -> None:
    assert CHANGES.keys() == {field.name for field in dataclasses.fields(DatabaseFacts)}
    config = parse_url(own_database.url)
    cluster = Cluster(config)
    told: list[DatabaseFacts] = []
    options = WriterOptions(durability="safe")
    handshake = Handshake(ServerQueries(cluster), options, "verify", told.append)
    with ExitStack() as stack:
        for change in (None, CHANGES[name]):
            if change is not None:
                await change(own_database, stack)
            connection = await open_connection(config.hosts[0], config)
            try:
                await handshake.run(connection)
            except DatabaseChangedError:
                assert name == "time_precision"
            connection.close()
            await connection.wait_closed()
    if name != "time_precision":
        before, after = (dataclasses.asdict(facts) for facts in told)
        assert before[name] != after[name]
