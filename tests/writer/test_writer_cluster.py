"""A writer to a cluster whose servers are busy with themselves: in backup mode, or re-indexing."""

import asyncio
import threading
from typing import Any

import numpy as np
import pytest

import siridb_fast
from siridb_fast import BatchWriter, SiriDBClient
from siridb_fast.testing import HttpApiError, SiriDBCluster, SiriDBServer, wait_until

pytestmark = pytest.mark.server

SERIES = [f"series-{n}" for n in range(200)]
BURST = 20


async def found_in(url: str) -> dict[str, list[int]]:
    async with SiriDBClient.from_url(url) as client:
        arrays = await client.query_arrays("select * from /series-.*/", all_points=True)
    return {name: times.tolist() for name, (times, _) in arrays.items()}


def write_burst(writer: BatchWriter, first: int) -> int:
    """Write some points of each series; return where to go on."""
    for n in range(first, first + BURST):
        for name in SERIES:
            writer.write(name, n, n * 0.5)
    return first + BURST


def test_what_a_server_in_backup_mode_does_not_take_goes_to_its_replica() -> None:
    async def write(cluster: SiriDBCluster) -> int:
        main, replica = cluster.servers
        name = f"{main.host}:{main.backend_port}"
        url = f"{cluster.url()}?inactive_time=1&max_wait_retry=1"
        async with BatchWriter(url, linger=0.01) as writer:
            end = write_burst(writer, 0)
            await writer.flush()
            replica.api.query("dbtest", f"alter server '{name}' set backup_mode true")
            assert "backup" in str(main.api.query("dbtest", "show status"))
            for _ in range(3):
                end = write_burst(writer, end)
                assert (await writer.flush(30)).is_complete
            replica.api.query("dbtest", f"alter server '{name}' set backup_mode false")
            await asyncio.to_thread(cluster.wait_until_running)
            return write_burst(writer, end)

    with SiriDBCluster(pools=1, replicas=1) as cluster:
        cluster.create_database()
        end = siridb_fast.run(write(cluster))
        expected = {name: list(range(end)) for name in SERIES}
        for server in cluster.servers:  # each gets from the other what it has not
            wait_until(
                lambda server=server: siridb_fast.run(found_in(server.url())) == expected,  # type: ignore[misc]
                timeout=30,
                what="every point is in both servers once",
            )


@pytest.mark.parametrize("options", [{}, {"durability": "safe"}, {"on_doubt": "report"}])
def test_a_writer_that_starts_while_a_pool_is_down_waits_for_it(
    options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async def write(first: SiriDBServer, second: SiriDBServer) -> None:
        url = f"{first.url()}?inactive_time=1&max_wait_retry=1"
        async with BatchWriter(url, linger=0.01, **options) as writer:
            write_burst(writer, 0)
            await asyncio.sleep(1)
            await asyncio.to_thread(second.start)
            await writer.drain()

    with SiriDBCluster(pools=2) as cluster:
        cluster.create_database()
        first, second = cluster.servers
        second.stop()
        wait_until(lambda: _lacks_pool(first), timeout=60, what="the first server misses it")
        siridb_fast.run(write(first, second))
        cluster.wait_until_running()
        found = siridb_fast.run(found_in(cluster.url()))
    assert found == {name: list(range(BURST)) for name in SERIES}
    assert "no connection" not in caplog.text


def _lacks_pool(server: SiriDBServer) -> bool:
    try:
        server.api.query("dbtest", "select count() from 'any'")
    except HttpApiError as exc:
        return "pool" in str(exc)
    return False


def test_points_that_come_while_a_pool_is_added_are_stored_once() -> None:
    def has_database(server: SiriDBServer) -> bool:
        try:
            server.api.query("dbtest", "show status")
        except HttpApiError:
            return False
        return True

    async def write(server: SiriDBServer, joining: threading.Thread) -> int:
        end = 0
        async with BatchWriter(f"{server.url()}?inactive_time=1", linger=0.01) as writer:
            while joining.is_alive() or end < 10 * BURST:
                end = write_burst(writer, end)
                await writer.drain()
                await asyncio.sleep(0.05)
            assert (await writer.flush()).is_complete
        return end

    with SiriDBCluster(pools=2) as cluster:
        first = cluster.servers[0]
        joining = threading.Thread(target=cluster.create_database)
        joining.start()
        try:
            wait_until(lambda: has_database(first), timeout=30, what="the first server has it")
            end = siridb_fast.run(write(first, joining))
        finally:
            joining.join()
        moved = cluster.servers[1].api.query("dbtest", "count series where pool == 1")
        assert 0 < moved["series"] < len(SERIES)
        found = siridb_fast.run(found_in(cluster.url()))
    assert {name: len(times) for name, times in found.items()} == dict.fromkeys(SERIES, end)
    assert all(np.array_equal(times, np.arange(end)) for times in found.values())
