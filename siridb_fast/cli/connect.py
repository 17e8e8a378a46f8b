"""The way to the database: a client of all servers of a URL, or a connection to one of them.

Knows nothing of what the commands ask there. Rule: no message has the password of a URL.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from siridb_fast.cli.errors import UsageFault, reason_of, warn
from siridb_fast.connection.config import Config, parse_url
from siridb_fast.connection.connection import Connection
from siridb_fast.connection.hosts import Host
from siridb_fast.connection.open import open_connection
from siridb_fast.errors import ConfigError, ConnectionLost, SiriDBError
from siridb_fast.query.run import run_query

if TYPE_CHECKING:
    from siridb_fast.client.client import SiriDBClient

__all__ = [
    "ANSWER_TIMEOUT",
    "URL_FORM",
    "Target",
    "ask",
    "connected",
    "connected_to",
    "target_of",
]

ANSWER_TIMEOUT = 60.0
URL_FORM = "siridb://user:password@host/database"


@dataclass(frozen=True, slots=True)
class Target:
    """The database, and how long to wait for it."""

    url: str | None
    config: Config
    connect_timeout: float | None
    timeout: float


def target_of(url: str | None, timeout: float | None) -> Target:
    """Return whom to talk to.

    Raises:
        UsageFault: There is no URL, or something is wrong with it.
    """
    try:
        config = parse_url(url)
    except ConfigError as exc:
        raise UsageFault(f"{exc} (expected --url {URL_FORM}, or SIRIDB_URL)") from None
    return Target(url, config, timeout, ANSWER_TIMEOUT if timeout is None else timeout)


@asynccontextmanager
async def connected(target: Target) -> AsyncIterator[SiriDBClient]:
    """Connect to the database; warn of servers that cannot be reached if there are others.

    Raises:
        SiriDBError: No server lets us in; says of each why.
    """
    from siridb_fast.client.client import SiriDBClient  # a load has no use for it

    client = SiriDBClient.from_url(target.url)
    try:
        results = await client.connect(target.connect_timeout)
        failures = [
            _described(str(host), result)
            for host, result in zip(target.config.hosts, results, strict=True)
            if result is not None
        ]
        if not client.connected:
            if len(results) == 1 and isinstance(results[0], SiriDBError):
                raise results[0]
            raise ConnectionLost("; ".join(failures) or "the server hung up at once")
        for failure in failures:
            warn(failure)
        yield client
    finally:
        client.close()
        await client.wait_closed()


@asynccontextmanager
async def connected_to(
    host: Host, config: Config, timeout: float | None
) -> AsyncIterator[Connection]:
    """Connect to one server.

    Raises:
        SiriDBError, OSError: There is no connection.
    """
    connection = await open_connection(host, config, timeout)
    try:
        yield connection
    finally:
        connection.close()
        await connection.wait_closed()


async def ask(connection: Connection, query: str, timeout: float) -> dict[str, Any]:
    """Return the answer to a query."""
    return dict(await run_query(connection.request, query, timeout))


def _described(host: str, failure: BaseException) -> str:
    reason = reason_of(failure)
    return reason if host in reason else f"no connection to {host}: {reason}"
