"""What is stored already: multiset differences, against a model and against a real server."""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import siridb_fast
from siridb_fast.columns.column import point_column
from siridb_fast.columns.rows import MixedRows
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.columns.time_units import NANOSECOND, SECOND
from siridb_fast.loading.already_stored import not_stored
from siridb_fast.loading.frame_reader import FramePoints
from siridb_fast.writer.load_writer import LoadWriter
from tests.fix_examples import examples
from tests.fix_server import Database

RULES = ColumnRules(time_precision=NANOSECOND, on_missing="keep")
NAN = float("nan")
TYPES = {"float": np.float64, "integer": np.int64, "string": object}

Pairs = list[tuple[int, Any]]
Arrays = dict[str, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]
VALUES = {
    "float": st.sampled_from([0.0, -0.0, 1.0, 0.5, NAN, -NAN, float("inf"), 1e300]),
    "integer": st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63)]),
    "string": st.sampled_from(["", "a", "b", "ü", "a'b\"c"]),
}


def arrays(pairs: Pairs, kind: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    times = np.array([time for time, _ in pairs], np.int64)
    values = np.empty(len(pairs), TYPES[kind])
    values[:] = [value for _, value in pairs]
    return times, values


def wide(data: dict[str, tuple[Pairs, str]], rules: ColumnRules = RULES) -> FramePoints:
    columns = [point_column(name, *arrays(*item), rules) for name, item in data.items()]
    return FramePoints(0, columns, [], 0)


def long(data: dict[str, tuple[Pairs, str]]) -> FramePoints:
    """Return the same as mixed rows, one of each series after the other."""
    mixed = []
    for kind in TYPES:
        names = [name for name, (_, of) in data.items() if of == kind]
        rows = [(code, *p) for code, name in enumerate(names) for p in data[name][0]]
        rows = rows[::2] + rows[1::2]
        times, values = arrays([(time, value) for _, time, value in rows], kind)
        texts = [text.encode() for text in values.tolist()] if kind == "string" else values
        codes = np.array([code for code, _, _ in rows], np.int32)
        if len(rows):
            mixed.append(MixedRows(names, codes, times, texts, kind))
    return FramePoints(0, [], mixed, 0)


def database_of(data: dict[str, tuple[Pairs, str]]) -> Callable[[str], Awaitable[Arrays]]:
    """Return how a database answers that holds the data; it knows both kinds of question."""

    async def ask(query: str) -> Arrays:
        await asyncio.sleep(0)
        match = re.fullmatch(
            r"select (\*|count\(\)) from (.*?) ?(?:between (\d+) and (\d+)|after (\d+))?", query
        )
        assert match is not None, query
        names = [text.replace('""', '"') for text in re.findall(r'"((?:[^"]|"")*)"', match[2])]
        first, last = int(match[3] or match[5] or 0), int(match[4] or 2**64)
        found = {}
        for name in names:
            pairs, kind = data.get(name, ([], "float"))
            pairs = [p for p in pairs if first <= p[0] < last]
            if kind == "float":  # as the server keeps them
                pairs = [(time, value + 0.0) for time, value in pairs]
            if match[1] == "*":
                found[name] = arrays(pairs, kind)
            elif pairs:
                found[name] = np.array([pairs[-1][0]]), np.array([len(pairs)])
        return found

    return ask


def key(time: int, value: Any) -> tuple[int, Any]:
    if isinstance(value, bytes):
        value = value.decode()
    return time, "NaN" if value != value else value


def points_of(points: FramePoints) -> dict[str, Counter[tuple[int, Any]]]:
    found: dict[str, Counter[tuple[int, Any]]] = {}
    for column in points.columns:
        times, values = column.plain()
        pairs = zip(times.tolist(), list(values), strict=True)
        found.setdefault(column.name, Counter()).update(key(t, v) for t, v in pairs)
    return {name: counter for name, counter in found.items() if counter}


def rest(
    ours: dict[str, tuple[Pairs, str]], theirs: dict[str, tuple[Pairs, str]], form: Any = wide
) -> dict[str, Counter[tuple[int, Any]]]:
    return points_of(asyncio.run(not_stored(form(ours), database_of(theirs), RULES)))


def model(
    ours: dict[str, tuple[Pairs, str]], theirs: dict[str, tuple[Pairs, str]]
) -> dict[str, Counter[tuple[int, Any]]]:
    found = {}
    for name, (pairs, _) in ours.items():
        there = Counter(key(*pair) for pair in theirs.get(name, ([], ""))[0])
        found[name] = Counter(key(*pair) for pair in pairs) - there
    return {name: counter for name, counter in found.items() if counter}


@st.composite
def two_databases(draw: st.DrawFn) -> tuple[Any, Any]:
    ours, theirs = {}, {}
    for name in draw(st.lists(st.sampled_from(["a", "b'", 'c"d', "ü"]), unique=True)):
        kind = draw(st.sampled_from([*TYPES]))
        times = st.integers(0, 5) | st.sampled_from([2**32 - 1, 2**32, 2**63 - 1])
        pairs = st.lists(st.tuples(times, VALUES[kind]), max_size=12)
        ours[name] = draw(pairs), kind
        some = st.lists(st.sampled_from(ours[name][0]), max_size=12) if ours[name][0] else pairs
        theirs[name] = sorted(draw(some) + draw(pairs), key=lambda pair: pair[0]), kind
    return ours, theirs


@pytest.mark.parametrize("form", [wide, long])
@settings(max_examples=examples(150))
@given(data=two_databases())
def test_what_is_left_is_the_multiset_difference(form: Any, data: tuple[Any, Any]) -> None:
    ours, theirs = data
    assert rest(ours, theirs, form) == model(ours, theirs)


def test_integers_are_compared_with_a_series_of_floats_as_floats() -> None:
    ours: dict[str, tuple[Pairs, str]] = {"a": ([(1, 1), (2, 2), (3, 3)], "integer")}
    theirs: dict[str, tuple[Pairs, str]] = {"a": ([(1, 1.0), (2, 2.5)], "float")}
    assert rest(ours, theirs) == {"a": Counter([(2, 2), (3, 3)])}


def test_more_names_than_a_question_has_room_for_are_asked_in_several() -> None:
    ours: dict[str, tuple[Pairs, str]] = {
        f"{'x' * 200}{k}": ([(k, 1.0), (k + 1, 2.0)], "float") for k in range(1200)
    }
    theirs = {name: (pairs[:1], kind) for name, (pairs, kind) in ours.items()}
    asked = []

    async def ask(query: str) -> Arrays:
        asked.append(query)
        return await database_of(theirs)(query)

    found = points_of(asyncio.run(not_stored(wide(ours), ask, RULES)))
    assert found == model(ours, theirs)
    assert len(asked) > 4
    assert max(map(len, asked)) < 65_000


def test_one_series_in_several_columns_is_compared_as_one() -> None:
    pairs: Pairs = [(1, 1.0), (2, 2.0)]
    column = wide({"a": (pairs, "float")}).columns[0]
    points = FramePoints(0, [column, column], [], 0)
    theirs: dict[str, tuple[Pairs, str]] = {"a": (pairs, "float")}
    found = points_of(asyncio.run(not_stored(points, database_of(theirs), RULES)))
    assert found == {"a": Counter(pairs)}


@pytest.mark.parametrize("kind", [*TYPES])
@pytest.mark.parametrize("precision", ["s", "ns"])
@pytest.mark.parametrize("part", [0, 3, 7])
def test_real_server_is_understood(
    make_database: Callable[..., Database], kind: str, precision: str, part: int
) -> None:
    database = make_database(time_precision=precision)
    last = 2**32 - 1 if precision == "s" else 2**63 - 1
    values: dict[str, list[Any]] = {
        "float": [-0.0, 0.5, NAN, 1.0, 1.0, 1e300, 2.0],
        "integer": [0, 1, 2**63 - 1, 1, 1, -(2**63), 2],
        "string": ["", "a", "ü", "b", "b", "a'\"", "c"],
    }
    times = [10**9, 10**9, 10**9 + 1, 10**9 + 2, 10**9 + 2, last - 1, last]
    pairs = [*zip(times, values[kind], strict=True)]
    name = 'it\'s "one"'
    ours: dict[str, tuple[Pairs, str]] = {name: (pairs, kind), "new": (pairs, kind)}
    rules = ColumnRules(
        time_precision=SECOND if precision == "s" else NANOSECOND, on_missing="keep"
    )
    extra: Pairs = [(10**9 - 5, values[kind][1]), (10**9 + 1, values[kind][6])]
    with siridb_fast.connect(database.url) as client:
        client.insert({name: [list(pair) for pair in [*pairs[:part], *extra]]})

    async def compare() -> FramePoints:
        async with LoadWriter(database.url) as writer:
            return await not_stored(wide(ours, rules), writer.query_arrays, rules)

    there: dict[str, tuple[Pairs, str]] = {name: (pairs[:part], kind)}
    assert points_of(asyncio.run(compare())) == model(ours, there)


@pytest.mark.parametrize("kind", [*TYPES])
def test_more_points_than_the_server_answers_with_are_compared(
    database: Database, kind: str
) -> None:
    make = {"float": float, "integer": int, "string": str}[kind]
    pairs: Pairs = [(10**9 + k, make(k)) for k in range(3000)]
    ours = dict.fromkeys(("a", "b", "c"), (pairs, kind))
    with siridb_fast.connect(database.url) as client:
        client.insert({name: arrays(pairs[:2000], kind) for name in ours})
        client.query("alter database set select_points_limit 1000")

    async def compare() -> FramePoints:
        async with LoadWriter(database.url) as writer:
            return await not_stored(wide(ours), writer.query_arrays, RULES)

    there = dict.fromkeys(ours, (pairs[:2000], kind))
    assert points_of(asyncio.run(compare())) == model(ours, there)
