"""What a bench can try, and what it has measured: cells and their figures.

Pure: knows no connection and no clock. Rule: two cells differ only where the middle halves
of their repeats do not touch (of a few repeats: where none does), and 5 % lie between them; what
is closer is noise.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from statistics import median, quantiles

from siridb_fast.query.database_facts import BUFFERED_POINT_BYTES

__all__ = [
    "FEWEST_REPEATS",
    "Cell",
    "Facts",
    "Kind",
    "Latency",
    "Measured",
    "Repeat",
    "Survey",
    "Transport",
    "best_of",
    "is_clearly_faster",
]

FEWEST_REPEATS = 3  # with which noise can be judged
FEW_REPEATS = 5  # whose middle half says too little
WORTH_OF_TWO = 2.0  # times, between two repeats and others: that much is no noise
WORTH = 1.05  # times: less is no reason to set anything


class Kind(Enum):
    """The questions; each has a table of its own."""

    RUNS = "runs"
    CONNECTIONS = "connections"
    LATENCY = "latency"
    WRITER = "writer"


class Transport(Enum):
    """The ways to a server."""

    TCP = "tcp"
    UNIX = "unix"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One way to send: so many points of each of so many series a package, on which connections.

    A cell of `Kind.WRITER` has single points of so many series, which wait for ``linger`` seconds.
    """

    kind: Kind
    transport: Transport
    points: int
    series: int
    connections: int = 1
    window: int = 1
    linger: float | None = None

    @property
    def total(self) -> int:
        """The points of a package."""
        return self.points * self.series

    @property
    def in_flight(self) -> int:
        """The packages that are on their way at one time."""
        return self.connections * self.window

    @property
    def flight(self) -> str:
        """The connections and the packages in flight on each, as they are printed."""
        return f"{self.connections} × {self.window}"


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds of round trips, one after another: a ping, an insert of nothing and of one point."""

    ping: float
    nothing: float
    median: float
    p99: float
    count: int

    @property
    def extra(self) -> float:
        """What the point itself takes: a write to the buffer, and to the disk if it is synced."""
        return self.median - self.nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """What one repeat of a cell has reached; ``server_cpu`` is None where it cannot be read."""

    points: int
    bytes: int
    seconds: float
    client_cpu: float
    server_cpu: float | None
    fast_fraction: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a cell has reached. ``rates`` are points per second, one for each repeat.

    Points, bytes, seconds and processor times (seconds, None where they cannot be read) are those
    of all repeats; ``fast_fractions`` of a writer's points took the server's fast path.
    """

    cell: Cell
    rates: tuple[float, ...] = ()
    points: int = 0
    bytes: int = 0
    seconds: float = 0.0
    client_cpu: float = 0.0
    server_cpu: float | None = None
    latency: Latency | None = None
    fast_fractions: tuple[float, ...] = ()

    def plus(self, repeat: Repeat) -> Measured:
        """Return it with one repeat more."""
        fraction = repeat.fast_fraction
        return replace(
            self,
            rates=(*self.rates, repeat.points / repeat.seconds),
            points=self.points + repeat.points,
            bytes=self.bytes + repeat.bytes,
            seconds=self.seconds + repeat.seconds,
            client_cpu=self.client_cpu + repeat.client_cpu,
            server_cpu=_sum_of_known(self.server_cpu, repeat.server_cpu),
            fast_fractions=(*self.fast_fractions, *(() if fraction is None else (fraction,))),
        )

    @property
    def fast_fraction(self) -> float | None:
        """The median of a writer's repeats; None of other cells."""
        return median(self.fast_fractions) if self.fast_fractions else None

    @property
    def rate(self) -> float:
        """The median; 0 where there was no time."""
        return median(self.rates) if self.rates else 0.0

    @property
    def bytes_per_second(self) -> float:
        """The bytes that belong to the median."""
        return self.rate * self.bytes / self.points if self.points else 0.0

    @property
    def middle(self) -> tuple[float, float]:
        """The rates between which the middle half of the repeats lies."""
        if len(self.rates) < 2:
            return self.rate, self.rate
        low, _, high = quantiles(self.rates, n=4, method="inclusive")
        return low, high

    @property
    def spread(self) -> float | None:
        """Half of the middle half, relative to the median; None of a single repeat."""
        if len(self.rates) < 2 or not self.rate:
            return None
        low, high = self.middle
        return (high - low) / 2 / self.rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Where it was measured. ``sync_interval`` (ms) is None where nobody can say."""

    label: str
    server: str
    version: str
    time_precision: str
    buffer_size: int
    sync_interval: int | None
    pools: int = 1

    @property
    def buffer_points(self) -> int:
        """How many points of a series the server buffers; longer runs take its fast path."""
        return self.buffer_size // BUFFERED_POINT_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """All cells of one target, and whether the points that were acknowledged are there."""

    facts: Facts
    cells: tuple[Measured, ...]
    acknowledged: int
    stored: int
    seconds: float

    @property
    def best(self) -> Measured | None:
        """The fastest way of sending packages."""
        return best_of(self.of(Kind.RUNS) + self.of(Kind.CONNECTIONS))

    @property
    def short_runs(self) -> list[Measured]:
        """Those that the server buffers point by point."""
        limit = self.facts.buffer_points
        return [each for each in self.of(Kind.RUNS) if each.cell.points <= limit]

    @property
    def long_runs(self) -> list[Measured]:
        """Those that take the server's fast path."""
        limit = self.facts.buffer_points
        return [each for each in self.of(Kind.RUNS) if each.cell.points > limit]

    @property
    def just_over(self) -> Measured | None:
        """The shortest of the long runs."""
        return min(self.long_runs, key=lambda each: each.cell.points, default=None)

    def of(self, kind: Kind, transport: Transport | None = None) -> list[Measured]:
        """Return the cells of a kind that were measured."""
        return [
            each
            for each in self.cells
            if each.cell.kind is kind
            and transport in (None, each.cell.transport)
            and (each.rates or each.latency)
        ]


def is_clearly_faster(one: Measured, other: Measured) -> bool:
    """Tell whether one is faster than the other by more than noise."""
    count = min(len(one.rates), len(other.rates))
    if count < 2 or one.rate < other.rate * WORTH:
        return False
    if count < FEW_REPEATS:
        worth = 1.0 if count >= FEWEST_REPEATS else WORTH_OF_TWO
        return min(one.rates) > max(other.rates) * worth
    return one.middle[0] > other.middle[1]


def best_of(cells: Iterable[Measured]) -> Measured | None:
    """Return the one with the highest median."""
    return max(cells, key=lambda each: each.rate, default=None)


def _sum_of_known(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other
