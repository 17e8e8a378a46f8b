"""The keep-alive of one connection: ping a server that was silent, and give it up if it stays so.

Every 45 seconds by default, as the reference driver does. One timer a connection. Knows the event
loop's clock and the ping; knows nothing of other requests.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol

from siridb_fast.errors import RequestTimeout
from siridb_fast.protocol import _wire

__all__ = ["KEEPALIVE_INTERVAL", "KEEPALIVE_TIMEOUT", "KeepAlive"]

KEEPALIVE_INTERVAL = 45.0
KEEPALIVE_TIMEOUT = 15.0

logger = logging.getLogger("siridb_fast")


class Pingable(Protocol):
    """What is needed of a connection."""

    name: str
    last_heard: float

    @property
    def is_connected(self) -> bool:
        """Tell whether requests can be sent."""

    def send(
        self, type_: int, payload: bytes, deadline: float, *, is_urgent: bool
    ) -> asyncio.Future[Any]:
        """Send a package now; return the future of its answer."""

    def abort(self) -> None:
        """Close the connection at once."""


class KeepAlive:
    """Pings the server whenever it was silent for ``interval`` seconds, until `cancel`."""

    __slots__ = ("_connection", "_interval", "_loop", "_timer")

    def __init__(
        self, connection: Pingable, interval: float, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._connection = connection
        self._interval = interval
        self._loop = loop
        self._timer = loop.call_later(interval, self._ping_if_idle)

    def cancel(self) -> None:
        """Ping no more."""
        self._timer.cancel()

    def _ping_if_idle(self) -> None:
        if not self._connection.is_connected:
            return
        idle = self._loop.time() - self._connection.last_heard
        if idle >= self._interval * 0.999:
            deadline = self._loop.time() + min(KEEPALIVE_TIMEOUT, self._interval)
            ping = self._connection.send(_wire.REQ_PING, b"", deadline, is_urgent=True)
            ping.add_done_callback(self._on_answer)
            idle = 0.0
        self._timer = self._loop.call_later(self._interval - idle, self._ping_if_idle)

    def _on_answer(self, ping: asyncio.Future[Any]) -> None:
        if not ping.cancelled() and isinstance(ping.exception(), RequestTimeout):
            name = self._connection.name
            logger.warning("%s did not answer a keep-alive; closing the connection", name)
            self._connection.abort()
