"""A connection to each host, reconnected with back-off, chosen by weight.

*Cluster* is the client's set of connections; *pool* and *replica* are the server's words. Knows
hosts, time and asyncio; knows nothing of inserts and queries.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Iterable, Iterator

from siridb_fast.concurrency.fork import own
from siridb_fast.connection.config import Config
from siridb_fast.connection.connection import Connection
from siridb_fast.connection.hosts import Host, HostSelector
from siridb_fast.connection.server_process import ServerProcess
from siridb_fast.errors import ConnectionLost, ProtocolError, RequestTimeout, SiriDBError

__all__ = ["AUTH_TIMEOUT", "Cluster", "first_failure", "open_connection"]

AUTH_TIMEOUT = 60.0  # a server that is loading its databases answers when it is done
FIRST_RETRY = 1.0

logger = logging.getLogger("siridb_fast")


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
        AuthenticationError: Wrong user, password or database.
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
            connection = await _dial(loop, factory, host, config)
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
    """One connection to a host, and what is known of it."""

    __slots__ = ("connecting", "connection", "host", "inactive_until", "watch", "window")

    def __init__(self, host: Host, window: int) -> None:
        self.host = host
        self.window = window
        self.connection: Connection | None = None
        self.connecting = asyncio.Lock()
        self.inactive_until = 0.0
        self.watch: asyncio.Task[None] | None = None

    @property
    def is_connected(self) -> bool:
        return self.connection is not None and self.connection.is_connected

    @property
    def room(self) -> int:
        return 0 if self.connection is None else self.connection.room


class Cluster:
    """The connections of one client or writer, in one event loop.

    Args:
        config: The hosts, and how to connect to them.
        per_host: How many connections a host gets, and the window of each; by default one with
            the window of ``config``.
        on_change: Called whenever a connection has been made or lost.
        greet: Awaited before that with the new connection, which is given up if it raises.
    """

    def __init__(
        self,
        config: Config,
        *,
        per_host: Callable[[Host], tuple[int, int]] | None = None,
        on_change: Callable[[], None] | None = None,
        greet: Callable[[Connection], Awaitable[None]] | None = None,
    ) -> None:
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._members = [
            _Member(host, window)
            for host in config.hosts
            for count, window in [per_host(host) if per_host else (1, config.window)]
            for _ in range(count)
        ]
        self._selector = HostSelector(config.hosts)
        self._on_change = on_change
        self._greet = greet
        self._is_closed = False
        self._came = asyncio.Event()
        own(self)
        self.failure: BaseException | None = None  # the last, if no connection came after it

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that the connections live in."""
        return self._loop

    @property
    def is_connected(self) -> bool:
        """Tell whether any host is connected."""
        return any(member.is_connected for member in self._members)

    @property
    def why_not(self) -> str:
        """Why no host is connected, to be put behind a message."""
        is_known = self.failure is not None and not self.is_connected
        return f"; the last attempt to connect: {self.failure}" if is_known else ""

    @property
    def has_active(self) -> bool:
        """Tell whether any host is connected that was not suspended."""
        now = self._loop.time()
        return any(m.is_connected and m.inactive_until <= now for m in self._members)

    async def connect(self, timeout: float | None = None) -> list[BaseException | None]:
        """Connect to every host that is not connected; go on trying in the background.

        Returns:
            For each connection, in the order of the hosts, None or the exception that met it.
        """
        results = await asyncio.gather(
            *(self._connect(member, timeout) for member in self._members), return_exceptions=True
        )
        for member, result in zip(self._members, results, strict=True):
            if isinstance(result, asyncio.CancelledError):
                raise result
            if result is not None:
                self._note(member, result)
            self._watch(member)
        return list(results)

    async def open(self, timeout: float | None = None) -> None:
        """Connect to any host at least.

        Raises:
            SiriDBError, OSError: There is no connection: what met the first.
        """
        results = await self.connect(timeout)
        if not self.is_connected:
            raise first_failure(results)

    async def wait_connected(self, timeout: float) -> bool:
        """Wait until any host is connected, but no longer than this; tell whether one is."""
        try:
            async with asyncio.timeout(timeout):
                while not self.is_connected:
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            return False
        return True

    def select(self, *, try_inactive: bool = False) -> Connection | None:
        """Return the connection whose turn it is, or None where there is none.

        A host that was `suspend`ed is left out unless nothing else is there and ``try_inactive``.
        """
        connection = self._connection_of(self._active(try_inactive=try_inactive))
        self.take_turn()
        return connection

    def connection_with_room(self) -> Connection | None:
        """Return the connection with room in its window whose turn it is, or None.

        Whoever sends on it calls `take_turn`; until then its turn goes on. Suspended hosts come
        where no other is connected, backups where all others are gone, however busy those are.
        """
        return self._connection_of(_with_room(self._active(try_inactive=True)))

    def take_turn(self) -> None:
        """Let the connection that `connection_with_room` has just returned have its turn."""
        self._selector.take_turn()

    def connection_to(self, host: str) -> Connection | None:
        """Return a connection to the host of this name, if there is one."""
        return next((line for line in self._connected() if line.name == host), None)

    def connection_behind(self, process: ServerProcess) -> Connection | None:
        """Return a connection to this run of a server, if there is one."""
        return next((line for line in self._connected() if line.process is process), None)

    def suspend(self, connection: Connection) -> None:
        """Leave out a host for ``inactive_time`` seconds, because it said that it cannot serve."""
        self._leave_out(connection, until=self._loop.time() + self._config.inactive_time)

    def resume(self, connection: Connection) -> None:
        """Leave out its host no longer, because it serves."""
        self._leave_out(connection, until=0.0)

    def disown(self) -> None:
        """Connect no more; called in a child of a fork."""
        self._is_closed = True

    def close(self) -> None:
        """Close all connections and stop trying."""
        self._is_closed = True
        for member in self._members:
            if member.watch is not None:
                member.watch.cancel()
            if member.connection is not None:
                member.connection.close()

    async def wait_closed(self) -> None:
        """Wait until all connections are gone."""
        watches = [m.watch for m in self._members if m.watch is not None]
        connections = [m.connection for m in self._members if m.connection is not None]
        await asyncio.gather(*watches, return_exceptions=True)
        await asyncio.gather(*(connection.wait_closed() for connection in connections))

    def _connection_of(self, members: list[_Member]) -> Connection | None:
        host = self._selector.peek(list(dict.fromkeys(member.host for member in members)))
        of_host = (member for member in members if member.host == host)
        freest = max(of_host, key=lambda member: member.room, default=None)
        return None if freest is None else freest.connection

    def _leave_out(self, connection: Connection, *, until: float) -> None:
        hosts = [member.host for member in self._members if member.connection is connection]
        for member in self._members:
            if member.host in hosts:
                member.inactive_until = until

    def _connected(self) -> Iterator[Connection]:
        for member in self._members:
            if member.connection is not None and member.is_connected:
                yield member.connection

    def _active(self, *, try_inactive: bool) -> list[_Member]:
        now = self._loop.time()
        connected = [member for member in self._members if member.is_connected]
        active = [member for member in connected if member.inactive_until <= now]
        return connected if try_inactive and not active else active

    async def _connect(self, member: _Member, timeout: float | None = None) -> None:
        async with member.connecting:
            if member.is_connected:
                return
            connection = await open_connection(member.host, self._config, timeout, member.window)
            if self._greet is not None:
                await self._met(connection, self._greet)
            member.connection = connection
            member.inactive_until = 0.0
            self.failure = None
            self._came.set()
            if self._is_closed:
                member.connection.close()
            elif self._on_change is not None:
                self._on_change()

    async def _met(
        self, connection: Connection, greet: Callable[[Connection], Awaitable[None]]
    ) -> None:
        try:
            await greet(connection)
        except BaseException as exc:
            connection.abort()
            if isinstance(exc, (SiriDBError, OSError)) or not isinstance(exc, Exception):
                raise
            raise ProtocolError(f"{connection.name} answers as no server does: {exc!r}") from exc

    def _note(self, member: _Member, failure: BaseException) -> None:
        place = "" if str(member.host) in str(failure) else f"no connection to {member.host}: "
        logger.error("%s%s", place, failure)
        self.failure = failure

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
                    if self._on_change is not None:
                        self._on_change()
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
            if self._is_closed:
                return
            try:
                await self._connect(member)
            except (SiriDBError, OSError) as exc:
                self._note(member, exc)


def first_failure(results: Iterable[BaseException | None]) -> BaseException:
    """Return why there is no connection at all, of what `Cluster.connect` returned."""
    failures = (result for result in results if result is not None)
    return next(failures, ConnectionLost("the server hung up at once"))


def _with_room(members: list[_Member]) -> list[_Member]:
    # Backups take over from hosts that are gone, not from busy ones.
    members = [m for m in members if not m.host.is_backup] or members
    return [member for member in members if member.room > 0]
