"""Every error that the reference driver's README promises; and that none shows a password."""

import asyncio
import logging
import struct
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from siridb_fast import (
    AuthenticationError,
    ConnectionLost,
    InsertError,
    PackingOverflowError,
    PoolError,
    QueryError,
    RequestTimeout,
    ServerError,
    ServerMessageError,
    SiriDBClient,
    SiriDBError,
    UnknownDatabaseError,
    UnknownPackageError,
    UserAuthError,
    async_connect,
    packb,
)
from siridb_fast.testing import (
    ScriptedPeer,
    ScriptedServer,
    SiriDBCluster,
    wait_until,
)
from tests.fix_scripted import answer_all, respond, scripted_client
from tests.fix_server import Database

ARRAYS = {"a": (np.arange(3), np.arange(3))}
LISTS = {"a": [[1, 1]]}
LONG = {"a": (np.arange(200_000), np.arange(200_000.0))}
MESSAGE = packb({"error_msg": "what the server says"})
ANSWERS: list[tuple[int, bytes, type[SiriDBError], type[Exception], str]] = [
    (64, MESSAGE, ServerMessageError, RuntimeError, "what the server says"),
    (64, b"", ServerMessageError, RuntimeError, ""),
    (65, MESSAGE, QueryError, Exception, "what the server says"),
    (66, MESSAGE, InsertError, Exception, "what the server says"),
    (67, MESSAGE, PoolError, Exception, "no available connections"),
    (68, MESSAGE, PoolError, Exception, "what the server says"),
    (69, MESSAGE, UserAuthError, AuthenticationError, "what the server says"),
    (70, b"", ServerMessageError, RuntimeError, "unexpected error"),
    (71, b"", AuthenticationError, Exception, "not authenticated"),
    (72, b"", AuthenticationError, Exception, "credentials"),
    (73, b"", UnknownDatabaseError, IndexError, "database"),
    (74, b"", ServerMessageError, RuntimeError, "database"),
    (75, b"", ServerMessageError, RuntimeError, "file"),
    (76, b"", UnknownPackageError, TypeError, "76"),
    (255, b"junk", UnknownPackageError, TypeError, "255"),
]


def header(length: int, pid: int, kind: int) -> bytes:
    return struct.pack("<IHBB", length, pid, kind, kind ^ 255)


# What a broken server sends in place of the answer to package `pid`.
BROKEN: dict[str, Callable[[int], bytes]] = {
    "wrong check byte": lambda pid: struct.pack("<IHBB", 0, pid, 1, 1),
    "oversized answer": lambda pid: header(2**32 - 1, pid, 1),
    "answer over the limit": lambda pid: header(65_537, pid, 1),
    "nothing": lambda _: b"",
    "cut in the header": lambda pid: header(5, pid, 1)[:5],
    "cut in the payload": lambda pid: header(99, pid, 1) + b"\xfd",
    "cut in a large payload": lambda pid: header(60_000, pid, 1) + b"\xfd" * 40_000,
    "garbage": lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n",
}


@pytest.mark.parametrize(
    ("user", "password", "dbname", "class_"),
    [
        ("iris", "wrong", None, AuthenticationError),
        ("nobody", "siri", None, AuthenticationError),
        ("", "", None, AuthenticationError),
        ("iris", "siri", "none", UnknownDatabaseError),
        ("iris", "siri", "none", IndexError),
    ],
)
async def test_log_in_that_is_refused(
    database: Database, user: str, password: str, dbname: str | None, class_: type[Exception]
) -> None:
    host = (database.server.host, database.server.port)
    client = SiriDBClient(user, password, dbname or database.name, [host])
    (error,) = await client.connect()
    client.close()
    await client.wait_closed()
    assert isinstance(error, class_)
    with pytest.raises(AuthenticationError):
        await client.__aenter__()
    assert client.is_closed


async def test_missing_rights(database: Database) -> None:
    database.server.api.query(database.name, "create user 'reader' set password 'r-pw'")
    database.server.api.query(database.name, "grant select to user 'reader'")
    host = (database.server.host, database.server.port)
    async with SiriDBClient("reader", "r-pw", database.name, [host]) as client:
        for data in (LISTS, ARRAYS):
            with pytest.raises(UserAuthError, match="insert") as caught:
                await client.insert(data)
            assert isinstance(caught.value, AuthenticationError)
        with pytest.raises(UserAuthError, match="create"):
            await client.query("create user 'other' set password 'o-pw'")
        assert await client.query("select * from *") == {}
        with pytest.raises(ValueError, match="precision is unknown"):
            await client.query_arrays("select * from *", 0)


async def test_bad_requests(database: Database) -> None:
    async with database.client() as client:
        with pytest.raises(QueryError, match="position"):
            await client.query("nonsense")
        with pytest.raises(InsertError, match="time-stamp"):
            await client.insert({"a": [["x", 1]]})
        for number in (2**63, -(2**63) - 1, 2**200):
            with pytest.raises(OverflowError) as caught:
                await client.insert({"a": [[1, number]]})
            assert isinstance(caught.value, PackingOverflowError)


async def test_nobody_listens(unused_port: int) -> None:
    client = SiriDBClient("iris", "siri", "db", [("127.0.0.1", unused_port)])
    (error,) = await client.connect()
    assert isinstance(error, ConnectionRefusedError)
    for data in (LISTS, ARRAYS):
        with pytest.raises(PoolError, match=rf"no available.*: .*:{unused_port}"):
            await client.insert(data)
    client.close()


REFUSED = [  # what is wrong, and what the server says of it
    ({"password": "wrong"}, "[Ii]nvalid credentials"),
    ({"dbname": "nowhere"}, "[Uu]nknown|database|nowhere"),
    ({"username": "nobody"}, "[Ii]nvalid credentials"),
]


@pytest.mark.parametrize(("wrong", "reason"), REFUSED)
async def test_client_that_is_not_let_in_says_why(
    database: Database, wrong: dict[str, str], reason: str
) -> None:
    login = {"username": "iris", "password": "siri", "dbname": database.name} | wrong
    server = database.server
    client = SiriDBClient(
        login["username"], login["password"], login["dbname"], [(server.host, server.port)]
    )
    (error,) = await client.connect()
    for data in (LISTS, ARRAYS):
        with pytest.raises(PoolError, match=reason) as caught:
            await client.insert(data)
        assert str(error) in str(caught.value)
        assert f"{server.host}:{server.port}" in str(caught.value)
    with pytest.raises(PoolError, match=reason):
        await client.query("show")
    client.close()


@pytest.mark.parametrize(
    "data", [LISTS, ARRAYS, LONG, None], ids=["list", "array", "long", "query"]
)
async def test_paused_server_is_given_up_on_in_time(own_database: Database, data: object) -> None:
    loop = asyncio.get_running_loop()
    async with own_database.client() as client:
        own_database.server.pause()
        start = loop.time()
        request = client.insert(data, 0.2) if data else client.query("show", timeout=0.2)
        with pytest.raises(TimeoutError) as caught:
            await asyncio.wait_for(request, 3)
        assert isinstance(caught.value, RequestTimeout)
        assert loop.time() - start > 0.15
        own_database.server.resume()
        assert await client.insert({"b": (np.array([1]), np.array([1]))})


@pytest.mark.parametrize("data", [LISTS, ARRAYS], ids=["list", "array"])
async def test_server_that_dies_with_an_insert_leaves_it_in_doubt(
    own_database: Database, data: object
) -> None:
    async with own_database.client() as client:
        await client.insert({"a": [[0, 0]]} if data is LISTS else ARRAYS)  # types are known now
        own_database.server.pause()
        inserting = asyncio.create_task(client.insert(data))
        asyncio.get_running_loop().call_later(0.05, own_database.server.kill)
        with pytest.raises(ConnectionError) as caught:
            await asyncio.wait_for(inserting, 3)
        assert isinstance(caught.value, ConnectionLost)


async def test_insert_in_doubt_is_sent_to_another_server_on_request(
    own_database: Database,
) -> None:
    async with ScriptedServer(answer_all) as other:
        server = own_database.server
        hosts = [(server.host, server.port, {"weight": 9}), (other.host, other.port)]
        for on_doubt in ("report", "resend"):
            options: Any = {"on_doubt": on_doubt}
            async with SiriDBClient("iris", "siri", "dbtest", hosts, **options) as client:
                own_database.server.pause()
                inserting = asyncio.create_task(client.insert(LISTS))
                asyncio.get_running_loop().call_later(0.05, own_database.server.kill)
                if on_doubt == "resend":
                    assert await asyncio.wait_for(inserting, 3)
                else:
                    with pytest.raises(ConnectionLost) as caught:
                        await asyncio.wait_for(inserting, 3)
                    assert caught.value.in_doubt
            own_database.server.start()


@pytest.mark.server
async def test_server_in_backup_mode_cannot_serve() -> None:
    with SiriDBCluster(1, 1) as pair:
        pair.create_database("dbtest")
        server = pair.servers[0]
        name = f"{server.host}:{server.backend_port}"
        server.api.query("dbtest", f"alter server '{name}' set backup_mode true")
        connection = await async_connect("iris", "siri", "dbtest", server.host, server.port)
        with pytest.raises(ServerError, match="status: 9"):
            await connection.insert(LISTS)
        connection.close()
        async with Database(server, "dbtest").client() as client:
            with pytest.raises(PoolError) as caught:
                await client.insert(LISTS)
            assert isinstance(caught.value.__cause__, ServerError)


@pytest.mark.server
async def test_pool_without_a_server() -> None:
    with SiriDBCluster(2) as cluster:
        cluster.create_database("dbtest")
        first, second = cluster.servers
        second.kill()
        wait_until(
            lambda: (
                "offline" in str(first.api.query("dbtest", "list servers status"))
                or not all(
                    row[0] for row in first.api.query("dbtest", "list servers online")["servers"]
                )
            ),
            timeout=10,
            what="the first server knows",
        )
        async with Database(first, "dbtest").client() as client:
            with pytest.raises(PoolError, match="server"):
                await client.insert(LISTS, timeout=1)
            with pytest.raises(PoolError, match="server"):
                await client.query("select * from *", timeout=1)


@pytest.mark.parametrize(("kind", "body", "error", "builtin", "text"), ANSWERS)
async def test_error_packages(
    kind: int, body: bytes, error: type[SiriDBError], builtin: type[Exception], text: str
) -> None:
    async def handler(peer: ScriptedPeer) -> None:
        await peer.accept_auth()
        while True:
            await peer.send((await peer.read_package()).pid, kind, body)

    async with ScriptedServer(handler) as server, scripted_client(server) as client:
        for request in (client.insert, client.query, client.insert_packed):
            with pytest.raises(builtin) as caught:
                await request(b"x", timeout=1)
            assert type(caught.value) is error
            assert text in str(caught.value)


@pytest.mark.parametrize("broken", BROKEN)
async def test_broken_stream_ends_the_connection_and_leaves_doubt(broken: str) -> None:
    async def handler(peer: ScriptedPeer) -> None:
        await peer.accept_auth()
        await peer.send_raw(BROKEN[broken]((await peer.read_package()).pid))

    async with (
        ScriptedServer(handler) as server,
        scripted_client(server, max_answer=65_536) as client,
    ):
        inserts = [client.insert(LISTS), client.insert(LISTS)]
        for result in await asyncio.gather(*inserts, return_exceptions=True):
            assert isinstance(result, ConnectionLost)
            assert result.in_doubt
        assert not client.connected


async def test_error_tells_how_many_points_were_acknowledged_before() -> None:
    async def handler(peer: ScriptedPeer) -> None:
        await peer.accept_auth()
        for _ in range(4):  # two questions to the catalog, two packages
            await respond(peer, await peer.read_package())
        await peer.send((await peer.read_package()).pid, 66, MESSAGE)

    async with ScriptedServer(handler) as server, scripted_client(server) as client:
        with pytest.raises(InsertError) as caught:
            await client.insert(LONG)
        assert caught.value.points_inserted == 2  # one for each package, as respond() says


async def test_password_is_shown_nowhere(
    database: Database, caplog: pytest.LogCaptureFixture, unused_port: int
) -> None:
    secret = "s3cr3t-w0rd"  # noqa: S105 - what must never be shown
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    hosts = [(database.server.host, database.server.port), ("127.0.0.1", unused_port), ("a..b", 1)]
    client = SiriDBClient("iris", secret, database.name, hosts)
    shown = [repr(client), repr(vars(client)), repr(client._config)]
    for error in await client.connect():
        assert error is not None
        shown += [repr(error), *traceback.format_exception(error)]
    with pytest.raises(PoolError) as caught:
        await client.insert(LISTS)
    client.close()
    await client.wait_closed()
    with pytest.raises(AuthenticationError) as refused:
        await async_connect("iris", secret, database.name, *hosts[0])
    shown += [
        *traceback.format_exception(caught.value),
        *traceback.format_exception(refused.value),
    ]
    assert secret not in "\n".join([*shown, caplog.text])
