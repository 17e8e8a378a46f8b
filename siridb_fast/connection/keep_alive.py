"""The keep-alive of one connection: is the server still there, and the database still its own?

A server that says nothing is gone. One that dropped the database goes on taking points over
connections from before, and acknowledges them, into files that it removes when the last of these
connections is closed; nothing tells but a log-in. So it is asked to log the user in again, over
the same connection. Every 45 seconds by default. One timer a connection. Knows the event loop's
clock; knows nothing of other requests.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol

from siridb_fast.errors import RequestTimeout, UnknownDatabaseError
from siridb_fast.protocol import _wire

__all__ = ["KEEPALIVE_INTERVAL", "KEEPALIVE_TIMEOUT", "KeepAlive"]

KEEPALIVE_INTERVAL = 45.0
KEEPALIVE_TIMEOUT = 15.0

logger = logging.getLogger("siridb_fast")


class Askable(Protocol):
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
    """Asks the server every ``interval`` seconds, until `cancel`.

    Args:
        connection: To it; aborted if there is no answer, or no such database any more.
        interval: Seconds. The answer may take as long, but not over `KEEPALIVE_TIMEOUT`.
        loop: The event loop.
        login: The payload of a log-in; None: the server is only pinged.
    """

    __slots__ = ("_asked_at", "_connection", "_interval", "_loop", "_question", "_timer")

    def __init__(
        self,
        connection: Askable,
        interval: float,
        loop: asyncio.AbstractEventLoop,
        login: bytes | None,
    ) -> None:
        self._connection = connection
        self._interval = interval
        self._loop = loop
        self._question = (_wire.REQ_PING, b"") if login is None else (_wire.REQ_AUTH, login)
        self._asked_at = 0.0
        self._timer = loop.call_later(interval, self._ask)

    def cancel(self) -> None:
        """Ask no more."""
        self._timer.cancel()

    def _ask(self) -> None:
        if not self._connection.is_connected:
            return
        self._asked_at = self._loop.time()
        deadline = self._asked_at + min(KEEPALIVE_TIMEOUT, self._interval)
        answer = self._connection.send(*self._question, deadline, is_urgent=True)
        answer.add_done_callback(self._on_answer)
        self._timer = self._loop.call_later(self._interval, self._ask)

    def _on_answer(self, answer: asyncio.Future[Any]) -> None:
        connection = self._connection
        error = None if answer.cancelled() else answer.exception()
        if isinstance(error, UnknownDatabaseError):
            logger.warning("%s dropped the database; closing the connection", connection.name)
            connection.abort()
        elif isinstance(error, RequestTimeout) and connection.last_heard <= self._asked_at:
            name = connection.name
            logger.warning("%s did not answer a keep-alive; closing the connection", name)
            connection.abort()
