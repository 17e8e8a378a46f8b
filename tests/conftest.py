"""Fixtures that all tests share: event loops, and one real server for the whole run.

A coroutine test runs once in asyncio's event loop and once in uvloop. `database` is a fresh
database of the shared server; a test that stops, kills or pauses a server starts one of its own.
"""

import asyncio
import inspect
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import uvloop

from siridb_fast import SiriDBClient
from siridb_fast.testing import SiriDBServer

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
        metafunc.parametrize("event_loop_factory", LOOPS.values(), ids=LOOPS)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    factory = pyfuncitem.callspec.params["event_loop_factory"]
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(asyncio.wait_for(pyfuncitem.obj(**arguments), TEST_TIMEOUT))
    return True


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
