"""The entrants of the measurements: what is written, and through which of the ways in.

Each takes what its lap is made of from the arguments alone, and has series of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from benchmarks.data import data
from benchmarks.entrants.lap import Entrant, Sensors, Timeline, Writing, reference_client
from siridb_fast import BatchWriter
from siridb_fast.testing import SiriDBServer

__all__ = [
    "REFERENCE_POINTS",
    "REFERENCE_TICKS",
    "by_arrays",
    "by_reference",
    "by_ticker",
    "by_writes",
]

REFERENCE_TICKS = 60
REFERENCE_POINTS = 300


def by_writes(writing: Writing, sensors: Sensors) -> Entrant:
    """Write points one by one, and drain after each tick."""
    names, rows = sensors.names("writes"), sensors.rows

    async def send(writer: BatchWriter, times: Sequence[int]) -> None:
        write = writer.write
        for timestamp, row in zip(times, rows, strict=True):
            for name, value in zip(names, row, strict=True):
                write(name, timestamp, value)
            await writer.drain()

    return writing.entrant("writes", sensors.points, sensors.times, send)


def by_ticker(writing: Writing, sensors: Sensors, name: str = "ticker") -> Entrant:
    """Write arrays of a value for each series, and drain after each."""
    ticker, rows = writing.writer.ticker(sensors.names(name)), sensors.values

    async def send(writer: BatchWriter, times: Sequence[int]) -> None:
        for timestamp, row in zip(times, rows, strict=True):
            ticker.write(timestamp, row)
            await writer.drain()

    return writing.entrant(name, sensors.points, sensors.times, send)


def by_reference(stack: ExitStack, server: SiriDBServer, sensors: Sensors) -> list[Entrant]:
    """Insert a tick at a time, and a point at a time; both fewer than the others."""
    client, run = stack.enter_context(reference_client(server))
    names, rows = sensors.names("per tick"), sensors.rows

    async def send_ticks(times: list[int]) -> None:
        for timestamp, row in zip(times[:REFERENCE_TICKS], rows[:REFERENCE_TICKS], strict=True):
            points = {name: [[timestamp, value]] for name, value in zip(names, row, strict=True)}
            await client.insert(points)

    async def send_points(times: list[int]) -> None:
        for i, value in enumerate(rows[0][:REFERENCE_POINTS]):
            await client.insert({f"per point {i}": [[times[0], value]]})

    return [
        Entrant(
            "per tick",
            REFERENCE_TICKS * sensors.series,
            sensors.times,
            lambda times: run(send_ticks(times)),
        ),
        Entrant(
            "per point", REFERENCE_POINTS, sensors.times, lambda times: run(send_points(times))
        ),
    ]


def by_arrays(
    writing: Writing, series: int, points: int, passes: int, name: str = "arrays"
) -> Entrant:
    """Write a column of each series, so many times in a lap."""
    columns = data.doubles(series * points).reshape(series, points)
    timeline = Timeline(points)

    async def send(writer: BatchWriter, passes: list[data.Array]) -> None:
        for timestamps in passes:
            for i in range(series):
                await writer.write_arrays(f"{name} {i}", timestamps, columns[i])

    def make(lap: int) -> list[data.Array]:
        return [timeline.lap(lap * passes + i) for i in range(passes)]

    return writing.entrant(name, series * points * passes, make, send)
