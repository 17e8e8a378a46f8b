"""Pools and replicas that come, go, differ and lag under a writer."""

import asyncio

import numpy as np
import pytest

from siridb_fast import BatchWriter, ProtocolError, SiriDBClient
from siridb_fast.protocol.pools import MAX_POOLS, name_in_pool, pool_of
from siridb_fast.query.server_queries import pools_of
from siridb_fast.testing import SiriDBCluster

LONG = 60.0  # seconds: a new pool takes its time, and so may a busy machine
COLUMN = np.arange(1000), np.arange(1000.0)


async def add_pool(cluster: SiriDBCluster) -> None:
    """Have the second server of a cluster join the database of the first as a pool."""
    first, second = cluster.servers
    entry = {"dbname": "dbtest", "host": first.host, "port": first.port,
             "username": "iris", "password": "siri"}  # fmt: skip
    await asyncio.to_thread(second.api.service, "new-pool", entry, timeout=LONG)
    await asyncio.to_thread(cluster.wait_until_running)


async def lengths(url: str, names: list[str]) -> dict[str, int]:
    async with SiriDBClient.from_url(url) as client:
        found = await client.query_arrays("select * from *")
    return {name: len(np.unique(found[name][0])) if name in found else 0 for name in names}


# ---- a pool that nobody has told of


@pytest.mark.server
@pytest.mark.one_loop
async def test_pool_that_comes_under_a_safe_writer_gets_its_points_safe(fast_retry: None) -> None:
    names = [name_in_pool(f"young-{n}", n % 2, 2) for n in range(4)]
    with SiriDBCluster(pools=2) as cluster:
        cluster.servers[0].create_database()
        url = f"{cluster.url()}?max_wait_retry=1"
        async with BatchWriter(url, durability="safe", linger=0.01) as writer:
            await writer.write_arrays("old", *COLUMN)
            assert (await writer.flush(LONG)).is_complete
            await add_pool(cluster)
            newcomer = cluster.pools[1][0]
            # The writer learns of it by and by: by a connection to it, and by asking.
            for start in (0, 1000):
                await writer.write_many(dict.fromkeys(names, (COLUMN[0] + start, COLUMN[1])))
                assert (await writer.flush(LONG)).points == 4000
            newcomer.kill()
            cluster.servers[0].kill()
            for server in cluster.servers:
                await asyncio.to_thread(server.start)
            await asyncio.to_thread(cluster.wait_until_running)
            assert await lengths(cluster.url(), names) == dict.fromkeys(names, 2000)


@pytest.mark.server
@pytest.mark.one_loop
async def test_sentinel_that_lands_in_a_new_pool_makes_nothing_safe() -> None:
    # It is the old pool's where there is one, and the new one's as soon as there are two.
    sentinel = name_in_pool("pushes", 1, 2)
    young = name_in_pool("young", 0, 2)
    with SiriDBCluster(pools=2) as cluster:
        first = cluster.servers[0]
        first.create_database()
        async with BatchWriter(
            first.url(), durability="safe", sentinel=sentinel, linger=0.01
        ) as writer:
            await writer.write_arrays("old", *COLUMN)
            assert (await writer.flush(LONG)).is_complete
            await add_pool(cluster)
            await writer.write_arrays(young, *COLUMN)
            assert (await writer.flush(LONG)).points == 1000
            first.kill()
            await asyncio.to_thread(first.start)
            await asyncio.to_thread(cluster.wait_until_running)
            assert await lengths(cluster.url(), [young]) == {young: 1000}


# ---- no loop ends when a server likes it


@pytest.mark.parametrize(("pool", "pools"), [(2, 2), (-1, 2), (0, 0), (0, -5), (1, MAX_POOLS + 1)])
def test_pool_that_cannot_be_has_no_name(pool: int, pools: int) -> None:
    with pytest.raises(ValueError, match="pool"):
        name_in_pool("a", pool, pools)


def test_each_pool_of_many_has_a_name() -> None:
    pools = 180  # behind that, by the server's own rule, a new pool owns no series
    assert [pool_of(name_in_pool("a", n, pools), pools) for n in range(pools)] == [*range(pools)]
    with pytest.raises(ValueError, match="owns no series"):
        name_in_pool("a", pools, pools + 1)


@pytest.mark.parametrize("answer", [{}, {"pools": 0}, {"pools": 2**40}, {"pools": "2"}, [2], None])
def test_number_of_pools_that_cannot_be_is_an_error(answer: object) -> None:
    with pytest.raises(ProtocolError, match="pools"):
        pools_of(answer)
