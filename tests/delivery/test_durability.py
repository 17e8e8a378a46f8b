"""`durability="safe"`: what was acknowledged and is lost with its server is sent again."""

import asyncio
from typing import Any

import numpy as np
import pytest

import siridb_fast.delivery.durability
from siridb_fast import BatchWriter, ConfigError, SiriDBClient
from siridb_fast.connection.server_process import ServerProcess
from siridb_fast.protocol.pools import name_in_pool, pool_of
from siridb_fast.testing import SiriDBCluster, SiriDBServer
from tests.fix_loop import eventually
from tests.fix_server import Database

FIRST = 1_600_000_000_000_000_000
SENTINEL = "siridb_fast.sentinel"


async def stored(database: Database) -> dict[str, list[int]]:
    async with database.client() as client:
        arrays = await client.query_arrays("select * from *")
    return {name: times.tolist() for name, (times, _) in arrays.items() if name != SENTINEL}


async def test_flushed_points_survive_the_death_of_the_server(own_database: Database) -> None:
    async with BatchWriter(own_database.url, durability="safe") as writer:
        for name in "abc":
            writer.write(name, FIRST, 1.5)
        writer.write("i", FIRST, 1)
        await writer.write_arrays("young", np.arange(FIRST, FIRST + 1000), np.arange(1000.0))
        report = await writer.flush()
        assert report.points == 1004
        own_database.server.kill()
        await asyncio.to_thread(own_database.server.start)
        found = await stored(own_database)
    assert {name: len(times) for name, times in found.items()} == {
        "a": 1, "b": 1, "c": 1, "i": 1, "young": 1000
    }  # fmt: skip


async def test_without_it_a_young_series_is_lost(own_database: Database) -> None:
    """The reason for all this; should it fail, the server has become better."""
    async with BatchWriter(own_database.url) as writer:
        await writer.write_arrays("young", np.arange(FIRST, FIRST + 1000), np.arange(1000.0))
        assert (await writer.flush()).is_complete
        own_database.server.kill()
        await asyncio.to_thread(own_database.server.start)
        assert await stored(own_database) == {}


@pytest.mark.server
@pytest.mark.parametrize(
    ("buffer_size", "points", "has_sentinel", "doubled"),
    [(1024, 60, False, 10), (1024, 60, True, 0), (8192, 508, False, 0)],
)
async def test_server_that_is_killed_right_after_a_buffer_was_full_has_its_points_twice(
    buffer_size: int, points: int, has_sentinel: bool, doubled: int
) -> None:
    """No client can prevent it; with large buffers it does not happen (`make soak`)."""
    inserts = [("o", 0, 1), ("a", 0, 10), ("o", 1, 2), ("a", 10, 10 + points)]
    with SiriDBServer() as server:
        server.create_database(buffer_size=buffer_size)
        async with SiriDBClient.from_url(server.url()) as client:
            for name, first, stop in inserts:
                await client.insert({name: (np.arange(first, stop), np.arange(first, stop) * 0.5)})
            if has_sentinel:
                await client.insert({"o": [[2, 1.5]]})
        server.kill()
        await asyncio.to_thread(server.start)
        async with SiriDBClient.from_url(server.url()) as client:
            times, _ = (await client.query_arrays("select * from 'a'"))["a"]
    assert (len(times), len(np.unique(times))) == (10 + points + doubled, 10 + points)


async def test_acknowledged_points_are_sent_again_after_a_restart(
    own_database: Database, fast_retry: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No sentinel goes out before the restart.
    is_held = True
    send_sentinel = siridb_fast.delivery.durability.SentinelTracker._send_sentinel
    monkeypatch.setattr(
        siridb_fast.delivery.durability.SentinelTracker,
        "_send_sentinel",
        lambda *args: None if is_held else send_sentinel(*args),
    )
    async with BatchWriter(own_database.url, durability="safe", linger=0.01) as writer:
        delivery = await writer.write_arrays("young", np.arange(1000), np.arange(1000.0))
        await eventually(lambda: writer.stats().not_yet_safe == 1000)
        assert not delivery.is_done
        own_database.server.kill()
        await asyncio.to_thread(own_database.server.start)
        is_held = False
        await writer.flush()  # has it check again, in case that all else is over
        report = await delivery
        assert (report.points, writer.stats().not_yet_safe, writer.stats().retries) == (1000, 0, 1)
    assert await stored(own_database) == {"young": list(range(1000))}


@pytest.mark.server
@pytest.mark.one_loop
async def test_points_that_another_pool_has_lost_are_sent_again(
    fast_retry: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whichever server a package went to: half of its points are in the other pool.
    is_held = True
    send_sentinel = siridb_fast.delivery.durability.SentinelTracker._send_sentinel
    monkeypatch.setattr(
        siridb_fast.delivery.durability.SentinelTracker,
        "_send_sentinel",
        lambda *args: None if is_held else send_sentinel(*args),
    )
    names = [name_in_pool(f"young-{n}", n % 2, 2) for n in range(4)]
    column = np.arange(1000), np.arange(1000.0)
    with SiriDBCluster(pools=2) as cluster:
        cluster.create_database()
        await asyncio.sleep(3)  # uptimes are whole seconds: a younger process is not told apart
        async with BatchWriter(cluster.url(), durability="safe", linger=0.01) as writer:
            delivery = await writer.write_many(dict.fromkeys(names, column))
            await eventually(lambda: writer.stats().not_yet_safe == 4000)
            victim = cluster.pools[1][0]
            victim.kill()
            await asyncio.to_thread(victim.start)
            await asyncio.to_thread(cluster.wait_until_running)
            is_held = False
            await writer.flush()  # has it check again, in case that all else is over
            assert (await delivery).points == 4000
            assert writer.stats().retries > 0
        async with SiriDBClient.from_url(cluster.url()) as client:
            found = await client.query_arrays("select * from /young.*/")
    times = {name: times.tolist() for name, (times, _) in found.items()}
    assert times == {name: list(range(1000)) for name in names}


async def test_point_is_safe_only_when_the_server_says_so(
    own_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with BatchWriter(own_database.url, durability="safe", delivery_timeout=3.0) as writer:
        writer.write("a", FIRST, 0.5)
        await writer.flush()
        monkeypatch.setattr(
            siridb_fast.delivery.durability.SentinelTracker, "_send_sentinel", lambda *_: None
        )
        writer.write("a", FIRST, 1.5)
        report = await writer.flush(timeout=60)
        assert (report.points, report.in_doubt_points) == (0, 1)
        assert "no server told that it is safe" in str(report.in_doubt[0].error)


async def test_user_who_may_not_show_cannot_be_safe(own_database: Database) -> None:
    async with own_database.client() as client:
        await client.query("create user 'writer' set password 'siri'")
        await client.query("grant insert, select to user 'writer'")
    url = own_database.server.url(own_database.name, username="writer")
    with pytest.raises(ConfigError, match="right to show"):
        await BatchWriter(url, durability="safe").open()


@pytest.mark.parametrize(
    ("options", "text"),
    [({"durability": "sure"}, "durability"), ({"sentinel": ""}, "sentinel"),
     ({"sentinel": "a\0b"}, "sentinel"), ({"on_doubt_fallback": "verify"}, "on_doubt_fallback")],
)  # fmt: skip
def test_odd_option_is_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        BatchWriter("siridb://iris:siri@localhost/dbtest", **options)


def process(earliest: float, received: int, uuid: str = "a") -> ServerProcess:
    return ServerProcess(uuid, 0, earliest, earliest + 1.0, received)


@pytest.mark.parametrize(
    ("seen", "is_same"),
    [
        (process(10.5, 7), True),
        (process(9.5, 7), True),
        (process(11.5, 7), False),
        (process(10.5, 6), False),
        (process(10.5, 7, "b"), False),
    ],
)
def test_process_is_told_from_the_next_one(seen: ServerProcess, is_same: bool) -> None:
    assert seen.may_be(process(10.0, 7), 7) is is_same


@pytest.mark.server
def test_pools_are_told_as_the_server_does() -> None:
    names = [f"series-{i}" for i in range(40)] + ["ä", "é" * 30, "日本", "🙂" * 7]
    with SiriDBCluster(pools=2) as cluster:
        cluster.create_database()
        api = cluster.servers[0].api
        for name in names:
            api.insert("dbtest", {name: [(FIRST, 1.5)]})
        answer = api.query("dbtest", "list series name, pool limit 1000")
    assert dict(answer["series"]) == {name: pool_of(name, 2) for name in names}


@pytest.mark.parametrize("pools", [1, 2, 3, 7])
def test_each_pool_has_a_name_of_its_own(pools: int) -> None:
    names = [name_in_pool(SENTINEL, pool, pools) for pool in range(pools)]
    assert [pool_of(name, pools) for name in names] == list(range(pools))
    assert len(set(names)) == pools
