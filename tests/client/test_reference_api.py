"""Every public name of siridb-connector is here, takes what it takes, and works alike."""

import asyncio
import inspect
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import siridb.connector as reference
import uvloop

import siridb_fast
import siridb_fast.client.siridb_connector
from siridb_fast import (
    AuthenticationError,
    BlockingClient,
    ConfigError,
    ConnectionLost,
    RequestTimeout,
    SiriDBAsyncConnection,
    SiriDBConn,
    SiriDBConnection,
    SiriDBProtocol,
    UnknownDatabaseError,
    async_connect,
    async_server_info,
    connect,
    packb,
)
from siridb_fast.testing import ScriptedPeer, ScriptedServer
from tests.fix_loop import eventually
from tests.fix_scripted import PING, HeldPackages, answer_all
from tests.fix_server import Database

# "Quick usage" of the reference driver's README, verbatim.
QUICK_USAGE = """\
import asyncio
import time
import random
from siridb.connector import SiriDBClient

async def example(siri):
    # Start connecting to SiriDB.
    # .connect() returns a list of all connections referring to the supplied
    # hostlist. The list can contain exceptions in case a connection could not
    # be made.
    await siri.connect()

    try:
        # insert
        ts = int(time.time())
        value = random.random()
        await siri.insert({'some_measurement': [[ts, value]]})

        # query
        resp = await siri.query('select * from "some_measurement"')
        print(resp)

    finally:
        # Close all SiriDB connections.
        siri.close()


siri = SiriDBClient(
    username='iris',
    password='siri',
    dbname='dbtest',
    hostlist=[('localhost', 9000)],  # Multiple connections are supported
    keepalive=True)

loop = asyncio.get_event_loop()
loop.run_until_complete(example(siri))
"""
Target = tuple[str, str, str, str, int]
LISTS = {"a": [[1, 1]]}
SELECT = 'select * from "a"'
CONNECTION_METHODS = ["insert", "query", "close"]
METHODS = {
    "SiriDBClient": ["connect", "insert", "query", "close", "is_closed", "connected"],
    "SiriDBConn": [*CONNECTION_METHODS, "connect", "is_connected", "wait_closed"],
    "SiriDBProtocol": ["send_package", "on_connection_made", "on_authenticated",
                       "on_connection_lost", "connection_made", "connection_lost"],
}  # fmt: skip


@pytest.fixture
def target(database: Database) -> Target:
    """Return user, password, database, host and port."""
    return ("iris", "siri", database.name, database.server.host, database.server.port)


def test_quick_usage_of_the_reference_runs_with_another_import(database: Database) -> None:
    script = QUICK_USAGE.replace("siridb.connector", "siridb_fast")
    script = script.replace("dbtest", database.name).replace("9000", str(database.server.port))
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", script]
    if sys.version_info >= (3, 12):  # get_event_loop() itself warns there, and fails from 3.14 on
        pick = "asyncio.get_event_loop()"
        command[-1] = script.replace(pick, "asyncio.new_event_loop()")
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("{'some_measurement': [[")


@pytest.mark.parametrize("name", reference.__all__)
def test_public_name_of_the_reference_is_here(name: str) -> None:
    assert name in siridb_fast.__all__
    theirs, ours = getattr(reference, name), getattr(siridb_fast, name)
    if not callable(theirs):
        assert ours == theirs
        return
    check_parameters(theirs, ours)
    for method in METHODS.get(name, []):
        if callable(getattr(theirs, method)):
            check_parameters(getattr(theirs, method), getattr(ours, method))
        else:
            assert isinstance(getattr(ours, method), property)


def test_classes_behind_the_functions_take_what_the_references_take() -> None:
    for name in ("SiriDBConnection", "SiriDBAsyncConnection"):
        theirs, ours = getattr(reference, name), getattr(siridb_fast, name)
        check_parameters(theirs, ours)
        for method in CONNECTION_METHODS:
            check_parameters(getattr(theirs, method), getattr(ours, method))


def check_parameters(theirs: Any, ours: Any) -> None:
    """Check that every way to call theirs is a way to call ours, with the same defaults."""
    wanted, found = inspect.signature(theirs).parameters, inspect.signature(ours).parameters
    assert list(found)[: len(wanted)] == list(wanted)
    for name, parameter in wanted.items():
        assert found[name].kind is parameter.kind, name
        if parameter.default is not parameter.empty and not inspect.isclass(parameter.default):
            assert found[name].default == parameter.default, name


def test_blocking_connection_inserts_and_selects(target: Target, database: Database) -> None:
    credentials = target[:3]
    connections: tuple[SiriDBConnection | BlockingClient, ...] = (
        connect(*target),
        connect(database.url),
        connect(database.server.socket_url(database.name)),
        connect(*credentials, host=str(database.server.socket_path)),
        SiriDBConnection(*credentials, host=target[3], port=target[4]),
    )
    for connection in connections:
        with connection as opened:
            opened.insert({"a": (np.array([1]), np.array([1]))})
            assert opened.query(SELECT)["a"][0] == [1, 1]
            assert opened.query_arrays(SELECT)["a"][1][0] == 1
        connection.close()
        with pytest.raises(ConnectionLost, match="closed"):
            connection.query(SELECT)


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_blocking_connection_leaves_a_given_loop_open(target: Target, factory: Any) -> None:
    loop = factory()
    connection = connect(*target, loop=loop)
    assert connection.insert(LISTS)
    connection.close()
    assert not loop.is_closed()
    loop.close()


def test_blocking_connection_that_fails_leaves_nothing_behind(
    target: Target, unused_port: int
) -> None:
    user, password, dbname, host, port = target
    refused: list[tuple[tuple[Any, ...], type[Exception]]] = [
        ((user, "wrong", dbname, host, port), AuthenticationError),
        ((user, password, "none", host, port), UnknownDatabaseError),
        ((user, password, dbname, host, unused_port), ConnectionRefusedError),
        ((user, password, dbname, "", port), ConfigError),
        ((user, password, dbname, "a..b", port), Exception),
        (("siridb://nonsense",), ConfigError),
        ((user,), TypeError),
    ]
    for arguments, error in refused:
        with pytest.raises(error):
            connect(*arguments)


async def test_blocking_connection_in_a_running_loop_is_refused(target: Target) -> None:
    with pytest.raises(RuntimeError, match="running"):
        connect(*target)
    connection = await asyncio.to_thread(lambda: connect(*target))
    with pytest.raises(RuntimeError, match="running"):
        connection.insert(LISTS)
    assert await asyncio.to_thread(connection.query, SELECT) == {}  # nor is it sent later
    await asyncio.to_thread(connection.close)


def test_files_of_the_server_can_be_got(target: Target) -> None:
    with connect(*target) as connection:
        assert b"iris" in connection._get_file("users.dat")
        with pytest.raises(FileNotFoundError, match=r"users\.dat"):
            connection._get_file("x")


async def test_async_connection(target: Target, database: Database) -> None:
    arguments: Any
    for arguments in (target, (database.url,), (database.server.socket_url(database.name),)):
        connection = await async_connect(*arguments, keepalive=True)  # type: ignore[misc]
        assert connection.connected
        assert await connection.insert(LISTS)
        assert (await connection.query_arrays(SELECT))["a"][1][0] == 1
        connection.close()
        connection.close()
        assert not connection.connected
        with pytest.raises(ConnectionLost):
            await connection.query(SELECT)
    with pytest.raises(AuthenticationError):
        await async_connect("iris", "wrong", *target[2:])


async def test_async_connection_is_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(siridb_fast.client.siridb_connector, "KEEPALIVE_INTERVAL", 0.02)
    held = HeldPackages()
    async with ScriptedServer(held) as server:
        connection = await async_connect("u", "p", "d", server.host, server.port, keepalive=True)
        assert [(await held.answer()).type for _ in range(3)] == [PING] * 3
        connection.close()


async def test_hooks_of_a_protocol_are_called_in_order() -> None:
    called: list[Any] = []

    class Noting(SiriDBProtocol):
        def on_connection_made(self) -> None:
            called.append(("made", self.auth_future is not None, self.remote_ip, self.port))

        def on_authenticated(self) -> None:
            called.append("authenticated")

        def on_connection_lost(self, exc: Exception | None) -> None:
            called.append(("lost", exc))

    async with ScriptedServer(answer_all) as server:
        where = (server.host, server.port)
        connection = await async_connect("u", "p", "d", *where, protocol=Noting)
        assert await connection.insert(LISTS)
        connection.close()
        await server.join()
    assert called == [("made", True, *where), "authenticated", ("lost", None)]


class PipeClient(SiriDBAsyncConnection):
    """A client over the unix socket, as SiriDB's own integration tests have one."""

    def __init__(self, path: str) -> None:
        self._path = path

    async def connect(self, username: str, password: str, dbname: str) -> None:  # type: ignore[override]
        loop = asyncio.get_running_loop()
        made = await loop.create_unix_connection(
            lambda: SiriDBProtocol(username, password, dbname), path=self._path
        )
        self._protocol = made[1]
        await self._protocol.auth_future  # type: ignore[misc]
        self._protocol.on_authenticated()


async def test_subclass_with_a_connect_of_its_own_inherits_all_the_rest(
    database: Database,
) -> None:
    client = PipeClient(str(database.server.socket_path))
    assert not client.connected
    for round_ in range(2):
        await client.connect("iris", "siri", database.name)
        assert client.connected
        await client.insert({"a": [[1 + round_, 1.5]]})
        await client.insert({"a": (np.array([11 + round_]), np.array([2.5]))})
        assert len((await client.query("select * from 'a'"))["a"]) == 2 * (round_ + 1)
        assert len((await client.query_arrays("select * from 'a'"))["a"][0]) == 2 * (round_ + 1)
        client.close()
        assert not client.connected
        with pytest.raises(ConnectionLost):
            await client.query("show")
    with pytest.raises(AuthenticationError):
        await client.connect("iris", "wrong", database.name)
    client.close()


async def test_server_info_is_what_the_server_tells(database: Database) -> None:
    async def handler(peer: ScriptedPeer) -> None:
        package = await peer.read_package()
        assert (package.type, package.payload) == (4, b"")
        await peer.send(package.pid, 4, packb(["2.0", "db"]))

    async with ScriptedServer(handler) as server:
        assert await async_server_info(server.host, server.port) == ["2.0", "db"]
    with pytest.raises(RequestTimeout):
        await async_server_info(database.server.host, database.server.port, timeout=0.05)


@pytest.fixture
def fast_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing wait longer than 10 ms between attempts."""
    sleep = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda delay: sleep(min(delay, 0.01)))


@pytest.mark.usefixtures("fast_attempts")
async def test_conn_comes_back_after_a_restart(own_database: Database) -> None:
    server = own_database.server
    conn = SiriDBConn("iris", "siri", own_database.name, server.host, server.port)
    await conn.connect()
    assert await conn.insert({"a": (np.array([1]), np.array(["x"]))})
    server.kill()
    await eventually(lambda: not conn.is_connected())
    waiting = [asyncio.ensure_future(conn.insert(LISTS)) for _ in range(3)]
    server.start()
    for answer in await asyncio.wait_for(asyncio.gather(*waiting), 5):
        assert answer == {"success_msg": "Successfully inserted 1 point(s)."}
    assert len((await conn.query(SELECT))["a"]) == 4
    conn.close()
    await conn.wait_closed()
    assert not conn.is_connected()


@pytest.mark.usefixtures("fast_attempts")
async def test_closing_a_conn_ends_what_waits_for_a_connection(
    unused_port: int,
) -> None:
    conn = SiriDBConn("iris", "siri", "db", "127.0.0.1", unused_port)
    waiting = [asyncio.ensure_future(conn.insert(LISTS)) for _ in range(2)]
    await eventually(lambda: conn._reconnecting is not None)
    conn.close()
    for result in await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 1):
        assert isinstance(result, ConnectionLost)


async def test_conn_that_may_not_log_in_says_so(target: Target) -> None:
    conn = SiriDBConn("iris", "wrong", *target[2:])
    with pytest.raises(AuthenticationError):
        await asyncio.wait_for(conn.connect(), 2)
    conn.close()
    await conn.wait_closed()
