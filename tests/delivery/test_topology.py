"""Pools and replicas that come, go, differ and lag under a writer."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from siridb_fast import (
    BatchWriter,
    Delivery,
    ProtocolError,
    packb,
    unpackb,
)
from siridb_fast.protocol.pools import MAX_POOLS, name_in_pool, pool_of
from siridb_fast.query.select import quote
from siridb_fast.query.server_queries import pools_of
from siridb_fast.spool.reader import SpoolReader
from siridb_fast.testing import (
    FaultProxy,
    ScriptedPeer,
    ScriptedServer,
    SiriDBCluster,
    SiriDBServer,
    wait_until,
)
from siridb_fast.writer.options import Durability
from tests.delivery.cluster_answers import lengths, shown
from tests.fix_balancer import Address, Balance
from tests.fix_loop import eventually
from tests.fix_scripted import QUERY

FIRST = np.array([5000]), np.array([0.5])
LONG = 60.0  # seconds: a new pool takes its time, and so may a busy machine
Points = dict[str, list[list[Any]]]
COLUMN = np.arange(1000), np.arange(1000.0)


async def add_pool(cluster: SiriDBCluster) -> None:
    """Have the second server of a cluster join the database of the first as a pool."""
    first, second = cluster.servers
    entry = {"dbname": "dbtest", "host": first.host, "port": first.port,
             "username": "iris", "password": "siri"}  # fmt: skip
    await asyncio.to_thread(second.api.service, "new-pool", entry, timeout=LONG)
    await asyncio.to_thread(cluster.wait_until_running)


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


# ---- several servers behind one address


def counts_in(server: SiriDBServer, names: list[str]) -> dict[str, int]:
    """Return how many points one server has of each series."""
    listed = ",".join(map(quote, names))
    answer = server.api.query("dbtest", f"list series name, length {listed}")
    return dict.fromkeys(names, 0) | dict(answer["series"])


async def wait_caught_up(cluster: SiriDBCluster) -> None:
    """Wait until both servers have from the other what it had before: in order."""
    await asyncio.to_thread(cluster.wait_until_running)
    for server, other in (cluster.servers, reversed(cluster.servers)):
        name = f"behind {server.port}"
        there = counts_in(other, [name])[name]
        server.api.insert("dbtest", {name: [(1, 0.5)]})

        def has_come(other: SiriDBServer = other, name: str = name, there: int = there) -> bool:
            return counts_in(other, [name])[name] > there

        await asyncio.to_thread(wait_until, has_come, timeout=LONG, what="the other has it")


async def require_each(cluster: SiriDBCluster, names: list[str], points: int) -> None:
    """Compare how many points of each series each server has, once both have caught up."""
    await wait_caught_up(cluster)
    expected = dict.fromkeys(names, points)
    assert [counts_in(server, names) for server in cluster.servers] == [expected, expected]


async def require_once(cluster: SiriDBCluster, names: list[str], points: int) -> None:
    """Look for all points in the pool, and for none twice.

    A package that is on its way from one server to its replica when either ends may be missing
    in the replica for good, though it was acknowledged (seen once on a busy machine).
    """
    await wait_caught_up(cluster)
    counts = [counts_in(server, names) for server in cluster.servers]
    most = {name: max(count[name] for count in counts) for name in names}
    assert most == dict.fromkeys(names, points), counts


def address_of(server: SiriDBServer | FaultProxy) -> Address:
    return server.host, server.port


def url_to(address: Address) -> str:
    return f"siridb://iris:siri@{address[0]}:{address[1]}/dbtest"


class Pair:
    """A pool of two servers behind one address; connections lead to them in turn.

    What the first one answers can be cut off: it passes a proxy.
    """

    def __init__(self, cluster: SiriDBCluster, first: FaultProxy, balance: Balance) -> None:
        self.cluster = cluster
        self.first, self.second = cluster.servers
        self._proxy = first
        self.url = url_to(balance([address_of(first), address_of(self.second)]))

    async def lose_an_answer(self, writer: BatchWriter, names: list[str]) -> Delivery:
        """Have the first server store a package that its replica has not, and die."""
        for name in (*names, "before", "marker"):  # what follows asks for no types
            await writer.write_arrays(name, *FIRST)
        assert (await writer.flush(LONG)).is_complete
        await require_each(self.cluster, names, 1)
        self.second.pause()
        # What is on its way to the replica is behind this one, which waits for an answer.
        await writer.write_arrays("before", *COLUMN)
        assert (await writer.flush()).is_complete
        self._proxy.cut(after=1, direction="answers")
        delivery = await writer.write_many(dict.fromkeys(names, COLUMN))
        await eventually(lambda: not self._proxy.is_trapped, LONG)
        self.first.kill()
        self.second.resume()
        return delivery


@contextmanager
def a_pair(balance: Balance) -> Iterator[Pair]:
    with SiriDBCluster(pools=1, replicas=1) as cluster:
        cluster.create_database()
        with FaultProxy(*address_of(cluster.servers[0])) as first:
            yield Pair(cluster, first, balance)


@pytest.fixture
def small_balance() -> Iterator[Balance]:
    """Return a balancer of our own, for where there is no HAProxy."""
    with ExitStack() as stack:

        def start(servers: Sequence[Address]) -> Address:
            (host, port), *others = servers
            return address_of(stack.enter_context(FaultProxy(host, port, others=others)))

        yield start


@pytest.fixture(params=["small_balance", "balance"], ids=["proxy", "HAProxy"])
def any_balance(request: pytest.FixtureRequest) -> Balance:
    return cast("Balance", request.getfixturevalue(request.param))


NAMES = ["a", "b", "c"]


@pytest.mark.server
@pytest.mark.one_loop
@pytest.mark.parametrize("durability", ["acked", "safe"])
async def test_only_the_server_that_got_a_package_is_believed(
    any_balance: Balance, durability: Durability, fast_retry: None
) -> None:
    with a_pair(any_balance) as pair:
        options: dict[str, Any] = {"durability": durability, "linger": 0.01, "connections": 1}
        async with BatchWriter(f"{pair.url}?max_wait_retry=1", **options) as writer:
            delivery = await pair.lose_an_answer(writer, NAMES)
            # The other one answers at the same address, and lacks the package.
            marker = await writer.write_arrays("marker", *COLUMN)
            await asyncio.wait_for(is_stored(pair.second, "marker"), LONG)
            assert counts_in(pair.second, NAMES) == dict.fromkeys(NAMES, 1)
            assert not delivery.is_done
            await asyncio.to_thread(pair.first.start)
            assert ((await delivery).points, (await marker).points) == (3000, 1000)
        await require_each(pair.cluster, NAMES, 1001)


async def is_stored(server: SiriDBServer, name: str) -> None:
    """Wait until a server has more points of a series than the first."""
    while counts_in(server, [name])[name] < 2:  # noqa: ASYNC110 - nobody announces it
        await asyncio.sleep(0.05)


@pytest.mark.server
@pytest.mark.one_loop
async def test_replay_of_a_spool_asks_the_server_that_got_the_package(
    any_balance: Balance, fast_retry: None, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"linger": 0.01, "connections": 1, "spool": tmp_path / "spool"}
    with a_pair(any_balance) as pair:
        url = f"{pair.url}?max_wait_retry=1"
        async with BatchWriter(url, **options) as writer:
            await pair.lose_an_answer(writer, NAMES)
        with SpoolReader(options["spool"]) as reader:
            answer = pair.second.api.query("dbtest", "list servers uuid, online")
            (gone,) = [uuid for uuid, is_online in answer["servers"] if not is_online]
            assert [row.server for row in reader.packages() if row.is_sent] == [gone]
        options["wait_for_server"] = LONG  # for the balancer to find out which of them is there
        async with BatchWriter(url, **options) as writer:  # the next day
            await writer.write_arrays("marker", *COLUMN)
            await asyncio.wait_for(is_stored(pair.second, "marker"), LONG)
            assert counts_in(pair.second, NAMES) == dict.fromkeys(NAMES, 1)
            await asyncio.to_thread(pair.first.start)
            await eventually(lambda: writer.stats().spooled == 0, LONG)
            assert writer.stats().delivered == 4000
        await require_each(pair.cluster, NAMES, 1001)


@pytest.mark.server
@pytest.mark.one_loop
@pytest.mark.parametrize("kind", ["acked", "safe", "journal"])
async def test_each_server_of_a_pool_goes_and_comes_back_under_a_writer(
    kind: str, fast_retry: None, tmp_path: Path
) -> None:
    journal = {"journal": tmp_path / "journal"}
    options: dict[str, Any] = journal if kind == "journal" else {"durability": kind}
    with SiriDBCluster(pools=1, replicas=1) as cluster:
        cluster.create_database()
        first, second = cluster.servers
        with FaultProxy(*address_of(first), others=[address_of(second)]) as proxy:
            url = f"{url_to(address_of(proxy))}?max_wait_retry=1&inactive_time=1"
            async with BatchWriter(url, linger=0.01, **options) as writer:
                writing = asyncio.create_task(keep_writing(writer))
                for server in (second, first):
                    await eventually_more(writer)
                    await asyncio.to_thread(server.stop)
                    await eventually_more(writer)
                    await asyncio.to_thread(server.start)
                    await asyncio.to_thread(cluster.wait_until_running)
                writing.cancel()
                ticks = await writing
                report = await writer.flush(LONG)
                await eventually(lambda: writer.stats().spooled == 0, LONG)
                assert report.in_doubt_points == report.rejected_points == 0
        await require_once(cluster, NAMES, ticks)


async def keep_writing(writer: BatchWriter) -> int:
    """Write a point to each series every few milliseconds until cancelled; return how many."""
    ticks = 0
    with suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(0.005)
            for name in NAMES:
                writer.write(name, ticks, ticks / 2)
            ticks += 1
    return ticks


async def eventually_more(writer: BatchWriter) -> None:
    """Wait until more points are delivered."""
    before = writer.stats().delivered
    await eventually(lambda: writer.stats().delivered > before + 100, LONG)


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


@pytest.mark.parametrize("lie", [{"pool": 7}, {"pool": -1}, {"pools": 2**40}, {"pools": "two"}])
async def test_server_that_lies_about_pools_stalls_nothing(lie: dict[str, object]) -> None:
    async def lying(peer: ScriptedPeer) -> None:
        await peer.accept_auth()
        while True:
            package = await peer.read_package(timeout=LONG)
            text = unpackb(package.payload, "utf-8")[0] if package.type == QUERY else ""
            if text.startswith("show uuid"):
                facts = {"uuid": "one", "uptime": 100, "received_points": 0, "pool": 0}
                facts |= {"time_precision": "ns", "buffer_size": 1024}
                answer: object = shown(**(facts | lie))
            else:
                answer = {"pools": lie.get("pools", 2), "series": []}
            await peer.send(package.pid, package.type, packb(answer) if package.type < 2 else b"")

    async with ScriptedServer(lying) as server:
        url = f"siridb://iris:siri@{server.host}:{server.port}/db"
        writer = BatchWriter(url, durability="safe", delivery_timeout=1.0, on_doubt="report")
        if "pools" in lie:
            with pytest.raises(ProtocolError, match="pools"):
                await writer.open()
            return
        async with writer:
            writer.write("a", 1, 0.5)
            report = await writer.flush(LONG)
            assert (report.points, report.in_doubt_points) == (0, 1)
