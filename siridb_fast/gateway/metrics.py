"""The figures of doors as metrics of Prometheus, beside those of the writer.

No label has more values than there are doors. Needs prometheus-client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from siridb_fast import metrics
from siridb_fast.gateway.figures import DoorFigures
from siridb_fast.writer.writer import BatchWriter

__all__ = ["GatewayMetrics"]

PREFIX = "siridb_fast_gateway_"
COUNTERS: dict[str, tuple[str, Callable[[DoorFigures], float]]] = {
    "requests": ("Requests of HTTP, datagrams, and messages of MQTT.", lambda one: one.requests),
    "received_bytes": ("Bytes of text, decompressed.", lambda one: one.bytes),
    "lines": ("Lines that were read, empty ones too.", lambda one: one.lines),
    "points": ("Points that were taken.", lambda one: one.points),
    "bad_lines": ("Lines that were refused.", lambda one: one.bad_lines),
    "left_out_points": ("Points that were left out by rules.", lambda one: one.left_out),
    "overloads": ("Bodies not taken, because there was no room.", lambda one: one.overloads),
    "dropped_datagrams": (
        "Datagrams that were dropped, and messages of QoS 0.",
        lambda one: one.dropped,
    ),
    "reconnects": ("Times that a broker was connected again.", lambda one: one.reconnects),
}


class GatewayMetrics(Collector):
    """Those of one gateway.

    Args:
        writers: Of the gateway, by what they are called.
        doors: Returns their figures.
    """

    def __init__(
        self,
        writers: Mapping[str, BatchWriter],
        doors: Callable[[], Sequence[DoorFigures]],
    ) -> None:
        self._doors = doors
        self._registry = CollectorRegistry()
        for name, writer in writers.items():
            metrics.register(writer, name, self._registry)
        self._registry.register(self)

    def text(self) -> bytes:
        """Return all of them, as Prometheus reads them."""
        return bytes(generate_latest(self._registry))

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Return those of the doors."""
        doors = self._doors()
        for name, (text, read) in COUNTERS.items():
            family = CounterMetricFamily(PREFIX + name, text, labels=["door"])
            for door in doors:
                family.add_metric([door.name], read(door))
            yield family
        gauges: dict[str, tuple[str, Callable[[DoorFigures], float | None]]] = {
            "connections": ("Connections that are open.", lambda one: one.connections),
            "in_trouble": (
                "1 while nothing can come in, as there is no broker; else 0.",
                lambda one: bool(one.trouble),
            ),
            "last_refusal_timestamp_seconds": (
                "When the last line or body was refused.",
                lambda one: None if one.last_refusal is None else one.last_refusal.at,
            ),
        }
        for name, (text, read_gauge) in gauges.items():
            gauge = GaugeMetricFamily(PREFIX + name, text, labels=["door"])
            for door in doors:
                if (value := read_gauge(door)) is not None:
                    gauge.add_metric([door.name], value)
            yield gauge
