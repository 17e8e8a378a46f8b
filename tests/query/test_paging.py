"""The parts of selects, and the queries of a pager, without a server."""

import contextlib
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from siridb_fast import ProtocolError, QueryError, SelectLimitError
from siridb_fast.query.paging import Pager, SelectResult
from siridb_fast.query.select import Select, name_batches, parse_select, quote

SELECTS: list[tuple[str, Select]] = [
    ("select * from *", Select("*", "*", is_plain=True)),
    ("timeit select all from all # from 'x", Select("all", "all", is_plain=True)),
    ("select*from'a'tail 1", Select("*", "'a'", "", "tail", "1", is_plain=True)),
    (
        "select * prefix 'from ' from \"a\"\" where \", `b`, /c\\/ after/i where name != 'x and'",
        Select(
            "* prefix 'from '",
            '"a"" where ", `b`, /c\\/ after/i',
            "name != 'x and'",
            is_plain=True,
        ),
    ),
    (
        "select mean(1h / 2) => max(2) from ('a' | /b/) where length > 4 / 2 before now / 2",
        Select(
            "mean(1h / 2) => max(2)",
            "('a' | /b/)",
            "length > 4 / 2",
            "before",
            "now / 2",
            is_reduced=True,
        ),
    ),
    (
        "select *, filter(/x,/) suffix 'y' from * between (1) / 2 and '2020' / 3 merge as 'm'",
        Select(
            "*, filter(/x,/) suffix 'y'",
            "*",
            "",
            "between",
            "(1) / 2 and '2020' / 3",
            "as 'm'",
            methods_count=2,
        ),
    ),
]
OTHERS: list[Any] = [
    "", "timeit", "list series", "select", "select * from", "select 'a", "select *", b"\xff",
    "select * from * after 1 before 2", "SELECT * FROM *",
]  # fmt: skip
LIMIT = "Query has reached the maximum number of selected points ({})."


class Server:
    """What answers for a database of whole series, under a limit of points."""

    def __init__(self, limit: int, series: dict[str, Any], point_bytes: int = 19) -> None:
        self.limit = limit
        self.series = series
        self.point_bytes = point_bytes
        self.queries: list[str] = []

    async def select(self, query: str | bytes) -> SelectResult:
        text = query if isinstance(query, str) else query.decode()
        self.queries.append(text)
        select = parse_select(text)
        assert select is not None
        names = [
            name for name in sorted(self.series) if select.series == "*" or quote(name) in text
        ]
        points = {name: self.answer(select, np.asarray(self.series[name])) for name in names}
        total = sum(len(times) for times, _ in points.values())
        if total > self.limit:  # as strict as between pools
            raise SelectLimitError(LIMIT.format(self.limit))
        return SelectResult(points, total * self.point_bytes)

    def answer(self, select: Select, times: Any) -> tuple[Any, Any]:
        first, stop = (int(text) if text else None for text in select.time_bounds())
        times = times[times >= (first or 0)]
        times = times if stop is None else times[times < stop]
        if select.methods == "count()":
            return times[-1:], np.array([len(times)][: len(times)], np.int64)
        if found := re.fullmatch(r"count\((\d+)\)", select.methods):
            width = int(found[1])
            return np.unique(-(-times // width) * width, return_counts=True)
        return (times[:1], times[:1]) if select.methods == "first()" else (times, times)

    async def query(self, query: str) -> Any:
        raise QueryError(query)


@pytest.mark.parametrize(("text", "wanted"), SELECTS)
def test_parts_of_a_select_are_found(text: str, wanted: Select) -> None:
    assert parse_select(text) == wanted
    assert parse_select(text.encode()) == wanted
    assert parse_select(str(wanted)) == wanted


@pytest.mark.parametrize("text", OTHERS)
def test_what_is_no_select_is_left_to_the_server(text: str | bytes) -> None:
    assert parse_select(text) is None


def test_selects_of_the_same_parts() -> None:
    select = SELECTS[4][1]
    assert select.time_bounds() == ("", "now / 2")
    assert SELECTS[5][1].time_bounds() == ("(1) / 2", "'2020' / 3")
    named = select.with_names_between("a", 'b"')
    assert named.where == '(length > 4 / 2) and name >= "a" and name < "b"""'
    assert select.of_series('"x"') == replace(select, series='"x"', where="")
    assert str(select.of_series('"x"').within(3, 9)).endswith('from "x" between 3 and 9')
    assert str(select.within(3, None)).endswith("after 3")
    assert [(one.methods, one.is_plain) for one in SELECTS[5][1].split_methods()] == [
        ("*", True), ("filter(/x,/) suffix 'y'", False),
    ]  # fmt: skip
    assert SELECTS[2][1].max_points(500) == 1
    assert SELECTS[5][1].max_points(500) == 1000


@pytest.mark.parametrize("length", [1, 50, 1_000, 59_000, 70_000])
def test_names_are_batched_within_a_query(length: int) -> None:
    names = [
        f"{i:0{length}}" for i in range(5 if length > 1_000 else 10 if length == 1 else 2_500)
    ]
    batches = list(name_batches(names))
    assert [name for batch in batches for name in batch] == names
    assert max(map(len, batches)) <= 1_000
    for batch in batches:
        assert len(batch) == 1 or len(",".join(map(quote, batch))) <= 60_000


def test_names_are_batched_by_their_weights() -> None:
    weights = {"a": 3, "b": 3, "c": 4, "d": 11, "e": 1, "f": 0}
    batches = list(name_batches(weights, limit=10, weight=weights.__getitem__))
    assert batches == [["a", "b", "c"], ["d"], ["e", "f"]]
    assert list(name_batches(weights, limit=3)) == [["a", "b", "c"], ["d", "e", "f"]]
    assert list(name_batches(["a", "bb"], 9, limit=9)) == [["a", "bb"]]
    assert list(name_batches(["a", "bb"], 8, limit=9)) == [["a"], ["bb"]]


@pytest.mark.parametrize("limit", [50, 1_000, 100_000])
async def test_pager_gets_every_point_once(limit: int) -> None:
    rng = np.random.default_rng(1)
    series = {
        "b": np.sort(rng.integers(0, 2**60, 30_000)),
        "a": np.repeat(np.arange(4_000) * 3, 3),
        "c": np.concatenate([np.arange(9_000) + 2**59, [2**62]]),
        "d": np.arange(40),
    }
    server = Server(limit, series)
    found = await Pager(server.select, server.query).fetch("select * from *")
    assert list(found) == ["a", "b", "c", "d"]
    for name, times in series.items():
        assert (found[name][0] == times).all()
        assert (found[name][1] == times).all()


async def test_select_whose_answer_fits_is_sent_as_it_is() -> None:
    server = Server(100, {"a": np.arange(90)})
    await Pager(server.select, server.query).fetch("select  *  from *")
    assert server.queries == ["select count() from *", "select  *  from *"]


async def test_answers_of_long_points_stay_small() -> None:
    server = Server(10**9, {f"{i:04}": np.arange(1_000) for i in range(1_100)}, 30_000)
    await Pager(server.select, server.query).fetch("select * from *")
    sizes = [text.count('"') // 2 * 1_000 for text in server.queries[1:]]
    assert sizes[0] == 20_000
    assert max(sizes[1:]) * 30_000 <= 32 * 1024 * 1024


async def test_points_of_one_moment_over_a_strict_limit_are_an_error() -> None:
    server = Server(10, {"a": np.full(11, 5)})
    with pytest.raises(SelectLimitError, match=r"\(10\)"):
        await Pager(server.select, server.query).fetch("select * from *")


# ---- a server that says anything


class LyingServer:
    """Answers a pager as no server does, and counts how often it is asked."""

    def __init__(self, **says: Any) -> None:
        self.says = says
        self.asked = 0

    async def select(self, query: str | bytes) -> SelectResult:
        self.asked += 1
        assert self.asked < 10_000, "this has no end"
        text = str(query)
        kinds = {"count()": "count", "count(": "buckets", "first()": "first", "": "page"}
        kind = next(kind for start, kind in kinds.items() if start in text)
        answer = self.says.get(kind, {})
        if isinstance(answer, Exception):
            raise answer
        arrays = {name: (np.array(t), np.array(v)) for name, (t, v) in answer.items()}
        return SelectResult(arrays, 1)

    async def query(self, _: str) -> Any:
        self.asked += 1
        return {"series": [[name] for name in self.says.get("names", "ab")], "calc": 1}


REFUSED = SelectLimitError(LIMIT.format(1_000_000))
MANY = {"a": ([2**60], [2**60])}
LIES: dict[str, dict[str, Any]] = {
    "refuses counts": {"count": REFUSED},
    "refuses counts, and names what lies outside": {"count": REFUSED, "names": ["", "zz", "zzz"]},
    "refuses pages": {"count": MANY, "first": {"a": ([1], [1])}, "page": REFUSED,
                      "buckets": {"a": ([2**59], [10])}},
    "refuses all but counts": {"count": MANY, "first": REFUSED, "buckets": REFUSED},
    "counts what was before": {"count": MANY, "first": {"a": ([2**50], [1])},
                               "buckets": {"a": ([1], [2**60])}},
    "counts all in one window": {"count": MANY, "first": {"a": ([1], [1])},
                                 "buckets": {"a": ([2**61], [2**60])}},
    "counts the same window twice": {"count": MANY, "first": {"a": ([1], [1])},
                                     "buckets": {"a": ([2**59] * 2, [2**60] * 2)}},
    "counts less than nothing": {"count": {"a": ([1], [-(2**60)])}},
    "raises the limit": {"count": MANY, "first": {"a": ([1], [1])},
                         "page": SelectLimitError(LIMIT.format(10**30)),
                         "buckets": {"a": ([2**59], [10])}},
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
async def test_select_ends_whatever_a_server_says(lie: str) -> None:
    server = LyingServer(**LIES[lie])
    with contextlib.suppress(SelectLimitError, ProtocolError):
        await Pager(server.select, server.query).fetch("select * from *")
