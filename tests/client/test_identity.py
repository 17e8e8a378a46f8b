"""A client whose database becomes another one behind it, or whose series are made anew."""

import asyncio

import numpy as np
import pytest

from siridb_fast import (
    NANOSECOND,
    ColumnError,
    ConfigError,
    DatabaseChangedError,
    PointsChangedError,
    SiriDBClient,
    SiriDBConn,
)
from siridb_fast.query import catalog
from tests.fix_changes import replace_server
from tests.fix_loop import eventually
from tests.fix_server import Database

FIRST = 1_600_000_000_000_000_000
TIMES = np.array([FIRST, FIRST + 1])
pytestmark = pytest.mark.usefixtures("fast_retry")


async def series_of(database: Database) -> int:
    async with database.client() as client:
        return int((await client.query("count series"))["series"])


async def replaced(client: SiriDBClient, database: Database, **options: object) -> None:
    await asyncio.to_thread(replace_server, database, **options)
    await eventually(lambda: client.connected, timeout=20)


async def test_arrays_never_go_to_a_database_of_another_precision(own_database: Database) -> None:
    async with own_database.client(max_wait_retry=1) as client:
        await client.insert({"a": (TIMES, [1.5, 2.5])})
        await replaced(client, own_database, time_precision="ms")
        for times in (TIMES, TIMES.astype("datetime64[ns]")):
            with pytest.raises(DatabaseChangedError, match="is ms, it was ns before"):
                await client.insert({"a": (times, [1.5, 2.5])})
        assert await series_of(own_database) == 0
        client.close()
        await client.connect()  # and so it is said that the new one is meant
        millis = TIMES.astype("datetime64[ns]").astype("datetime64[ms]")
        await client.insert({"a": (millis, [1.5, 2.5])})
        frame = await client.query_arrays("select * from 'a'", NANOSECOND)
        assert frame["a"][0].tolist() == [FIRST, FIRST]


async def test_precision_that_is_given_is_compared_each_time(own_database: Database) -> None:
    async with own_database.client(max_wait_retry=1) as client:
        await client.insert({"a": (TIMES, [1.5, 2.5])}, time_precision=NANOSECOND)
        await replaced(client, own_database, time_precision="us")
        with pytest.raises(ConfigError, match=r"time_precision= is ns, but .* is us"):
            await client.insert({"a": (TIMES, [1.5, 2.5])}, time_precision=NANOSECOND)
    assert await series_of(own_database) == 0


async def test_answers_are_converted_by_the_precision_of_the_database_that_gave_them(
    own_database: Database,
) -> None:
    async with own_database.client(max_wait_retry=1) as client:
        await client.insert({"a": [[FIRST, 1]]})
        select = "select * from 'a'"
        assert (await client.query_arrays(select, NANOSECOND))["a"][0].tolist() == [FIRST]
        await replaced(client, own_database, time_precision="s")
        await client.insert({"a": [[FIRST // 10**9, 1]]})
        assert (await client.query_arrays(select, NANOSECOND))["a"][0].tolist() == [FIRST]


async def test_connection_that_comes_back_sends_no_arrays_of_another_precision(
    own_database: Database,
) -> None:
    connection = SiriDBConn(
        "iris", "siri", own_database.name, own_database.server.host, own_database.server.port
    )
    await connection.connect()
    await connection.insert({"a": (TIMES, [1.5, 2.5])})
    await asyncio.to_thread(replace_server, own_database, time_precision="ms")
    await eventually(lambda: not connection.is_connected())
    with pytest.raises(DatabaseChangedError):
        await connection.insert({"a": (TIMES, [1.5, 2.5])})
    connection.close()
    assert await series_of(own_database) == 0


async def test_arrays_that_were_converted_before_a_new_connection_are_compared_again(
    own_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with own_database.client(max_wait_retry=1) as client:
        await client.insert({"a": (TIMES, [1.5, 2.5])})
        send = client._request
        is_replaced = False

        async def late(*arguments: object, **options: object) -> object:
            nonlocal is_replaced
            if options.get("require") is not None and not is_replaced:  # it is converted by now
                is_replaced = True
                await replaced(client, own_database, time_precision="ms")
            return await send(*arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(client._database._inserts, "_send", late)
        with pytest.raises(DatabaseChangedError):
            await client.insert({"a": (TIMES, [1.5, 2.5])})
    assert await series_of(own_database) == 0


# ---- types


async def remake_series(database: Database, name: str, value: object) -> None:
    async with database.client() as client:
        await client.query(f"drop series '{name}' set ignore_threshold true")
        await client.insert({name: [[FIRST, value]]})


async def test_type_of_a_series_is_not_remembered_for_ever(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with database.client() as client:
        await client.insert({"a": (TIMES, [1.5, 2.5])})
        await remake_series(database, "a", 7)
        monkeypatch.setattr(catalog, "TYPES_TRUSTED", 0.0)
        with pytest.raises(ColumnError, match="of type integer"):
            await client.insert({"a": (TIMES, [1.5, 2.5])})


async def test_type_of_a_series_is_asked_again_over_a_new_connection(
    own_database: Database,
) -> None:
    async with own_database.client(max_wait_retry=1) as client:
        await client.insert({"a": (TIMES, [1.5, 2.5])})
        await replaced(client, own_database)
        async with own_database.client() as other:
            await other.insert({"a": [[FIRST, 7]]})
        with pytest.raises(ColumnError, match="of type integer"):
            await client.insert({"a": (TIMES, [1.5, 2.5])})


async def test_type_is_forgotten_when_the_client_drops(database: Database) -> None:
    async with database.client() as client:
        await client.insert({"a": (TIMES, [1.5, 2.5])})
        await client.query("  drop series 'a' set ignore_threshold true")
        await client.insert({"a": (TIMES, [1, 2])})
        values = (await client.query_arrays("select * from 'a'"))["a"][1]
        assert values.dtype == np.int64


@pytest.mark.parametrize(("value", "is_exact"), [(20.5, False), (20, True)])
async def test_points_of_a_new_series_that_the_server_converted_are_an_error(
    database: Database, monkeypatch: pytest.MonkeyPatch, value: float, is_exact: bool
) -> None:
    async with database.client() as client, database.client() as other:
        send = client._request

        async def late(*arguments: object, **options: object) -> object:
            if options.get("require") is not None:  # another client is faster
                await other.insert({"a": [[FIRST, 0.5 if is_exact else 7]]})
            return await send(*arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(client._database._inserts, "_send", late)
        inserting = client.insert({"a": (TIMES, [value, value])})
        if is_exact:
            await inserting
            return
        with pytest.raises(PointsChangedError, match="made it one of type integer") as caught:
            await inserting
        assert (caught.value.series, caught.value.points_inserted) == ("a", 2)
        with pytest.raises(ColumnError):
            await client.insert({"a": (TIMES, [value, value])})
