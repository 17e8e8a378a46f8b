"""Graphite's plaintext: what each line gives, what is wrong with it, and blocks cut anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siridb_fast.formats._graphite import Graphite
from siridb_fast.formats.points import PointKey
from tests.formats.parsed import found

SECOND = 1_000_000_000
AB = PointKey("a.b", ())

GOOD: dict[str, list[tuple[PointKey, int | None, float]]] = {
    "a.b 1.5 1469785778": [(AB, 1469785778 * SECOND, 1.5)],
    "a.b 7 1469785778\r": [(AB, 1469785778 * SECOND, 7.0)],
    "\ta.b\t7   1469785778  ": [(AB, 1469785778 * SECOND, 7.0)],
    "a.b -1e3 1469785778.0": [(AB, 1469785778 * SECOND, -1000.0)],
    "a.b 1 1469785778.123456": [(AB, 1469785778123456000, 1.0)],
    "a.b 1 0.000000001": [(AB, 1, 1.0)],
    "a.b 1 -2.5": [(AB, -2_500_000_000, 1.0)],
    "a.b 1 -1": [(AB, None, 1.0)],
    "a.b;z=1;dc=x y 1": [],
    "a.b;z=1;dc=x 2 1": [(PointKey("a.b", (("dc", "x"), ("z", "1"))), SECOND, 2.0)],
    "ä.b 2 1": [(PointKey("ä.b", ()), SECOND, 2.0)],
    "a.b nan 1": [],
    "a.b NaN 1": [],
    "a.b None 1": [],
    "# comment": [],
    "": [],
}
del GOOD["a.b;z=1;dc=x y 1"]

BAD = {
    "a.b": "expected path, value and timestamp, got 'a.b'",
    "a.b 1": "expected path, value and timestamp",
    "a.b 1 2 3": "expected path, value and timestamp",
    "a.b x 2": "expected a number, got 'x'",
    "a.b inf 2": "expected a number, got 'inf'",
    "a.b 1e400 2": "does not fit a float of 64 bits",
    "a.b 1 N": "expected a timestamp, got 'N'",
    "a.b 1 1.0000000001": "expected a timestamp",
    "a.b 1 1469785778123": "does not fit 64 bits of nanoseconds",
    "a.b 1 99999999999999999999": "does not fit 64 bits of nanoseconds",
    ";x=1 1 2": "expected a path",
    "a;x 1 2": "expected tag=value, got 'x'",
    "a;x= 1 2": "expected tag=value",
    "a;x=1;x=2 1 2": "the tag 'x' is there twice",
    "a\0b 1 2": "there is a NUL",
}


@pytest.mark.parametrize("line", GOOD)
def test_line_gives_its_point(line: str) -> None:
    rows, bad = found(Graphite(), line.encode())
    assert bad == []
    assert [row[:3] for row in rows] == GOOD[line]


@pytest.mark.parametrize("line", BAD)
def test_line_that_is_wrong_is_told_and_gives_no_point(line: str) -> None:
    rows, bad = found(Graphite(), f"x 1 1\n{line}\ny 2 2".encode())
    assert [(row[0].measurement, row[3]) for row in rows] == [("x", 1), ("y", 3)]
    assert [one.line for one in bad] == [2]
    assert BAD[line] in bad[0].reason


def test_timestamps_may_be_of_another_unit() -> None:
    rows, _ = found(Graphite(unit=1_000_000), b"a 1 1469785778123\na 1 5.5\n")
    assert [row[1] for row in rows] == [1469785778123 * 1_000_000, 5_500_000]


@pytest.mark.parametrize("size", [1, 2, 5, 64])
def test_blocks_may_be_cut_anywhere(size: int) -> None:
    text = "\n".join([*GOOD, *BAD]).encode()
    assert found(Graphite(), text, size) == found(Graphite(), text)


@given(st.binary(max_size=60), st.integers(1, 9))
def test_any_bytes_are_read_the_same_in_blocks(data: bytes, size: int) -> None:
    assert found(Graphite(), data, size) == found(Graphite(), data)
