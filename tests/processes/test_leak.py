"""Nothing grows: memory over points and answers; tasks, sockets and timers over connections."""

import asyncio
import gc
import logging
import os
from pathlib import Path

import numpy as np
import pytest

from siridb_fast import SiriDBClient, SiriDBError
from siridb_fast.connection.connection import Connection
from tests.fix_server import Database

BOUND = 16 * 2**20
POINTS = 100_000
ONE = np.array([1])

pytestmark = pytest.mark.memory


def rss() -> int:
    """Return this process's resident memory in bytes."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def leftovers() -> list[str]:
    """Return the open files other than the server's, the tasks, connections and timers."""
    gc.collect()
    still_open = [f"socket {fd.name}" for fd in Path("/proc/self/fd").iterdir() if is_socket(fd)]
    still_open += [str(task) for task in asyncio.all_tasks() - {asyncio.current_task()}]
    for item in gc.get_objects():
        is_timer = type(item).__name__ == "TimerHandle" and not item.cancelled()
        if is_timer or isinstance(item, Connection):
            still_open.append(type(item).__name__)
    return sorted(still_open)


def is_socket(fd: Path) -> bool:
    try:
        return str(fd.readlink()).startswith("socket:")
    except OSError:  # the listing's own
        return False


async def test_memory_is_flat_over_ten_million_points(own_database: Database) -> None:
    times = np.arange(POINTS)
    values = np.random.default_rng(1).random(POINTS)

    async def insert(first: int, last: int) -> int:
        for number in range(first, last):
            data = {"a": (times + number * POINTS, values), "b": (times, values[::-1])}
            assert await client.insert(data)
        return rss()

    async with own_database.client() as client:
        before = await insert(0, 10)  # 2 million points
        assert await insert(10, 50) - before < BOUND


@pytest.mark.parametrize("ask", ["query", "query_arrays"])
async def test_memory_is_flat_over_answers(database: Database, ask: str) -> None:
    async def query(count: int) -> int:
        for _ in range(count // 500):
            calls = [getattr(client, ask)("select * from *") for _ in range(500)]
            for answer in await asyncio.gather(*calls):
                assert len(answer) == 3
        return rss()

    async with database.client() as client:
        await client.insert({"f": (ONE, ONE / 2), "i": (ONE, ONE), "t": [[1, "some text"]]})
        before = await query(5_000)
        # More than one huge page of 2 MiB, which the kernel makes of others when it likes.
        assert await query(40_000) - before < BOUND / 4


async def refused(client: SiriDBClient) -> None:
    with pytest.raises(SiriDBError):
        await client.query("nonsense")


async def inserted(client: SiriDBClient) -> None:
    await client.insert({"a": (ONE, ONE)})


async def test_connections_leave_nothing_behind(
    database: Database, unused_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "siridb_fast")  # a record refers to what it is about
    uses = [refused, inserted]
    hosts = [(database.server.host, database.server.port), ("127.0.0.1", unused_port)]
    before, memory = leftovers(), 0
    for number in range(200):
        client = SiriDBClient("iris", "siri", database.name, hosts)
        assert (await client.connect())[0] is None
        await uses[number % 2](client)
        client.close()
        if number % 3:
            await client.wait_closed()
        if number == 50:
            memory = rss()
    await client.wait_closed()
    del client
    for _ in range(3):  # what was not waited for
        await asyncio.sleep(0)
    assert leftovers() == before
    assert rss() - memory < BOUND / 4
