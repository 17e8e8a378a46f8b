"""Hosts: what a hostlist may hold, and whose turn it is, also as two servers see it."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import pytest

import siridb_fast.connection.failover
from siridb_fast import ConfigError, PoolError, SiriDBClient, packb
from siridb_fast.connection.hosts import Host, HostSelector, parse_hostlist
from siridb_fast.testing import ScriptedServer
from tests.fix_loop import eventually
from tests.fix_scripted import HeldPackages, scripted_client

HOSTLISTS: list[tuple[list[Any], list[Host]]] = [
    ([("a", 9000)], [Host("a", 9000)]),
    ([["a", 1]], [Host("a", 1)]),
    ([("a", 1, {})], [Host("a", 1)]),
    ([("a", 1, {"weight": 9, "backup": True})], [Host("a", 1, 9, True)]),
    ([("a", 1, {"backup": False}), ("a", 2)], [Host("a", 1), Host("a", 2)]),
    ([("::1", 9000)], [Host("::1", 9000)]),
    ([("/run/s.sock", 9000)], [Host("/run/s.sock")]),
    ([("/run/s.sock", 0)], [Host("/run/s.sock", 0)]),
    (["/run/s.sock", ("/run/t.sock",)], [Host("/run/s.sock"), Host("/run/t.sock")]),
    (["a"], [Host("a", 9000)]),
    ([Host("a", 1, 2)], [Host("a", 1, 2)]),
]
BAD_HOSTLISTS: list[tuple[Any, str]] = [
    ([], "empty"),
    ((), "empty"),
    (iter([]), "empty"),
    ("localhost", "list"),
    ("abc", "list"),
    (b"abc", "list"),
    (("localhost", 9000), r"expected \(host, port\).*9000"),
    ([()], r"expected \(host, port\)"),
    ([None], r"expected \(host, port\).*None"),
    ([("a", 1, {}, {})], r"expected \(host, port\)"),
    ([("a", 1), ("a", 1)], "a:1 is in the list twice"),
    ([("a", 1), ("a", 1, {"weight": 2})], "a:1 is in the list twice"),
    ([("/s", 1), ("/s", 2)], "/s is in the list twice"),
    ([("", 1)], "a host is a name"),
    ([(None, 1)], "a host is a name.*None"),
    ([(b"a", 1)], "a host is a name.*b'a'"),
    *[([("a", port)], "host a: a port is") for port in (0, -1, 65_536, None, True, 1.0, "x", "")],
    *[
        ([("a", 1, {"weight": weight})], "host a:1: weight is 1..9")
        for weight in (0, 10, -1, 1.5, "3", True, None)
    ],
    *[([("a", 1, {"backup": backup})], "backup") for backup in ("no", "", None, 2)],
    ([("a", 1, {"weigth": 1})], "host 'a'.*weigth"),
    ([("a", 1, None)], "host 'a'.*None"),
    ([("a", 1, 3)], "host 'a'.*3"),
]


@pytest.mark.parametrize(("hostlist", "hosts"), HOSTLISTS)
def test_hostlist_gives_hosts(hostlist: list[Any], hosts: list[Host]) -> None:
    assert parse_hostlist(hostlist) == tuple(hosts)
    assert parse_hostlist(iter(hostlist)) == tuple(hosts)


@pytest.mark.parametrize(("hostlist", "text"), BAD_HOSTLISTS)
def test_hostlist_that_makes_no_sense_is_refused(hostlist: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=text) as caught:
        parse_hostlist(hostlist)
    assert isinstance(caught.value, ValueError)


def test_host_is_shown_as_it_is_written() -> None:
    assert [str(Host("a")), str(Host("/s", 1)), str(Host("::1", 9000))] == [
        "a:9000",
        "/s",
        "[::1]:9000",
    ]


def turns(weights: dict[str, int], count: int) -> str:
    """Return the names of the hosts that come next, all available."""
    hosts = [Host(name, weight=weight) for name, weight in weights.items()]
    selector = HostSelector(hosts)
    chosen = [selector.select(hosts) for _ in range(count)]
    return "".join(host.address for host in chosen if host is not None)


@pytest.mark.parametrize(
    ("weights", "wanted"),
    [
        ({"a": 1}, "aaaa"),
        ({"a": 1, "b": 1}, "abab"),
        ({"a": 3, "b": 1}, "aabaaaba"),
        ({"a": 1, "b": 3}, "babbbabb"),
        ({"a": 5, "b": 1, "c": 1}, "aabacaa"),
        ({"a": 2, "b": 2, "c": 2}, "abcabc"),
    ],
)
def test_weight_is_the_share_of_turns_spread_evenly(weights: dict[str, int], wanted: str) -> None:
    assert turns(weights, len(wanted)) == wanted


def test_every_pair_of_weights_is_kept_exactly() -> None:
    for a in range(1, 10):
        for b in range(1, 10):
            assert Counter(turns({"a": a, "b": b}, 10 * (a + b))) == {"a": 10 * a, "b": 10 * b}


def test_backup_has_its_turn_only_when_no_other_is_available() -> None:
    first, second = Host("a"), Host("b")
    backups = [Host("y", weight=9, is_backup=True), Host("z", is_backup=True)]
    selector = HostSelector([*backups, first, second])
    assert {selector.select([*backups, first, second]) for _ in range(20)} == {first, second}
    assert {selector.select([*backups, second]) for _ in range(5)} == {second}
    assert Counter(selector.select(backups) for _ in range(20)) == {backups[0]: 18, backups[1]: 2}
    assert selector.select([first, *backups]) == first


def test_no_host_is_chosen_where_none_is_available() -> None:
    assert HostSelector([Host("a")]).select([]) is None


def test_host_that_comes_back_gets_no_more_than_its_share() -> None:
    a, b = Host("a"), Host("b")
    selector = HostSelector([a, b])
    for _ in range(1000):
        assert selector.select([a]) == a
    assert Counter(selector.select([a, b]) for _ in range(10)) == {a: 5, b: 5}


def test_host_that_is_looked_up_keeps_its_turn_until_it_takes_it() -> None:
    heavy, light = Host("a", weight=2), Host("b")
    selector = HostSelector([heavy, light])
    seen = []
    for _ in range(6):
        seen += [{selector.peek([heavy, light]) for _ in range(3)}]
        selector.take_turn()
        selector.take_turn()  # of nobody
    assert seen == [{heavy}, {light}, {heavy}] * 2


async def two_servers(
    stack: AsyncExitStack, first: dict[str, Any], second: dict[str, Any], **options: Any
) -> tuple[SiriDBClient, list[ScriptedServer], list[HeldPackages]]:
    """Return a client of two scripted servers, and what these have got."""
    handlers = [HeldPackages(), HeldPackages()]
    servers = [await stack.enter_async_context(ScriptedServer(handler)) for handler in handlers]
    hosts = [(s.host, s.port, o) for s, o in zip(servers, (first, second), strict=True)]
    client = SiriDBClient("u", "p", "db", hosts, **options)
    return await stack.enter_async_context(client), servers, handlers


async def insert(client: SiriDBClient, handlers: list[HeldPackages]) -> int:
    """Insert a point, and return the number of the server that got it."""
    inserting = asyncio.ensure_future(client.insert({"a": [[1, 1]]}))
    await eventually(lambda: any(not handler.packages.empty() for handler in handlers))
    number = 0 if handlers[1].packages.empty() else 1
    await handlers[number].answer()
    await inserting
    return number


async def test_servers_see_the_weights() -> None:
    async with AsyncExitStack() as stack:
        client, _, handlers = await two_servers(stack, {"weight": 3}, {})
        assert [await insert(client, handlers) for _ in range(8)] == [0, 0, 1, 0, 0, 0, 1, 0]


async def test_backup_gets_inserts_only_when_no_other_server_is_left() -> None:
    async with AsyncExitStack() as stack:
        client, _, handlers = await two_servers(stack, {"backup": True, "weight": 9}, {})
        assert [await insert(client, handlers) for _ in range(5)] == [1] * 5
        inserting = asyncio.ensure_future(client.insert({"a": [[1, 1]]}))
        peer, _ = await handlers[1].take()
        peer.abort()
        with pytest.raises(ConnectionError):
            await inserting
        assert [await insert(client, handlers) for _ in range(5)] == [0] * 5


async def test_server_that_cannot_serve_is_left_alone_for_a_while() -> None:
    async with AsyncExitStack() as stack:
        client, _, handlers = await two_servers(stack, {"weight": 9}, {}, inactive_time=0.3)
        refused = asyncio.ensure_future(client.insert({"a": [[1, 1]]}))
        peer, package = await handlers[0].take()
        await peer.send(package.pid, 67, packb({"error_msg": "status: 9"}))
        await handlers[1].answer()
        await refused
        assert [await insert(client, handlers) for _ in range(10)] == [1] * 10
        async with asyncio.timeout(5):
            while await insert(client, handlers) == 1:
                pass


async def test_inactive_server_is_tried_when_no_other_is_left() -> None:
    async with AsyncExitStack() as stack:
        client, _, handlers = await two_servers(stack, {}, {})
        for _ in range(2):  # the second time both are inactive from the start
            refused = asyncio.ensure_future(client.insert({"a": [[1, 1]]}))
            for _ in handlers:
                await eventually(lambda: any(not handler.packages.empty() for handler in handlers))
                number = 0 if handlers[1].packages.empty() else 1
                peer, package = await handlers[number].take()
                await peer.send(package.pid, 67, packb({"error_msg": "status: 9"}))
                cluster = client._binding._cluster
                if cluster is not None and cluster.select() is None:
                    break
            with pytest.raises(PoolError, match="no available"):
                await refused
        assert await insert(client, handlers) in (0, 1)


async def test_pool_that_comes_back_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(siridb_fast.connection.failover, "POOL_RETRY", 0.01)
    handler = HeldPackages()
    async with ScriptedServer(handler) as server, scripted_client(server) as client:
        insert = asyncio.create_task(client.insert({"a": [[1, 1]]}))
        for _ in range(3):
            peer, package = await handler.take()
            await peer.send(package.pid, 68, packb({"error_msg": "no server"}))
        await handler.answer()
        assert await insert
