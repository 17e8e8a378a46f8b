"""Line protocol as QuestDB's clients write it; the lines are those that questdb 6.0 has sent."""

import pytest

from siridb_fast.formats._line_protocol import LineProtocol
from siridb_fast.formats.points import PointKey
from tests.formats.parsed import found

SYMBOL = "a\\b c,d=e\nf"
TEXT = 'x"y\\z\nq\r'
SENT = (
    b"tab\\ le,s=a\\\\b\\ c\\,d\\=e\\\nf i=5i,f=1.5,b=t,"
    b't="x\\"y\\\\z\\\nq\\\r",ts=123456t,tn=-7t 1700000000000000001\n'
    b"t3 i=5i 1704067200000000000\n"
)
TAGS = (("s", SYMBOL),)
VALUES = {"i": 5, "f": 1.5, "b": 1, "t": TEXT, "ts": 123_456, "tn": -7}
ROWS = [
    *((PointKey("tab le", TAGS, n), 1_700_000_000_000_000_001, v, 1) for n, v in VALUES.items()),
    (PointKey("t3", (), "i"), 1_704_067_200_000_000_000, 5, 4),
]


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_what_its_client_writes_is_read_exactly_however_it_is_cut(size: int) -> None:
    assert found(LineProtocol(is_questdb=True), SENT, size) == (ROWS, [])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("m,a v=1", "expected tag=value, got 'a'"),
        ("m,a=1,,b=2 v=1", "expected tag=value, got ''"),
        ("m,a=1, v=1", "expected tag=value, got ''"),
        (",a=1 v=1", "expected a measurement, got a comma"),
        ("m,a=1,a=2 v=1", "the tag 'a' is there twice"),
        ("m,a=1", "there is no field"),
        ("m v=nan", "expected a number"),
        ("m v=1.5t", "expected a number"),
    ],
)
def test_a_wrong_line_is_told_and_the_next_one_is_read(line: str, reason: str) -> None:
    rows, bad = found(LineProtocol(is_questdb=True), f"{line}\nm w=1 5\n".encode())
    assert rows == [(PointKey("m", (), "w"), 5, 1.0, 2)]
    assert [(one.line, reason in one.reason) for one in bad] == [(1, True)]


def test_a_text_that_ends_behind_a_backslash_is_told() -> None:
    rows, bad = found(LineProtocol(is_questdb=True), b"m v=1 5\nm,a=b\\\n")
    assert len(rows) == 1
    assert [tuple(one) for one in bad] == [(2, "the text ends behind a backslash")]


def test_influxdb_knows_neither_times_nor_a_backslash_before_an_end_of_line() -> None:
    rows, bad = found(LineProtocol(), b'm v=5t 5\nm t="a\\\nb" 5\n')
    assert rows == [(PointKey("m", (), "t"), 5, "a\\\nb", 2)]
    assert [one.line for one in bad] == [1]


def test_types_are_kept_if_asked_for() -> None:
    text = b"m v=1i 1\nm v=1.5 2\nm v=2i 3\n"
    widened, _ = found(LineProtocol(), text)
    kept, _ = found(LineProtocol(keeps_types=True), text)
    assert [type(row[2]) for row in widened] == [int, float, float]
    assert [type(row[2]) for row in kept] == [int, float, int]


def test_all_points_of_a_line_are_told_to_be_where_it_begins() -> None:
    rows, _ = found(LineProtocol(), b'm a=1,t="x\ny",b=2i 5\nm a=3 6\n')
    assert [row[3] for row in rows] == [1, 1, 1, 3]
