"""What does a client cost before anything is sent, beside clients of other databases?

Each turns the same values into what it would send: one thread, no server. What the bytes mean
differs, and so do they. SiriDB wants a time with each value, 19 bytes for both, and of a frame a
series for each column. The peers put a frame into one table, whose rows share one time: of each
value questdb makes 22 bytes, influxdb-client 30 of text, and clickhouse-connect 8, which are the
columns as they lie in memory; it compresses them by default, and stands here with and without
that. What siridb-connector packs is the same as ours.

All know the types beforehand, and the slow ones get fewer rows: times are those of a value. Single
points are not only taken but also packed: ours go through the runs of a writer to sealed packages
(`null_transport.py`), so that nothing is left to be done for them later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

from benchmarks.baselines.null_transport import NOWHERE, no_sockets
from benchmarks.data.frames import Wide
from benchmarks.entrants.entrants import by_writes
from benchmarks.entrants.lap import Entrant, Sensors, Writing
from benchmarks.entrants.peers import (
    Questdb,
    clickhouse_blocks,
    connector_lists,
    connector_ticks,
    influx_lines,
    influx_points,
)
from benchmarks.harness.contest import Contest
from benchmarks.harness.record import Mark
from siridb_fast.columns.payloads import cut_payloads
from siridb_fast.columns.time_units import NANOSECOND
from siridb_fast.loading.expiry import Expiry
from siridb_fast.loading.frame_reader import FrameReader
from siridb_fast.loading.frames.pandas_frame import PandasFrame
from siridb_fast.loading.options import LoadOptions

ROUNDS = 5
WIDE = {"rows": 100_000, "series": 100}
SLICE_ROWS = 10_000
COMPRESSED_ROWS = 20_000
CONNECTOR_COLUMNS = 2
INFLUX_ROWS = 300

SENSORS = Sensors(series=1000, ticks=500)
QUESTDB_TICKS = CONNECTOR_TICKS = 100
INFLUX_TICKS = 10

OURS, BY_ROWS = "siridb_fast", "siridb_fast, by rows"
QUESTDB, SLICED = "questdb", "questdb, sliced"
CLICKHOUSE, COMPRESSED = "clickhouse-connect, not compressed", "clickhouse-connect, lz4"
CONNECTOR, INFLUX = "siridb-connector", "influxdb-client"


class Clients:
    """What all clients do in a lap, and how many bytes came of it."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._bytes: dict[str, int] = {}
        self.actions: dict[str, Callable[[], None]] = {}

    def add(self, name: str, values: int, action: Callable[[], int]) -> None:
        """Let a client do something with so many values."""

        def run() -> None:
            self._bytes[name] = action()

        self._counts[name], self.actions[name] = values, run

    def row(self, contest: Contest, what: str, reference: str, ours: str = OURS) -> None:
        """Compare ours with another."""
        contest.row(
            what,
            "ns/value",
            self._counts[ours],
            ours=ours,
            reference=reference,
            reference_count=self._counts[reference],
            facts={
                "bytes/value": self._size(ours),
                "bytes/value of the reference": self._size(reference),
            },
        )

    def chart(self, contest: Contest, title: str, *left_out: str) -> None:
        """Show all but some."""
        marks = [
            Mark.of(name, [seconds * 1e9 / count for seconds in contest.times(name)])
            for name, count in self._counts.items()
            if name not in left_out
        ]
        contest.chart(title, "client", "ns/value", {"ns/value": marks}, "y")

    def _size(self, name: str) -> float:
        return self._bytes[name] / self._counts[name]


def test_wide_frame(contest: Contest) -> None:
    wide, questdb, clients = Wide(**WIDE), Questdb(), Clients()
    frame, few, fewest = (
        wide.frame(0),
        wide.frame(0)[:COMPRESSED_ROWS],
        wide.frame(0)[:INFLUX_ROWS],
    )
    some = wide.names[:CONNECTOR_COLUMNS]
    for name, values, action in (
        (OURS, wide.points, partial(_to_packages, frame)),
        (BY_ROWS, wide.points, partial(_to_packages, wide.row_by_row(0))),  # questdb refuses it
        (CLICKHOUSE, wide.points, partial(clickhouse_blocks, frame)),
        (COMPRESSED, len(few) * wide.series, partial(clickhouse_blocks, few, "lz4")),
        (QUESTDB, wide.points, partial(questdb.frame, frame)),
        (SLICED, wide.points, partial(Questdb().slices, frame, SLICE_ROWS)),
        (CONNECTOR, len(some) * wide.rows, partial(connector_lists, frame, some)),
        (INFLUX, len(fewest) * wide.series, partial(influx_lines, fewest)),
    ):
        clients.add(name, values, action)
    contest.run(ROUNDS, clients.actions, {QUESTDB: questdb.clear})
    row = partial(clients.row, contest)
    row("client side of a wide frame / questdb Buffer.dataframe", QUESTDB)
    row(f"… / the same, {SLICE_ROWS:,} rows at a time", SLICED)
    row("… its rows lie together, not its columns / as before", QUESTDB, BY_ROWS)
    row("… / clickhouse-connect insert_df, lz4", COMPRESSED)
    row("… / clickhouse-connect insert_df, not compressed", CLICKHOUSE)
    row("… / siridb-connector insert, lists of 10,000 points", CONNECTOR)
    row("… / influxdb-client, lines of a frame", INFLUX)
    clients.chart(contest, "Client side of a wide frame", BY_ROWS, SLICED)


def test_single_points(contest: Contest) -> None:
    names = SENSORS.names("room")
    ticks = list(zip(SENSORS.times(0), SENSORS.rows, strict=True))
    questdb, clients = Questdb(), Clients()
    with ExitStack() as stack:
        stack.enter_context(no_sockets())
        writes = by_writes(stack.enter_context(Writing(NOWHERE)), SENSORS)
        clients.add(OURS, writes.points, partial(_size_of_lap, writes))
        actions: Mapping[str, tuple[Callable[..., int], int]] = {
            QUESTDB: (questdb.ticks, QUESTDB_TICKS),
            CONNECTOR: (connector_ticks, CONNECTOR_TICKS),
            INFLUX: (influx_points, INFLUX_TICKS),
        }
        for name, (action, some) in actions.items():
            clients.add(name, some * SENSORS.series, partial(action, names, ticks[:some]))
        contest.run(ROUNDS, clients.actions, {OURS: writes.prepare, QUESTDB: questdb.clear})
    row = partial(clients.row, contest)
    row("single points, up to packages / questdb Buffer.row", QUESTDB)
    row("… / siridb-connector, a point of 1,000 series at a time", CONNECTOR)
    row("… / influxdb-client Point.to_line_protocol", INFLUX)
    clients.chart(contest, "Client side of single points")


def _to_packages(frame: Any) -> int:
    # All that a load does from the frame to packages: read, check, and encode.
    read = FrameReader(LoadOptions(time="time"), NANOSECOND).read(PandasFrame(frame))
    Expiry((None, None), time.time_ns()).add(read)
    return sum(len(package.buffer) for package in cut_payloads(read.columns))


def _size_of_lap(entrant: Entrant) -> int:
    entrant.run()
    return int(entrant.report.bytes)
