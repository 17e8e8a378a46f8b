"""A connection to one host that comes back when it is lost: after 1, 2, 4 … seconds.

One that was given up here, because an insert was not answered in time, is made again at once.

Knows one host, time and asyncio; knows nothing of other hosts and of what is sent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

from siridb_fast.concurrency.tasks import begin_task, cancel_task
from siridb_fast.connection.config import Config
from siridb_fast.connection.connection import Connection
from siridb_fast.connection.hosts import Host
from siridb_fast.connection.open import open_connection
from siridb_fast.errors import ProtocolError, SiriDBError

__all__ = ["FIRST_RETRY", "Handshake", "Member", "MemberEvents", "shake_hands"]

FIRST_RETRY = 1.0

Handshake: TypeAlias = Callable[[Connection], Awaitable[None]]

logger = logging.getLogger("siridb_fast")


class MemberEvents(Protocol):
    """What a member reports to its cluster."""

    def on_connected(self, host: Host) -> None:
        """Called once there is a connection to a host."""

    def on_lost(self, host: Host) -> None:
        """Called once the connection to a host was lost."""

    def on_failure(self, host: Host, failure: BaseException) -> None:
        """Called once an attempt to connect has failed."""

    def on_room(self) -> None:
        """Called once an answer may have made room in the window of a connection."""


class Member:
    """One connection of a cluster to a host.

    Args:
        host: Whom to connect to.
        window: Requests in flight at most.
        config: User, password, database and options.
        events: Called with what happens.
        handshake: Awaited with a new connection before it is used; it is given up if that raises.
    """

    __slots__ = (
        "_config",
        "_connecting",
        "_events",
        "_handshake",
        "_has_failed",
        "_is_closed",
        "_task",
        "_window",
        "connection",
        "host",
        "inactive_until",
        "reconnects",
    )

    def __init__(
        self,
        host: Host,
        window: int,
        config: Config,
        events: MemberEvents,
        handshake: Handshake | None,
    ) -> None:
        self.host = host
        self.connection: Connection | None = None
        self.inactive_until = 0.0
        self.reconnects = 0  # how often the connection was made again
        self._window = window
        self._config = config
        self._events = events
        self._handshake = handshake
        self._connecting = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._has_failed = False  # to connect, since there was a connection
        self._is_closed = False

    @property
    def is_returning(self) -> bool:
        """Tell whether the connection was given up here, and is being made again just now."""
        return (
            self.connection is not None
            and self.connection.was_given_up
            and not (self.is_connected or self._has_failed or self._is_closed)
        )

    @property
    def is_connected(self) -> bool:
        """Tell whether requests can be sent."""
        return self.connection is not None and self.connection.is_connected

    @property
    def room(self) -> int:
        """How many more requests would go out at once."""
        return 0 if self.connection is None else self.connection.room

    async def connect(self, timeout: float | None = None) -> None:
        """Connect, if it is not connected; raises what `open_connection` and the handshake do."""
        async with self._connecting:
            if self.is_connected:
                return
            connection = await open_connection(self.host, self._config, timeout, self._window)
            if self._handshake is not None:
                await shake_hands(connection, self._handshake)
            connection.on_room = self._events.on_room
            self.reconnects += self.connection is not None
            self.connection = connection
            self._has_failed = False
            self.inactive_until = 0.0
            if self._is_closed:
                connection.close()
            self._events.on_connected(self.host)

    def keep_connected(self) -> None:
        """Connect again whenever there is no connection, from now on, until `close`."""
        if self._task is None or self._task.done():
            self._task = begin_task(self._keep_connected())

    def disown(self) -> None:
        """Connect no more; called in a child of a fork."""
        self._is_closed = True

    def close(self) -> None:
        """Close the connection and connect no more."""
        self._is_closed = True
        if self._task is not None:
            cancel_task(self._task)
        if self.connection is not None:
            self.connection.close()

    async def wait_closed(self) -> None:
        """Wait until the connection is gone."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        if self.connection is not None:
            await self.connection.wait_closed()

    async def _keep_connected(self) -> None:
        # Until this is closed, or the event loop ends and cancels its tasks.
        try:
            while not self._is_closed:
                if self.connection is not None and self.is_connected:
                    await self.connection.wait_closed()
                    self._events.on_lost(self.host)
                await self._reconnect()
        finally:
            if self.connection is not None:
                self.connection.close()

    async def _reconnect(self) -> None:
        # After 1, 2, 4 … max_wait_retry seconds.
        wait = 0.0 if self.is_returning else FIRST_RETRY
        while not (self.is_connected or self._is_closed):
            logger.debug("connecting to %s again in %s seconds", self.host, wait)
            await asyncio.sleep(wait)
            wait = min(max(wait * 2, FIRST_RETRY), self._config.max_wait_retry)
            if self._is_closed:
                return
            try:
                await self.connect()
            except Exception as exc:  # noqa: BLE001 - whatever it is, the next attempt may succeed
                self._has_failed = True
                self._events.on_failure(self.host, exc)


async def shake_hands(connection: Connection, handshake: Handshake) -> None:
    """Await the handshake with a new connection, which is aborted if that raises."""
    try:
        await handshake(connection)
    except BaseException as exc:
        connection.abort()
        if isinstance(exc, (SiriDBError, OSError)) or not isinstance(exc, Exception):
            raise
        raise ProtocolError(f"{connection.name} answers as no server does: {exc!r}") from exc
