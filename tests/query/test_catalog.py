"""The catalog: what the database says of itself, and what inserts make of the series' types."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from siridb_fast import ColumnError, InsertError, PoolError, SiriDBClient, UserAuthError
from siridb_fast.query.catalog import Catalog, quote
from tests.fix_server import Database

ONE = np.array([1])
VALUES: dict[str, Any] = {
    "integer": np.array([5]),
    "float": np.array([2.75]),
    "string": np.array(["42"]),
}
# What a value comes to in a series of another type; nothing where there is no way.
CASTS: dict[tuple[str, str], Any] = {
    ("integer", "float"): 5.0,
    ("integer", "string"): "5",
    ("float", "integer"): 2,
    ("float", "string"): "2.75",
    ("string", "integer"): 42,
    ("string", "float"): 42.0,
}
NO_CASTS: list[tuple[str, Any]] = [
    ("integer", np.array([np.nan])),
    ("integer", np.array([np.inf])),
    ("integer", np.array([2.0**63])),
    ("integer", np.array([-1e300])),
    ("integer", np.array(["2.5"])),
    ("integer", np.array([""])),
    ("float", np.array(["x"])),
    ("integer", np.array([str(2**63)])),
]


class RecordedQueries:
    """A database that records the queries it gets, and whose series are all of one type."""

    def __init__(self, error: type[Exception] | None = None) -> None:
        self.queries: list[str] = []
        self.error = error

    async def __call__(self, query: str, *_: Any, **__: Any) -> Any:
        self.queries.append(query)
        if self.error is not None:
            raise self.error("no")
        if query.startswith("show"):
            return {"data": [{"name": "time_precision", "value": "us"}]}
        names = query[query.index('"') : query.rindex('"') + 1].split(",")
        rows = [[name[1:-1].replace('""', '"'), "float"] for name in names]
        return {"columns": ["name", "type"], "series": rows}


@asynccontextmanager
async def limited(database: Database, *rights: str) -> AsyncIterator[SiriDBClient]:
    """Connect as a user who has only these rights."""
    run = database.server.api.query
    run(database.name, "create user 'limited' set password 'l-pw'")
    for right in rights:
        run(database.name, f"grant {right} to user 'limited'")
    host = (database.server.host, database.server.port)
    async with SiriDBClient("limited", "l-pw", database.name, [host]) as client:
        yield client


async def test_time_precision_is_asked_for_once() -> None:
    recorded = RecordedQueries()
    catalog = Catalog(recorded)
    assert [await catalog.time_precision(5) for _ in range(3)] == [2, 2, 2]
    assert recorded.queries == ["show time_precision"]


@pytest.mark.parametrize(("unit", "number"), [("s", 0), ("ms", 1), ("us", 2), ("ns", 3)])
async def test_every_time_precision_is_known(
    make_database: Callable[..., Database], unit: str, number: int
) -> None:
    async with make_database(time_precision=unit).client() as client:
        assert await client._database._catalog.time_precision(5) == number


async def test_types_are_asked_for_once_and_again_when_they_shall_be_fresh() -> None:
    recorded = RecordedQueries()
    catalog = Catalog(recorded)
    for names in (["a", "b"], ["b", "a"], ["a"]):
        assert await catalog.series_types(names, 5) == dict.fromkeys(names, "float")
    assert len(recorded.queries) == 1
    catalog.remember({"c": "integer"})
    assert await catalog.series_types(["c"], 5) == {"c": "integer"}
    assert len(recorded.queries) == 1
    assert await catalog.series_types(["c"], 5, is_fresh=True) == {"c": "float"}


@pytest.mark.parametrize("length", [1, 50, 1_000, 59_000])
async def test_questions_fit_what_the_server_takes(length: int) -> None:
    recorded = RecordedQueries()
    names = [
        f"{i:0{length}}" for i in range(5 if length > 1_000 else 10 if length == 1 else 2_500)
    ]
    assert len(await Catalog(recorded).series_types(names, 5)) == len(names)
    assert max(len(query) for query in recorded.queries) < 65_000
    assert max(query.count('","') for query in recorded.queries) < 1_000


async def test_without_the_right_to_ask_nothing_is_known_nor_asked_twice() -> None:
    recorded = RecordedQueries(UserAuthError)
    catalog = Catalog(recorded)
    for _ in range(2):
        assert await catalog.time_precision(5) is None
        assert await catalog.series_types(["a"], 5) == {}
    assert len(recorded.queries) == 2
    catalog.remember({"a": "string"})
    assert await catalog.series_types(["a", "b"], 5) == {"a": "string"}


async def test_other_errors_are_the_callers() -> None:
    catalog = Catalog(RecordedQueries(PoolError))
    with pytest.raises(PoolError):
        await catalog.time_precision(5)
    with pytest.raises(PoolError):
        await catalog.series_types(["a"], 5)


def test_names_are_quoted() -> None:
    assert [quote(name) for name in ("a", 'a"b', '"', "it's", "a\nb")] == [
        '"a"', '"a""b"', '""""', '"it\'s"', '"a\nb"',
    ]  # fmt: skip


async def test_types_of_12_000_series_are_found(database: Database) -> None:
    # An unlimited list gives 1000 rows, and a database may allow no more than 1000.
    names = [f'series {i} of it\'s "many"' for i in range(12_000)]
    async with database.client() as client:
        await client.query("alter database set list_limit 1000")
        await client.insert({name: [[1, 1.5 if i % 2 else 1]] for i, name in enumerate(names)})
        found = await client._database._catalog.series_types([*names, "none"], 5)
        assert found == {name: ("integer", "float")[i % 2] for i, name in enumerate(names)}
        await client.insert(dict.fromkeys(names[::2], (ONE, ONE)))
        with pytest.raises(ColumnError, match=r"11999 of.*of type float, .* of type integer"):
            await client.insert(dict.fromkeys((*names[::2], names[-1]), (ONE, ONE)))


@pytest.mark.parametrize(("given", "kind"), CASTS)
async def test_values_of_another_type_are_refused_or_cast(
    database: Database, given: str, kind: str
) -> None:
    async with database.client() as client:
        await client.insert({"a": (ONE, VALUES[kind])})
        for name in ("a", "fresh"):
            other = database.client()
            await other.connect()
            data = {name: (ONE, VALUES[given]), "good": (ONE, ONE)}
            text = rf"series 'a': .*of type {kind}, the values of type {given}"
            if name == "a":
                with pytest.raises(ColumnError, match=text):
                    await other.insert(data)
                assert "good" not in await client.query("select * from *")
            await other.insert(data, on_type="cast")
            other.close()
            await other.wait_closed()
        found = await client.query('select * from "a", "fresh"')
        assert found["a"][1] == [1, CASTS[given, kind]]
        assert found["fresh"] == [[1, VALUES[given].tolist()[0]]]
        assert type(found["a"][1][1]) is type(found["a"][0][1])


async def test_value_without_a_counterpart_is_refused(database: Database) -> None:
    async with database.client() as client:
        await client.insert({"integer": (ONE, ONE), "float": (ONE, ONE / 2)})
        for name, values in NO_CASTS:
            with pytest.raises(ColumnError, match=f"series '{name}'"):
                await client.insert({name: (ONE, values)}, on_type="cast")
        assert await client.query("count series length") == {"series_length": 2}


async def test_series_of_two_types_in_one_insert_is_refused(database: Database) -> None:
    points = [(ONE, ONE), (ONE, ONE / 2)]
    async with database.client() as client:
        with pytest.raises(ColumnError, match=r"'a'.*of type integer, the values of type float"):
            await client.insert([{"name": "a", "points": pair} for pair in points])
        assert await client.query("list series") == {"columns": ["name"], "series": []}


async def test_series_that_was_dropped_is_looked_up_anew(database: Database) -> None:
    async with database.client() as client, database.client() as other:
        for values in VALUES.values():
            await client.insert({"a": (ONE, values)})
            assert (await client.query_arrays('select * from "a"'))["a"][1].tolist() == values
            await other.query('drop series "a" set ignore_threshold true')


async def test_refused_insert_settles_nothing(database: Database) -> None:
    async with database.client() as client:
        with pytest.raises(InsertError):
            await client.insert({"a": (ONE, ONE), "bad": [[1, True]]})
        await client.insert({"a": (ONE, ONE / 2)})


async def test_user_who_may_only_insert_still_has_types_kept(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with limited(database, "insert") as client:
        empty = (ONE[:0], ONE[:0] / 2)
        gone = (ONE, np.array([np.nan]))
        await client.insert({"a": empty, "b": gone}, on_missing="drop")
        await client.insert({"a": (ONE, ONE), "b": (ONE, ONE)})
        for name in ("a", "b"):
            with pytest.raises(ColumnError, match="type integer, the values of type float"):
                await client.insert({name: (ONE, ONE / 2)})
        with pytest.raises(ColumnError, match="time_precision"):
            await client.insert({"c": (np.array([1], "M8[ns]"), ONE)})
        assert await client.insert({"c": (np.array([1], "M8[ns]"), ONE)}, time_precision=3)
    assert "precision is unknown" in caplog.text
    assert "types of existing series are unknown" in caplog.text
    assert "l-pw" not in caplog.text


async def test_user_who_may_not_insert_is_told_so(database: Database) -> None:
    async with limited(database, "select") as client:
        with pytest.raises(UserAuthError, match="insert"):
            await client.insert({"a": (ONE, ONE)})
