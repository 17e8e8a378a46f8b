"""The tables of doors → doors: ``[influx]``, ``[influx.tcp]`` … ``[ndjson.tcp]``, ``[status]``.

A new protocol is a row of `PROTOCOLS`. Knows nothing of the rest of the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

from siridb_fast.errors import ConfigError
from siridb_fast.gateway.config import Address, Credentials, DoorConfig, Kind, Protocol, Tls
from siridb_fast.gateway.mqtt_table import mqtt_of
from siridb_fast.gateway.naming import SeriesTemplate
from siridb_fast.gateway.table import Table
from siridb_fast.gateway.times import UNITS

__all__ = ["doors_of", "status_of"]

PROTOCOLS: dict[Protocol, tuple[Kind, ...]] = {  # the first is what the table itself listens to
    "influx": ("http", "tcp", "udp", "unix"),
    "graphite": ("tcp", "udp", "unix"),
    "ndjson": ("http", "tcp", "unix"),
}
REMOTE_WRITE = "/api/v1/write"
OF_PROMETHEUS = "{__name__},{labels}:value"
OWN_SERIES: dict[Protocol, str] = {"graphite": "{path};{tags}", "ndjson": "{series}"}


def doors_of(top: Table, series: str) -> tuple[DoorConfig, ...]:
    """Return the doors of a file; ``series`` is the template of line protocol."""
    doors: list[DoorConfig] = []
    for protocol in PROTOCOLS:
        table = top.table(protocol)
        if table is not None:
            doors += _doors(table, protocol, OWN_SERIES.get(protocol, series))
    table = top.table("prometheus")
    if table is not None:
        doors.append(_prometheus(table, doors))
    table = top.table("mqtt")
    if table is not None:
        mqtt = mqtt_of(table, series)
        doors.append(DoorConfig(protocol="mqtt", kind="broker", series=series, mqtt=mqtt))
    stdin = top.choice("stdin", None, [*PROTOCOLS])
    if stdin is not None:
        protocol = cast(Protocol, stdin)
        given = next((one.series for one in doors if one.protocol == protocol), None)
        own = given or OWN_SERIES.get(protocol, series)
        doors.append(DoorConfig(protocol=protocol, kind="stdin", series=own))
    return tuple(doors)


def status_of(top: Table) -> DoorConfig | None:
    """Return where the page for people is, if it has a place of its own."""
    table = top.table("status")
    if table is None:
        return None
    door = _listening(table, "influx", "http", "{measurement}:{field}", Credentials())
    table.finish()
    return door


def _doors(table: Table, protocol: Protocol, series: str) -> Iterator[DoorConfig]:
    series = str(table.text("series", series))
    if protocol == "influx":
        table.table("databases")  # `database_tables` has read it
    first, *others = PROTOCOLS[protocol]
    credentials = _credentials(table) if first == "http" else Credentials()
    if "listen" in table:
        yield _listening(table, protocol, first, series, credentials)
    for kind in others:
        within = table.table(kind)
        if within is not None:
            own = str(within.text("series", series))
            yield _listening(within, protocol, kind, own, credentials)
            within.finish()
    table.finish()


def _prometheus(table: Table, doors: Sequence[DoorConfig]) -> DoorConfig:
    # At an address of its own, or with InfluxDB's HTTP, as one path more.
    path = str(table.text("path", REMOTE_WRITE))
    if not path.startswith("/") or path == "/":
        raise table.error("path", f"expected a path such as {REMOTE_WRITE}, got {path!r}")
    series = str(table.text("series", OF_PROMETHEUS))
    credentials = _credentials(table)
    if "listen" in table:
        door = _listening(table, "prometheus", "http", series, credentials)
    else:
        if not any((one.protocol, one.kind) == ("influx", "http") for one in doors):
            raise table.error("listen", "expected an address, as [influx] has none")
        try:
            SeriesTemplate(series, "prometheus")
        except ConfigError as exc:
            raise table.error("series", str(exc)) from None
        door = DoorConfig(protocol="prometheus", kind="http", series=series)
    table.finish()
    return replace(door, http_path=path)


def _listening(
    table: Table, protocol: Protocol, kind: Kind, series: str, credentials: Credentials
) -> DoorConfig:
    try:
        SeriesTemplate(series, protocol)
    except ConfigError as exc:
        raise table.error("series", str(exc)) from None
    path = table.path("path") if kind == "unix" else None
    if kind == "unix" and path is None:
        raise table.error("path", "expected the path of a socket, got nothing")
    door = DoorConfig(
        protocol=protocol,
        kind=kind,
        series=series,
        address=None if kind == "unix" else _address(table),
        path=path,
        unit=table.choice("precision", None, [*UNITS]),
        dialect=cast(Any, table.choice("dialect", "influx", ("influx", "questdb"))),
        tls=None if kind in ("unix", "udp") else _tls(table),
        credentials=credentials if kind in ("http", "unix") else Credentials(),
    )
    _require_safe(table, door)
    return door


def _address(table: Table) -> Address:
    text = table.text("listen")
    if text is None:
        raise table.error("listen", 'expected "host:port", got nothing')
    try:
        return Address.of(text)
    except ConfigError as exc:
        raise table.error("listen", str(exc)) from None


def _credentials(table: Table) -> Credentials:
    username, password = table.text("username"), table.secret("password")
    if (username is None) != (password is None):
        missing = "password" if password is None else "username"
        raise table.error(missing, "username and password come together")
    return Credentials(token=table.secret("token"), username=username, password=password)


def _tls(table: Table) -> Tls | None:
    certificate, key = table.path("tls_certificate"), table.path("tls_key")
    client_ca = table.path("tls_client_ca")
    if certificate is None:
        if key is not None or client_ca is not None:
            raise table.error("tls_certificate", "expected the path of a certificate, got nothing")
        return None
    tls = Tls(certificate=certificate, key=key, client_ca=client_ca)
    tls.context()
    return tls


def _require_safe(table: Table, door: DoorConfig) -> None:
    is_open = table.flag("allow_anonymous")
    if door.address is None or door.address.is_loopback or is_open:
        return
    asks = door.credentials.are_asked if door.kind == "http" else False
    if asks or (door.tls is not None and door.tls.client_ca is not None):
        return
    known = "token, or username and password, " if door.kind == "http" else ""
    known += "tls_client_ca, " if door.kind in ("http", "tcp") else ""
    raise table.error(
        "listen",
        f"{door.address} is not only for this machine, and nobody is asked who they are: give "
        f"{known}or say allow_anonymous = true",
    )
