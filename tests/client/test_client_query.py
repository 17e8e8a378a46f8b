"""`query` and `query_arrays` on a real server: every kind of answer, and what is refused."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from siridb_fast import (
    MICROSECOND,
    MILLISECOND,
    NANOSECOND,
    SECOND,
    ConnectionLost,
    QueryError,
    RequestTimeout,
    SelectLimitError,
    SiriDBClient,
    SiriDBError,
    UnpackError,
)
from siridb_fast.testing import ScriptedPeer, ScriptedServer
from tests.fix_scripted import AUTH, INSERT, PING, HeldPackages, respond, scripted_client
from tests.fix_server import Database

POINTS: dict[str, list[list[Any]]] = {
    "f": [[1, 0.5], [2, 1.0], [3, -1.0], [4, 0.0]],
    "i": [[1, 1], [2, -(2**63)], [3, 2**63 - 1]],
    "t": [[1, "a"], [2, ""], [3, "é"]],
}
ANSWERS: dict[str, object] = {
    'select * from "f"': {"f": POINTS["f"]},
    "select * from *": POINTS,
    'select * from "f","i"': {"f": POINTS["f"], "i": POINTS["i"]},
    'select * from "f" between 2 and 4': {"f": POINTS["f"][1:3]},
    'select count() from "f"': {"f": [[4, 4]]},
    'select count() from "f","t"': {"f": [[4, 4]], "t": [[3, 3]]},
    'select mean() from "f"': {"f": [[4, 0.125]]},
    'select max(2) from "f"': {"f": [[2, 1.0], [4, 0.0]]},
    'select min() prefix "lo-", max() prefix "hi-" from "f"': {
        "lo-f": [[4, -1.0]], "hi-f": [[4, 1.0]],
    },
    'select * from "f","f" merge as "m"': {"m": POINTS["f"]},
    'select * from "none"': {},
    'select * from "f" after 100': {"f": []},
    "select * from /none.*/": {},
    "list series name, type, length": {
        "columns": ["name", "type", "length"],
        "series": [["f", "float", 4], ["i", "integer", 3], ["t", "string", 3]],
    },
    "list series name /none.*/": {"columns": ["name"], "series": []},
    "count series": {"series": 3},
    "count series length": {"series_length": 10},
    "show time_precision": {"data": [{"name": "time_precision", "value": "ns"}]},
}  # fmt: skip
BAD_QUERIES: list[Any] = ["select", "select * from", 'select * from "f"; drop', "é" * 100, b"\xff"]


@asynccontextmanager
async def filled(database: Database, **options: object) -> AsyncIterator[SiriDBClient]:
    async with database.client(**options) as client:
        await client.insert(POINTS)
        yield client


async def test_answers_are_dicts_and_lists(database: Database) -> None:
    async with filled(database) as client:
        for query, wanted in ANSWERS.items():
            found = await client.query(query)
            assert type(found) is dict
            if query.startswith("list"):
                found["series"].sort()
            assert found == wanted, query
            assert await client.query(query.encode()) == await client.query(query), query


async def test_selected_points_are_arrays(database: Database) -> None:
    dtypes = {"f": np.dtype("f8"), "i": np.dtype("i8"), "t": np.dtype("O")}
    async with filled(database) as client:
        found = await client.query_arrays(b"select * from *")
        assert found.keys() == POINTS.keys()
        for name, (times, values) in found.items():
            assert (times.dtype, values.dtype) == (np.dtype("i8"), dtypes[name])
            assert (times.ndim, values.shape) == (1, times.shape)
            assert [list(point) for point in zip(times, values, strict=True)] == POINTS[name]
        counted = await client.query_arrays('select count() from "f","t"')
        assert {name: values.tolist() for name, (_, values) in counted.items()} == {
            "f": [4], "t": [3],
        }  # fmt: skip
        assert await client.query_arrays('select * from "none"') == {}
        times, values = (await client.query_arrays('select * from "f" after 100'))["f"]
        assert (len(times), len(values)) == (0, 0)


@pytest.mark.parametrize(
    "query",
    [
        "list series name",
        "count series",
        "show time_precision",
        "alter database set list_limit 5000",
    ],
)
async def test_answer_without_points_is_no_arrays(database: Database, query: str) -> None:
    async with filled(database) as client:
        with pytest.raises(UnpackError):
            await client.query_arrays(query)
        assert client.connected


async def test_timed_query_tells_the_time(database: Database) -> None:
    async with filled(database) as client:
        answer = await client.query('timeit select * from "f"')
        (timing,) = answer.pop("__timeit__")
        assert answer == {"f": POINTS["f"]}
        assert timing["time"] > 0
        arrays = await client.query_arrays('timeit select * from "f"')
        assert {name: values.tolist() for name, (_, values) in arrays.items()} == {
            "f": [0.5, 1.0, -1.0, 0.0]
        }


@pytest.mark.parametrize("precision", [SECOND, MILLISECOND, MICROSECOND, NANOSECOND])
async def test_arrays_are_converted_exactly(
    make_database: Callable[..., Database], precision: int
) -> None:
    # The server itself would multiply by a float: 1600000000 s would come back as 1599999954.
    for own, unit in enumerate(("s", "ms", "us", "ns")):
        times = np.array([0, 1, 1_600_000_000, 2**32 - 1]) * 1000**own + (999 if own else 0)
        async with make_database(time_precision=unit).client() as client:
            await client.insert({"a": (times, np.arange(4))})
            found = (await client.query_arrays("select * from *", precision))["a"][0]
            wanted = [int(t) * 1000**precision // 1000**own for t in times]
            assert found.tolist() == wanted, unit
            assert (await client.query_arrays("select * from *"))["a"][
                0
            ].tolist() == times.tolist()


async def test_timestamp_over_64_bits_after_the_conversion_is_an_error(
    make_database: Callable[..., Database],
) -> None:
    async with make_database(time_precision="ms").client() as client:
        await client.insert({"a": [[1_600_000_000 * 10**9, 1]]})  # the server checks no unit
        with pytest.raises(ValueError, match="'a'"):
            await client.query_arrays("select * from *", NANOSECOND)
        assert (await client.query_arrays("select * from *", SECOND))["a"][0] == [
            1_600_000 * 10**9
        ]


async def test_time_precision_of_query_is_converted_by_the_server(
    make_database: Callable[..., Database],
) -> None:
    async with make_database(time_precision="s").client() as client:
        await client.insert({"a": [[2, 1]]})
        for precision, wanted in enumerate((2, 2000, 2 * 10**6, 2 * 10**9)):
            assert await client.query("select * from *", precision) == {"a": [[wanted, 1]]}


@pytest.mark.parametrize("precision", [-1, 4, 7, "ms", b"s", 1.5, [], {}])
async def test_unknown_time_precision_is_refused(database: Database, precision: Any) -> None:
    async with filled(database) as client:
        for query in (client.query, client.query_arrays):
            with pytest.raises(TypeError, match="time_precision"):
                await query('select * from "f"', precision)


@pytest.mark.parametrize("query", [None, 5, ["show"], bytearray(b"show"), ("show", 0)])
async def test_query_that_is_no_text_is_refused(database: Database, query: Any) -> None:
    async with database.client() as client:
        for ask in (client.query, client.query_arrays):
            with pytest.raises(TypeError, match="query"):
                await ask(query)


async def test_bad_query_is_refused_by_the_server(database: Database) -> None:
    async with database.client() as client:
        for query in BAD_QUERIES:
            for ask in (client.query, client.query_arrays):
                with pytest.raises(QueryError):
                    await ask(query)
        assert client.connected


async def test_too_long_query_is_refused(database: Database) -> None:
    async with database.client() as client:
        await client.insert({"a": [[1, 1]]})
        head = 'select * from "a"'
        for length, is_long in ((65_528, False), (65_536, True), (10**6, True)):
            query = head + " " * (length - len(head))
            if is_long:
                with pytest.raises(QueryError, match="too long"):
                    await client.query(query)
            else:
                assert await client.query(query) == {"a": [[1, 1]]}


async def test_select_over_the_limit_is_an_error_of_its_own(database: Database) -> None:
    async with database.client() as client:
        await client.insert({f"s{i}": (np.arange(9), np.arange(9)) for i in range(3)})
        await client.query("alter database set select_points_limit 10")
        for ask in (client.query, client.query_arrays):
            with pytest.raises(SelectLimitError, match="10") as caught:
                await ask("select * from *")
            assert isinstance(caught.value, QueryError)
        await client.query("alter database set select_points_limit 27")
        assert len(await client.query("select * from *")) == 3


@pytest.mark.parametrize("points", [1_000, 6_898, 6_899, 10_000, 300_000])
async def test_large_answers_arrive_whole(database: Database, points: int) -> None:
    times, values = np.arange(points) + 2**40, np.random.default_rng(1).random(points)
    async with database.client() as client:
        await client.insert({"a": (times, values), "b": [[1, "x" * 200_000], [2, ""]]})
        answer = await client.query("select * from *")
        assert answer["a"] == [list(point) for point in zip(times, values, strict=True)]
        assert answer["b"] == [[1, "x" * 200_000], [2, ""]]
        arrays = await client.query_arrays("select * from *")
        assert (arrays["a"][0] == times).all()
        assert (arrays["a"][1] == values).all()


async def test_answer_over_max_answer_says_so(database: Database) -> None:
    async with database.client(max_answer=65_536) as client:
        await client.insert({"a": (np.arange(10_000) + 2**40, np.arange(10_000) / 7)})
        assert len((await client.query('select * from "a" before 1099511630776'))["a"]) == 3000
        with pytest.raises(ConnectionLost, match=r"189,989 bytes is over the limit of 65,536"):
            await client.query("select * from *")
        assert not client.connected


async def test_answer_of_another_kind_is_an_error_of_ours() -> None:
    for kind, body in ((AUTH, b""), (PING, b""), (5, b"x"), (INSERT, b"\x05"), (INSERT, b"\xfd")):

        async def handler(peer: ScriptedPeer, kind: int = kind, body: bytes = body) -> None:
            await peer.accept_auth()
            while True:
                await peer.send((await peer.read_package()).pid, kind, body)

        async with ScriptedServer(handler) as server, scripted_client(server) as client:
            with pytest.raises(SiriDBError):
                await client.insert({"a": (np.arange(3), np.arange(3))}, 1)
            with pytest.raises(SiriDBError):
                await client.query_arrays("x", 0, timeout=1)


async def test_answer_that_nobody_asked_for_is_ignored() -> None:
    async def handler(peer: ScriptedPeer) -> None:
        await peer.accept_auth()
        package = await peer.read_package()
        await peer.send(package.pid ^ 0x8000, 70, b"")
        await respond(peer, package)
        await respond(peer, await peer.read_package())

    async with ScriptedServer(handler) as server, scripted_client(server) as client:
        assert await client.insert({"a": [[1, 1]]})
        assert await client.insert({"a": [[1, 1]]})


async def test_request_that_has_no_time_left_is_not_sent() -> None:
    held = HeldPackages()
    async with ScriptedServer(held) as server, scripted_client(server) as client:
        for timeout in (0, -1):
            with pytest.raises(RequestTimeout):
                await client.insert({"a": [[1, 1]]}, timeout)
            with pytest.raises(RequestTimeout):
                await client.query("show", timeout=timeout)
        with pytest.raises(TimeoutError):
            await held.take(timeout=0.02)
