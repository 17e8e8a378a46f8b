"""`connect`: a blocking client of a URL, or the blocking connection of siridb-connector.

Knows only which of them its arguments are for.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, overload

from siridb_fast.client.blocking import BlockingClient
from siridb_fast.client.siridb_connector import Protocol, SiriDBProtocol
from siridb_fast.client.siridb_connector_blocking import SiriDBConnection
from siridb_fast.concurrency.loops import refuse_running_loop
from siridb_fast.connection.config import is_url
from siridb_fast.connection.hosts import DEFAULT_PORT
from siridb_fast.connection.password import Password

if TYPE_CHECKING:
    import ssl as tls

__all__ = ["connect"]


@overload
def connect(
    username: str | None = None,
    password: Password | None = None,
    *,
    timeout: float = 10,
    ssl: tls.SSLContext | None = None,
) -> BlockingClient: ...


@overload
def connect(
    username: str,
    password: str,
    dbname: str,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    loop: asyncio.AbstractEventLoop | None = None,
    timeout: float = 10,
    protocol: Protocol = SiriDBProtocol,
) -> SiriDBConnection: ...


def connect(
    username: str | None = None,
    password: Password | None = None,
    dbname: str | None = None,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    loop: asyncio.AbstractEventLoop | None = None,
    timeout: float = 10,
    protocol: Protocol = SiriDBProtocol,
    *,
    ssl: tls.SSLContext | None = None,
) -> BlockingClient | SiriDBConnection:
    """Return a blocking client of a URL, or the blocking connection of siridb-connector.

    ``connect("siridb://…")`` has all servers and options of the URL; ``connect()`` reads
    ``SIRIDB_URL``; ``password`` is that of a URL without one, or a function that is called before
    each log-in. With the arguments of siridb-connector it is one connection to one server. Both
    have ``insert``, ``query``, ``query_arrays``, ``writer()`` and ``close``.

    Raises:
        AuthenticationError: Wrong user, password or database.
        OSError: No connection.
        RequestTimeout: No connection within ``timeout`` seconds.
    """
    if dbname is None and (username is None or is_url(username)):
        refuse_running_loop(
            "async with siridb_fast.SiriDBClient.from_url(url) as siri: await siri.query(…)"
        )
        return BlockingClient(username, password=password, timeout=timeout, ssl=ssl)
    if username is None or ssl is not None or callable(password):
        raise TypeError("username, password and dbname are needed, or a URL alone")
    return SiriDBConnection(username, password, dbname, host, port, loop, timeout, protocol)
