"""Metrics of writers and clients for Prometheus (`siridb_fast[metrics]`).

Everything is read from `stats()` when it is scraped, in whatever thread that happens; a point
costs nothing. Labels are the name given to `register`, hosts, and words of which there are few:
never a series. ``docs/metrics.md`` says what each metric means and what to do about it. Knows
`stats()` and prometheus-client; knows nothing of how figures come about.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

from siridb_fast.client.blocking import BlockingClient, BlockingWriter
from siridb_fast.client.client import SiriDBClient
from siridb_fast.connection.stats import HostStats
from siridb_fast.delivery.stats import LateStats, Stats
from siridb_fast.errors import ConfigError, WriterClosedError
from siridb_fast.writer.writer import BatchWriter

try:
    from prometheus_client import REGISTRY
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )
    from prometheus_client.registry import CollectorRegistry
except ImportError as exc:
    error = "siridb_fast.metrics needs prometheus-client: pip install siridb_fast[metrics]"
    raise ImportError(error) from exc

__all__ = ["MetricsCollector", "register", "unregister"]

Writer: TypeAlias = BatchWriter | BlockingWriter
Client: TypeAlias = SiriDBClient | BlockingClient
Family: TypeAlias = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
Samples: TypeAlias = Iterable[tuple[tuple[str, ...], float]]  # values of labels, value

PREFIX = "siridb_fast_"
CAUSES = (  # that are there before they happen: an increase from nothing is none to Prometheus
    "BufferFullError",
    "ColumnError",
    "InsertError",
    "RequestTimeout",
    "SpoolError",
    "SpoolFullError",
    "WriterClosedError",
    "other",
)
NO_REJECTS = dict.fromkeys(CAUSES, 0)


@dataclass(frozen=True, slots=True)
class _Figure:
    """One metric of writers: its name without prefix, its text, labels, and what it reads."""

    name: str
    text: str
    read: Callable[[Stats], float | Samples]
    labels: tuple[str, ...] = ()


COUNTERS = (
    _Figure("points_written", "Points that were taken.", lambda s: s.written),
    _Figure(
        "points_delivered",
        "Points that were delivered, by the path that the server has taken.",
        lambda s: [(("fast",), s.fast_path), (("slow",), s.slow_path)],
        ("path",),
    ),
    _Figure(
        "points_rejected",
        "Points that were not delivered and will not be, by the class of the error.",
        lambda s: [((cause,), n) for cause, n in {**NO_REJECTS, **s.rejected_by}.items()],
        ("cause",),
    ),
    _Figure("points_in_doubt", "Points that may or may not be stored.", lambda s: s.in_doubt),
    _Figure("points_changed", "Points stored as values of another type.", lambda s: s.changed),
    _Figure("points_spooled", "Points that left memory for the spool.", lambda s: s.ever_spooled),
    _Figure(
        "points_persisted",
        "Points that are, or were, on disk in the journal.",
        lambda s: [] if s.journal is None else s.journal.persisted,
    ),
    _Figure(
        "journal_syncs",
        "How often the disk was made to keep what came.",
        lambda s: [] if s.journal is None else s.journal.syncs,
    ),
    _Figure(
        "points_dropped",
        "Points that were given up for want of room, or too old, by where that was.",
        lambda s: [((store,), n) for store, n in s.dropped_by.items()],
        ("store",),
    ),
    _Figure("delivered_bytes", "Bytes of packages that were delivered.", lambda s: s.bytes),
    _Figure("packages_delivered", "Packages that were delivered.", lambda s: s.packages),
    _Figure("package_retries", "How often a package was sent again.", lambda s: s.retries),
    _Figure(
        "lookups",
        "Packages in doubt that were looked up, by what was found of them.",
        lambda s: [
            (("stored",), s.lookups.stored),
            (("missing",), s.lookups.missing),
            (("partly_stored",), s.lookups.partly_stored),
            (("unknown",), s.lookups.unknown),
        ],
        ("finding",),
    ),
    _Figure(
        "late_points",
        "Late points that were compared with the database, by what was found.",
        lambda s: (
            []
            if s.late is None
            else [
                (("already_stored",), s.late.already_stored),
                (("new",), _new_late(s.late)),
                (("beside",), s.late.beside),
                (("refused",), s.late.refused),
            ]
        ),
        ("finding",),
    ),
)

GAUGES = (
    _Figure(
        "pending_points",
        "Points in memory: they wait for a package, or are in one.",
        lambda s: [(("buffered",), s.buffered), (("in_flight",), s.in_flight)],
        ("state",),
    ),
    _Figure(
        "not_yet_safe_points",
        "Points that were acknowledged and may be lost with the server.",
        lambda s: s.not_yet_safe,
    ),
    _Figure("pending_bytes", "Memory that points and packages take.", lambda s: s.buffered_bytes),
    _Figure("room_bytes", "Memory that is left for points and packages.", lambda s: s.room),
    _Figure(
        "oldest_pending_seconds", "Age of the oldest point in memory.", lambda s: s.oldest_age
    ),
    _Figure(
        "packages_in_flight",
        "Packages that were sent and are not answered yet.",
        lambda s: s.packages_in_flight,
    ),
    _Figure("lookups_running", "Packages that are looked up now.", lambda s: s.lookups.running),
    _Figure(
        "late_points_waiting",
        "Late points that are to be compared.",
        lambda s: [] if s.late is None else s.late.waiting,
    ),
    _Figure("series", "Series that the writer knows.", lambda s: s.series),
    _Figure(
        "spool_points", "Points in the spool.", lambda s: [] if s.spool is None else s.spool.points
    ),
    _Figure(
        "spool_packages",
        "Packages in the spool.",
        lambda s: [] if s.spool is None else s.spool.packages,
    ),
    _Figure(
        "spool_bytes",
        "Bytes of the packages in the spool.",
        lambda s: [] if s.spool is None else s.spool.bytes,
    ),
    _Figure(
        "spool_room_bytes",
        "Bytes that the spool may still take.",
        lambda s: [] if s.spool is None else s.spool.room,
    ),
    _Figure(
        "spool_oldest_seconds",
        "Age of the oldest package in the spool.",
        lambda s: [] if s.spool is None else s.spool.oldest_age,
    ),
    _Figure(
        "journal_waiting_points",
        "Points that are accepted and not on disk yet.",
        lambda s: [] if s.journal is None else s.journal.waiting,
    ),
    _Figure(
        "journal_bytes",
        "Bytes of the journal with points that have no fate yet.",
        lambda s: [] if s.journal is None else s.journal.bytes,
    ),
)


@dataclass(frozen=True, slots=True)
class _Source:
    """A writer or client that is registered; it may be gone."""

    name: str
    get: Callable[[], Writer | Client | None]


@dataclass(frozen=True, slots=True)
class _Reading:
    """The figures of one source, as they are now; those of a closed one only count."""

    name: str
    is_open: bool
    stats: Stats | None  # None: it is a client
    hosts: tuple[HostStats, ...]


class MetricsCollector:
    """A collector of prometheus-client over any number of writers and clients.

    It does not keep them alive: one that is freed disappears. One that is closed and not freed
    keeps its counters, and its gauges disappear. One that was not opened yet has nothing to tell.
    `register` makes one for a registry.
    """

    def __init__(self) -> None:
        self._sources: dict[str, _Source] = {}
        self._lock = threading.Lock()

    def add(self, source: Writer | Client, name: str) -> None:
        """Tell of a writer or client under a name.

        Raises:
            ConfigError: Another one that is not closed has the name, it is none, or the source is
                neither.
        """
        if not isinstance(source, (BatchWriter, BlockingWriter, SiriDBClient, BlockingClient)):
            raise ConfigError(f"a writer or client has metrics, got {source!r}")
        if not isinstance(name, str) or not name:  # to Prometheus an empty label is none
            raise ConfigError(f"metrics: name is a text that tells a source apart, got {name!r}")
        with self._lock:
            former = self._sources.get(name)
            if former is not None and former.get() is not source and _is_in_use(former):
                raise ConfigError(f"{former.get()!r} is registered as {name!r}; unregister it")
            self._sources[name] = _Source(name, weakref.ref(source))

    def remove(self, name: str) -> None:
        """Tell of it no more; one that is not there is left out."""
        with self._lock:
            self._sources.pop(name, None)

    def describe(self) -> Iterator[Family]:
        """Return all metrics without their values, as a registry asks for them."""
        return _families([])

    def collect(self) -> Iterator[Family]:
        """Return all metrics with their values of now; from any thread."""
        with self._lock:
            self._sources = {
                name: one for name, one in self._sources.items() if one.get() is not None
            }
            sources = list(self._sources.values())
        readings = [reading for one in sources if (reading := _read(one)) is not None]
        return _families(readings)


# As prometheus-client has its registries: of the process, and silent about what is in them.
_collectors: weakref.WeakKeyDictionary[CollectorRegistry, MetricsCollector] = (
    weakref.WeakKeyDictionary()
)
_collectors_lock = threading.Lock()


def register(
    source: Writer | Client, name: str = "default", registry: CollectorRegistry = REGISTRY
) -> MetricsCollector:
    """Have Prometheus told of a writer or client, under a name that tells it from others.

    Args:
        source: A `BatchWriter`, `BlockingWriter`, `SiriDBClient` or `BlockingClient`; also before
            it is opened. It is not kept alive by this.
        name: The label ``name`` of its metrics; that of one that is closed may be used again.
        registry: Of prometheus-client; by default that which its servers show.

    Returns:
        The collector of that registry, the same for all.

    Raises:
        ConfigError: Another one that is not closed has the name, it is none, or the source is
            neither.

    ::

        from prometheus_client import start_http_server
        from siridb_fast import BatchWriter, metrics

        start_http_server(8000)
        async with BatchWriter("siridb://iris:siri@localhost/plant") as writer:
            metrics.register(writer, name="plant")
    """
    with _collectors_lock:
        collector = _collectors.get(registry)
        if collector is None:
            collector = MetricsCollector()
            registry.register(collector)
            _collectors[registry] = collector
    collector.add(source, name)
    return collector


def unregister(name: str = "default", registry: CollectorRegistry = REGISTRY) -> None:
    """Have Prometheus told no more of what is registered under a name; if anything is."""
    with _collectors_lock:
        collector = _collectors.get(registry)
    if collector is not None:
        collector.remove(name)


def _is_in_use(source: _Source) -> bool:
    reading = _read(source)
    return source.get() is not None and (reading is None or reading.is_open)


def _read(source: _Source) -> _Reading | None:
    # None: it is gone, or was not opened yet.
    found = source.get()
    if found is None:
        return None
    if isinstance(found, (SiriDBClient, BlockingClient)):
        return _Reading(source.name, not found.is_closed, None, found.stats().hosts)
    try:
        stats = found.stats()
    except WriterClosedError:
        return None
    return _Reading(source.name, stats.is_open, stats, stats.hosts)


def _families(readings: list[_Reading]) -> Iterator[Family]:
    writers = [(one.name, one.stats) for one in readings if one.stats is not None]
    open_writers = [
        (one.name, one.stats) for one in readings if one.stats is not None and one.is_open
    ]
    for figure in COUNTERS:
        yield _filled(CounterMetricFamily, figure, writers)
    for figure in GAUGES:
        yield _filled(GaugeMetricFamily, figure, open_writers)
    yield _latencies(writers)
    yield _connections(one for one in readings if one.is_open)
    yield _reconnects(readings)


def _filled(
    kind: type[CounterMetricFamily] | type[GaugeMetricFamily],
    figure: _Figure,
    writers: Iterable[tuple[str, Stats]],
) -> CounterMetricFamily | GaugeMetricFamily:
    family = kind(PREFIX + figure.name, figure.text, labels=("name", *figure.labels))
    for name, stats in writers:
        found = figure.read(stats)
        samples = [((), found)] if isinstance(found, (int, float)) else found
        for labels, value in samples:
            family.add_metric((name, *labels), value)
    return family


def _new_late(late: LateStats) -> int:
    return late.compared - late.already_stored - late.beside - late.refused


def _latencies(writers: Iterable[tuple[str, Stats]]) -> HistogramMetricFamily:
    text = "Seconds from the oldest point of a package until it was delivered."
    family = HistogramMetricFamily(f"{PREFIX}delivery_seconds", text, labels=("name",))
    for name, stats in writers:
        latency = stats.latency
        bounds = [*(str(bound) for bound in latency.bounds), "+Inf"]
        counts = [float(count) for count in accumulate(latency.packages)]
        family.add_metric((name,), list(zip(bounds, counts, strict=True)), latency.seconds)
    return family


def _connections(readings: Iterable[_Reading]) -> GaugeMetricFamily:
    text = "Connections to each host, by state."
    labels = ("name", "host", "state")
    family = GaugeMetricFamily(f"{PREFIX}connections", text, labels=labels)
    for reading in readings:
        for host in reading.hosts:
            for state, count in (
                ("connected", host.connected - host.suspended),
                ("suspended", host.suspended),
                ("missing", host.connections - host.connected),
            ):
                family.add_metric((reading.name, host.host, state), count)
    return family


def _reconnects(readings: Iterable[_Reading]) -> CounterMetricFamily:
    text = "How often a connection was made again."
    family = CounterMetricFamily(f"{PREFIX}reconnects", text, labels=("name", "host"))
    for reading in readings:
        for host in reading.hosts:
            family.add_metric((reading.name, host.host), host.reconnects)
    return family
