"""`all_points`, `query_frame` and `query_arrow` on a real server."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from siridb_fast import (
    MILLISECOND,
    NANOSECOND,
    SECOND,
    QueryError,
    SelectLimitError,
    SiriDBClient,
    TableError,
    UserAuthError,
    connect,
)
from siridb_fast.query.paging import PointArrays
from tests.fix_server import Database
from tests.query.test_catalog import limited

ORDERS = [  # the select, and the names in their order
    ("select * from 'b', 'c', 'a'", ["b", "c", "a"]),
    ("select * from 'c' | 'a' | 'c'", ["c", "a"]),
    ("select * from 'b','a' after 0", ["b", "a"]),
    ("select * from /.*/", ["a", "b", "c"]),
    ("select * from 'c', /.*/", ["a", "b", "c"]),
    ("select max(1), min(1) suffix '-' from 'c', 'a'", ["c", "a", "a-", "c-"]),
]


@pytest.mark.parametrize(("query", "names"), ORDERS)
def test_columns_come_in_the_order_of_the_query(
    database: Database, query: str, names: list[str]
) -> None:
    with connect(database.url) as client:
        client.insert({name: [[1, 1.5], [2, 2.5]] for name in "abc"})
        assert list(client.query_frame(query)) == names
        assert client.query_arrow(query).column_names == ["time", *names]
        long = client.query_frame(query, form="long")["series"]
        assert list(long.unique()) == names


RNG = np.random.default_rng(4)
NAMES = ["plain", "two words", 'quo"te', "it's", "`grave`", "é日", "a/b", "# no comment", "Z"]
DATA: dict[str, Any] = {
    **{name: (np.arange(40) * 10 + i, RNG.random(40)) for i, name in enumerate(NAMES)},
    **{f"int {i:02}": (np.arange(i), RNG.integers(-(2**63), 2**63, i)) for i in range(1, 30)},
    "text": (np.arange(60) * 3, np.array([f"é{i}" * (i % 4) for i in range(60)])),
    "long": (np.sort(RNG.integers(0, 2**62, 500)), RNG.random(500)),
    "bursts": (np.repeat([5, 6, 2**40], [70, 3, 90]), np.arange(163)),
    "end": (np.array([0, *range(2**63 - 50, 2**63 - 1)]), np.arange(50) / 7),
}
QUERIES = [
    "select * from *",
    "select * from all # all of them; 'as they are",
    "timeit select * from *",
    "select*from'long'",
    """select * from "quo""te", 'it''s', 'two words', '`grave`', "# no comment", 'é日', 'a/b'""",
    "select * from /int.*/ | 'text' - 'int 07'",
    "select * from /INT.*/i, /a\\/b/",
    "select * from ('text' union /.*/) & ('long', 'none') where length > 100 / 2",
    "select * from * where type == float and (length == 40 or length > 400)",
    "select * from * where name < 'it' ",
    "select * from * after 30",
    "select * from * after (10 * 6) / 2",
    "select * from * between 5 and 6 + 2*100",
    "select * from 'long', 'bursts', 'end' between 6 and 4000000000000000000",
    "select * from * before 2199023255552",
    "select * from 'end' after 9223372036854775800",
    "select * from * after now - 1d",
    "select * from * after '1970-01-01'",
    "select * from * tail 2",
    "select * from * head 30",
    'select * prefix \'p-\' suffix "-""s" from *',
    "select *, count(100) prefix 'from * ' from /int.*/, 'bursts' where length > 3",
    "select mean(7) from * - 'text'",
    "select mean(7) => max(50) suffix '/x', min(20) prefix 'lo ' from * - 'text' before 500",
    "select filter(== /é[0-9]*/) from 'text'",
    "select filter(> 0) from /int.*/",
    "select difference() from 'bursts', 'long', 'Z'",
    "select count() from *",
    "select first() from 'none'",
    "select * from 'none'",
    "select * from 'long' before 0",
]


def same(found: PointArrays, wanted: PointArrays) -> None:
    assert list(found) == list(wanted)
    for name, (times, values) in wanted.items():
        assert found[name][0].dtype == times.dtype
        assert found[name][1].dtype == values.dtype
        np.testing.assert_array_equal(found[name][0], times, err_msg=name)
        np.testing.assert_array_equal(found[name][1], values, err_msg=name)


async def limit_points(client: SiriDBClient, limit: int) -> None:
    await client.query(f"alter database set select_points_limit {limit}")


def cut(times: Any, values: Any) -> tuple[Any, Any]:
    """Return some points of a series: both ends, and a burst if there is one."""
    picked = np.r_[:3, len(times) // 2 : len(times) // 2 + 3, -3:0] if len(times) > 9 else slice(9)
    return times[picked], values[picked]


@pytest.mark.one_loop
@pytest.mark.parametrize("limit", [1, 10, 100, 700])
async def test_paged_answer_is_that_of_a_server_without_a_limit(
    database: Database, limit: int
) -> None:
    data = {name: cut(*pair) for name, pair in DATA.items()} if limit == 1 else DATA
    async with database.client() as client:
        await client.insert(data)
        refused = 0
        for query in QUERIES:
            wanted = await client.query_arrays(query)
            await limit_points(client, limit)
            same(await client.query_arrays(query, all_points=True), wanted)
            if limit > 1:
                same(await client.query_arrays(query.encode(), all_points=True), wanted)
            try:
                await client.query_arrays(query)
            except SelectLimitError:
                refused += 1
            await limit_points(client, 1_000_000)
        assert refused > len(QUERIES) // 4


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
async def test_last_moment_of_every_precision_is_reached(
    make_database: Callable[..., Database], unit: str
) -> None:
    last = 2**32 - 1 if unit == "s" else 2**63 - 1
    times = np.concatenate([np.arange(30_000), np.full(5, last - 1), [last]])
    async with make_database(time_precision=unit).client() as client:
        await client.insert({"a": (times, np.arange(len(times)))})
        await limit_points(client, 7)
        found, values = (await client.query_arrays("select * from 'a'", all_points=True))["a"]
        assert (found == times).all()
        assert (values == np.arange(len(times))).all()


async def test_groups_and_tags_are_paged(database: Database) -> None:
    async with database.client() as client:
        await client.insert(DATA)
        await client.query("alter series /int.*/, 'text' tag `my tag`")
        wanted = await client.query_arrays("select * from `my tag` - 'int 03'")
        assert len(wanted) == 29
        await limit_points(client, 20)
        query = "select * from `my tag` - 'int 03'"
        same(await client.query_arrays(query, all_points=True), wanted)


async def test_more_series_than_the_limit_and_the_list_limit_are_found(database: Database) -> None:
    data = {f'{i % 7}."{i}"é': (np.arange(1 + i % 3), np.arange(1 + i % 3)) for i in range(5_000)}
    async with database.client() as client:
        await client.query("alter database set list_limit 1000")
        await client.insert(data)
        await limit_points(client, 900)
        found = await client.query_arrays("select * from * where length < 3", all_points=True)
        wanted = {name: pair for name, pair in data.items() if len(pair[0]) < 3}
        assert list(found) == sorted(wanted, key=str.encode)
        assert all((found[name][1] == wanted[name][1]).all() for name in wanted)


async def test_long_series_comes_in_parts(database: Database) -> None:
    times = 1_700_000_000 * 10**9 + np.arange(2_500_000) * 10**9
    values = RNG.random(len(times))
    async with database.client(max_answer=25_000_000) as client:  # 47 MB in one answer
        await client.insert({"long": (times, values), "other": (times[:9], values[:9])})
        found = await client.query_arrays("select * from *", all_points=True)
        same(found, {"long": (times, values), "other": (times[:9], values[:9])})


async def test_long_texts_come_in_groups_of_series(database: Database) -> None:
    texts = np.array([f"{i:05}" * 400 for i in range(1_000)], dtype=object)
    times = np.arange(len(texts))
    async with database.client(max_answer=45_000_000) as client:
        for i in range(30):  # 60 MB
            await client.insert({f"t{i:02}": (times, texts)})
        await limit_points(client, 29_000)
        found = await client.query_arrays("select * from *", all_points=True)
        same(found, {f"t{i:02}": (times, texts) for i in range(30)})


async def test_long_series_of_text_has_the_texts_of_its_times(database: Database) -> None:
    # Server 2.0.52 answers "between 0 and 2" with the texts of the last two points.
    times, texts = np.arange(30_000), np.array([str(i) for i in range(30_000)], dtype=object)
    async with database.client() as client:
        await client.insert({"t": (times, texts), "n": (times, times)})
        await limit_points(client, 100)
        found = await client.query_arrays("select * from *", all_points=True)
        same(found, {"n": (times, times), "t": (times, texts)})


async def test_points_that_arrive_meanwhile_tear_nothing(database: Database) -> None:
    times = np.arange(50_000) * 10
    async with database.client() as client, database.client() as writer:
        await client.insert({"a": (times, times), "b": (times[:9], times[:9])})
        await limit_points(client, 3_000)
        send = client._database._send

        async def meanwhile(*args: Any, **options: Any) -> Any:
            answer = await send(*args, **options)
            more = RNG.integers(0, 600_000, 50)
            await writer.insert({"a": (more, more), "b": (more, more)})
            return answer

        client._database._send = meanwhile
        found = await client.query_arrays("select * from *", all_points=True)
        for name, own in (("a", times), ("b", times[:9])):
            got, values = found[name]
            assert (got == values).all()
            assert (np.diff(got) >= 0).all()
            assert np.isin(own, got).all()
            await limit_points(client, 1_000_000)
            stored, counts = np.unique(
                (await writer.query_arrays("select * from *"))[name][0], return_counts=True
            )
            found_at = np.searchsorted(stored, got)
            assert (np.bincount(found_at, minlength=len(stored)) <= counts).all()


async def test_merge_over_the_limit_says_that_it_is_not_paged(database: Database) -> None:
    query = "select * from /int.*/ merge as 'm'"
    async with database.client() as client:
        await client.insert(DATA)
        wanted = await client.query_arrays(query)
        same(await client.query_arrays(query, all_points=True), wanted)
        await limit_points(client, 20)
        with pytest.raises(SelectLimitError, match=r"merge as 'm'.*cannot be paged"):
            await client.query_arrays(query, all_points=True)


@pytest.mark.parametrize(
    "query", ["select * from", "select * from 'a' afterr 1", "select 'a", "x"]
)
async def test_wrong_query_has_the_error_it_has_without_paging(
    database: Database, query: str
) -> None:
    async with database.client() as client:
        with pytest.raises(QueryError) as wanted:
            await client.query_arrays(query)
        with pytest.raises(QueryError) as found:
            await client.query_arrays(query, all_points=True)
        assert str(found.value) == str(wanted.value)


async def test_user_with_the_right_to_select_alone_may_page(database: Database) -> None:
    async with database.client() as client:
        await client.insert(DATA)
        wanted = await client.query_arrays("select * from *")
        await limit_points(client, 60)
    async with limited(database, "select") as client:
        same(await client.query_arrays("select * from *", all_points=True), wanted)
        for query in (client.query_frame, client.query_arrow):
            with pytest.raises(TableError, match="'show'"):
                await query("select * from 'long'")


async def test_right_to_list_is_needed_for_more_series_than_the_limit(database: Database) -> None:
    async with database.client() as client:
        await client.insert(DATA)
        await limit_points(client, 10)
    async with limited(database, "select") as client:
        with pytest.raises(UserAuthError, match="list"):
            await client.query_arrays("select * from *", all_points=True)


async def test_frames_have_times_in_the_unit_of_the_precision(
    make_database: Callable[..., Database],
) -> None:
    for precision, unit in enumerate(("s", "ms", "us", "ns")):
        async with make_database(time_precision=unit).client() as client:
            times = np.array([1_600_000_000, 1_600_000_001]) * 1000**precision
            await client.insert({"a": (times, times)})
            frame = await client.query_frame("select * from *")
            assert frame.index.dtype == f"datetime64[{unit}, UTC]"
            assert frame.index[0] == pd.Timestamp(1_600_000_000, unit="s", tz="UTC")
            assert frame["a"].tolist() == times.tolist()
            for wanted in (SECOND, MILLISECOND, NANOSECOND):
                table = await client.query_arrow("select * from *", wanted, form="long")
                kind = pa.timestamp(("s", "ms", "us", "ns")[wanted], "UTC")
                assert table.schema.field("time").type == kind
                assert table["time"].cast(pa.int64()).to_pylist()[0] == 1_600_000_000 * (
                    1000**wanted
                )


async def test_every_form_has_every_point(database: Database) -> None:
    data = {name: pair for name, pair in DATA.items() if name != "text"}
    total = sum(len(times) for times, _ in data.values())
    async with database.client() as client:
        await client.insert(DATA)
        wide = await client.query_frame("select * from *")
        assert list(wide) == sorted(DATA, key=str.encode)
        assert wide.notna().sum().sum() == total + 60
        for name, (times, values) in DATA.items():
            column = wide[name].dropna()
            assert column.tolist() == values.tolist()
            assert column.index.astype("int64").tolist() == times.tolist()
        table = await client.query_arrow("select * from *")
        assert table.column_names == ["time", *wide]
        assert table.num_rows == len(wide)
        assert table["int 29"].drop_null().to_pylist() == DATA["int 29"][1].tolist()
        await limit_points(client, 50)
        for query, names in (
            ("select * from /int.*/", 29),
            ("select * from 'text'", 1),
            ("select * from 'long', 'Z', 'end'", 3),
        ):
            long = await client.query_frame(query, form="long", all_points=True)
            assert long["series"].nunique() == names
            for name, rows in long.groupby("series", observed=True):
                assert rows["value"].tolist() == DATA[str(name)][1].tolist()
                assert rows["time"].astype("int64").tolist() == DATA[str(name)][0].tolist()
        long = await client.query_frame("select * from *", form="long", all_points=True)
        text = long[long["series"] == "text"]
        assert text["value_text"].tolist() == DATA["text"][1].tolist()
        assert text["value_float"].isna().all()


def test_blocking_clients_have_the_same(database: Database) -> None:
    server = database.server
    with (
        connect(database.url) as client,
        connect("iris", "siri", database.name, server.host, server.port) as connection,
    ):
        client.insert(DATA)
        query = "select * from /int.*/"
        wanted = client.query_arrays(query)
        client.query("alter database set select_points_limit 10")
        for one in (client, connection):
            with pytest.raises(SelectLimitError):
                one.query_arrays(query)
            same(one.query_arrays(query, all_points=True), wanted)
            assert one.query_frame(query, all_points=True).shape == (29, 29)
            table = one.query_arrow(query, SECOND, form="long", all_points=True)
            assert table.num_rows == sum(range(30))
            with pytest.raises(SelectLimitError):
                one.query_arrow(query)
            with pytest.raises(ValueError, match="'wide' or 'long'"):
                one.query_frame(query, form="tall")  # type: ignore[arg-type]
