"""A connection to each host, chosen by weight.

*Cluster* is the client's set of connections; *pool* and *replica* are the server's words. Knows
hosts, time and asyncio; knows nothing of inserts and queries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from math import inf

from siridb_fast.concurrency.fork import own
from siridb_fast.connection.config import Config
from siridb_fast.connection.connection import Connection
from siridb_fast.connection.hosts import Host, HostSelector
from siridb_fast.connection.open import open_connection
from siridb_fast.connection.outage import Outage
from siridb_fast.connection.reconnect import Handshake, Member, shake_hands
from siridb_fast.connection.seeker import ServerSeeker
from siridb_fast.connection.server_process import ServerProcess
from siridb_fast.connection.stats import HostStats
from siridb_fast.errors import ConnectionLost, RequestTimeout

__all__ = ["Cluster", "first_failure"]


class Cluster:
    """The connections of one client or writer, in one event loop.

    Args:
        config: The hosts, and how to connect to them.
        per_host: How many connections a host gets, and the window of each; by default one with
            the window of ``config``.
        on_change: Called whenever a connection has been made or lost, or has the room that
            somebody wants.
        waiting: Returns what waits for a server, to be put behind a message that none is there.
        handshake: Awaited before that with the new connection, which is given up if it raises.
    """

    def __init__(
        self,
        config: Config,
        *,
        per_host: Callable[[Host], tuple[int, int]] | None = None,
        on_change: Callable[[], None] | None = None,
        waiting: Callable[[], str] = str,
        handshake: Handshake | None = None,
    ) -> None:
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._members = [
            Member(host, window, config, self, handshake)
            for host in config.hosts
            for count, window in [per_host(host) if per_host else (1, config.window)]
            for _ in range(count)
        ]
        self._selector = HostSelector(config.hosts)
        self._outages = {host: Outage(str(host), waiting) for host in config.hosts}
        self._handshake = handshake
        self._extras: list[Connection] = []  # that nobody sends packages over
        self.seeker = ServerSeeker(self, self._report_change)
        self._on_change = on_change
        self._is_closed = False
        self._is_room_wanted = False
        self._change = asyncio.Event()  # a connection was made, or an attempt has failed
        own(self)
        self.failure: BaseException | None = None  # the last, if no connection came after it
        self._failed_host = ""  # where that was, if it does not say so itself

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that the connections live in."""
        return self._loop

    @property
    def hosts(self) -> tuple[Host, ...]:
        """Where the servers are."""
        return self._config.hosts

    @property
    def is_connected(self) -> bool:
        """Tell whether any host is connected."""
        return any(member.is_connected for member in self._members)

    @property
    def failure_suffix(self) -> str:
        """Why no host is connected, to be put behind a message."""
        if self.failure is None or self.is_connected:
            return ""
        return f"; the last attempt to connect: {self._failed_host}{self.failure}"

    @property
    def has_active(self) -> bool:
        """Tell whether any host is connected that was not suspended."""
        now = self._loop.time()
        return any(m.is_connected and m.inactive_until <= now for m in self._members)

    def stats(self) -> tuple[HostStats, ...]:
        """Return the figures of each host, in the order of the hosts."""
        now = inf if self._loop.is_closed() else self._loop.time()
        return tuple(_stats_of(host, self._members, now) for host in dict.fromkeys(self.hosts))

    async def connect(self, timeout: float | None = None) -> list[BaseException | None]:
        """Connect to every host that is not connected; go on trying in the background.

        Returns:
            For each connection, in the order of the hosts, None or why it failed.
        """
        results = await asyncio.gather(
            *(member.connect(timeout) for member in self._members), return_exceptions=True
        )
        for member, result in zip(self._members, results, strict=True):
            if isinstance(result, asyncio.CancelledError):
                raise result
            if result is not None:
                self.on_failure(member.host, result)
            member.keep_connected()
        return list(results)

    async def open(self, timeout: float | None = None) -> None:
        """Connect to any host at least.

        Raises:
            SiriDBError, OSError: There is no connection: why the first failed.
        """
        results = await self.connect(timeout)
        if not self.is_connected:
            raise first_failure(results)

    async def wait_connected(self, timeout: float) -> bool:
        """Wait until any host is connected, but no longer than this; tell whether one is."""
        try:
            async with asyncio.timeout(timeout):
                while not self.is_connected:
                    await self._next_change()
        except TimeoutError:
            return False
        return True

    async def wait_returned(self, deadline: float) -> None:
        """Wait while there is no connection, but one that was given up here is being made again.

        Raises:
            RequestTimeout: No longer than until ``deadline``, on the loop's clock.
        """
        try:
            async with asyncio.timeout_at(deadline):
                while not self.is_connected and any(m.is_returning for m in self._members):
                    await self._next_change()
        except TimeoutError:
            raise RequestTimeout("no connection in time, after the last was given up") from None

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

    def want_room(self) -> None:
        """Have ``on_change`` called once when there may be a connection with room.

        Queries and keep-alives take room, too; whoever sends nothing learns of no answer to them.
        """
        self._is_room_wanted = True

    def take_turn(self) -> None:
        """Let the connection that `connection_with_room` has just returned have its turn."""
        self._selector.take_turn()

    def connection_to(self, host: str) -> Connection | None:
        """Return a connection to the host of this name, if there is one."""
        return next((one for one in self._connected() if one.name == host), None)

    def connection_behind(self, process: ServerProcess) -> Connection | None:
        """Return a connection to this run of a server, if there is one."""
        return next((one for one in self._reached() if one.process is process), None)

    def connection_to_server(self, uuid: str) -> Connection | None:
        """Return a connection to the server of this uuid, in this run or another."""
        return next((one for one in self._reached() if _uuid_of(one) == uuid), None)

    async def open_extra(self, host: Host, timeout: float) -> None:
        """Connect to a host once more; keep that if it leads to a server that no other does.

        Behind the address of a balancer there are several. The cluster selects none of these
        connections; `connection_to_server` and `connection_behind` return them, until
        `close_extras`.

        Raises:
            SiriDBError, OSError: There is no connection, or the handshake did not want it.
        """
        connection = await open_connection(host, self._config, timeout)
        if self._handshake is not None:
            await shake_hands(connection, self._handshake)
        uuid = _uuid_of(connection)
        is_new = uuid is not None and self.connection_to_server(uuid) is None
        if is_new and not self._is_closed:
            self._extras.append(connection)
        else:
            connection.abort()

    def close_extras(self) -> None:
        """Close what `open_extra` has opened."""
        for connection in self._extras:
            connection.abort()
        self._extras.clear()

    def suspend(self, connection: Connection) -> None:
        """Leave out a host for ``inactive_time`` seconds, because it said that it cannot serve."""
        self._leave_out(connection, until=self._loop.time() + self._config.inactive_time)

    def resume(self, connection: Connection) -> None:
        """Leave out its host no longer, because it serves."""
        self._leave_out(connection, until=0.0)

    def disown(self) -> None:
        """Connect no more; called in a child of a fork."""
        self._is_closed = True
        for member in self._members:
            member.disown()

    def close(self) -> None:
        """Close all connections and stop trying."""
        self._is_closed = True
        for member in self._members:
            member.close()
        self.seeker.close()
        self._change.set()

    async def wait_closed(self) -> None:
        """Wait until all connections are gone."""
        await asyncio.gather(
            self.seeker.wait_closed(), *(member.wait_closed() for member in self._members)
        )

    # ---- for the members

    def on_connected(self, host: Host) -> None:
        """Remember that there is a connection."""
        self._outages[host].on_connected(self._loop.time())
        self.failure = None
        self._change.set()
        self._report_change()

    def on_lost(self, host: Host) -> None:
        """Report that a connection was lost."""
        self._outages[host].on_lost(self._loop.time())
        if self._on_change is not None:
            self._on_change()

    def on_failure(self, host: Host, failure: BaseException) -> None:
        """Log and remember that an attempt to connect has failed."""
        self._outages[host].on_failure(failure, self._loop.time())
        self.failure = failure
        self._failed_host = "" if str(host) in str(failure) else f"{host}: "
        self._change.set()

    def on_room(self) -> None:
        """Report that there may be room, if that is wanted."""
        if self._is_room_wanted:
            self._is_room_wanted = False
            self._report_change()

    def _report_change(self) -> None:
        if self._on_change is not None and not self._is_closed:
            self._on_change()

    async def _next_change(self) -> None:
        self._change.clear()
        await self._change.wait()

    def _connection_of(self, members: list[Member]) -> Connection | None:
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

    def _reached(self) -> Iterator[Connection]:
        yield from self._connected()
        yield from (one for one in self._extras if one.is_connected)

    def _active(self, *, try_inactive: bool) -> list[Member]:
        now = self._loop.time()
        connected = [member for member in self._members if member.is_connected]
        active = [member for member in connected if member.inactive_until <= now]
        return connected if try_inactive and not active else active


def first_failure(results: Iterable[BaseException | None]) -> BaseException:
    """Return why there is no connection at all, of what `Cluster.connect` returned."""
    failures = (result for result in results if result is not None)
    return next(failures, ConnectionLost("the server hung up at once"))


def _stats_of(host: Host, members: list[Member], now: float) -> HostStats:
    own = [member for member in members if member.host == host]
    connected = [member for member in own if member.is_connected]
    return HostStats(
        host=str(host),
        connections=len(own),
        connected=len(connected),
        suspended=sum(member.inactive_until > now for member in connected),
        reconnects=sum(member.reconnects for member in own),
    )


def _uuid_of(connection: Connection) -> str | None:
    return None if connection.process is None else connection.process.uuid


def _with_room(members: list[Member]) -> list[Member]:
    # Backups take over from hosts that are gone, not from busy ones.
    members = [m for m in members if not m.host.is_backup] or members
    return [member for member in members if member.room > 0]
