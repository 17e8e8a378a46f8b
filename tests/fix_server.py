"""Real servers: one that the tests of a module share, and databases in it.

`database` is a fresh database of the shared server, which takes 1,024 of them. A test that stops,
kills or pauses a server asks for `own_database`, or starts a server of its own.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from siridb_fast import SiriDBClient
from siridb_fast.testing import FaultProxy, SiriDBServer

__all__ = ["Database"]


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


@pytest.fixture(scope="module")
def server() -> Iterator[SiriDBServer]:
    """Start the server that the tests of a module share."""
    with SiriDBServer(buffer_sync_interval=500) as server:
        yield server


@pytest.fixture(scope="session")
def _database_names() -> Iterator[str]:
    return (f"db{number}" for number in itertools.count())


@pytest.fixture
def make_database(server: SiriDBServer, _database_names: Iterator[str]) -> Callable[..., Database]:
    """Return a function that makes a fresh database, of any precision and buffer size."""

    def make(**options: object) -> Database:
        name = next(_database_names)
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
def proxy(database: Database) -> Iterator[FaultProxy]:
    """Put a proxy in front of the server of a fresh database."""
    with FaultProxy(database.server.host, database.server.port) as proxy:
        yield proxy
