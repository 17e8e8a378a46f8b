"""Points that a server of one pool had passed on to another pool before it died: stored once."""

import asyncio
import time
from typing import Any

import numpy as np
import pytest

from siridb_fast import (
    BatchWriter,
    SiriDBClient,
    packb,
    unpackb,
)
from siridb_fast.protocol.pools import name_in_pool
from siridb_fast.testing import (
    ScriptedPackage,
    ScriptedPeer,
    ScriptedServer,
    SiriDBCluster,
)
from siridb_fast.writer.options import Durability
from tests.delivery.cluster_answers import lengths, shown
from tests.fix_loop import eventually
from tests.fix_scripted import INSERT, QUERY

FIRST = np.array([5000]), np.array([0.5])
LONG = 60.0  # seconds: a new pool takes its time, and so may a busy machine
Points = dict[str, list[list[Any]]]
COLUMN = np.arange(1000), np.arange(1000.0)


class Pools:
    """Two scripted servers, one of each pool; one passes the first insert on, and ends.

    The other works on it for so many questions, and has its points only then.
    """

    def __init__(self, questions: int) -> None:
        self.questions = questions
        self.inserts: list[Points] = []
        self.stored: Points = {}
        self.victim = ""
        self.began = time.monotonic()

    async def first(self, peer: ScriptedPeer) -> None:
        await self._serve(peer, "first", 0)

    async def second(self, peer: ScriptedPeer) -> None:
        await self._serve(peer, "second", 1)

    async def _serve(self, peer: ScriptedPeer, uuid: str, pool: int) -> None:
        await peer.accept_auth()
        while True:
            package = await peer.read_package(timeout=LONG)
            if package.type == INSERT:
                self.inserts.append(unpackb(package.payload, "utf-8"))
                if len(self.inserts) == 1:
                    self.victim = uuid
                    peer.abort()
                    return
            answer = self._answer(package, uuid, pool)
            await peer.send(package.pid, package.type, b"" if answer is None else packb(answer))

    def _answer(self, package: ScriptedPackage, uuid: str, pool: int) -> Any:
        if package.type == INSERT:
            return {"success_msg": "yes"}
        if package.type != QUERY:
            return None
        text = unpackb(package.payload, "utf-8")[0]
        if text.startswith("show uuid"):
            began = self.began + 100 if uuid == self.victim else self.began  # it was started again
            uptime = max(0, int(100 + time.monotonic() - began))
            return shown(uuid=uuid, uptime=uptime, received_points=9999, pool=pool,
                         time_precision="ns", buffer_size=1024)  # fmt: skip
        if text == "show active_tasks":
            return shown(active_tasks=self._tasks(uuid))
        if text == "list servers uuid, active_tasks":
            tasks = [["first", self._tasks("first")], ["second", self._tasks("second")]]
            return {"columns": ["uuid", "active_tasks"], "servers": tasks}
        if text == "list servers uuid, pool":
            return {"columns": ["uuid", "pool"], "servers": [["first", 0], ["second", 1]]}
        if text.startswith("list series pool"):
            return {"columns": ["pool"], "series": [[pool]]}
        if text.startswith("select count()"):
            return {name: [[points[-1][0], len(points)]] for name, points in self.stored.items()}
        if text.startswith("select *"):
            return self.stored
        return {"series": [], "servers": [], "pools": 2}

    def _tasks(self, uuid: str) -> int:
        if uuid == self.victim or not self.inserts:
            return 1
        self.questions -= 1
        if self.questions <= 0:
            self.stored = self.inserts[0]
        return 1 if self.stored else 7


@pytest.mark.parametrize("durability", ["acked", "safe"])
@pytest.mark.parametrize("is_listed", [True, False])
async def test_points_that_were_passed_on_are_waited_for_where_they_went(
    is_listed: bool, durability: Durability, fast_retry: None
) -> None:
    pools = Pools(questions=5)
    async with ScriptedServer(pools.first) as first, ScriptedServer(pools.second) as second:
        others = f",{second.host}:{second.port}" if is_listed else ""
        url = f"siridb://iris:siri@{first.host}:{first.port}{others}/db"
        options: dict[str, Any] = {"connections": 1, "window": 1, "durability": durability}
        async with BatchWriter(url, sentinel="pushes", **options) as writer:
            name = name_in_pool("a", 1, 2)
            writer.write(name, 1, 0.5)
            await eventually(lambda: bool(pools.stored) or len(pools.inserts) > 1, LONG)
            assert (await writer.flush(LONG)).is_complete
        assert [one for one in pools.inserts if name in one] == [{name: [[1, 0.5]]}]


@pytest.mark.server
@pytest.mark.one_loop
@pytest.mark.parametrize("durability", ["acked", "safe"])
async def test_points_of_a_server_that_died_after_it_had_passed_them_on_are_stored_once(
    durability: Durability, fast_retry: None
) -> None:
    names = [name_in_pool(f"far-{n}", 1, 2) for n in range(300)]
    column = np.arange(50), np.arange(50.0)
    with SiriDBCluster(pools=2) as cluster:
        cluster.create_database()
        first, second = cluster.servers
        url = f"{first.url()}?max_wait_retry=1&inactive_time=1"
        async with BatchWriter(url, linger=0.01, durability=durability) as writer:
            for name in names:
                await writer.write_arrays(name, *FIRST)
            assert (await writer.flush(LONG)).is_complete
            second.pause()
            delivery = await writer.write_many(dict.fromkeys(names, column))
            await eventually(lambda: writer.stats().packages_in_flight > 0, LONG)
            await asyncio.sleep(0.2)  # it passes on what it has got
            first.kill()
            second.resume()
            await asyncio.to_thread(first.start)
            report = await delivery
            assert (report.points, report.in_doubt_points) == (50 * len(names), 0)
        assert await lengths(cluster.url(), names) == dict.fromkeys(names, 51)
        async with SiriDBClient.from_url(cluster.url()) as client:
            found = await client.query_arrays("select count() from /far.*/")
        assert {int(counts[0]) for _, counts in found.values()} == {51}
