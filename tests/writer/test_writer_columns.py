"""BatchWriter and columns that are long: they go past the coalescer, in runs that take turns."""

import asyncio
from itertools import chain
from typing import Any

import numpy as np
import pytest

import siridb_fast
from siridb_fast.testing import ScriptedServer
from tests.delivery.held_inserts import HeldInserts, scripted_writer
from tests.fix_server import Database

FIRST = 1_600_000_000_000_000_000
POINTS = 60_000  # of a column: three runs, of which two fit a package
RUN = 20_000


def column(points: int, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return FIRST + first + np.arange(points), np.arange(points) / 3


@pytest.mark.parametrize(
    ("names", "packages"),
    [
        ("a", ["a", "a", "a"]),
        ("ab", ["ab", "ab", "ab"]),
        ("abc", ["ab", "ca", "bc", "ab", "c"]),
    ],
)
async def test_long_columns_take_turns(names: str, packages: list[str]) -> None:
    held = HeldInserts()
    async with ScriptedServer(held) as server, scripted_writer(server) as writer:
        writing = asyncio.ensure_future(writer.write_many(dict.fromkeys(names, column(POINTS))))
        inserts = await held.answer_points(len(names) * POINTS)
        report = await (await writing)
    assert ["".join(insert) for insert in inserts] == packages
    assert {len(run) for insert in inserts for run in insert.values()} == {RUN}
    expected = [list(point) for point in zip(*map(np.ndarray.tolist, column(POINTS)), strict=True)]
    for name in names:
        assert list(chain(*(insert.get(name, []) for insert in inserts))) == expected
    assert (report.points, report.packages) == (len(names) * POINTS, len(packages))


async def test_short_columns_beside_long_ones_are_delivered_too(database: Database) -> None:
    columns: dict[str, Any] = {"short": column(3), "long": column(POINTS), "none": column(0)}
    async with siridb_fast.BatchWriter(database.url) as writer:
        delivery = await writer.write_many(columns)
        await writer.flush()
        assert (await delivery).points == POINTS + 3
    async with database.client() as client:
        arrays = await client.query_arrays("select * from *")
    assert arrays.keys() == {"short", "long"}
    for name, (times, values) in arrays.items():
        assert np.array_equal(times, columns[name][0])
        assert np.array_equal(values, columns[name][1])


def test_columns_of_the_same_series_share_no_package(database: Database) -> None:
    frame = np.empty(POINTS, [("time", "i8"), ("x", "f8"), ("y", "f8"), ("z", "f8")])
    frame["time"], frame["x"] = column(POINTS)
    frame["y"] = frame["z"] = frame["x"]
    report = siridb_fast.load(
        frame, database.url, time="time", series=lambda column: "b" if column == "y" else "a"
    )
    assert (report.points, report.packages) == (3 * POINTS, 6)
    with siridb_fast.connect(database.url) as client:
        arrays = client.query_arrays("select * from *")
    assert np.array_equal(arrays["a"][0], np.repeat(frame["time"], 2))
    assert np.array_equal(arrays["b"][0], frame["time"])
