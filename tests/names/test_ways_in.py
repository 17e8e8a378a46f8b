"""Names that mean something elsewhere, by every way into a database: all points arrive, once."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import siridb_fast
from siridb_fast import BatchWriter, encode_insert, packb
from siridb_fast.query.select import quote
from siridb_fast.spool.store import Spool
from siridb_fast.testing import FaultProxy
from tests.commands import run_command
from tests.fix_journal import Recorder
from tests.fix_server import Database
from tests.loading.load_runs import forget_delivered, write_table
from tests.names.points import KINDS, NAMES, Points, arrays_of, held, points_of

pytestmark = [pytest.mark.one_loop, pytest.mark.usefixtures("fast_retry")]

Way = Callable[[Database, Points, Path], Awaitable[None]]


def halves(points: Points) -> tuple[Points, Points]:
    """Return every other series, and the points of the others but their first."""
    return (
        {name: points[name] for name in NAMES[::2]},
        {name: points[name][1:] for name in NAMES[1::2]},
    )


# ---- inserts


async def lists(database: Database, points: Points, _: Path) -> None:
    async with database.client() as client:
        await client.insert(points)


async def named_lists(database: Database, points: Points, _: Path) -> None:
    async with database.client() as client:
        await client.insert([{"name": name, "points": points[name]} for name in points])


async def arrays(database: Database, points: Points, _: Path) -> None:
    async with database.client() as client:
        await client.insert(arrays_of(points))


async def packed(database: Database, points: Points, _: Path) -> None:
    async with database.client() as client:
        await client.insert_packed(encode_insert(points))


async def packed_arrays(database: Database, points: Points, _: Path) -> None:
    async with database.client() as client:
        await client.insert_packed(encode_insert(arrays_of(points)))


async def blocking(database: Database, points: Points, _: Path) -> None:
    def insert() -> None:
        with siridb_fast.connect(database.url) as client:
            client.insert(points)

    await asyncio.to_thread(insert)


# ---- writers


async def write(database: Database, points: Points, _: Path) -> None:
    async with BatchWriter(database.url) as writer:
        for name, pairs in points.items():
            for at, value in pairs:
                writer.write(name, at, value)


async def series(database: Database, points: Points, _: Path) -> None:
    async with BatchWriter(database.url) as writer:
        for name, pairs in points.items():
            handle = writer.series(name)
            for at, value in pairs:
                handle.append(at, value)


async def write_tick(database: Database, points: Points, _: Path) -> None:
    async with BatchWriter(database.url) as writer:
        for row in zip(*points.values(), strict=True):
            writer.write_tick(
                row[0][0], {n: value for n, (_, value) in zip(points, row, strict=True)}
            )


async def ticker(database: Database, points: Points, _: Path) -> None:
    async with BatchWriter(database.url) as writer:
        every = writer.ticker(points)
        for row in zip(*points.values(), strict=True):
            every.write(row[0][0], [value for _, value in row])


async def write_block(database: Database, points: Points, _: Path) -> None:
    columns = list(arrays_of(points).values())
    async with BatchWriter(database.url) as writer:
        values = np.column_stack([values for _, values in columns])
        writer.ticker(points).write_block(columns[0][0], values)


async def write_arrays(database: Database, points: Points, _: Path) -> None:
    async with BatchWriter(database.url) as writer:
        for name, pair in arrays_of(points).items():
            await writer.write_arrays(name, *pair)


async def write_many(database: Database, points: Points, _: Path) -> None:
    async with BatchWriter(database.url) as writer:
        await writer.write_many(arrays_of(points))


async def write_rows(database: Database, points: Points, _: Path) -> None:
    times, values = zip(*arrays_of(points).values(), strict=True)
    codes = np.repeat(np.arange(len(points)), [len(part) for part in times])
    async with BatchWriter(database.url) as writer:
        await writer.write_rows(list(points), codes, np.concatenate(times), np.concatenate(values))


# ---- journals and spools


async def recovered(database: Database, points: Points, path: Path) -> None:
    recorder = Recorder(path / "journal", database=database.name, time_precision="ns")
    for name, pairs in points.items():
        times, values = zip(*pairs, strict=True)
        given = [one.encode() if isinstance(one, str) else one for one in values]
        recorder.write(name, times, given)
    recorder.sync()
    recorder.stop()
    async with BatchWriter(database.url, journal=path / "journal"):
        pass


async def replayed(database: Database, points: Points, path: Path) -> None:
    put(database, path, points, is_sent=False)
    async with BatchWriter(database.url, spool=path / "spool"):
        pass


async def replayed_in_doubt(database: Database, points: Points, path: Path) -> None:
    for some in halves(points):
        database.server.api.insert(database.name, some)  # type: ignore[arg-type]
    put(database, path, points, is_sent=True)
    async with BatchWriter(database.url, spool=path / "spool"):
        pass


async def replayed_by_command(database: Database, points: Points, path: Path) -> None:
    put(database, path, points, is_sent=False)
    await asyncio.to_thread(run_command, "spool", "replay", path / "spool", url=database.url)


def put(database: Database, path: Path, points: Points, *, is_sent: bool) -> None:
    with Spool(path / "spool", dbname=database.name, time_precision="ns") as spool:
        spool.put(packb(points), sum(map(len, points.values())), is_sent=is_sent)


# ---- loads


async def load(database: Database, data: Any, **options: Any) -> None:
    async with database.client() as client:
        await client.load(data, **options)


async def load_dict(database: Database, points: Points, _: Path) -> None:
    await load(database, arrays_of(points))


async def load_stream(database: Database, points: Points, _: Path) -> None:
    await load(database, ((name, *pair) for name, pair in arrays_of(points).items()))


async def load_wide_pandas(database: Database, points: Points, _: Path) -> None:
    columns = wide(points)
    index = pd.DatetimeIndex(columns.pop("at"), name="time")
    await load(database, pd.DataFrame(columns, index=index))


async def load_long_pandas(database: Database, points: Points, _: Path) -> None:
    frame = pd.DataFrame(long(points)).astype({"series": "category"})
    await load(database, frame, time="time", series="{series}")


async def load_wide_polars(database: Database, points: Points, _: Path) -> None:
    await load(database, pl.DataFrame(wide(points)), time="at")


async def load_long_arrow(database: Database, points: Points, _: Path) -> None:
    await load(database, pa.table(long(points)), time="time", series="{series}", values="value")


async def load_structured(database: Database, points: Points, _: Path) -> None:
    columns = wide(points)
    if columns["~"].dtype == object:
        columns = {n: c if n == "at" else c.astype("U8") for n, c in columns.items()}
    rows = np.empty(len(columns["at"]), [(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        rows[name] = column
    await load(database, rows, time="at")


async def load_wide_csv(database: Database, points: Points, path: Path) -> None:
    await load_file(database, path / "data.csv", wide(points), "--time", "at")


async def load_long_csv(database: Database, points: Points, path: Path) -> None:
    await load_file(database, path / "data.csv", long(points), *LONG)


async def load_wide_parquet(database: Database, points: Points, path: Path) -> None:
    await load_file(database, path / "data.parquet", wide(points), "--time", "at")


async def load_long_feather(database: Database, points: Points, path: Path) -> None:
    await load_file(database, path / "data.feather", long(points), *LONG)


async def load_wide_resumed(database: Database, points: Points, path: Path) -> None:
    await resumed(database, path / "data.parquet", wide(points), "--time", "at")


async def load_long_resumed(database: Database, points: Points, path: Path) -> None:
    await resumed(database, path / "data.parquet", long(points), *LONG)


LONG = ["--time", "time", "--series", "{series}"]


async def resumed(database: Database, path: Path, columns: dict[str, Any], *options: str) -> None:
    """Load a file whose rows may all be stored, while half of the series are."""
    await load_file(database, path, columns, *options)
    dropped = ",".join(map(quote, NAMES[1::2]))  # "__timeit__" stays
    database.server.api.query(database.name, f"drop series {dropped} set ignore_threshold true")
    forget_delivered(path)
    await asyncio.to_thread(run_command, "load", path, *options, "--resume", url=database.url)


async def load_file(
    database: Database, path: Path, columns: dict[str, Any], *options: str
) -> None:
    write_table(path, columns)
    await asyncio.to_thread(run_command, "load", path, *options, url=database.url)


def wide(points: Points) -> dict[str, Any]:
    columns = arrays_of(points)
    return {"at": columns[NAMES[0]][0], **{name: values for name, (_, values) in columns.items()}}


def long(points: Points) -> dict[str, Any]:
    rows = [(name, at, value) for name, pairs in points.items() for at, value in pairs]
    names, times, values = zip(*rows, strict=True)
    return {"series": list(names), "time": list(times), "value": list(values)}


WAYS: list[Way] = [
    lists, named_lists, arrays, packed, packed_arrays, blocking,
    write, series, write_tick, ticker, write_block, write_arrays, write_many, write_rows,
    recovered, replayed, replayed_in_doubt, replayed_by_command,
    load_dict, load_stream, load_wide_pandas, load_long_pandas, load_wide_polars, load_long_arrow,
    load_structured, load_wide_csv, load_long_csv, load_wide_parquet, load_long_feather,
    load_wide_resumed, load_long_resumed,
]  # fmt: skip


@pytest.mark.parametrize(
    ("way", "kind"),
    [(way, kind) for way in WAYS for kind in KINDS if (way, kind) != (write_block, "text")],
    ids=lambda value: getattr(value, "__name__", value),
)
async def test_every_name_is_stored_once(
    database: Database, tmp_path: Path, way: Way, kind: str
) -> None:
    points = points_of(kind)
    await way(database, points, tmp_path)
    assert held(database) == points


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("direction", ["requests", "answers"])
async def test_package_that_is_cut_is_looked_up_by_every_name(
    database: Database, direction: Any, kind: str
) -> None:
    # Of the way in nothing is stored then, of the way back all is; the first points are there.
    points = points_of(kind)
    with FaultProxy(database.server.host, database.server.port) as proxy:
        url = database.url.replace(str(database.server.port), str(proxy.port))
        async with BatchWriter(url, on_doubt="verify", connections=1) as writer:
            for name, pairs in points.items():
                writer.write(name, *pairs[0])
            assert (await writer.flush()).points == len(points)
            proxy.cut(after=500 if direction == "requests" else 1, direction=direction)
            for name, pairs in points.items():
                for pair in pairs[1:]:
                    writer.write(name, *pair)
            report = await writer.flush()
            assert (report.points, report.is_complete) == (2 * len(points), True)
        assert writer.stats().retries == (1 if direction == "requests" else 0)
    assert held(database) == points
