"""One connection to a broker, by paho-mqtt, in our event loop; the next one is a new one.

paho connects in a thread, since it blocks for that, and then reads and writes whenever the loop
says that it can. Messages of QoS 1 are acknowledged by hand; those of QoS 2 come as QoS 1, because
this is what is asked for: an exchange of QoS 2 that has begun is in memory only. Knows nothing of
points.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from siridb_fast.gateway.mqtt_config import MqttConfig
from siridb_fast.gateway.mqtt_payloads import Message

__all__ = ["BrokerConnection"]

QOS = 1
TICK = 1.0  # seconds between looks at the time, for paho
MOST_AT_ONCE = 200  # packets that are read before others have their turn
MOST_IN_FLIGHT = 2_000  # of MQTT 5; of 3.1.1 the broker alone decides
FOR_EVER = 2**32 - 1  # seconds that a session of MQTT 5 is kept; one of 3.1.1 always is
LARGEST_PACKET = 256 * 1024 * 1024  # of MQTT
VERSIONS = {"3.1.1": MQTTProtocolVersion.MQTTv311, "5": MQTTProtocolVersion.MQTTv5}
LOST = "the connection to the broker is lost"
MALFORMED = (ValueError, IndexError, KeyError, TypeError, struct.error)


class BrokerConnection:
    """One connection.

    Args:
        config: Of the broker.
        number: Of the connection.
        on_message: Called for each message, in the loop.
        most_bytes: Of a message; with MQTT 5 the broker keeps larger ones to itself.
    """

    def __init__(
        self,
        config: MqttConfig,
        number: int,
        on_message: Callable[[Message], None],
        most_bytes: int,
    ) -> None:
        self._config = config
        self._number = number
        self._on_message = on_message
        self._most_bytes = min(most_bytes, LARGEST_PACKET)
        self._loop = asyncio.get_running_loop()
        self._packets = 0
        self._is_reading = False
        self._is_paused = False
        self._socket: Any = None
        self._timer: asyncio.TimerHandle | None = None
        self._accepted: asyncio.Future[bool] = self._loop.create_future()
        self._subscribed: asyncio.Future[list[str]] = self._loop.create_future()
        self.closed: asyncio.Future[str] = self._loop.create_future()
        self._client = self._new_client()

    async def open(self) -> bool:
        """Connect; tell whether the broker has the session from before.

        Raises:
            OSError: There is no broker, or it does not let the gateway in.
        """
        arguments: dict[str, Any] = {"keepalive": self._config.keepalive}
        if self._config.version == "5":
            arguments |= {"clean_start": False, "properties": self._properties()}
        host, port = self._config.host, self._config.port
        await asyncio.to_thread(self._client.connect, host, port, **arguments)
        self._begin()
        return bool(await self._unless_closed(self._accepted))

    async def subscribe(self, filters: Sequence[str]) -> list[str]:
        """Ask for topics; return those that the broker refuses, with its word.

        Raises:
            OSError: The connection is lost.
        """
        self._client.subscribe([(one, QOS) for one in filters])
        found = await self._unless_closed(self._subscribed)
        return [f"{one!r}: {word}" for one, word in zip(filters, found, strict=False) if word]

    def unsubscribe(self, filters: Sequence[str]) -> None:
        """Have the broker bring topics no more that were asked for once."""
        if filters:
            self._client.unsubscribe([*filters])

    def acknowledge(self, message: Message) -> None:
        """Send the PUBACK of a message, if it has come by this connection."""
        if message.connection == self._number and not self.closed.done():
            self._client.ack(message.number, message.qos)

    def pause(self) -> None:
        """Read nothing for now; the system's buffers hold the broker back."""
        self._is_paused = True
        self._watch()

    def resume(self) -> None:
        """Read again."""
        self._is_paused = False
        self._watch()

    def disconnect(self) -> None:
        """Take leave; what was not acknowledged comes again to the next one."""
        with suppress(OSError, *MALFORMED):
            self._client.disconnect()
            self._write()
        self._end(LOST)

    # ---- inside

    async def _unless_closed(self, answer: asyncio.Future[Any]) -> Any:
        waiting: list[asyncio.Future[Any]] = [answer, self.closed]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise OSError(self.closed.result())
        return answer.result()

    def _new_client(self) -> Client:
        config = self._config
        is_v5 = config.version == "5"
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=config.client_id,
            clean_session=None if is_v5 else False,
            protocol=VERSIONS[config.version],
            manual_ack=True,
            reconnect_on_failure=False,
        )
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_publish
        if config.username is not None:
            password = None if config.password is None else config.password.text
            client.username_pw_set(config.username, password)
        if config.tls is not None:
            client.tls_set_context(config.tls.context())
        return client

    def _properties(self) -> Any:
        found: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        found.SessionExpiryInterval = FOR_EVER
        found.ReceiveMaximum = MOST_IN_FLIGHT
        found.MaximumPacketSize = self._most_bytes
        return found

    def _begin(self) -> None:
        # From here on paho is used in the loop alone.
        self._socket = self._client.socket()
        if self._socket is None:
            self._end(LOST)
            return
        with suppress(OSError):
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client.on_socket_register_write = lambda *_: self._want_write()
        self._client.on_socket_unregister_write = lambda *_: self._unwant_write()
        self._client.on_socket_close = lambda *_: self._unwatch()
        self._watch()
        self._tick()
        self._read()

    def _watch(self) -> None:
        wants = not self._is_paused and self._socket is not None and not self.closed.done()
        if wants and not self._is_reading:
            self._loop.add_reader(self._socket.fileno(), self._read)
        elif self._is_reading and not wants and self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
        self._is_reading = wants

    def _want_write(self) -> None:
        if self._socket is not None:
            self._loop.add_writer(self._socket.fileno(), self._write)

    def _unwant_write(self) -> None:
        if self._socket is not None and self._socket.fileno() >= 0:
            self._loop.remove_writer(self._socket.fileno())

    def _unwatch(self) -> None:
        # paho closes the socket now.
        if self._socket is not None and self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_writer(self._socket.fileno())
        self._socket, self._is_reading = None, False

    def _read(self) -> None:
        # All that has come: paho reads one packet at a time, and TLS may hold some of them.
        for _ in range(MOST_AT_ONCE):
            before = self._packets
            if not self._do(self._client.loop_read) or self._socket is None:
                return
            if (before == self._packets and not self._has_pending()) or self._is_paused:
                return
        self._loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        if self._is_reading:
            self._read()

    def _has_pending(self) -> bool:
        return bool(self._config.tls is not None and self._socket.pending())

    def _write(self) -> None:
        self._do(self._client.loop_write)

    def _tick(self) -> None:
        if self.closed.done():
            return
        self._do(self._client.loop_misc)
        self._timer = self._loop.call_later(TICK, self._tick)

    def _do(self, step: Callable[[], MQTTErrorCode]) -> bool:
        try:
            code = step()
        except OSError as exc:
            self._end(f"{LOST}: {exc}")
            return False
        except MALFORMED as exc:
            self._end(f"the broker has sent what is no MQTT: {exc}")
            return False
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._end(LOST)
            return False
        return True

    def _end(self, reason: str) -> None:
        if not self.closed.done():
            self.closed.set_result(reason)
        if self._timer is not None:
            self._timer.cancel()
        found = self._socket
        self._unwatch()
        if found is not None:
            with suppress(OSError):
                found.close()

    # ---- what paho calls

    def _on_connect(self, _: Any, __: Any, flags: Any, reason: Any, ___: Any) -> None:
        if reason.is_failure:
            if not self.closed.done():
                self.closed.set_result(f"the broker lets nobody in: {reason}")
        elif not self._accepted.done():
            self._accepted.set_result(bool(flags.session_present))

    def _on_disconnect(self, _: Any, __: Any, flags: Any, reason: Any, ___: Any) -> None:
        if not self.closed.done():
            said = flags.is_disconnect_packet_from_server
            self.closed.set_result(f"the broker has hung up: {reason}" if said else LOST)

    def _on_subscribe(self, _: Any, __: Any, ___: Any, codes: Any, ____: Any) -> None:
        self._packets += 1
        if not self._subscribed.done():
            self._subscribed.set_result([str(one) if one.is_failure else "" for one in codes])

    def _on_publish(self, _: Any, __: Any, found: Any) -> None:
        self._packets += 1
        try:
            topic = found.topic
        except UnicodeDecodeError:
            topic = "\N{REPLACEMENT CHARACTER}"
        self._on_message(
            Message(
                topic,
                bytes(found.payload),
                time.time_ns(),
                is_retained=bool(found.retain),
                qos=found.qos,
                number=found.mid,
                connection=self._number,
            )
        )
