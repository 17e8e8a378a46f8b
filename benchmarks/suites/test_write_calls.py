"""How fast does the writer take points? One thread, 1,000 series in turn, no server.

Beside what a program does that only keeps its points, two appends to lists; and beside the buffer
of the questdb client, which packs rows as they come. Between laps everything is emptied, and that
does not count.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.baselines.null_writer import NullWriter
from benchmarks.entrants.lap import Sensors
from benchmarks.harness.contest import Contest

ROUNDS = 15
SENSORS = Sensors(series=1000, ticks=500)
QUESTDB_TICKS = 100


def test_write_beside_lists(contest: Contest) -> None:
    names, ticks = SENSORS.names("room"), list(zip(SENSORS.times(0), SENSORS.rows, strict=True))
    writer = NullWriter(names)
    write = writer.intake.write
    times: dict[str, list[int]] = {name: [] for name in names}
    values: dict[str, list[float]] = {name: [] for name in names}

    def ours() -> None:
        for timestamp, row in ticks:
            for name, value in zip(names, row, strict=True):
                write(name, timestamp, value)

    def reference() -> None:
        for timestamp, row in ticks:
            for name, value in zip(names, row, strict=True):
                times[name].append(timestamp)
                values[name].append(value)

    def clear() -> None:
        for lists in (times, values):
            for points in lists.values():
                points.clear()

    contest.run(
        ROUNDS,
        {"ours": ours, "reference": reference},
        {"ours": writer.empty, "reference": clear},
    )
    contest.row("write() / two appends to lists", "ns/point", SENSORS.points)


def test_write_beside_questdb(contest: Contest) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its rows are the old way in
        questdb = pytest.importorskip("questdb.ingress")
    buffer = questdb.Buffer(protocol_version=2)
    names = SENSORS.names("room")
    ticks = list(zip(SENSORS.times(0), SENSORS.rows, strict=True))[:QUESTDB_TICKS]
    writer = NullWriter(names)

    def ours() -> None:
        write = writer.intake.write
        for timestamp, row in ticks:
            for name, value in zip(names, row, strict=True):
                write(name, timestamp, value)

    def reference() -> None:
        write = buffer.row
        for timestamp, row in ticks:
            at = questdb.TimestampNanos(timestamp)
            for name, value in zip(names, row, strict=True):
                write(name, columns={"value": value}, at=at)

    contest.run(
        ROUNDS,
        {"ours": ours, "reference": reference},
        {"ours": writer.empty, "reference": buffer.clear},
    )
    points = SENSORS.series * QUESTDB_TICKS
    contest.row("write() / questdb Buffer.row", "ns/point", points)


def test_append_beside_write(contest: Contest) -> None:
    names, ticks = SENSORS.names("room"), list(zip(SENSORS.times(0), SENSORS.rows, strict=True))
    writer = NullWriter(names)
    intake = writer.intake
    handles = [intake.series(name) for name in names]
    appends, writes = [handle.append for handle in handles], [intake.write for _ in names]

    def by_appends() -> None:
        for timestamp, row in ticks:
            for append, value in zip(appends, row, strict=True):
                append(timestamp, value)

    def by_writes() -> None:
        for timestamp, row in ticks:
            for write, name, value in zip(writes, names, row, strict=True):
                write(name, timestamp, value)

    def by_handles() -> None:
        for timestamp, row in ticks:
            for handle, value in zip(handles, row, strict=True):
                handle.append(timestamp, value)

    def by_intake() -> None:
        for timestamp, row in ticks:
            for name, value in zip(names, row, strict=True):
                intake.write(name, timestamp, value)

    def by_nothing() -> None:
        for _, row in ticks:
            for _append, _value in zip(appends, row, strict=True):
                pass

    contestants: dict[str, Callable[[], Any]] = {
        "appends": by_appends,
        "writes": by_writes,
        "handles": by_handles,
        "intake": by_intake,
        "nothing": by_nothing,
    }
    contest.run(ROUNDS, contestants, dict.fromkeys(contestants, writer.empty))
    for what, ours, reference in (
        ("a handle's append / write(), bound methods in lists", "appends", "writes"),
        ("… handle.append(…) / writer.write(…)", "handles", "intake"),
        ("… the loop alone / write()", "nothing", "writes"),
    ):
        points = SENSORS.points
        contest.row(what, "ns/point", points, ours=ours, reference=reference)
