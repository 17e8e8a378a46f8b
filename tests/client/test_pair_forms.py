"""Two elements under the name of a series mean one thing in every call: points, or columns.

`insert` takes both forms, `write_many` and `load` take columns only. What one of them takes for
points, the others do not take for columns. Shown by what a real server has stored.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from siridb_fast import ColumnError, SiriDBClient, encode_insert
from tests.fix_server import Database

T = 1_767_225_600 * 10**9
DATE = np.datetime64("2026-01-01", "s")
COLUMNS = [(T, 7), (T + 1, 8)]

Call = Callable[[SiriDBClient, str, Any], Awaitable[object]]


async def insert(client: SiriDBClient, name: str, given: Any) -> None:
    await client.insert({name: given})


async def insert_list(client: SiriDBClient, name: str, given: Any) -> None:
    await client.insert([{"name": name, "points": given}])


async def insert_among_arrays(client: SiriDBClient, name: str, given: Any) -> None:
    await client.insert({"other": (np.array([T]), np.array([1])), name: given})


async def insert_packed(client: SiriDBClient, name: str, given: Any) -> None:
    await client.insert_packed(encode_insert({name: given}, time_precision=3))


async def write_many(client: SiriDBClient, name: str, given: Any) -> None:
    async with client.writer() as writer:
        await writer.write_many({name: given})


async def load(client: SiriDBClient, name: str, given: Any) -> None:
    await client.load({name: given})


async def load_stream(client: SiriDBClient, name: str, given: Any) -> None:
    await client.load(iter([{name: given}]))


INSERTS: list[Call] = [insert, insert_list, insert_among_arrays, insert_packed]
COLUMN_CALLS: list[Call] = [write_many, load, load_stream]
UNCLEAR: list[Any] = [
    ([T, T + 1], [7, 8]),
    ((T, T + 1), (7, 8)),
    ((T, T + 1), [7, 8]),
    ([T, T + 1], (7, 8)),
    ([np.int64(T), T + 1], [7, 8]),
]
IN_COLUMNS: list[tuple[Any, list[tuple[int, Any]]]] = [
    ((np.array([T, T + 1]), np.array([7, 8])), COLUMNS),
    ([np.array([T, T + 1]), [7, 8]], COLUMNS),
    (([T, T + 1], np.array([7, 8])), COLUMNS),
    (([T, T + 1, T + 2], [7, 8, 9]), [*COLUMNS, (T + 2, 9)]),
    (([T], [7]), COLUMNS[:1]),
    (([T, T + 1, T + 2], [7.5, 8.5, 9.5]), [(T, 7.5), (T + 1, 8.5), (T + 2, 9.5)]),
    (([T, T + 1, T + 2], ["a", "b", "c"]), [(T, "a"), (T + 1, "b"), (T + 2, "c")]),
    (([DATE, DATE, DATE], [7, 8, 9]), [(T, 7), (T, 8), (T, 9)]),
]
IN_POINTS: list[tuple[Any, list[tuple[int, Any]]]] = [
    ([[T, 7], [T + 1, 8]], COLUMNS),
    ([(T, 7), (T + 1, 8)], COLUMNS),
    ([[T, 7.5], [T + 1, 8.5]], [(T, 7.5), (T + 1, 8.5)]),
    (((T, 7), (T + 1, 8), (T + 2, 9)), [*COLUMNS, (T + 2, 9)]),
    ([[T, 7]], COLUMNS[:1]),
]


async def stored(client: SiriDBClient, name: str) -> list[tuple[int, Any]]:
    answer = await client.query(f"select * from '{name}'")  # noqa: S608
    return [(time, value) for time, value in answer.get(name, [])]


async def results(
    client: SiriDBClient, calls: list[Call], number: int, given: Any
) -> dict[str, list[tuple[int, Any]] | type[Exception]]:
    """Return what each call has stored of a value, or its error."""
    found: dict[str, list[tuple[int, Any]] | type[Exception]] = {}
    for call in calls:
        name = f"{call.__name__} {number}"
        try:
            await call(client, name, given)
        except ColumnError:
            assert await stored(client, name) == [], (call, given)
            found[call.__name__] = ColumnError
        else:
            found[call.__name__] = await stored(client, name)
    return found


async def test_pair_that_can_be_read_both_ways_is_refused_by_insert(database: Database) -> None:
    async with database.client() as client:
        for number, given in enumerate(UNCLEAR):
            found = await results(client, INSERTS, number, given)
            assert found == {call.__name__: ColumnError for call in INSERTS}, given
            with pytest.raises(ColumnError, match=r"\[\[timestamp, value\], …\].*numpy\.array"):
                await client.insert({"a": given})
            found = await results(client, COLUMN_CALLS, number, given)
            assert found == {call.__name__: COLUMNS for call in COLUMN_CALLS}, given


async def test_columns_are_columns_in_every_call(database: Database) -> None:
    calls = [*INSERTS, *COLUMN_CALLS]
    async with database.client() as client:
        for number, (given, wanted) in enumerate(IN_COLUMNS):
            found = await results(client, calls, number, given)
            assert found == {call.__name__: wanted for call in calls}, given


async def test_points_are_never_taken_for_columns(database: Database) -> None:
    async with database.client() as client:
        for number, (given, wanted) in enumerate(IN_POINTS):
            found = await results(client, INSERTS, number, given)
            assert found == {call.__name__: wanted for call in INSERTS}, given
            found = await results(client, COLUMN_CALLS, number, given)
            assert found == {call.__name__: ColumnError for call in COLUMN_CALLS}, given
