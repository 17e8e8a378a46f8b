"""An insert of a client that was given up arrives nowhere later.

Whoever is told that it is in doubt may look, and send it again.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from siridb_fast import ConnectionLost, PoolError, RequestTimeout, SiriDBClient, encode_insert
from siridb_fast.connection.connection import Connection
from siridb_fast.protocol._wire import REQ_INSERT
from siridb_fast.testing import FaultProxy
from tests.delivery.held_path import (
    FIRST,
    POINTS,
    SERIES,
    all_times,
    each_place,
    send_missing,
    stored_times,
    times_of,
    url_of,
)
from tests.fix_loop import eventually
from tests.fix_server import Database

pytestmark = pytest.mark.usefixtures("fast_retry")


async def give_up_in_time(client: SiriDBClient, inserting: asyncio.Task[Any]) -> None:
    with pytest.raises(RequestTimeout):
        await inserting


async def cancel(client: SiriDBClient, inserting: asyncio.Task[Any]) -> None:
    connection = connection_of(client)
    inserting.cancel()
    await asyncio.wait([inserting])
    await connection.wait_closed()  # when its time is over


async def close(client: SiriDBClient, inserting: asyncio.Task[Any]) -> None:
    client.close()
    with pytest.raises(ConnectionLost) as caught:
        await inserting
    assert caught.value.in_doubt


async def keep_alive(client: SiriDBClient, inserting: asyncio.Task[Any]) -> None:
    connection_of(client).keep_alive(0.3)
    with pytest.raises(ConnectionLost) as caught:
        await inserting
    assert caught.value.in_doubt


WAYS: dict[str, tuple[Callable[..., Any], float]] = {
    "timeout": (give_up_in_time, 1.0),
    "cancellation": (cancel, 1.0),
    "close": (close, 60.0),
    "keep-alive": (keep_alive, 60.0),
}


def connection_of(client: SiriDBClient) -> Connection:
    connection = client._binding.here().select()
    assert connection is not None
    return connection


@each_place
@pytest.mark.parametrize("way", WAYS)
async def test_insert_of_a_client_that_was_given_up_may_be_sent_again(
    database: Database, proxy: FaultProxy, way: str, takes: bool
) -> None:
    give_up, timeout = WAYS[way]
    client = SiriDBClient.from_url(url_of(proxy, database))
    await client.connect()
    await client.insert({name: (np.array([FIRST]), np.array([0.5])) for name in SERIES})
    connection = connection_of(client)
    proxy.hold(takes=takes)
    points = {"one": (times_of(POINTS), np.arange(POINTS) / 2)}
    inserting = asyncio.create_task(client.insert(points, timeout))
    await eventually(lambda: connection._session.requests > 0)
    if takes:
        await eventually(lambda: proxy.held_bytes > len(encode_insert(points)))
    await give_up(client, inserting)
    await send_missing(database, SERIES)
    proxy.heal()
    assert await stored_times(database) == all_times()
    client.close()
    await client.wait_closed()


async def test_client_goes_on_after_an_insert_that_was_not_answered(
    database: Database, proxy: FaultProxy
) -> None:
    # What was asked over the same connection is asked again; other inserts are in doubt.
    async with SiriDBClient.from_url(url_of(proxy, database)) as client:
        proxy.hold()
        late, other, query = (
            asyncio.create_task(request)
            for request in (
                client.insert({"one": [[1, 0.5]]}, timeout=0.5),
                client.insert({"two": [[1, 0.5]]}, timeout=20),
                client.query("show uptime", timeout=20),
            )
        )
        with pytest.raises(RequestTimeout):
            await late
        with pytest.raises(ConnectionLost) as caught:
            await other
        assert caught.value.in_doubt
        assert (await query)["data"]
        await client.insert({"one": [[2, 0.5]]}, timeout=20)
        proxy.heal()
        assert await stored_times(database) == {"one": [2]}


async def test_query_that_is_not_answered_leaves_the_connection_open(
    database: Database, proxy: FaultProxy
) -> None:
    async with SiriDBClient.from_url(url_of(proxy, database)) as client:
        connection = connection_of(client)
        proxy.hold()
        with pytest.raises(RequestTimeout):
            await client.query("show uptime", timeout=0.2)
        proxy.heal()
        assert await client.query("show uptime", timeout=20)
        assert connection_of(client) is connection


async def test_sentinel_that_is_not_answered_leaves_the_connection_open(
    database: Database, proxy: FaultProxy
) -> None:
    # It does no harm later, and a server may be busy for longer than a sentinel is waited for.
    async with SiriDBClient.from_url(url_of(proxy, database)) as client:
        connection = connection_of(client)
        proxy.hold()
        deadline = asyncio.get_running_loop().time() + 0.2
        sentinel = encode_insert({"one": [[FIRST, 1]]})
        with pytest.raises(RequestTimeout):
            await connection.send(REQ_INSERT, sentinel, deadline, may_come_late=True)
        proxy.heal()
        assert await client.query("show uptime", timeout=20)
        assert connection_of(client) is connection


async def test_client_whose_server_ends_instead_of_coming_back_is_told(
    own_database: Database,
) -> None:
    async with own_database.client() as client:
        own_database.server.pause()
        with pytest.raises(RequestTimeout):
            await client.insert({"one": [[1, 0.5]]}, timeout=0.2)
        querying = asyncio.create_task(client.query("show uptime", timeout=20))
        own_database.server.kill()
        with pytest.raises((ConnectionLost, PoolError)):
            await querying
