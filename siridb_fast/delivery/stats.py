"""The figures of a writer, as its `stats()` returns them.

Knows numbers and their meaning; knows nothing of where they come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from siridb_fast.connection.stats import (
    HostStats,
    connected_of,
    connections_of,
    reconnects_of,
)
from siridb_fast.delivery.latency import LatencyStats

__all__ = ["JournalStats", "LateStats", "LookupStats", "SpoolStats", "Stats"]


@dataclass(frozen=True, slots=True)
class LookupStats:
    """Packages in doubt that were looked up in the database, by what was found of their points.

    ``unknown`` are those of which nobody could tell, or not in time. ``running`` are looked up
    now.
    """

    running: int
    stored: int
    missing: int
    partly_stored: int
    unknown: int


@dataclass(frozen=True, slots=True)
class LateStats:
    """Late points, which were compared with the database.

    ``already_stored`` are those of ``compared`` that were there; they count as delivered.
    ``beside`` were not, and are at the time of another value; with ``on_conflict="refuse"`` they
    are ``refused``. ``waiting`` are to be compared.
    """

    compared: int
    already_stored: int
    beside: int
    waiting: int
    refused: int = 0


@dataclass(frozen=True, slots=True)
class SpoolStats:
    """What is on disk, in the spool; that of former writers too.

    ``bytes`` are those of the packages, ``room`` how many more fit into ``max_bytes``.
    ``oldest_age`` is the seconds since the oldest package was written there; 0 if there is none.
    """

    packages: int
    points: int
    bytes: int
    room: int
    oldest_age: float


@dataclass(frozen=True, slots=True)
class JournalStats:
    """What is in the journal of this writer since it was opened.

    ``persisted`` points are, or were, on disk there; ``waiting`` were accepted and are not yet.
    ``bytes`` of its file hold points without a fate, in so many ``segments``; ``max_bytes`` may.
    ``syncs`` is how often the disk was made to keep what came. ``error`` is why it does not
    take any more now; empty if it does.
    """

    persisted: int
    waiting: int
    bytes: int
    max_bytes: int
    syncs: int
    segments: int
    error: str


@dataclass(frozen=True, slots=True)
class Stats:
    """A writer's figures since it was opened; points, unless the name says otherwise.

    Attributes:
        written: Were taken.
        delivered: Were acknowledged, and are safe if the writer is; those that former writers left
            in the spool too, which do not count as ``written``.
        fast_path: Of ``delivered``: left in runs that are longer than the server's buffer of a
            series, which it stores at 20 to 30 times the speed of others. Texts have no such
            buffer and count by the length of their runs all the same.
        slow_path: All others of ``delivered``.
        rejected: Were not delivered, and will not be.
        rejected_by: The same by the class of the error, such as ``"InsertError"``.
        in_doubt: May or may not be stored, and nothing more is done about it.
        changed: Are stored as values of another type.
        dropped: Of ``rejected`` and ``in_doubt``: were given up where there was no room for them,
            or in the spool, where they were too old.
        dropped_by: The same by where that was: ``"memory"``, ``"journal"`` and ``"spool"``.
        buffered: Wait in memory for a package.
        in_flight: Are in packages that are not finished.
        not_yet_safe: Of ``in_flight``: were acknowledged, and may still be lost with the server;
            only with ``durability="safe"``.
        spooled: Are on disk, in the spool; those of former writers too.
        ever_spooled: Have ever left memory for the spool.
        packages: Packages that were delivered.
        bytes: Their size.
        packages_in_flight: Packages that were sent and are not answered yet.
        retries: How often a package was sent again, or is about to be.
        buffered_bytes: Of memory that points and packages take.
        max_buffered: Bytes that they may take.
        room: Bytes that are left of those.
        oldest_age: Seconds since the oldest point was written that is in memory and not delivered
            yet; of arrays that are sent at once, since their package was made. 0 if there is none.
        series: Series that are known; those without points may be forgotten.
        typed_series: How often a series got the type that the database was asked for.
        hosts: The connections, by host.
        lookups: What was found of packages in doubt.
        latency: How long packages took.
        late: What was found of late points; None if they are not compared.
        spool: What is in the spool; None if there is no spool.
        journal: What is in the journal; None if there is no journal.
        is_open: Whether the writer takes points.

    ::

        stats = writer.stats()
        if not stats.connected and stats.oldest_age > 60:
            print(f"{stats.buffered + stats.in_flight} points wait, {stats.room} bytes are left")
    """

    written: int
    delivered: int
    fast_path: int
    slow_path: int
    rejected: int
    rejected_by: Mapping[str, int] = field(hash=False)
    in_doubt: int
    changed: int
    dropped: int
    dropped_by: Mapping[str, int] = field(hash=False)
    buffered: int
    in_flight: int
    not_yet_safe: int
    spooled: int
    ever_spooled: int
    packages: int
    bytes: int
    packages_in_flight: int
    retries: int
    buffered_bytes: int
    max_buffered: int
    room: int
    oldest_age: float
    series: int
    typed_series: int
    hosts: tuple[HostStats, ...]
    lookups: LookupStats
    latency: LatencyStats
    late: LateStats | None
    spool: SpoolStats | None
    journal: JournalStats | None
    is_open: bool

    @property
    def connections(self) -> int:
        """How many connections there should be."""
        return connections_of(self.hosts)

    @property
    def connected(self) -> int:
        """How many connections there are."""
        return connected_of(self.hosts)

    @property
    def reconnects(self) -> int:
        """How often a connection was made again."""
        return reconnects_of(self.hosts)
