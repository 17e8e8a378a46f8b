"""Connect to one host and log in.

Knows asyncio and the log-in; knows nothing of other hosts, and does not try again.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import TypeVar

from siridb_fast.connection.config import Config
from siridb_fast.connection.connection import Connection
from siridb_fast.connection.hosts import Host
from siridb_fast.connection.password import password_of
from siridb_fast.errors import ConnectionLost, RequestTimeout, SiriDBError

__all__ = ["AUTH_TIMEOUT", "connect_protocol", "open_connection"]

AUTH_TIMEOUT = 60.0  # a server that is loading its databases answers when it is done

P = TypeVar("P", bound=asyncio.BaseProtocol)


async def open_connection(
    host: Host, config: Config, timeout: float | None = None, window: int | None = None
) -> Connection:
    """Connect to one host and log in.

    Args:
        host: Whom to connect to.
        config: User, password, database and options.
        timeout: Seconds for all of it. None: ``config.timeout`` to connect, and then up to 60 for
            the log-in, which waits while the server loads its databases.
        window: Requests in flight at most, ``config.window`` if None.

    Raises:
        AuthenticationError: Wrong user, password or database; or there is no password.
        OSError: No connection.
        RequestTimeout: Not in time.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + (config.timeout if timeout is None else timeout)

    def factory() -> Connection:
        return Connection(
            name=str(host),
            window=config.window if window is None else window,
            max_answer=config.max_answer,
            keepalive_interval=config.keepalive_interval if config.keepalive else None,
        )

    try:
        async with asyncio.timeout_at(deadline):
            password = await password_of(config.password)
    except TimeoutError:
        raise RequestTimeout("the function that returns the password did not in time") from None
    try:
        async with asyncio.timeout_at(deadline):
            connection = await connect_protocol(host, factory, config.ssl)
    except TimeoutError:
        raise RequestTimeout(f"no connection to {host} in time") from None
    except ssl.SSLError:
        raise
    except OSError as exc:
        text = f"no connection to {host}: {exc.strerror or exc}"
        raise (OSError(text) if exc.errno is None else type(exc)(exc.errno, text)) from exc
    except UnicodeError as exc:
        raise ConnectionLost(f"{host} is not the name of a host: {exc}") from exc
    try:
        left = AUTH_TIMEOUT if timeout is None else deadline - loop.time()
        await connection.authenticate(config.username, password, config.dbname, left)
    except (SiriDBError, asyncio.CancelledError):
        connection.abort()
        raise
    return connection


async def connect_protocol(
    host: Host, factory: Callable[[], P], ssl: ssl.SSLContext | None = None
) -> P:
    """Connect over TCP or a unix socket; return the protocol that the factory made."""
    loop = asyncio.get_running_loop()
    if host.is_unix_socket:
        return (await loop.create_unix_connection(factory, host.address))[1]
    return (await loop.create_connection(factory, host.address, host.port, ssl=ssl))[1]
