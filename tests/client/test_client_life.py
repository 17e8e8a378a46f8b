"""The life of a client: connections made, lost and made again, and whose turn it is."""

import asyncio
import gc
import logging
import warnings
from typing import Any

import numpy as np
import pytest
import uvloop

from siridb_fast import (
    AuthenticationError,
    PackageTooLargeError,
    PoolError,
    RequestTimeout,
    SiriDBClient,
)
from siridb_fast.testing import ScriptedPeer, ScriptedServer
from tests.fix_loop import eventually
from tests.fix_scripted import AUTH, HeldPackages, answer_all, respond, scripted_client
from tests.fix_server import Database

LISTS = {"a": [[1, 1]]}
NEW_LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.mark.parametrize("is_closed", [True, False])
def test_client_serves_one_loop_after_another(database: Database, is_closed: bool) -> None:
    hosts = [(name, database.server.port) for name in ("127.0.0.1", "localhost")]
    client = SiriDBClient("iris", "siri", database.name, hosts)

    async def use() -> None:
        assert await client.connect() == [None, None]
        assert await client.insert({"a": (np.array([1]), np.array([1]))})
        if is_closed:
            client.close()
            await client.wait_closed()

    with warnings.catch_warnings(record=True) as caught:  # as errors they would hang uvloop
        warnings.simplefilter("always")
        for factory in (*NEW_LOOPS, *NEW_LOOPS):
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(use())
        client.close()
        client = database.client()
        gc.collect()  # a connection that was not closed warns now
    assert [str(warning.message) for warning in caught] == []


async def close(client: SiriDBClient) -> None:
    client.close()
    await client.wait_closed()


async def test_client_belongs_to_one_loop_at_a_time(database: Database) -> None:
    other = asyncio.new_event_loop()
    with pytest.raises(RuntimeError, match="another event loop"):
        await database.client(loop=other).connect()
    other.close()
    async with database.client(loop=asyncio.get_running_loop()) as client:
        with pytest.raises(RuntimeError, match="another event loop"):
            await asyncio.to_thread(asyncio.run, client.insert(LISTS))


async def test_client_knows_its_state(database: Database) -> None:
    client = database.client()
    for _ in range(2):
        assert (client.is_closed, client.connected) == (client.is_closed, False)
        with pytest.raises(PoolError, match=r"new|closed"):
            await client.insert(LISTS)
        assert await client.connect() == [None]
        assert await client.connect() == [None]
        assert (client.is_closed, client.connected) == (False, True)
        assert await client.insert(LISTS)
        client.close()
        client.close()
        assert client.is_closed
        await client.wait_closed()
        assert not client.connected
        with pytest.raises(PoolError, match="closed"):
            await client.query("show")


async def test_connect_returns_what_met_each_host_in_order(
    database: Database, unused_port: int
) -> None:
    hosts: list[Any] = [("127.0.0.1", unused_port), ("127.0.0.1", database.server.port)]
    hosts += [("a..b", 1), "/no/such/socket", str(database.server.socket_path)]
    client = SiriDBClient("iris", "siri", database.name, hosts)
    results = [type(result) for result in await client.connect()]
    assert results[:2] == [ConnectionRefusedError, type(None)]
    assert results[3:] == [FileNotFoundError, type(None)]
    assert issubclass(results[2], (OSError, ValueError))
    assert await client.insert(LISTS)
    await close(client)


async def test_without_a_server_async_with_raises_what_connect_met(unused_port: int) -> None:
    client = SiriDBClient("iris", "siri", "db", [("127.0.0.1", unused_port)])
    with pytest.raises(ConnectionRefusedError):
        await client.__aenter__()
    assert client.is_closed


async def silent(peer: ScriptedPeer) -> None:
    """Never answer."""
    await peer.read_package()
    await peer.read_package()


async def test_opening_that_is_cancelled_leaves_no_connection(database: Database) -> None:
    async with ScriptedServer(silent) as server:
        hosts = [("127.0.0.1", database.server.port), (server.host, server.port)]
        client = SiriDBClient("iris", "siri", database.name, hosts)
        opening = asyncio.create_task(client.open(timeout=60))
        await eventually(lambda: client.connected)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert client.is_closed
        await client.wait_closed()
        assert not client.connected


async def test_connect_is_given_up_on_in_time() -> None:
    async with ScriptedServer(silent) as server:
        client = scripted_client(server)
        (result,) = await asyncio.wait_for(client.connect(timeout=0.05), 2)
        assert isinstance(result, RequestTimeout)
        await close(client)


async def test_log_in_waits_while_the_server_loads() -> None:
    is_loaded = asyncio.Event()

    async def loading(peer: ScriptedPeer) -> None:
        package = await peer.read_package()
        await is_loaded.wait()
        await peer.send(package.pid, package.type)
        await respond(peer, await peer.read_package())

    async with ScriptedServer(loading) as server:
        client = scripted_client(server, timeout=0.5)
        asyncio.get_running_loop().call_later(1.0, is_loaded.set)
        assert await client.connect() == [None]
        assert await client.insert(LISTS)
        await close(client)


async def test_connecting_at_the_same_time_makes_one_connection() -> None:
    peers = []

    async def handler(peer: ScriptedPeer) -> None:
        peers.append(peer)
        await answer_all(peer)

    async with ScriptedServer(handler) as server:
        client = scripted_client(server)
        assert await asyncio.gather(*(client.connect() for _ in range(5))) == [[None]] * 5
        assert await client.insert(LISTS)
        await close(client)
        await server.join(1)  # every connection is closed
    assert len(peers) == 1


@pytest.mark.usefixtures("fast_retry")
async def test_lost_connection_is_made_again(own_database: Database) -> None:
    async with own_database.client() as client:
        own_database.server.kill()
        await eventually(lambda: not client.connected)
        with pytest.raises(PoolError):
            await client.insert(LISTS)
        own_database.server.start()
        await eventually(lambda: client.connected)
        assert await client.insert(LISTS)


@pytest.mark.usefixtures("fast_retry")
async def test_host_that_cannot_be_reached_is_tried_until_close(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "siridb_fast")
    client = SiriDBClient("u", "p", "db", ["a..b", ("127.0.0.1", 1)])
    await client.connect()
    await eventually(lambda: all(caplog.text.count(host) > 3 for host in ("a..b", "127.0.0.1:1")))
    await close(client)


@pytest.mark.parametrize(
    ("is_reached", "wanted"), [(False, [1, 2, 4, 8, 10, 10]), (True, [1] * 6)]
)
async def test_waits_between_attempts_double(
    monkeypatch: pytest.MonkeyPatch, is_reached: bool, wanted: list[float]
) -> None:
    waits: list[float] = []
    enough, real_sleep = asyncio.Event(), asyncio.sleep

    async def sleep(delay: float) -> None:
        waits.append(delay)
        if len(waits) >= len(wanted):
            enough.set()
            await asyncio.Event().wait()
        await real_sleep(0)

    async def handler(peer: ScriptedPeer) -> None:
        package = await peer.read_package()
        await peer.send(package.pid, 2 if is_reached else 72)

    async with ScriptedServer(handler) as server:
        client = scripted_client(server, max_wait_retry=10)
        monkeypatch.setattr("siridb_fast.connection.reconnect.asyncio.sleep", sleep)
        (result,) = await client.connect()
        assert isinstance(result, type(None) if is_reached else AuthenticationError)
        await asyncio.wait_for(enough.wait(), 5)
        monkeypatch.undo()
        await close(client)
    assert waits == wanted


@pytest.mark.parametrize("case", ["answers", "does not answer", "is not asked"])
async def test_server_is_asked_to_log_in_again_now_and_then(case: str) -> None:
    held, keepalive = HeldPackages(), case != "is not asked"
    options = {"keepalive": keepalive, "keepalive_interval": 0.03}
    async with ScriptedServer(held) as server, scripted_client(server, **options) as c:
        if case == "answers":
            assert [(await held.answer()).type for _ in range(4)] == [AUTH] * 4
        elif case == "does not answer":
            assert (await held.take())[1].type == AUTH
            await server.join()  # the connection is closed
        else:
            with pytest.raises(TimeoutError):
                await held.take(timeout=0.1)
        assert c.connected == (case != "does not answer")


async def test_window_bounds_what_is_in_flight() -> None:
    held = HeldPackages()
    async with ScriptedServer(held) as server, scripted_client(server, window=4) as client:
        inserts = asyncio.gather(*(client.insert(LISTS) for _ in range(64)))
        for _ in range(15):
            taken = [await held.take() for _ in range(4)]
            with pytest.raises(TimeoutError):
                await held.take(timeout=0.01)
            for peer, package in reversed(taken):
                await respond(peer, package)
        for _ in range(4):
            await held.answer()
        assert len(await inserts) == 64


async def test_answers_in_any_order_reach_who_asked() -> None:
    held = HeldPackages()
    async with ScriptedServer(held) as server, scripted_client(server) as client:
        queries = [asyncio.create_task(client.query(f"q{i}")) for i in range(100)]
        taken = [await held.take() for _ in queries]
        assert len({package.pid for _, package in taken}) == 100
        for peer, package in reversed(taken):
            await peer.send(package.pid, 0, package.payload)  # [query, None]
        assert [(await query)[0] for query in queries] == [f"q{i}" for i in range(100)]


async def test_cancelled_insert_keeps_its_place_until_it_is_answered() -> None:
    held = HeldPackages()
    async with ScriptedServer(held) as server, scripted_client(server, window=1) as client:
        first = asyncio.create_task(client.insert(LISTS))
        peer, package = await held.take()
        first.cancel()
        second = asyncio.create_task(client.insert(LISTS))
        with pytest.raises(TimeoutError):
            await held.take(timeout=0.03)
        await respond(peer, package)
        await held.answer()
        assert await second
        assert first.cancelled()


@pytest.mark.parametrize("leaves", ["is cancelled", "is too large"])
async def test_request_that_leaves_the_queue_passes_its_place_on(leaves: str) -> None:
    held = HeldPackages()
    async with ScriptedServer(held) as server, scripted_client(server, window=1) as client:

        async def first() -> None:
            await client.insert(LISTS)
            if leaves == "is cancelled":  # just when it is its turn
                second.cancel()

        tasks = [asyncio.create_task(first())]
        peer, package = await held.take()
        payload = bytes(41_943_041 if leaves == "is too large" else 1)
        second = asyncio.create_task(client.insert_packed(payload))
        third = asyncio.create_task(client.insert(LISTS))
        await asyncio.sleep(0)
        await respond(peer, package)
        await held.answer(timeout=1)
        assert await third
        with pytest.raises((asyncio.CancelledError, PackageTooLargeError)):
            await second
        await asyncio.gather(*tasks)


async def test_late_answer_is_nobody_elses() -> None:
    held = HeldPackages()
    async with ScriptedServer(held) as server, scripted_client(server, window=1) as client:
        with pytest.raises(RequestTimeout):
            await client.query("early", timeout=0.03)
        second = asyncio.create_task(client.query("late"))
        (peer, old), (_, new) = await held.take(), await held.take()
        assert old.pid != new.pid
        await peer.send(old.pid, 0, old.payload)
        await peer.send(new.pid, 0, new.payload)
        assert (await second)[0] == "late"
