"""Lines of JSON: what each gives, what is wrong with it, and blocks cut anywhere."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siridb_fast.formats.json_lines import JsonLines
from siridb_fast.formats.points import PointKey
from tests.formats.parsed import found

GOOD = {
    '{"series": "a", "timestamp": 5, "value": 20}': (5, 20),
    '{"value": 20.5, "series": "a", "timestamp": -5}': (-5, 20.5),
    '{"series": "a", "value": true}\r': (None, 1),
    '  {"series": "a", "timestamp": 5, "value": "°C \\n"}  ': (5, "°C \n"),
    '{"series": "a", "timestamp": 5, "value": 9223372036854775807}': (5, 2**63 - 1),
}
BAD = {
    "5": "expected {",
    "{": "expected {",
    '{"series": "a", "value": 1}, {"series": "a", "value": 2}': "expected {",
    '{"series": "a", "value": 1} x': "expected {",
    '{"series": "a", "value": 1, "unit": "m"}': "expected {",
    '{"series": "", "value": 1}': "series is a text",
    '{"series": 5, "value": 1}': "series is a text",
    '{"value": 1}': "series is a text",
    '{"series": "a"}': "value is a number",
    '{"series": "a", "value": null}': "value is a number",
    '{"series": "a", "value": [1]}': "value is a number",
    '{"series": "a", "value": NaN}': "NaN is no number",
    '{"series": "a", "value": 1e999}': "does not fit a float",
    '{"series": "a", "value": 9223372036854775808}': "does not fit 64 bits",
    '{"series": "a", "value": 1, "timestamp": 1.5}': "timestamp is an integer",
    '{"series": "a", "value": 1, "timestamp": "now"}': "timestamp is an integer",
    '{"series": "a", "value": 1, "timestamp": 9223372036854775808}': "timestamp is an integer",
    '{"series": "a\\u0000", "value": 1}': "NUL",
    '{"series": "a", "value": "\\ud800"}': "surrogate",
    "[" * 5_000: "expected {",
}


@pytest.mark.parametrize("line", GOOD)
def test_a_good_line_is_a_point(line: str) -> None:
    time, value = GOOD[line]
    expected = [(PointKey("a", ()), time, value, 1)]
    assert found(JsonLines(), line.encode()) == (expected, [])


@pytest.mark.parametrize("line", BAD)
def test_a_bad_line_is_told_and_those_beside_it_are_read(line: str) -> None:
    good = '{"series": "b", "timestamp": 1, "value": 1.5}'
    rows, bad = found(JsonLines(), f"{good}\n{line}\n\n{good}".encode())
    assert [row[3] for row in rows] == [1, 4]
    assert [one.line for one in bad] == [2]
    assert BAD[line] in bad[0].reason


def test_bytes_that_are_not_utf_8_are_told() -> None:
    rows, bad = found(JsonLines(), b'{"series": "\xff", "value": 1}\n')
    assert rows == []
    assert "UTF-8" in bad[0].reason


VALUES = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2**63 - 1), VALUES)),
    st.integers(1, 200),
)
def test_what_is_written_is_read_however_it_is_cut(
    points: list[tuple[str, int, Any]], size: int
) -> None:
    text = "".join(
        json.dumps({"series": series, "timestamp": time, "value": value}) + "\n"
        for series, time, value in points
    )
    rows, bad = found(JsonLines(), text.encode(), size)
    assert bad == []
    assert [(key.measurement, time, value) for key, time, value, _ in rows] == points
    assert [row[3] for row in rows] == list(range(1, len(points) + 1))
