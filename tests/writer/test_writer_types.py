"""BatchWriter and the types that series have in the database: asked for, obeyed, and in time."""

import asyncio
from typing import Any

import numpy as np
import pytest

from siridb_fast import BatchWriter, ColumnError, packb, unpackb
from siridb_fast.columns.casting import cast_values
from siridb_fast.testing import ScriptedServer
from siridb_fast.writer import series_types
from tests.delivery.held_inserts import fill, points_of, scripted_writer
from tests.fix_loop import eventually
from tests.fix_scripted import INSERT, QUERY, HeldPackages
from tests.fix_server import Database

FIRST = 1_600_000_000_000_000_000
MIB = 2**20
VALUES: dict[str, float | str] = {"integer": 7, "float": 7.5, "text": "7"}


@pytest.fixture
def typed(database: Database) -> Database:
    """Make a database with a series of each type."""
    for name, value in VALUES.items():
        database.server.api.insert(database.name, {name: [(FIRST, value)]})
    return database


async def stored(database: Database) -> dict[str, list[Any]]:
    async with database.client() as client:
        arrays = await client.query_arrays("select * from *")
    return {name: values.tolist() for name, (_, values) in arrays.items()}


# ---- a real database


@pytest.mark.parametrize("way", ["write", "tick", "array", "long array"])
async def test_whole_numbers_become_floats_in_a_float_series(typed: Database, way: str) -> None:
    async with BatchWriter(typed.url, package_bytes=1000) as writer:
        if way == "write":
            writer.write("float", FIRST, 3)
        elif way == "tick":
            writer.write_tick(FIRST, {"float": 3, "new": 3})
        else:
            n = 1 if way == "array" else 1000
            report = await (await writer.write_arrays("float", np.full(n, FIRST), np.full(n, 3)))
            assert report.points == n
    values = (await stored(typed))["float"]
    assert sorted(set(values)) == [3.0, 7.5]
    assert all(isinstance(value, float) for value in values)


@pytest.mark.parametrize("value", [2.75, "text", 2**60])
async def test_points_of_another_type_are_refused_and_all_others_delivered(
    typed: Database, value: object
) -> None:
    name = "float" if isinstance(value, int) else "integer"
    writer = BatchWriter(typed.url)
    await writer.open()
    delivery = await writer.write_arrays(name, [FIRST], np.array([value]))
    writer.write(name, FIRST, value)
    writer.write("new", FIRST, value)
    report = await writer.close()
    assert (report.points, report.rejected_points) == (1, 2)
    assert isinstance(report.rejected[0].error, ColumnError)
    assert (await delivery).rejected_points == 1
    found = await stored(typed)
    assert (found[name], found["new"]) == ([VALUES[name]], [value])


async def test_value_of_another_type_than_the_writer_knows_is_fitted_or_refused_at_once(
    database: Database,
) -> None:
    async with BatchWriter(database.url) as writer:
        writer.write("float", FIRST, 1.5)
        writer.write("float", FIRST + 1, 3)
        writer.write_tick(FIRST + 2, {"float": 4})
        writer.series("float").append(FIRST + 3, np.int8(5))
        for value in ("text", 2**60 + 1):
            with pytest.raises(ColumnError, match="series 'float'"):
                writer.write("float", FIRST, value)
    async with BatchWriter(database.url, on_type="cast") as writer:
        writer.write("integer", FIRST, 1)
        writer.write("integer", FIRST + 1, 2.75)
        writer.write("integer", FIRST + 2, "3")
    assert await stored(database) == {"float": [1.5, 3.0, 4.0, 5.0], "integer": [1, 2, 3]}


async def test_long_array_of_another_type_is_refused_at_the_call(typed: Database) -> None:
    async with BatchWriter(typed.url, package_bytes=1000) as writer:
        with pytest.raises(ColumnError, match=r"series 'integer'.*float"):
            await writer.write_arrays("integer", np.arange(1000), np.full(1000, 2.5))
        assert writer.stats().written == 0


async def test_points_of_another_type_are_cast_on_request(typed: Database) -> None:
    async with BatchWriter(typed.url, on_type="cast") as writer:
        writer.write("integer", FIRST, 2.75)
        writer.write("float", FIRST, "2.75")
        writer.write("text", FIRST, 2.75)
    found = await stored(typed)
    assert found == {"integer": [7, 2], "float": [7.5, 2.75], "text": ["7", "2.75"]}


async def test_without_the_right_to_list_points_go_as_they_are(typed: Database) -> None:
    typed.server.api.query(typed.name, "create user 'limited' set password 'l-pw'")
    typed.server.api.query(typed.name, "grant insert to user 'limited'")
    url = typed.server.url(typed.name, username="limited", password="l-pw")
    async with BatchWriter(url) as writer:
        for i in range(100):
            writer.write("new", FIRST + i, 1.5)
            writer.write("float", FIRST + i, 3.5)
    assert len((await stored(typed))["float"]) == 101


async def test_any_name_can_be_asked_for(typed: Database) -> None:
    names = [
        "'",
        '"',
        "`",
        "\\",
        '\\"',
        "a\nb",
        "\t",
        " ",
        "ü€😀",
        "%s",
        "a,b",
        "--",
        "x" * 65_000,
    ]
    async with BatchWriter(typed.url) as writer:
        for name in names:
            writer.write(name, FIRST, 1.5)
        report = await writer.flush(timeout=5)
        assert report.points == len(names)


async def test_series_that_failed_may_be_written_from_the_callback(
    typed: Database, caplog: pytest.LogCaptureFixture
) -> None:
    def again(failure: Any) -> None:
        writer.write("failed", FIRST, failure.points)
        writer.write("integer", FIRST, 1)
        writer.write("integer", FIRST, 2.5)  # as wrong as before: refused at once now

    writer = BatchWriter(typed.url, on_error=again)
    await writer.open()
    writer.write("integer", FIRST, 2.75)
    await writer.flush(timeout=5)
    report = await writer.close(timeout=5)
    assert report.is_complete
    assert "on_type='cast'" in caplog.text
    found = await stored(typed)
    assert (found["integer"], found["failed"]) == ([7, 1], [1])


async def test_point_that_another_thread_writes_during_a_cast_is_cast_as_well(
    typed: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = [101, 102]

    def interrupted(*arguments: Any) -> Any:
        if late:  # what another thread could do here
            writer.write("text", FIRST + 10, late.pop())
        return cast_values(*arguments)

    monkeypatch.setattr(series_types, "cast_values", interrupted)
    writer = BatchWriter(typed.url, on_type="cast")
    async with writer:
        writer.write("text", FIRST, 100)
        assert (await writer.flush(timeout=5)).points == 3
    assert (await stored(typed))["text"] == ["7", "100", "102", "101"]


# ---- a scripted one


async def answer_types(held: HeldPackages, types: dict[str, str]) -> None:
    """Answer all that comes until the types are asked for, then that."""
    peer, package = await held.take()
    assert package.type == QUERY
    assert unpackb(package.payload, "utf-8")[0].startswith("list series name, type")
    answer = {"columns": ["name", "type"], "series": [list(item) for item in types.items()]}
    await peer.send(package.pid, QUERY, packb(answer))


async def test_nothing_of_a_series_leaves_before_its_type_is_known() -> None:
    held = HeldPackages()
    async with ScriptedServer(held) as server, scripted_writer(server, linger=0) as writer:
        for i in range(3000):
            writer.write("a", FIRST + i, i)
        await eventually(lambda: held.packages.qsize() == 1)
        assert writer.stats().buffered == 3000
        await answer_types(held, {"a": "float"})
        insert = points_of(await held.answer())
        assert insert == {"a": [[FIRST + i, float(i)] for i in range(3000)]}


@pytest.mark.parametrize(("value", "is_fine"), [(3, True), (2**60 + 1, False)])
async def test_type_that_is_told_while_an_array_waits_for_room_is_obeyed(
    value: int, is_fine: bool
) -> None:
    held = HeldPackages()
    inserted: list[Any] = []

    async def answer_all() -> None:
        while True:
            package = await held.answer(timeout=30)
            if package.type == INSERT:
                inserted.extend(points_of(package).get("b", []))

    async with ScriptedServer(held) as server:
        writer = scripted_writer(server, max_buffered=MIB, package_bytes=200_000)
        await writer.open()
        writer.write("a", 0, 1.5)
        await answer_types(held, {})
        fill(writer)
        await eventually(lambda: writer.stats().packages_in_flight == 1)
        fill(writer)
        writing = asyncio.ensure_future(writer.write_arrays("b", [FIRST], [value]))
        waiting = asyncio.ensure_future(asyncio.to_thread(writer.write, "a", 0, 1.5))
        sent = await held.take()
        await answer_types(held, {"b": "float"})
        held.packages.put_nowait(sent)
        answering = asyncio.ensure_future(answer_all())
        delivery = await writing
        await waiting
        report = await writer.close()
        answering.cancel()
    assert (await delivery).points == report.points - writer.stats().written + 1 == is_fine
    assert report.rejected_points == (not is_fine)
    assert inserted == ([[FIRST, 3.0]] if is_fine else [])
    assert all(isinstance(number, float) for _, number in inserted)
