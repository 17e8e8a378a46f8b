"""What tests of MQTT have in common: tables of the door, and what they wait for."""

import subprocess
from pathlib import Path
from typing import Any

from paho.mqtt.enums import MQTTProtocolVersion

from tests.fix_loop import eventually
from tests.gateway.brokers import Broker
from tests.gateway.gateways import Running

__all__ = [
    "ALL",
    "AT",
    "NUMBERS",
    "VERSIONS",
    "acknowledged",
    "came",
    "connected",
    "mqtt",
    "run_program",
    "values",
]

AT = 1_700_000_000_000_000_000  # ns
NUMBERS = {"filter": "plant/{measurement}/{id}/{field}"}
JSON = {"filter": "json/{measurement}", "payload": "json"}
LINES = {"filter": "line/#", "payload": "line"}
ALL = [NUMBERS, JSON, LINES]
VERSIONS = {"3.1.1": MQTTProtocolVersion.MQTTv311, "5": MQTTProtocolVersion.MQTTv5}


def mqtt(broker: Broker, name: str, *topics: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"url": broker.url, "client_id": name, "topics": [*topics] or ALL, **keys}


async def came(gateway: Running, messages: int) -> None:
    await eventually(lambda: gateway.figures("mqtt").requests >= messages, timeout=60)


async def connected(gateway: Running) -> None:
    await eventually(lambda: not gateway.figures("mqtt").trouble, timeout=60)


def acknowledged(broker: Broker, client: str) -> int:
    return broker.count(f"Received PUBACK from {client} ")


def run_program(*command: str, cwd: Path | None = None) -> None:
    subprocess.run(command, cwd=cwd, check=True, capture_output=True, timeout=60)


def values(found: dict[str, list[list[Any]]], name: str) -> list[Any]:
    return [value for _, value in found[name]]
