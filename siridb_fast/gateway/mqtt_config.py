"""What the door of MQTT is to be: data. Knows nothing of files, sockets and payloads."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from siridb_fast.errors import ConfigError
from siridb_fast.formats.device_json import Texts
from siridb_fast.gateway.mqtt_topics import TopicFilter
from siridb_fast.gateway.secret import Secret

__all__ = ["BrokerTls", "MqttConfig", "Payload", "Retained", "TopicConfig", "Version"]

Payload = Literal["number", "json", "line", "skip"]
Retained = Literal["with_time", "all", "none"]
Version = Literal["3.1.1", "5"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicConfig:
    """One filter, and what its messages are.

    Attributes:
        filter: Of topics.
        payload: What they carry; ``skip`` leaves out what a wider filter brings.
        series: The template of names.
        time: Of JSON, the name of what says the time.
        unit: Of times that are numbers; None: of JSON their size says it, of line protocol ns.
        zone: Of times of JSON that name none.
        tags: Names in JSON of what is no value, and tells the device from others.
        words: Texts that stand for numbers.
        texts: What other texts of JSON are.
        retained: Which messages are taken that the broker has kept from before.
    """

    filter: TopicFilter
    payload: Payload
    series: str
    time: str = "timestamp"
    unit: str | None = None
    zone: ZoneInfo | None = None
    tags: tuple[str, ...] = ()
    words: Mapping[str, int | float] = field(default_factory=dict)
    texts: Texts = "skip"
    retained: Retained = "with_time"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerTls:
    """How a broker is trusted; ``certificate`` and ``key`` are the gateway's own."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Read the files.

        Raises:
            ConfigError: One cannot be read, or is something else.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
        except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError
            raise ConfigError(f"a certificate of MQTT: {exc}") from None
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttConfig:
    """All of it.

    Attributes:
        host, port: Of the broker.
        client_id: By which the broker knows the session again.
        version: Of MQTT.
        topics: At least one; the first that a topic is of decides.
        username, password: Of the broker's user, if it asks for one.
        tls: None: there is none.
        forgotten: What was asked for once, and the broker is to bring no more.
        keepalive: Seconds without a message after which either asks whether the other is there.
    """

    host: str
    port: int
    client_id: str
    version: Version
    topics: tuple[TopicConfig, ...]
    username: str | None = None
    password: Secret | None = None
    tls: BrokerTls | None = None
    forgotten: tuple[str, ...] = ()
    keepalive: int = 60

    @property
    def subscriptions(self) -> list[str]:
        """What the broker is asked for."""
        return [one.filter.subscription for one in self.topics if one.payload != "skip"]

    @property
    def place(self) -> str:
        """Where the broker is, for people."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mqtt{'s' if self.tls else ''}://{host}:{self.port}"
