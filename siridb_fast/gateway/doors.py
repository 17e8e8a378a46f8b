"""A configuration → the doors of a gateway. A new protocol is added here and in `door_tables`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from siridb_fast.gateway.config import DoorConfig, GatewayConfig
from siridb_fast.gateway.datagram_door import DatagramDoor
from siridb_fast.gateway.desk import Desk, Kiosk
from siridb_fast.gateway.page_facts import PageFacts
from siridb_fast.gateway.stream_door import StdinDoor, StreamDoor

if TYPE_CHECKING:
    from siridb_fast.gateway.metrics import GatewayMetrics
    from siridb_fast.gateway.mqtt_config import MqttConfig

__all__ = ["Door", "doors_of"]

NDJSON_SERIES = "{series}"


class Door(Protocol):
    """Where points come in."""

    desk: Desk

    async def open(self) -> None:
        """Listen."""

    async def stop(self) -> None:
        """Let nothing in any more, and take what is in."""

    def count(self) -> None:
        """Have its figures say how many connections there are."""


def doors_of(
    kiosk: Kiosk,
    *,
    facts: Callable[[], PageFacts],
    metrics: GatewayMetrics | None,
    on_stdin_end: Callable[[], None],
    named: Mapping[str, Kiosk] | None = None,
) -> list[Door]:
    """Return the doors of a gateway; none listens yet.

    Args:
        kiosk: Of the database that all goes to that names none.
        facts: Returns what the page tells.
        metrics: Are shown by doors of HTTP.
        on_stdin_end: Called at the end of standard input.
        named: Those of the databases that clients of InfluxDB name; None: names mean nothing.
    """
    doors: list[Door] = []
    for config in kiosk.config.doors:
        desk = Desk(config, kiosk)
        if config.kind == "http" and config.address is None:
            continue  # it is a path of another door
        if config.kind == "stdin":
            doors.append(StdinDoor(desk, on_stdin_end))
        elif config.mqtt is not None:
            doors.append(_mqtt_door(desk, config.mqtt))
        elif config.kind == "udp":
            doors.append(DatagramDoor(desk))
        elif config.kind == "http" or (config.protocol, config.kind) == ("influx", "unix"):
            doors.append(_http_door(desk, facts, metrics, named=named))
        else:
            doors.append(StreamDoor(desk))
    if kiosk.config.status is not None:
        status = replace(kiosk.config.status, protocol="ndjson", series=NDJSON_SERIES)
        desk = Desk(status, kiosk)
        desk.figures.takes_points = False
        doors.append(_http_door(desk, facts, metrics, takes_points=False))
    return doors


def _mqtt_door(desk: Desk, config: MqttConfig) -> Door:
    # paho-mqtt is needed by this kind alone.
    from siridb_fast.gateway.mqtt_door import MqttDoor

    return MqttDoor(desk, config)


def _http_door(
    desk: Desk,
    facts: Callable[[], PageFacts],
    metrics: GatewayMetrics | None,
    *,
    takes_points: bool = True,
    named: Mapping[str, Kiosk] | None = None,
) -> Door:
    # aiohttp is needed by this kind alone.
    from siridb_fast.gateway.http_body import Bodies
    from siridb_fast.gateway.http_door import HttpDoor, Routes
    from siridb_fast.gateway.http_writes import LineWrites
    from siridb_fast.gateway.influx_databases import Databases
    from siridb_fast.gateway.influx_routes import InfluxRoutes
    from siridb_fast.gateway.ndjson_routes import NdjsonRoutes
    from siridb_fast.gateway.prometheus_routes import PrometheusRoutes
    from siridb_fast.gateway.status_routes import StatusRoutes

    config, kiosk = desk.config, desk.kiosk
    credentials = config.credentials
    bodies = Bodies(kiosk.limits)
    routes: list[Routes] = []
    if metrics is not None:
        routes.append(StatusRoutes(facts, metrics, credentials).add_to)
    for remote in _remote_writes(kiosk.config, config) if takes_points else ():
        its_writes = LineWrites(Desk(remote, kiosk, desk.figures), bodies, "series")
        routes.append(PrometheusRoutes(remote.http_path, its_writes, credentials).add_to)
    if takes_points and config.protocol != "prometheus":
        ndjson = _ndjson(config)
        writes = LineWrites(Desk(ndjson, kiosk, desk.figures), bodies)
        routes.append(NdjsonRoutes(writes, credentials).add_to)
    if takes_points and config.protocol == "influx":
        is_open = lambda: not kiosk.intake.is_stopping  # noqa: E731 - as short as it is
        own = LineWrites(desk, bodies)
        others = None
        if named is not None:
            desks = {name: Desk(config, one, desk.figures) for name, one in named.items()}
            others = {name: LineWrites(one, bodies) for name, one in desks.items()}
        databases = Databases(own, kiosk.config.target.dbname, others)
        routes.append(InfluxRoutes(databases, credentials, is_open).add_to)
    return HttpDoor(desk, routes, takes_lines=config.kind == "unix")


def _remote_writes(config: GatewayConfig, door: DoorConfig) -> list[DoorConfig]:
    # Those that are paths of a door: its own, or one without an address.
    if door.protocol == "prometheus":
        return [door]
    if (door.protocol, door.kind) != ("influx", "http"):
        return []
    return [one for one in config.doors if one.protocol == "prometheus" and one.address is None]


def _ndjson(config: DoorConfig) -> DoorConfig:
    if config.protocol == "ndjson":
        return config
    return replace(config, protocol="ndjson", series=NDJSON_SERIES, unit=None)
