"""Where a bench writes: the series of a database whose names begin with a prefix.

Knows nothing of how the database came to be, and of what becomes of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from siridb_fast.cli.bench.cells import Facts, Transport
from siridb_fast.cli.connect import ask, connected_to
from siridb_fast.cli.errors import UsageFault
from siridb_fast.connection.config import Config
from siridb_fast.connection.connection import Connection
from siridb_fast.connection.hosts import Host
from siridb_fast.connection.open import open_connection

__all__ = ["FAMILY", "BenchTarget", "Endpoint", "count", "endpoints_of", "names_regex"]

FAMILY = "siridb_fast.bench."


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address of the server, and what it is reached over."""

    transport: Transport
    host: Host


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchTarget:
    """A database, and the series in it that are the bench's: their names begin with the prefix."""

    facts: Facts
    config: Config
    endpoints: tuple[Endpoint, ...]
    prefix: str
    pid: int | None
    timeout: float

    async def connect(self, endpoint: Endpoint, window: int = 1) -> Connection:
        """Open a connection."""
        return await open_connection(endpoint.host, self.config, self.timeout, window)

    async def stored(self) -> int:
        """Return how many points the server says that it has of the bench's series."""
        query = f"count series length {names_regex(self.prefix)}"
        async with connected_to(self.endpoints[0].host, self.config, self.timeout) as connection:
            return await count(connection, query, self.timeout)


def endpoints_of(config: Config, socket: str | None) -> tuple[Endpoint, ...]:
    """Return what to measure: the first server of a URL, and its unix socket or the one given."""
    hosts = [host for host in config.hosts if not host.is_backup] or list(config.hosts)
    if socket is not None:
        if "/" not in socket:
            raise UsageFault(f"--socket: expected a path with a / in it, got {socket!r}")
        hosts.append(Host(socket))
    found: dict[Transport, Endpoint] = {}
    for host in hosts:
        transport = Transport.UNIX if host.is_unix_socket else Transport.TCP
        found.setdefault(transport, Endpoint(transport, host))
    return tuple(found.values())


async def count(connection: Connection, query: str, timeout: float) -> int:
    """Return the answer to a query that counts."""
    (number,) = (await ask(connection, query, timeout)).values()
    return int(number)


def names_regex(prefix: str) -> str:
    """Return what the server takes for all names with this prefix: its regex match whole names."""
    return f"/{re.escape(prefix)}.*/"
