"""A session with a broker, over all its connections: it comes back after growing pauses.

The session is the broker's: by the client id it knows which messages it still has to bring. Knows
nothing of points.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable

from siridb_fast.concurrency.quiet_log import QuietLog
from siridb_fast.gateway.mqtt_config import MqttConfig
from siridb_fast.gateway.mqtt_connection import BrokerConnection
from siridb_fast.gateway.mqtt_payloads import Message

__all__ = ["BrokerSession"]

FIRST_PAUSE = 0.5  # seconds; twice as long each time
LONGEST_PAUSE = 30.0
LASTING = 30.0  # seconds of a connection after which the next pause is a short one
PROTOCOL = "protocol version"

logger = logging.getLogger("siridb_fast")


class BrokerSession:
    """One session.

    Args:
        config: Of the broker.
        on_message: Called for each message.
        on_state: Called with what is wrong, or with an empty text, whenever that changes.
        most_bytes: Of a message.
    """

    def __init__(
        self,
        config: MqttConfig,
        on_message: Callable[[Message], None],
        on_state: Callable[[str], None],
        most_bytes: int,
    ) -> None:
        self._config = config
        self._on_message = on_message
        self._on_state = on_state
        self._most_bytes = most_bytes
        self._log = QuietLog(time.monotonic)
        self._connection: BrokerConnection | None = None
        self._number = 0
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._is_subscribed = False
        self._is_away = False  # and somebody was told
        self._was_connected = False  # by the last connection
        self.is_connected = False
        self.connections = 0  # so far

    async def run(self) -> None:
        """Be connected, and again, until this is cancelled."""
        pause = 0.0
        while True:
            await self._may_read.wait()  # else each connection would bring the same once more
            begun = time.monotonic()
            reason = await self._be_connected()
            if time.monotonic() - begun > LASTING:
                pause = 0.0
            elif self._was_connected and pause:
                reason += f"; has another client the client_id {self._config.client_id!r}?"
            self._say(reason)
            pause = min(max(FIRST_PAUSE, 2 * pause), LONGEST_PAUSE)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret

    def acknowledge(self, message: Message) -> None:
        """Tell the broker that a message is safe; after a loss it comes again instead."""
        if self._connection is not None:
            self._connection.acknowledge(message)

    def pause(self) -> None:
        """Read nothing for now."""
        self._may_read.clear()
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        """Read again."""
        self._may_read.set()
        if self._connection is not None:
            self._connection.resume()

    def disconnect(self) -> None:
        """Take leave of the broker."""
        if self._connection is not None:
            self._connection.disconnect()

    # ---- inside

    async def _be_connected(self) -> str:
        # Until the connection is lost; why it is.
        self._number += 1
        self._was_connected = False
        config = self._config
        connection = BrokerConnection(config, self._number, self._on_message, self._most_bytes)
        self._connection = connection
        try:
            has_session = await connection.open()
            if not self._may_read.is_set():
                connection.pause()
            refused = await self._subscribe(connection, has_session=has_session)
            self._welcome(refused)
            return await connection.closed
        except (OSError, ValueError) as exc:
            return self._explained(exc)
        finally:
            self.is_connected = False
            self._connection = None
            connection.disconnect()

    async def _subscribe(self, connection: BrokerConnection, *, has_session: bool) -> list[str]:
        if has_session and self._is_subscribed:  # else kept messages would come once more
            return []
        refused = await connection.subscribe(self._config.subscriptions)
        connection.unsubscribe(self._config.forgotten)
        self._is_subscribed = not refused
        return refused

    def _welcome(self, refused: list[str]) -> None:
        self.is_connected = self._was_connected = True
        self.connections += 1
        if refused:
            text = f"the broker refuses the filter {refused[0]}"
            self._log.log(logging.WARNING, "mqtt: %s", text)
            self._on_state(text)
            return
        if self._is_away:
            logger.info("mqtt: connected to %s again", self._config.place)
        self._is_away = False
        self._on_state("")

    def _say(self, reason: str) -> None:
        self._is_away = True
        self._on_state(reason)
        self._log.log(logging.WARNING, "mqtt: %s: %s", self._config.place, reason)

    def _explained(self, exc: OSError | ValueError) -> str:
        text = (exc.strerror if isinstance(exc, OSError) else None) or str(exc) or repr(exc)
        if PROTOCOL in text.lower():
            other = "5" if self._config.version == "3.1.1" else "3.1.1"
            text += f'; try version = "{other}"'
        return text
