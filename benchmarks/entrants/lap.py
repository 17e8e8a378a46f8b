"""A lap: who sends what to which server, and how open writers and bare sockets are made for it.

An `Entrant` makes the load of each lap beforehand, so that only the sending is timed; its name is
in the names of its series, by which `compete` counts what the server has stored of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import Any

from siridb.connector import SiriDBClient as ReferenceClient

from benchmarks.baselines import ceiling
from benchmarks.baselines.ceiling import SHAPES, Address, BareSockets, Contestant
from benchmarks.data import data
from benchmarks.harness.contest import SECONDS, Contest
from siridb_fast import BatchWriter, Report
from siridb_fast.concurrency.loops import new_event_loop
from siridb_fast.testing import SiriDBServer

__all__ = [
    "INTERVALS",
    "TRANSPORTS",
    "WINDOWS",
    "Entrant",
    "Sensors",
    "Timeline",
    "Ways",
    "Writing",
    "address",
    "bare_entrant",
    "compete",
    "database_url",
    "new_server",
    "reference_client",
    "require_stored",
]

TRANSPORTS = ("TCP", "unix")
INTERVALS = (500, 0)  # of buffer_sync_interval
WINDOWS = ((1, 1), (2, 1), (1, 2))  # connections, packages in flight on each
PROBE_POINTS = 1_000_000
PROBE_ROUNDS = 2


@dataclass(slots=True)
class Entrant:
    """One contestant.

    Args:
        name: Its series have this in their names, and no other's have.
        points: It sends in one lap.
        make: Returns what `send` needs for a lap of this number, from 0; its time does not count.
        send: Returns when all is stored; if it returns a report, that is `report`.
    """

    name: str
    points: int
    make: Callable[[int], Any]
    send: Callable[[Any], object]
    laps: int = 0
    load: Any = field(default=None, repr=False)
    report: Any = field(default=None, repr=False)

    def prepare(self) -> None:
        """Make the load of the next lap."""
        self.load = self.make(self.laps)
        self.laps += 1

    def run(self) -> None:
        """Send it."""
        self.report = self.send(self.load)


def compete(
    contest: Contest,
    rounds: int,
    entrants: Sequence[Entrant],
    server: SiriDBServer | None = None,
    *,
    seconds: float = SECONDS,
) -> None:
    """Let all send in turn, then see that the server has stored all points of each."""

    def prepare(entrant: Entrant) -> None:
        for other in entrants:
            other.load = None  # no more than one is in memory at a time
        entrant.prepare()

    contest.run(
        rounds,
        {entrant.name: entrant.run for entrant in entrants},
        {entrant.name: partial(prepare, entrant) for entrant in entrants},
        seconds=seconds,
    )
    if server is not None:
        require_stored(server, entrants)


def require_stored(server: SiriDBServer, entrants: Sequence[Entrant]) -> None:
    """See that the server has stored all points that these have sent."""
    for entrant in entrants:
        query = f"count series length where name ~ '{entrant.name}'"
        stored = server.api.query("dbtest", query)["series_length"]
        sent = entrant.points * entrant.laps
        assert stored == sent, f"{entrant.name}: {stored:,} points are stored, {sent:,} were sent"


@contextmanager
def new_server(interval: int) -> Iterator[SiriDBServer]:
    """Start a server of one's own with a new database; it takes a few hundredths of a second."""
    with SiriDBServer(buffer_sync_interval=interval) as server:
        server.create_database()
        yield server


def database_url(server: SiriDBServer, transport: str) -> str:
    """Return the URL of its database."""
    return server.url() if transport == "TCP" else server.socket_url()


def address(server: SiriDBServer, transport: str) -> Address:
    """Return where a bare socket connects to."""
    return (server.host, server.port) if transport == "TCP" else server.socket_path


class Timeline:
    """Timestamps that go on from lap to lap, about so many nanoseconds apart."""

    def __init__(self, points: int, step: int = ceiling.STEP) -> None:
        steps = data.nanoseconds(points) - ceiling.FIRST_TIMESTAMP
        self._steps = steps // (ceiling.STEP // step) if step < ceiling.STEP else steps
        self._length = (points + 1) * min(step, ceiling.STEP)

    def lap(self, number: int) -> data.Array:
        """Return those of one lap."""
        stamps: data.Array = ceiling.FIRST_TIMESTAMP + number * self._length + self._steps
        return stamps


class Sensors:
    """So many series that get a value each, so many times in a lap.

    Attributes:
        values: Shape (ticks, series).
    """

    def __init__(self, series: int, ticks: int) -> None:
        self.series, self.ticks = series, ticks
        self.points = series * ticks
        self.values = data.doubles(self.points).reshape(ticks, series)
        self._timeline = Timeline(ticks)

    @property
    def rows(self) -> list[list[float]]:
        """The values as lists."""
        rows: list[list[float]] = self.values.tolist()
        return rows

    def names(self, entrant: str) -> list[str]:
        """Return the names of an entrant's series."""
        return [f"{entrant} sensor {i}" for i in range(self.series)]

    def times(self, lap: int) -> list[int]:
        """Return the timestamps of the ticks of a lap."""
        times: list[int] = self._timeline.lap(lap).tolist()
        return times


class Writing:
    """A writer that is open, in an event loop of its own."""

    def __init__(self, url: str, **options: Any) -> None:
        self._runner = asyncio.Runner(loop_factory=new_event_loop)
        self._fast = self._all = 0
        self.writer = BatchWriter(url, **options)

    def __enter__(self) -> Writing:
        self.run(self.writer.open())
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.run(self.writer.close())
        self._runner.close()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine in the writer's loop."""
        return self._runner.run(coroutine)

    def entrant(
        self,
        name: str,
        points: int,
        make: Callable[[int], Any],
        send: Callable[[BatchWriter, Any], Coroutine[Any, Any, None]],
    ) -> Entrant:
        """Return an entrant that sends with this writer until all is delivered."""

        async def send_all(load: Any) -> Report:
            await send(self.writer, load)
            report = await self.writer.flush()
            assert report.is_complete
            return report

        def make_load(lap: int) -> Any:
            if lap == 1:  # the first has made the series
                stats = self.writer.stats()
                self._fast, self._all = stats.fast_path, stats.delivered
            return make(lap)

        return Entrant(name, points, make_load, lambda load: self.run(send_all(load)))

    def slow_percent(self) -> float:
        """Return how much of what was delivered since the first lap was slow for the server."""
        stats = self.writer.stats()
        delivered, fast = stats.delivered - self._all, stats.fast_path - self._fast
        return max(0.001, 100.0 * (delivered - fast) / delivered)  # so that it can divide


class Ways:
    """The fastest way to send ready-made packages, found out once for each sort of server."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int], Contestant] = {}

    def best(self, transport: str, interval: int) -> Contestant:
        """Return the fastest of all shapes, connections and windows."""
        key = transport, interval
        if key not in self._found:
            with new_server(interval) as server:
                self._found[key] = ceiling.best(
                    address(server, transport),
                    [Contestant(shape, *window) for shape, window in product(SHAPES, WINDOWS)],
                    total_points=PROBE_POINTS,
                    rounds=PROBE_ROUNDS,
                ).contestant
        return self._found[key]


@contextmanager
def bare_entrant(
    to: Address,
    way: Contestant,
    points: int,
    *,
    name: str = "ceiling",
    make: Callable[[int], list[memoryview]] | None = None,
    distinct_series: int | None = None,
) -> Iterator[Entrant]:
    """Yield an entrant that sends ready-made packages; `make` makes others than the usual ones."""
    total = -(-points // way.shape.total) * way.shape.total
    length = ceiling.next_timestamp(way.shape, total, 0)

    def make_usual(lap: int) -> list[memoryview]:
        first = ceiling.FIRST_TIMESTAMP + lap * length
        return ceiling.packages(way.shape, total, name, first, distinct_series=distinct_series)

    with BareSockets(to, way.connections) as sockets:
        send = partial(sockets.send_all, window=way.window)
        yield Entrant(name, points if make else total, make or make_usual, send)


@contextmanager
def reference_client(
    server: SiriDBServer,
) -> Iterator[tuple[Any, Callable[[Coroutine[Any, Any, Any]], Any]]]:
    """Yield a connected reference driver, and what runs coroutines in its event loop."""

    async def connect() -> Any:
        client = ReferenceClient("iris", "siri", "dbtest", [(server.host, server.port)])
        await client.connect()
        return client

    with asyncio.Runner() as runner:
        client = runner.run(connect())
        try:
            yield client, runner.run
        finally:
            client.close()
            runner.run(asyncio.sleep(0.05))  # it does not say when it is closed
