"""Connections to servers that somebody needs and no connection leads to.

Behind the address of a balancer there are several servers, and nobody can choose: so one connects
again and again, until the right one answers. Knows hosts and uuids of servers; knows nothing of
why they are needed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Protocol

from siridb_fast.concurrency.tasks import begin_task, cancel_task
from siridb_fast.connection.hosts import Host
from siridb_fast.errors import SiriDBError

__all__ = ["ServerSeeker"]

FIRST_INTERVAL = 1.0  # seconds between two attempts; twice as long after each
MAX_INTERVAL = 8.0
TIMEOUT = 10.0

logger = logging.getLogger("siridb_fast")


class Connections(Protocol):
    """What a seeker asks of its cluster."""

    @property
    def hosts(self) -> tuple[Host, ...]:
        """Where the servers are."""

    def connection_to_server(self, uuid: str) -> object | None:
        """Return a connection to the server of this uuid, if there is one."""

    async def open_extra(self, host: Host, timeout: float) -> None:
        """Connect to a host once more; keep that if it leads to a server that no other does."""

    def close_extras(self) -> None:
        """Close what `open_extra` has opened."""


class ServerSeeker:
    """Seeks the servers that are needed, for as long as they are.

    Args:
        cluster: Its connections.
        on_found: Called when some have been found.
    """

    def __init__(self, cluster: Connections, on_found: Callable[[], None]) -> None:
        self._cluster = cluster
        self._on_found = on_found
        self._needed: dict[object, Collection[str]] = {}
        self._task: asyncio.Task[None] | None = None

    def need(self, owner: object, uuids: Collection[str]) -> None:
        """Say which servers an owner needs from now on, if any; the others need theirs."""
        if uuids:
            self._needed[owner] = uuids
        elif self._needed.pop(owner, None) is not None and not self._needed:
            self.close()
        if (self._task is None or self._task.done()) and self._missing():
            self._task = begin_task(self._seek())

    def close(self) -> None:
        """Seek no more, and close what was found."""
        self._needed.clear()
        if self._task is not None:
            cancel_task(self._task)
        self._cluster.close_extras()

    async def wait_closed(self) -> None:
        """Wait until it seeks no more."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def _missing(self) -> set[str]:
        needed = {uuid for uuids in self._needed.values() for uuid in uuids}
        return {uuid for uuid in needed if self._cluster.connection_to_server(uuid) is None}

    async def _seek(self) -> None:
        interval = FIRST_INTERVAL
        while before := self._missing():
            for host in self._cluster.hosts:
                if not self._missing():
                    break
                try:
                    await self._cluster.open_extra(host, TIMEOUT)
                except (SiriDBError, OSError) as exc:
                    logger.debug("%s: %s", host, exc)
            after = self._missing()
            if after < before:
                self._on_found()
            if after:
                await asyncio.sleep(interval)
                interval = min(2 * interval, MAX_INTERVAL)
