"""Fixtures that all tests share: event loops, and one real server for the whole run.

A coroutine test runs once in asyncio's event loop and once in uvloop; one marked `one_loop`, which
is long and about what no loop has a part in, in uvloop alone. `database` is a fresh database of
the shared server; a test that stops, kills or pauses a server starts one of its own.
"""

import asyncio
import inspect
import itertools
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import uvloop

import siridb_fast.connection.cluster
from siridb_fast import SiriDBClient, packb, unpackb
from siridb_fast.testing import ScriptedPackage, ScriptedPeer, ScriptedServer, SiriDBServer

TEST_TIMEOUT = 60.0
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Database:
    """One database of a running server."""

    server: SiriDBServer
    name: str

    @property
    def url(self) -> str:
        return self.server.url(self.name)

    def client(self, **options: object) -> SiriDBClient:
        hostlist = [(self.server.host, self.server.port)]
        return SiriDBClient("iris", "siri", self.name, hostlist, **options)  # type: ignore[arg-type]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if inspect.iscoroutinefunction(metafunc.function):
        metafunc.fixturenames.append("event_loop_factory")
        is_one = metafunc.definition.get_closest_marker("one_loop") is not None
        names = ["uvloop"] if is_one else list(LOOPS)
        metafunc.parametrize("event_loop_factory", [LOOPS[name] for name in names], ids=names)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    parameters: dict[str, Any] = pyfuncitem.callspec.params
    factory = parameters["event_loop_factory"]
    unhandled: list[dict[str, Any]] = []  # what would only be logged, as "never retrieved"
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: unhandled.append(context))
        runner.run(asyncio.wait_for(pyfuncitem.obj(**arguments), TEST_TIMEOUT))
    assert not unhandled
    return True


@pytest.fixture
def unused_port() -> Iterator[int]:
    """Keep a port of loopback on which nobody listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@pytest.fixture(scope="session")
def server() -> Iterator[SiriDBServer]:
    """Start the server that tests share."""
    with SiriDBServer(buffer_sync_interval=500) as server:
        yield server


@pytest.fixture
def make_database(server: SiriDBServer) -> Callable[..., Database]:
    """Return a function that makes a fresh database, of any precision and buffer size."""

    def make(**options: object) -> Database:
        name = f"db{next(_numbers)}"
        server.create_database(name, **options)  # type: ignore[arg-type]
        return Database(server, name)

    return make


@pytest.fixture
def database(make_database: Callable[..., Database]) -> Database:
    """Make a fresh database in nanoseconds."""
    return make_database()


@pytest.fixture
def own_database() -> Iterator[Database]:
    """Start a server that may be paused and killed, with one database."""
    with SiriDBServer() as server:
        server.create_database("dbtest")
        yield Database(server, "dbtest")


@pytest.fixture
def fast_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connect again after 10 ms instead of a second."""
    monkeypatch.setattr(siridb_fast.connection.cluster, "FIRST_RETRY", 0.01)


QUERY, INSERT, AUTH, PING = 0, 1, 2, 3  # requests, and the types of their answers
ANSWERS = {
    "show time_precision, buffer_size": {
        "data": [
            {"name": "time_precision", "value": "ns"},
            {"name": "buffer_size", "value": 1024},
        ]
    },
    "show time_precision": {"data": [{"name": "time_precision", "value": "ns"}]},
    "list series name, type": {"columns": ["name", "type"], "series": []},
}


async def respond(peer: ScriptedPeer, package: ScriptedPackage) -> None:
    """Answer a package as a server of a ns database would that holds nothing yet."""
    body = b""
    if package.type == QUERY:
        text = unpackb(package.payload, "utf-8")[0]
        answers = [answer for start, answer in ANSWERS.items() if text.startswith(start)]
        body = packb(answers[0] if answers else {})
    elif package.type == INSERT:
        body = packb({"success_msg": "Successfully inserted 1 point(s)."})
    await peer.send(package.pid, package.type, body)


async def answer_all(peer: ScriptedPeer) -> None:
    """Accept the log-in, then answer whatever comes."""
    await peer.accept_auth()
    while True:
        await respond(peer, await peer.read_package(timeout=30))


def scripted_client(*servers: ScriptedServer, **options: object) -> SiriDBClient:
    """Return a client of scripted servers, which take any user."""
    hostlist = [(server.host, server.port) for server in servers]
    return SiriDBClient("user", "secret-word", "db", hostlist, **options)  # type: ignore[arg-type]


class Held:
    """A handler of a scripted server that keeps the packages for the test to answer."""

    def __init__(self) -> None:
        self.packages: asyncio.Queue[tuple[ScriptedPeer, ScriptedPackage]] = asyncio.Queue()

    async def __call__(self, peer: ScriptedPeer) -> None:
        await peer.accept_auth()
        while True:
            self.packages.put_nowait((peer, await peer.read_package(timeout=30)))

    async def take(self, timeout: float = 5) -> tuple[ScriptedPeer, ScriptedPackage]:
        """Return the next package and who sent it."""
        return await asyncio.wait_for(self.packages.get(), timeout)

    async def answer(self, timeout: float = 5) -> ScriptedPackage:
        """Answer the next package."""
        peer, package = await self.take(timeout)
        await respond(peer, package)
        return package


async def eventually(condition: Callable[[], bool], timeout: float = 5) -> None:
    """Let the event loop run until the condition is true."""
    async with asyncio.timeout(timeout):
        while not condition():  # noqa: ASYNC110 - nobody announces it
            await asyncio.sleep(0.005)
