"""A connection to each host, reconnected with back-off, chosen by weight.

*Cluster* is the client's set of connections; *pool* and *replica* are the server's words. Knows
hosts, time and asyncio; knows nothing of inserts and queries.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from siridb_fast.config import Config
from siridb_fast.connection import KEEPALIVE_INTERVAL, Connection
from siridb_fast.errors import ConnectionLost, RequestTimeout, SiriDBError
from siridb_fast.hosts import Host, HostSelector

__all__ = ["AUTH_TIMEOUT", "Cluster", "open_connection"]

AUTH_TIMEOUT = 60.0  # a server that is loading its databases answers when it is done
FIRST_RETRY = 1.0

logger = logging.getLogger("siridb_fast")


async def open_connection(host: Host, config: Config, timeout: float | None = None) -> Connection:
    """Connect to one host and log in.

    Args:
        host: Whom to connect to.
        config: User, password, database and options.
        timeout: Seconds for all of it. None: ``config.timeout`` to connect, and then up to 60 for
            the log-in, which waits while the server loads its databases.

    Raises:
        AuthenticationError: Wrong user, password or database.
        OSError: No connection.
        RequestTimeout: Not in time.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + (config.timeout if timeout is None else timeout)

    def factory() -> Connection:
        return Connection(
            name=str(host),
            window=config.window,
            max_answer=config.max_answer,
            keepalive_interval=KEEPALIVE_INTERVAL if config.keepalive else None,
        )

    try:
        async with asyncio.timeout_at(deadline):
            connection = await _dial(loop, factory, host, config)
    except TimeoutError:
        raise RequestTimeout(f"no connection to {host} in time") from None
    except UnicodeError as exc:
        raise ConnectionLost(f"{host} is not the name of a host: {exc}") from exc
    try:
        left = AUTH_TIMEOUT if timeout is None else deadline - loop.time()
        await connection.authenticate(config.username, config.password, config.dbname, left)
    except (SiriDBError, asyncio.CancelledError):
        connection.abort()
        raise
    return connection


async def _dial(
    loop: asyncio.AbstractEventLoop,
    factory: Callable[[], Connection],
    host: Host,
    config: Config,
) -> Connection:
    if host.is_unix_socket:
        return (await loop.create_unix_connection(factory, host.address))[1]
    return (await loop.create_connection(factory, host.address, host.port, ssl=config.ssl))[1]


class _Member:
    """One host, and what is known of the connection to it."""

    __slots__ = ("connecting", "connection", "host", "inactive_until", "watch")

    def __init__(self, host: Host) -> None:
        self.host = host
        self.connection: Connection | None = None
        self.connecting = asyncio.Lock()
        self.inactive_until = 0.0
        self.watch: asyncio.Task[None] | None = None

    @property
    def is_connected(self) -> bool:
        return self.connection is not None and self.connection.is_connected


class Cluster:
    """The connections of one client, in one event loop."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._members = {host: _Member(host) for host in config.hosts}
        self._selector = HostSelector(config.hosts)
        self._is_closed = False

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that the connections live in."""
        return self._loop

    @property
    def is_connected(self) -> bool:
        """Tell whether any host is connected."""
        return any(member.is_connected for member in self._members.values())

    async def connect(self, timeout: float | None = None) -> list[BaseException | None]:
        """Connect to every host that is not connected; go on trying in the background.

        Returns:
            For each host, in the order of the list, None or the exception that met it.
        """
        members = list(self._members.values())
        results = await asyncio.gather(
            *(self._connect(member, timeout) for member in members), return_exceptions=True
        )
        for member, result in zip(members, results, strict=True):
            if isinstance(result, asyncio.CancelledError):
                raise result
            if result is not None:
                logger.error("no connection to %s: %s", member.host, result)
            self._watch(member)
        return list(results)

    def select(self, *, try_inactive: bool = False) -> Connection | None:
        """Return the connection whose turn it is, or None where there is none.

        A host that was `suspend`ed is left out unless nothing else is there and ``try_inactive``.
        """
        now = self._loop.time()
        connected = [member for member in self._members.values() if member.is_connected]
        active = [member for member in connected if member.inactive_until <= now]
        if not active and try_inactive:
            active = connected
        if len(active) == 1:  # the usual case; a turn among one moves no credit
            return active[0].connection
        host = self._selector.select([member.host for member in active])
        return None if host is None else self._members[host].connection

    def suspend(self, connection: Connection) -> None:
        """Leave out a host for ``inactive_time`` seconds, because it said that it cannot serve."""
        for member in self._members.values():
            if member.connection is connection:
                member.inactive_until = self._loop.time() + self._config.inactive_time

    def close(self) -> None:
        """Close all connections and stop trying."""
        self._is_closed = True
        for member in self._members.values():
            if member.watch is not None:
                member.watch.cancel()
            if member.connection is not None:
                member.connection.close()

    async def wait_closed(self) -> None:
        """Wait until all connections are gone."""
        watches = [m.watch for m in self._members.values() if m.watch is not None]
        connections = [m.connection for m in self._members.values() if m.connection is not None]
        await asyncio.gather(*watches, return_exceptions=True)
        await asyncio.gather(*(connection.wait_closed() for connection in connections))

    async def _connect(self, member: _Member, timeout: float | None = None) -> None:
        async with member.connecting:
            if member.is_connected:
                return
            member.connection = await open_connection(member.host, self._config, timeout)
            member.inactive_until = 0.0
            if self._is_closed:
                member.connection.close()

    def _watch(self, member: _Member) -> None:
        if member.watch is None or member.watch.done():
            member.watch = self._loop.create_task(self._keep_connected(member))

    async def _keep_connected(self, member: _Member) -> None:
        # Until the cluster is closed, or the event loop ends and cancels its tasks.
        try:
            while not self._is_closed:
                if member.connection is not None and member.is_connected:
                    await member.connection.wait_closed()
                    logger.warning("lost the connection to %s", member.host)
                await self._reconnect(member)
        finally:
            if member.connection is not None:
                member.connection.close()

    async def _reconnect(self, member: _Member) -> None:
        # After 1, 2, 4 … max_wait_retry seconds.
        wait = FIRST_RETRY
        while not (member.is_connected or self._is_closed):
            logger.debug("connecting to %s again in %s seconds", member.host, wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, self._config.max_wait_retry)
            try:
                await self._connect(member)
            except (SiriDBError, OSError) as exc:
                logger.error("no connection to %s: %s", member.host, exc)
