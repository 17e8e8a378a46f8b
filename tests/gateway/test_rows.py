"""Points of lines: their times and types, and which lines are refused."""

from typing import Any

import numpy as np
import pytest

from siridb_fast import MICROSECOND, MILLISECOND, NANOSECOND, SECOND
from siridb_fast.formats._line_protocol import LineProtocol
from siridb_fast.formats._point_rows import NO_TIME
from siridb_fast.gateway.naming import SeriesTemplate
from siridb_fast.gateway.rows import Rows, fitted, groups, joined, new_types, rows_of
from siridb_fast.gateway.rules import Rule
from siridb_fast.gateway.series_table import SeriesTable, SeriesType
from siridb_fast.gateway.times import UNITS, database_times

NOW = 1_700_000_000


@pytest.mark.parametrize(
    ("unit", "precision", "given", "found", "reason"),
    [
        ("n", NANOSECOND, 5, 5, ""),
        ("s", NANOSECOND, 5, 5_000_000_000, ""),
        ("h", SECOND, 2, 7200, ""),
        ("m", MILLISECOND, 2, 120_000, ""),
        ("u", MICROSECOND, 7, 7, ""),
        ("ms", SECOND, 5_000, 5, ""),
        ("ms", SECOND, 5_001, None, "finer than s"),
        ("ns", MICROSECOND, 1, None, "finer than us"),
        ("n", NANOSECOND, -1, None, "before 1970"),
        ("s", NANOSECOND, 9_223_372_037, None, "after the last one in ns"),
        ("s", SECOND, 2**32, None, "2106"),
        ("h", SECOND, 2**62, None, "after the last one in s"),
        ("n", NANOSECOND, 2**63 - 1, 2**63 - 1, ""),
        ("ns", NANOSECOND, NO_TIME, NOW, ""),
        ("ms", SECOND, NO_TIME, NOW, ""),
    ],
)
def test_times_become_those_of_the_database(
    unit: str, precision: int, given: int, found: int | None, reason: str
) -> None:
    times, bad = database_times(np.array([given]), UNITS[unit], precision, NOW, floors=False)
    if found is None:
        assert bad[0][0].tolist() == [True]
        assert reason in bad[0][1]
    else:
        assert not bad
        assert times.tolist() == [found]


def test_finer_times_are_rounded_down_if_asked_for() -> None:
    times, bad = database_times(np.array([1_999, 5]), UNITS["ms"], SECOND, NOW, floors=True)
    assert (times.tolist(), bad) == ([1, 0], ())


def rows(text: str, *rules: Rule, are_floats: bool = False) -> Rows:
    template = SeriesTemplate("{measurement}", "influx")
    table = SeriesTable(
        LineProtocol(keeps_types=True), template, rules, numbers_are_floats=are_floats
    )
    points = table.parse(text.encode(), line=1, is_last=True)
    return rows_of(points, table, nanoseconds=1, precision=NANOSECOND, now=NOW, floors=False)


def codes(found: Rows) -> Any:
    return np.unique(found.codes)


@pytest.mark.parametrize(
    ("text", "types"),
    [
        ("a v=1 1", ["FLOAT"]),
        ("a v=1i 1", ["INTEGER"]),
        ("a v=1i 1\na v=1.5 2", ["FLOAT"]),
        ('a v="x" 1\na v=1 2', ["STRING"]),
        ('a v=1i 1\na v="x" 2', ["INTEGER"]),
        ("a v=t 1\nb v=1.5 1", ["INTEGER", "FLOAT"]),
    ],
)
def test_new_series_get_the_types_of_their_points(text: str, types: list[str]) -> None:
    found = rows(text)
    assert [SeriesType(one).name for one in new_types(found, codes(found))] == types


def test_numbers_of_graphite_and_json_are_floats_but_by_a_rule() -> None:
    found = rows('a v=1i 1\nb v=1i 1\nc v="x" 1', Rule(match="b", type="integer"), are_floats=True)
    assert new_types(found, codes(found)).tolist() == [
        SeriesType.FLOAT, SeriesType.INTEGER, SeriesType.STRING,
    ]  # fmt: skip


def taken(text: str, *types: SeriesType) -> tuple[list[list[Any]], list[tuple[int, str]]]:
    found = rows(text)
    all_types = np.zeros(100, np.uint8)
    all_types[: len(types)] = types
    good = fitted(found, all_types)
    points = [
        [group.names[code], time, value]
        for group in groups(good, all_types)
        for code, time, value in zip(
            group.codes.tolist(), group.times.tolist(), group.values.tolist(), strict=True
        )
    ]
    return points, [(one.line, one.reason) for one in good.bad]


def test_values_go_into_their_series_exactly_or_are_refused() -> None:
    points, bad = taken(
        'a v=1i 1\na v=1.5 2\na v=9007199254740993i 3\na v="x" 4\na v=9007199254740992i 5',
        SeriesType.FLOAT,
    )
    assert points == [["a", 1, 1.0], ["a", 2, 1.5], ["a", 5, 9007199254740992.0]]
    assert [type(point[2]) for point in points] == [float] * 3
    assert bad == [
        (3, "series 'a' is of type float, 9007199254740993 is inexact as a float"),
        (4, "series 'a' is of type float, 'x' is a text"),
    ]


def test_a_fraction_for_integers_is_refused_and_a_whole_float_is_not() -> None:
    points, bad = taken("a v=2 1\na v=2.5 2\na v=1e300 3\na v=3i 4", SeriesType.INTEGER)
    assert points == [["a", 1, 2], ["a", 4, 3]]
    assert [type(point[2]) for point in points] == [int] * 2
    assert [line for line, _ in bad] == [2, 3]


def test_numbers_are_no_texts() -> None:
    points, bad = taken('a v="x" 1\na v=2 2', SeriesType.STRING)
    assert points == [["a", 1, "x"]]
    assert bad == [(2, "series 'a' is of type string, 2.0 is a float")]


def test_a_line_is_refused_as_a_whole() -> None:
    text = 'a v=1 1\na v=1,w="x" 2\na v=3 -5\na v=4 4'
    points, bad = taken(text, SeriesType.FLOAT, SeriesType.FLOAT)
    assert points == [["a", 1, 1.0], ["a", 4, 4.0]]
    assert sorted(line for line, _ in bad) == [2, 3]


def test_what_rules_leave_out_is_counted() -> None:
    found = rows("a v=1 1\nb v=1 1\nb v=2 2", Rule(match="b", drop=True))
    assert (len(found), found.left_out, found.bad) == (1, 2, [])


def test_rows_of_several_texts_come_together() -> None:
    template = SeriesTemplate("{measurement}", "influx")
    table = SeriesTable(LineProtocol(keeps_types=True), template, (), numbers_are_floats=False)
    parts, line = [], 1
    for text in (b'a v="x" 1\nbad\n', b'a v="y" 2\n', b""):
        points = table.parse(text, line=line, is_last=True)
        line = table.line
        parts.append(
            rows_of(points, table, nanoseconds=1, precision=NANOSECOND, now=NOW, floors=False)
        )
    found = joined(parts)
    types = np.full(10, SeriesType.STRING)
    (group,) = groups(found, types)
    assert group.values.tolist() == ["x", "y"]
    assert found.lines.tolist() == [1, 3]
    assert [one.line for one in found.bad] == [2]
