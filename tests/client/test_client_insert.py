"""`insert` on a real server: the reference's lists, arrays, both mixed, and what is refused."""

from typing import Any

import numpy as np
import pytest
import siridb.connector as reference

from siridb_fast import (
    SECOND,
    ColumnError,
    ConfigError,
    PackingOverflowError,
    SiriDBClient,
    SiriDBError,
    encode_insert,
    packb,
)
from tests.fix_server import Database

Array = np.ndarray[Any, np.dtype[Any]]

TIMES = np.array([1_600_000_000, 1_600_000_001, 1_600_000_002])
VALUES: dict[str, Array] = {
    **{f"i{n}": np.array([-(2 ** (8 * n - 1)), 0, 2 ** (8 * n - 1) - 1], f"i{n}") for n in (1, 2)},
    **{f"i{n}": np.array([-(2 ** (8 * n - 1)), 7, 2 ** (8 * n - 1) - 1], f">i{n}") for n in (4,)},
    "i8": np.array([-(2**63), 5, 2**63 - 1]),
    "u1": np.array([0, 1, 255], "u1"),
    "u2": np.array([0, 1, 65535], ">u2"),
    "u4": np.array([0, 1, 2**32 - 1], "u4"),
    "u8": np.array([0, 1, 2**63 - 1], "u8"),
    "f2": np.array([0.5, -2.25, 65504.0], "f2"),
    "f4": np.array([0.1, -1e-45, 3.4e38], "f4"),
    "f8": np.array([0.1, 5e-324, -1.79e308]),
    "f8 swapped": np.array([1.0, 0.0, -1.0], ">f8"),
    "f8 special": np.array([np.nan, np.inf, -np.inf]),
    "bool": np.array([True, False, True]),
    "text": np.array(["", "é", "x" * 300]),
    "text objects": np.array(["a", "b\n", "日本"], object),
}
TIME_DTYPES = ["i4", "u4", "i8", "u8", ">i8", ">u4"]
PRECISIONS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
NAMES = ["it's", 'a "b" ""', "line\nbreak\ttab", "📈 ü", "%s {0} \\", " ", "`t`", "é" * 32_767]
BAD_OPTIONS: dict[str, Any] = {"on_missing": "no", "on_type": 1, "time_precision": 4, "x": 1}
ODD_INPUTS: list[Any] = [
    {}, [], (), 5, -1, None, True, 1.5, "x", b"x",
    {"a": []}, {"a": ()}, {"a": {}}, {"a": None}, {"a": 5}, {"a": "x"}, {"a": [5]}, {"a": [1, 2]},
    {"a": [[]]}, {"a": [[1]]}, {"a": [[1, 2, 3]]}, {"a": [None]},
    {"a": [[1, True]]}, {"a": [[1, None]]}, {"a": [[1, [1]]]}, {"a": [[1, {}]]},
    {"a": [["x", 1]]}, {"a": [[1.5, 1]]}, {"a": [[True, 1]]}, {"a": [[None, 1]]},
    {"a": [[-1, 1]]}, {"a": [[-(2**63), 1]]}, {"good": [[1, 1]], "bad": [[-5, 1]]},
    {5: [[1, 2]]}, {None: [[1, 2]]}, {"": [[1, 1]]}, {"x" * 65_535: [[1, 1]]},
    {b"raw": [[1, 1]]}, {"a": [[1, b"raw"]]}, {"a": [(1, 2), [3, 4]]}, {"a": [[1, "x"], [2, 3]]},
    [1], [None], [[1, 2]], ["a"], [{}], [{"name": "a"}], [{"points": [[1, 1]]}],
    [{"name": "a", "points": []}], [{"points": [[1, 1]], "name": "a"}],
    [{"name": "a", "points": [[1, 1]], "more": 1}], [{"name": 5, "points": [[1, 1]]}],
    {"a": [[1, object()]]}, {"a": {1, 2}}, {"a": [[1, 1j]]}, {"\ud800": [[1, 1]]},
]  # fmt: skip


async def count(client: SiriDBClient) -> int:
    """Return how many points the database holds."""
    answer = await client.query("count series length")
    return int(answer["series_length"])


async def kind(client: Any, data: object) -> tuple[str, str]:
    """Return what an insert comes to: the class's name and what the server said."""
    try:
        answer = await client.insert(data, timeout=5)
    except (Exception, SystemError) as exc:  # noqa: BLE001 - whichever it is, is compared
        from_server = type(exc).__name__ == "InsertError"
        return type(exc).__name__, str(exc) if from_server else ""
    return "answer", answer["success_msg"]


async def test_lists_are_inserted_as_the_reference_does(database: Database) -> None:
    async with database.client() as client:
        answer = await client.insert({"a": [[1, 1.5], (2, 2.5)], "b": [[1, "x"]]})
        assert answer == {"success_msg": "Successfully inserted 3 point(s)."}
        await client.insert(
            [{"name": "c", "points": [[5, -1]]}, {"points": [[6, 1]], "name": "a"}]
        )
        answer = await client.query("select * from *")
    assert answer == {
        "a": [[1, 1.5], [2, 2.5], [6, 1.0]], "b": [[1, "x"]], "c": [[5, -1]],
    }  # fmt: skip


async def test_arrays_and_lists_go_in_the_same_insert(database: Database) -> None:
    data: list[dict[str, object]] = [
        {"name": "a", "points": (np.arange(3), np.arange(3) / 2)},
        {"name": "b", "points": [[1, "x"], [2, "y"]]},
        {"name": "c", "points": [np.array([9]), [5]]},
    ]
    async with database.client() as client:
        answer = await client.insert(data)
        assert answer == {"success_msg": "Successfully inserted 6 point(s)."}
        assert await client.query("select * from *") == {
            "a": [[0, 0.0], [1, 0.5], [2, 1.0]], "b": [[1, "x"], [2, "y"]], "c": [[9, 5]],
        }  # fmt: skip


async def test_values_of_every_dtype_come_back_equal(database: Database) -> None:
    async with database.client() as client:
        answer = await client.insert({name: (TIMES, values) for name, values in VALUES.items()})
        assert answer == {"success_msg": f"Successfully inserted {3 * len(VALUES)} point(s)."}
        found = await client.query_arrays("select * from *")
    assert found.keys() == VALUES.keys()
    for name, values in VALUES.items():
        assert found[name][0].tolist() == TIMES.tolist(), name
        wanted = values.astype({"f": "f8", "b": "i8"}.get(values.dtype.kind, values.dtype))
        np.testing.assert_array_equal(found[name][1], wanted, name)


async def test_timestamps_of_every_dtype_come_back_equal(database: Database) -> None:
    async with database.client() as client:
        await client.insert({name: (TIMES.astype(name), [1.5, 2.5, 3.5]) for name in TIME_DTYPES})
        found = await client.query_arrays("select * from *")
    assert {name: times.tolist() for name, (times, _) in found.items()} == dict.fromkeys(
        TIME_DTYPES, TIMES.tolist()
    )


@pytest.mark.parametrize("precision", PRECISIONS)
async def test_datetimes_are_converted_to_the_database(make_database: Any, precision: str) -> None:
    units = ["s", "ms", "us", "ns", "ps"]
    times = np.array(["2026-11-23T10:00:00", "2001-02-03"], "datetime64[s]")
    wanted = sorted((times.astype("i8") * PRECISIONS[precision]).tolist())
    async with make_database(time_precision=precision).client() as client:
        await client.insert({unit: (times.astype(f"M8[{unit}]"), [1, 2]) for unit in units[:4]})
        for name, (found, values) in (await client.query_arrays("select * from *")).items():
            assert (found.tolist(), values.tolist()) == (wanted, [2, 1]), name
        fine = (np.array([1_999_999_999_999], "M8[ps]"), [1])
        with pytest.raises(ColumnError, match=r"series 'fine', index 0"):
            await client.insert({"fine": fine})
        await client.insert({"fine": fine}, on_precision_loss="floor")
        floored = await client.query('select * from "fine"')
        assert floored == {"fine": [[1_999_999_999 * PRECISIONS[precision] // 10**9, 1]]}


async def test_unsorted_arrays_are_stored_in_order(database: Database) -> None:
    times = np.random.default_rng(5).permutation(5000)
    async with database.client() as client:
        await client.insert({"a": (times, times * 2.0), "b": (times[::-2], times[::-2])})
        found = await client.query_arrays("select * from *")
    for name, wanted in (("a", times), ("b", times[::-2])):
        assert found[name][0].tolist() == sorted(wanted.tolist())
    assert found["a"][1].tolist() == (found["a"][0] * 2.0).tolist()


@pytest.mark.parametrize("data", [{}, [], {"a": (np.empty(0, "i8"), np.empty(0))}])
async def test_nothing_is_an_insert_too(database: Database, data: object) -> None:
    async with database.client() as client:
        assert await client.insert(data) == {"success_msg": "Successfully inserted 0 point(s)."}
        assert await client.query("list series") == {"columns": ["name"], "series": []}


async def test_long_arrays_arrive_exactly(database: Database) -> None:
    rng = np.random.default_rng(1)
    times = np.cumsum(rng.integers(1, 10**9, 200_000))
    data = {
        "long": (times, rng.standard_normal(len(times))),
        "short": (times[:3], np.array([1, 2, 3])),
        "shuffled": (rng.permutation(times[:70_000]), np.arange(70_000)),
        "text": (times[:30_000], np.array([f"n{i}" for i in range(30_000)])),
    }
    async with database.client() as client:
        answer = await client.insert(data)
        assert answer == {"success_msg": "Successfully inserted 300003 point(s)."}
        found = await client.query_arrays("select * from *")
    assert found.keys() == data.keys()
    for name, (given, values) in data.items():
        order = np.argsort(given)
        np.testing.assert_array_equal(found[name][0], given[order])
        np.testing.assert_array_equal(found[name][1], values[order])


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ((np.array([1, -1]), np.array([1, 2])), ColumnError),
        ((np.array([1, 2]), np.array([1])), ColumnError),
        ((np.array([1]), np.array([2**63], "u8")), ColumnError),
        ((np.array([1]), np.array([object()])), ColumnError),
        ((np.array(["2020", "NaT"], "M8[s]"), np.array([1, 2])), ColumnError),
        ((np.array([1, 2]), np.array(["a", "b\0"], object)), ColumnError),
        (np.array([1, 2]), ColumnError),
        ([[1, 2**63]], PackingOverflowError),
        ([[1, object()]], TypeError),
        ([[1, True]], SiriDBError),
    ],
)
async def test_one_bad_series_among_many_means_nothing_was_sent(
    database: Database, bad: object, error: type[Exception]
) -> None:
    data: dict[str, object] = {f"s{i}": (np.arange(60_000), np.arange(60_000.0)) for i in range(3)}
    async with database.client() as client:
        with pytest.raises(error) as caught:
            await client.insert(data | {"bad": bad})
        assert error is not ColumnError or "'bad'" in str(caught.value)
        assert getattr(caught.value, "points_inserted", 0) == 0
        assert await count(client) == 0


async def test_missing_values_are_kept_dropped_or_refused(database: Database) -> None:
    times = np.array(["1970-01-01", "NaT", "1970-01-01"], "M8[ns]")
    numbers, texts = np.array([np.nan, 1, 2]), np.array([None, "x", "y"], object)
    async with database.client() as client:
        await client.insert({"kept": (np.arange(3), numbers)})
        found = (await client.query_arrays('select * from "kept"'))["kept"][1]
        assert np.isnan(found[0])
        data = {"a": (times, numbers), "b": (np.arange(3), texts), "c": ([1], np.array([np.nan]))}
        answer = await client.insert(data, on_missing="drop")
        assert answer == {"success_msg": "Successfully inserted 3 point(s)."}
        found = await client.query('select * from "a", "b", "c"')
        assert found == {"a": [[0, 2.0]], "b": [[1, "x"], [2, "y"]]}
        refused: list[tuple[str, dict[str, Any]]] = [
            ("a", {}),
            ("b", {}),
            ("a", {"on_missing": "error"}),
        ]
        for name, options in refused:
            with pytest.raises(ColumnError, match=rf"series '{name}', index [01]"):
                await client.insert({name: data[name]}, **options)
        for option, value in BAD_OPTIONS.items():
            with pytest.raises((ValueError, TypeError), match=option):
                await client.insert({}, **{option: value})


@pytest.mark.parametrize("name", NAMES, ids=ascii)
async def test_odd_names_are_kept(database: Database, name: str) -> None:
    async with database.client() as client:
        await client.insert({name: [[1, 1]]})
        await client.insert({name: (np.array([2]), np.array([2]))})
        assert await client.query("select * from *") == {name: [[1, 1], [2, 2]]}
        if len(name) < 1000:
            with pytest.raises(ColumnError, match="of type integer, the values of type float"):
                await client.insert({name: (np.array([3]), np.array([3.0]))})


@pytest.mark.parametrize("name", ["", "\0", "a\0", "x" * 65_535, "\udc80", 5, None, b"x"])
async def test_names_that_the_server_mistakes_are_refused(
    database: Database, name: object
) -> None:
    async with database.client() as client:
        with pytest.raises(ColumnError, match="name"):
            await client.insert({name: (np.array([1]), np.array([1]))})
        if name == "\0":  # a list of this name would hang the server for good
            for data in (
                {name: [[1, 1]]},
                {b"\0": [[1, 1]]},
                [{"name": name, "points": [[1, 1]]}],
            ):
                with pytest.raises(ColumnError, match="NUL"):
                    await client.insert(data)


async def test_packed_inserts_are_sent_as_they_are(database: Database) -> None:
    arrays = {"a": (np.array([1, 2]), np.array([1.5, 2.5])), "b": [[1, "x"]]}
    payloads = [encode_insert(arrays), packb({"a": [[3, 3.5]]}), bytearray(packb({"c": [[1, 1]]}))]
    async with database.client() as client:
        for payload, points in zip(payloads, (3, 1, 1), strict=True):
            answer = await client.insert_packed(payload)
            assert answer == {"success_msg": f"Successfully inserted {points} point(s)."}
        assert await client.query("select * from *") == {
            "a": [[1, 1.5], [2, 2.5], [3, 3.5]], "b": [[1, "x"]], "c": [[1, 1]],
        }  # fmt: skip


@pytest.mark.parametrize("precision", ["ns", "s"])
async def test_given_time_precision_is_that_of_the_database(
    make_database: Any, precision: str
) -> None:
    async with make_database(time_precision=precision).client() as client:
        data = {"a": (np.array([2**32]), np.array([1]))}
        error = ColumnError if precision == "s" else ConfigError
        with pytest.raises(error, match=r"index 0|is s, but that of the database is ns"):
            await client.insert(data, time_precision=SECOND)


async def test_odd_input_gets_the_answer_the_reference_gets(database: Database) -> None:
    theirs = reference.SiriDBClient(
        "iris", "siri", database.name, [(database.server.host, database.server.port)]
    )
    await theirs.connect()
    try:
        async with database.client() as client:
            for data in ODD_INPUTS:
                wanted, found = await kind(theirs, data), await kind(client, data)
                assert found == wanted, data
            # The reference driver's packer fails here with a SystemError; its README says this.
            for number in (2**63, -(2**63) - 1, 2**100):
                for point in ([1, number], [number, 1]):
                    assert (await kind(client, {"a": [point]}))[0] == "PackingOverflowError"
    finally:
        theirs.close()
