"""A sentinel: a point to a series of our own, and whether it is where it was meant to be.

Its acknowledgement proves something of one server only if the series is of that server's pool.
Which series that is follows from the number of pools, and a pool can come without anybody telling:
so the number is asked after each sentinel, of the server that got it; it has to be what the name
was made for, since pools only ever come. While a new pool takes over its series, a server sends
points of a series that it does not have on to another, and acknowledges them before they are
there; so where a new sentinel is stored is asked, too. Knows nothing of packages.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from siridb_fast.concurrency.quiet_log import QuietLog
from siridb_fast.connection.connection import Connection
from siridb_fast.connection.server_process import ServerProcess
from siridb_fast.errors import ProtocolError, SiriDBError, UserAuthError
from siridb_fast.protocol import _wire
from siridb_fast.protocol._qpack import packb
from siridb_fast.protocol.pools import name_in_pool
from siridb_fast.query.select import quote
from siridb_fast.query.server_queries import COUNT_POOLS, pools_of

__all__ = ["SentinelSender"]

SENTINEL_TIMEOUT = 10.0

logger = logging.getLogger("siridb_fast")


@dataclass(slots=True, eq=False)
class _Sentinel:
    """One on its way."""

    process: ServerProcess
    connection: Connection
    pools: int  # that its name was made for
    on_end: Callable[[bool], None]


Reply = Callable[[_Sentinel, "asyncio.Future[Any]"], None]


class SentinelSender:
    """Sends the sentinels of one writer.

    Args:
        name: Of the series; in a cluster of several pools a suffix is added, so that each pool has
            one of its own.
        now: Returns the time in the database's precision.
        pools: How many pools there are, as far as is known.
        clock: Returns the event loop's time.
    """

    def __init__(
        self, name: str, now: Callable[[], int], pools: int, clock: Callable[[], float]
    ) -> None:
        self._name = name
        self._now = now
        self._clock = clock
        self._log = QuietLog(clock)
        self._found_names: set[str] = set()  # that are known to be in their pools
        self._count = 0
        self.pools = pools

    def note_pools(self, pools: int) -> None:
        """Take note of how many pools there are by now."""
        if pools != self.pools:
            logger.warning("the database has %d pools now, it had %d", pools, self.pools)
            self.pools = pools
            self._found_names.clear()

    def send(
        self, process: ServerProcess, connection: Connection, on_end: Callable[[bool], None]
    ) -> None:
        """Send one to a process; ``on_end`` is called with whether it has proved anything."""
        sentinel = _Sentinel(process, connection, self.pools, on_end)
        try:
            if process.pool >= self.pools:  # it knows of one more
                self._ask_pools(sentinel)
            else:
                self._send_point(sentinel)
        except BaseException:
            on_end(False)
            raise

    def _send_point(self, sentinel: _Sentinel) -> None:
        try:
            name = self._name_in(sentinel.process.pool)
        except ValueError as exc:  # a pool that owns no series: there are very many
            self._on_vain(sentinel, exc)
            return
        self._count += 1
        payload = packb({name: [[self._now(), self._count]]})
        self._send(sentinel, _wire.REQ_INSERT, payload, self._on_response)

    def _name_in(self, pool: int) -> str:
        # With the number of pools in it: under one that was used before it may be in another yet.
        if self.pools == 1:
            return self._name
        return name_in_pool(f"{self._name}-of-{self.pools}", pool, self.pools)

    def _ask_pools(self, sentinel: _Sentinel) -> None:
        payload = packb((COUNT_POOLS, None))
        self._send(sentinel, _wire.REQ_QUERY, payload, self._on_pools)

    def _send(self, sentinel: _Sentinel, type_: int, payload: bytes, on_reply: Reply) -> None:
        deadline = self._clock() + SENTINEL_TIMEOUT
        try:
            sent = sentinel.connection.send(
                type_, payload, deadline, is_urgent=True, may_come_late=True
            )
        except SiriDBError as exc:
            self._on_vain(sentinel, exc)
        else:
            sent.add_done_callback(partial(self._on_reply, sentinel, on_reply))

    def _on_reply(self, sentinel: _Sentinel, on_reply: Reply, sent: asyncio.Future[Any]) -> None:
        error = asyncio.CancelledError() if sent.cancelled() else sent.exception()
        if error is not None and not (
            isinstance(error, UserAuthError) and on_reply == self._on_found
        ):
            self._on_vain(sentinel, error)
            return
        try:
            on_reply(sentinel, sent)
        except BaseException:
            sentinel.on_end(False)
            raise

    def _on_response(self, sentinel: _Sentinel, _: asyncio.Future[Any]) -> None:
        sentinel.process.received += 1
        self._ask_pools(sentinel)

    def _on_pools(self, sentinel: _Sentinel, sent: asyncio.Future[Any]) -> None:
        # The number that the server knows of after the sentinel was stored.
        try:
            pools = pools_of(sent.result())
        except ProtocolError as exc:
            self._on_vain(sentinel, exc)
            return
        is_known = pools == sentinel.pools == self.pools
        self.note_pools(pools)
        pool = sentinel.process.pool
        if not is_known or pool >= pools:
            sentinel.on_end(False)
        elif pools == 1 or self._name_in(pool) in self._found_names:
            sentinel.on_end(True)
        else:
            payload = packb((f"list series pool {quote(self._name_in(pool))}", None))
            self._send(sentinel, _wire.REQ_QUERY, payload, self._on_found)

    def _on_found(self, sentinel: _Sentinel, sent: asyncio.Future[Any]) -> None:
        # In which pools the series of the sentinel is.
        pool = sentinel.process.pool
        if sent.exception() is not None:
            logger.warning("the pool of a sentinel cannot be told: %s", sent.exception())
        elif sent.result().get("series") != [[pool]]:
            sentinel.on_end(False)
            return
        if sentinel.pools == self.pools:
            self._found_names.add(self._name_in(pool))
        sentinel.on_end(True)

    def _on_vain(self, sentinel: _Sentinel, error: BaseException) -> None:
        if isinstance(error, (SiriDBError, ValueError)):
            name = sentinel.connection.name
            self._log.log(logging.WARNING, "%s: no sentinel: %s", name, error)
        sentinel.on_end(False)
