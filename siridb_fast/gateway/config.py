"""What a gateway is to be: data, checked where it is made (`config_file`).

Knows nothing of files, sockets and writers. No repr has a secret.
"""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from siridb_fast.connection.config import Config
from siridb_fast.errors import ConfigError
from siridb_fast.gateway.mqtt_config import MqttConfig
from siridb_fast.gateway.rules import Rule
from siridb_fast.gateway.secret import Secret
from siridb_fast.writer.options import WriterKeywords

__all__ = [
    "ACKNOWLEDGE",
    "Acknowledge",
    "Address",
    "Credentials",
    "DatabaseConfig",
    "DoorConfig",
    "GatewayConfig",
    "Kind",
    "Limits",
    "Protocol",
    "Secret",
    "Tls",
]

Acknowledge = Literal["accepted", "journaled", "delivered"]
Protocol = Literal["influx", "graphite", "ndjson", "prometheus", "mqtt"]
Kind = Literal["http", "tcp", "udp", "unix", "stdin", "broker"]
Dialect = Literal["influx", "questdb"]
ACKNOWLEDGE: tuple[Acknowledge, ...] = get_args(Acknowledge)
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Address:
    """Where a door listens."""

    host: str
    port: int

    @classmethod
    def of(cls, text: str) -> Address:
        """Read ``host:port``, or a port alone, which is one of 127.0.0.1.

        Raises:
            ConfigError: It is neither.
        """
        host, colon, port = text.rpartition(":")
        if not (port.isascii() and port.isdigit() and int(port) < 65_536):
            raise ConfigError(f'expected "host:port", got {text!r}')
        if ":" in host and not (host.startswith("[") and host.endswith("]")):
            raise ConfigError(f"an IPv6 address stands in brackets, got {text!r}")
        return cls(host.strip("[]") if colon else "127.0.0.1", int(port))

    @property
    def is_loopback(self) -> bool:
        """Tell whether only this machine reaches it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Who may come in; with none of them, everybody."""

    token: Secret | None = None
    username: str | None = None
    password: Secret | None = None

    @property
    def are_asked(self) -> bool:
        """Tell whether anybody is asked."""
        return self.token is not None or self.password is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """The files of a door that speaks TLS; ``client_ca`` lets in only whom it has signed."""

    certificate: Path
    key: Path | None = None
    client_ca: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Read the files.

        Raises:
            ConfigError: One cannot be read, or is something else.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self.certificate, self.key)
            if self.client_ca is not None:
                context.load_verify_locations(self.client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
        except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError
            raise ConfigError(f"the certificate {self.certificate}: {exc}") from None
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorConfig:
    """One door: what comes through it, and where it is.

    Attributes:
        protocol: What its lines are.
        kind: How they come.
        address: Where it listens; of a unix socket and of stdin there is none.
        path: Of a unix socket.
        series: The template of names.
        unit: Of timestamps, where a request does not say it; None: that of the protocol.
        dialect: Of line protocol, where a request does not tell it.
        http_path: Of remote write; without an address it is one of the door of InfluxDB's HTTP.
        mqtt: The broker, and what is asked of it.
    """

    protocol: Protocol
    kind: Kind
    series: str
    address: Address | None = None
    path: Path | None = None
    unit: str | None = None
    dialect: Dialect = "influx"
    http_path: str = ""
    mqtt: MqttConfig | None = None
    tls: Tls | None = None
    credentials: Credentials = field(default_factory=Credentials)

    @property
    def name(self) -> str:
        """As the file calls it."""
        is_whole = self.kind in ("http", "broker")
        return self.protocol if is_whole else f"{self.protocol}.{self.kind}"

    @property
    def place(self) -> str:
        """Where it is, for people."""
        if self.kind == "stdin":
            return "standard input"
        if self.mqtt is not None:
            return self.mqtt.place
        if self.http_path:
            return f"{self.address or ''}{self.http_path}"
        return str(self.path if self.address is None else self.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is taken at most.

    Attributes:
        max_line: Bytes of a line that comes over TCP, UDP, a unix socket or stdin.
        max_body: Bytes of a body of HTTP, decompressed.
        max_bodies: Bytes of all bodies that are read at a time.
        max_connections: To each door.
        max_new_series: A minute.
    """

    max_line: int = MIB
    max_body: int = 64 * MIB
    max_bodies: int = 128 * MIB
    max_connections: int = 1_000
    max_new_series: int = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseConfig:
    """One database.

    Attributes:
        names: That clients of InfluxDB give; none: they need not give one.
        target: Where it is.
        writer: Options of its writer.
        is_main: What names no database goes here.
    """

    names: tuple[str, ...]
    target: Config
    writer: WriterKeywords
    is_main: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """All of it.

    Attributes:
        target: The database.
        writer: Options of its writer.
        acknowledge: When a sender is told that its points are taken.
        drain_timeout: Seconds that it may take to end.
        doors: At least one.
        rules: What becomes of some series.
        limits: What is taken at most.
        floors_times: Times finer than the database's are rounded down, not refused.
        bad_lines: The file of lines that are refused; None: there is none.
        status: Where the page for people and the metrics are, beside the doors of HTTP.
        databases: Those that clients of InfluxDB name; none: a name means nothing.
    """

    target: Config
    writer: WriterKeywords
    acknowledge: Acknowledge
    drain_timeout: float
    doors: tuple[DoorConfig, ...]
    rules: tuple[Rule, ...]
    limits: Limits
    floors_times: bool = False
    bad_lines: Path | None = None
    status: DoorConfig | None = None
    databases: tuple[DatabaseConfig, ...] = ()

    @property
    def all_databases(self) -> list[DatabaseConfig]:
        """That of what names none first, then the others."""
        named = [one for one in self.databases if one.is_main]
        main = DatabaseConfig(names=(), target=self.target, writer=self.writer, is_main=True)
        return [*(named or [main]), *(one for one in self.databases if not one.is_main)]
