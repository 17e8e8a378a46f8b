"""Names that mean something elsewhere, by every way out of a database, and back into another."""

import asyncio
import csv
import io
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import siridb_fast
from siridb_fast import ColumnError, SiriDBClient, encode_insert
from siridb_fast.spool.store import Spool
from siridb_fast.testing import SiriDBCluster
from tests.commands import run_command
from tests.fix_server import Database
from tests.names.points import KINDS, NAMES, TIMES, Points, as_points, held, points_of

pytestmark = pytest.mark.one_loop

ALL = "select * from *"
Way = Callable[[Database], Awaitable[Points]]


def fill(database: Database, kind: str) -> Points:
    points = points_of(kind)
    database.server.api.insert(database.name, points)  # type: ignore[arg-type]
    assert held(database) == points
    return points


# ---- answers


async def query(database: Database) -> Points:
    async with database.client() as client:
        return dict(await client.query(ALL))


async def query_arrays(database: Database) -> Points:
    async with database.client() as client:
        return as_points(await client.query_arrays(ALL))


async def timed_arrays(database: Database) -> Points:
    async with database.client() as client:
        return as_points(await client.query_arrays(f"timeit {ALL}"))


async def blocking_arrays(database: Database) -> Points:
    def ask() -> Points:
        with siridb_fast.connect(database.url) as client:
            return as_points(client.query_arrays(ALL))

    return await asyncio.to_thread(ask)


async def paged_arrays(database: Database) -> Points:
    return await paged(database, ALL)


async def paged_timed_arrays(database: Database) -> Points:
    return await paged(database, f"timeit {ALL}")


async def paged(database: Database, text: str) -> Points:
    async with database.client() as client:
        await client.query("alter database set select_points_limit 10")
        return as_points(await client.query_arrays(text, all_points=True))


async def wide_frame(database: Database) -> Points:
    async with database.client() as client:
        frame = await client.query_frame(ALL)
    times = frame.index.as_unit("ns").asi8
    return as_points({name: (times, frame[name].to_numpy()) for name in frame.columns})


async def long_frame(database: Database) -> Points:
    async with database.client() as client:
        frame = await client.query_frame(ALL, form="long")
    times = frame["time"].array.as_unit("ns").asi8
    return by_name(frame["series"].tolist(), times.tolist(), frame["value"].tolist())


async def wide_table(database: Database) -> Points:
    async with database.client() as client:
        return of_wide_table(await client.query_arrow(ALL))


async def long_table(database: Database) -> Points:
    async with database.client() as client:
        return of_long_table(await client.query_arrow(ALL, form="long"))


def by_name(names: Any, times: Any, values: Any) -> Points:
    found: Points = {}
    for name, at, value in zip(names, times, values, strict=True):
        found.setdefault(name, []).append([at, value])
    return found


def of_wide_table(table: pa.Table) -> Points:
    times = table["time"].cast(pa.int64()).to_pylist()
    found = {}
    for field in list(table.schema)[1:]:
        name = field.metadata[b"series"].decode() if field.metadata else field.name
        pairs = zip(times, table[field.name].to_pylist(), strict=True)
        found[name] = [list(pair) for pair in pairs]
    return found


def of_long_table(table: pa.Table, time: str = "time") -> Points:
    times = table[time].cast(pa.int64()).to_pylist()
    return by_name(table["series"].to_pylist(), times, table["value"].to_pylist())


WAYS: list[Way] = [
    query, query_arrays, timed_arrays, blocking_arrays, paged_arrays, paged_timed_arrays,
    wide_frame, long_frame, wide_table, long_table,
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_every_name_is_read(database: Database, way: Way, kind: str) -> None:
    points = fill(database, kind)
    assert await way(database) == points


@pytest.mark.parametrize("kind", KINDS)
def test_every_name_is_printed(database: Database, kind: str) -> None:
    points = fill(database, kind)
    command = ["query", ALL, "--raw-times"]
    answer = json.loads(run_command(*command, "-f", "json", url=database.url).stdout)
    assert {
        name: [list(pair) for pair in zip(columns["times"], columns["values"], strict=True)]
        for name, columns in answer.items()
    } == points
    rows = csv.reader(io.StringIO(run_command(*command, "--long", url=database.url).stdout))
    typed = {"float": "value", "integer": "value_integer", "text": "value_text"}
    assert next(rows) == ["series", "time", typed[kind]]
    assert list(rows) == [
        [name, str(at), str(value)] for name in sorted(NAMES) for at, value in points[name]
    ]


async def test_timing_is_where_a_timed_query_has_it(database: Database) -> None:
    # A dict has one value for a key: of two entries of one name the later one, as it always was.
    points = fill(database, "integer")
    async with database.client() as client:
        answer = await client.query(f"timeit {ALL}")
        (timing,) = answer.pop("__timeit__")
        assert timing.keys() == {"server", "time"}
        assert answer == {name: points[name] for name in NAMES if name != "__timeit__"}
        assert await client.query(ALL) == points


async def test_name_of_the_timing_without_points_is_an_empty_series(database: Database) -> None:
    fill(database, "float")
    async with database.client() as client:
        for text in ("select * from '__timeit__' after now", "select * from '~' after now"):
            for timeit in ("", "timeit "):
                (found,) = as_points(await client.query_arrays(timeit + text)).values()
                assert found == []
        assert await client.query_arrays("timeit select * from 'none'") == {}


async def test_every_name_is_read_of_a_cluster_whose_servers_all_tell_their_time() -> None:
    points = points_of("text")
    with SiriDBCluster(pools=2) as cluster:
        cluster.create_database("names")
        async with SiriDBClient.from_url(cluster.url("names")) as client:
            await client.insert(points)
            for text in (ALL, f"timeit {ALL}"):
                for all_points in (False, True):
                    found = await client.query_arrays(text, all_points=all_points)
                    assert as_points(found) == points
            answer = await client.query(f"timeit {ALL}")
            assert len(answer["__timeit__"]) == 2


# ---- out and in again


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("file", "options", "how"),
    [
        ("a.csv", ["--long"], ["--time", "time", "--series", "{series}"]),
        ("a.parquet", ["--long"], ["--series", "{series}"]),
        ("a.parquet", ["--long", "--raw-times"], ["--time", "time", "--series", "{series}"]),
        ("a.parquet", [], []),
        ("a.parquet", ["--raw-times"], ["--time", "time"]),
    ],
)
def test_file_of_an_answer_is_loaded_to_the_same_points(
    make_database: Callable[..., Database],
    tmp_path: Path,
    file: str,
    options: list[str],
    how: list[str],
    kind: str,
) -> None:
    first, second = make_database(), make_database()
    points = fill(first, kind)
    run_command("query", ALL, "-o", tmp_path / file, *options, url=first.url)
    run_command("load", tmp_path / file, *how, url=second.url)
    assert held(second) == points


def test_wide_csv_tells_which_name_it_cannot_keep(
    make_database: Callable[..., Database], tmp_path: Path
) -> None:
    first, second = make_database(), make_database()
    points = fill(first, "float")
    done = run_command("query", ALL, "-o", tmp_path / "a.csv", url=first.url)
    assert "series 'time' is column 'time__'; --long and Parquet keep its name" in done.stderr
    run_command("load", tmp_path / "a.csv", "--time", "time", url=second.url)
    assert held(second) == {"time__" if n == "time" else n: points[n] for n in NAMES}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["wide", "long"])
@pytest.mark.parametrize("method", ["query_frame", "query_arrow"])
async def test_frame_of_an_answer_is_loaded_to_the_same_points(
    make_database: Callable[..., Database], method: str, form: Any, kind: str
) -> None:
    first, second = make_database(), make_database()
    points = fill(first, kind)
    series = "{series}" if form == "long" else None
    async with first.client() as source, second.client() as target:
        await target.load(await getattr(source, method)(ALL, form=form), series=series)
    assert held(second) == points


async def test_time_that_is_both_a_series_and_the_index_is_refused(database: Database) -> None:
    fill(database, "integer")
    async with database.client() as client:
        frame = await client.query_frame(ALL)
        with pytest.raises(ColumnError, match="'time' is both a column and the index"):
            await client.load(frame, time="time")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("file", ["a.csv", "a.parquet", "a.json"])
def test_export_of_a_spool_has_every_name(
    database: Database, tmp_path: Path, file: str, kind: str
) -> None:
    points = points_of(kind)
    with Spool(tmp_path / "spool", dbname=database.name, time_precision="ns") as spool:
        spool.put(encode_insert(points), len(NAMES) * len(TIMES))
    path = tmp_path / file
    run_command("spool", "export", tmp_path / "spool", "-o", path, "--raw-times")
    if file.endswith("json"):
        rows = [row.values() for row in json.loads(path.read_text())]
        assert by_name(*zip(*rows, strict=True)) == points
        return
    if file.endswith("parquet"):
        assert of_long_table(pq.read_table(path), "timestamp") == points
    run_command("load", path, "--time", "timestamp", "--series", "{series}", url=database.url)
    assert held(database) == points
    status = json.loads(run_command("spool", "status", tmp_path / "spool", "--json").stdout)
    assert (status["series"], status["points"]) == (len(NAMES), len(NAMES) * len(TIMES))
