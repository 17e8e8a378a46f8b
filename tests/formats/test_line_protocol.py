"""Line protocol: what each line gives, what is wrong with it, and blocks cut anywhere.

The good lines were written into InfluxDB 1.6.7, which had the same points.
"""

import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siridb_fast.formats._line_protocol import LineProtocol
from siridb_fast.formats.points import PointKey
from tests.formats.parsed import found

HOST = (("host", "a"),)

GOOD: dict[str, list[tuple[PointKey, int | None, Any]]] = {
    "cpu,host=a usage=1.5 100": [(PointKey("cpu", HOST, "usage"), 100, 1.5)],
    "cpu,host=a usage=1.5": [(PointKey("cpu", HOST, "usage"), None, 1.5)],
    "cpu usage=-1e-3 -7": [(PointKey("cpu", (), "usage"), -7, -0.001)],
    "cpu n=3i,m=-4i 5": [(PointKey("cpu", (), "n"), 5, 3), (PointKey("cpu", (), "m"), 5, -4)],
    "cpu n=9223372036854775807u 5": [(PointKey("cpu", (), "n"), 5, 2**63 - 1)],
    "cpu n=-9223372036854775808i 5": [(PointKey("cpu", (), "n"), 5, -(2**63))],
    "cpu a=t,b=True,c=FALSE,d=f 5": [
        (PointKey("cpu", (), name), 5, value)
        for name, value in zip("abcd", (1, 1, 0, 0), strict=True)
    ],
    "cpu,z=1,host=a,b=2 v=1 5": [(PointKey("cpu", (("b", "2"), *HOST, ("z", "1")), "v"), 5, 1.0)],
    r"m\ e\,a,t\ \=\,=x\ y\,z\= f\ \=\,=1 5": [
        (PointKey("m e,a", (("t =,", "x y,z="),), "f =,"), 5, 1.0)
    ],
    r"m\=1,t=a\b v=1 5": [(PointKey("m=1", (("t", "a\\b"),), "v"), 5, 1.0)],
    r'm t="a \"b\" \\ c\d, e=f" 5': [(PointKey("m", (), "t"), 5, 'a "b" \\ c\\d, e=f')],
    'm t="",u="°C" 5': [(PointKey("m", (), "t"), 5, ""), (PointKey("m", (), "u"), 5, "°C")],
    'm "q"=1 5': [(PointKey("m", (), '"q"'), 5, 1.0)],
    "°C,friendly=Wohnzimmer value=21.5 5": [
        (PointKey("°C", (("friendly", "Wohnzimmer"),), "value"), 5, 21.5)
    ],
    "  cpu   v=1   5  ": [(PointKey("cpu", (), "v"), 5, 1.0)],
    "cpu v=1 5\r": [(PointKey("cpu", (), "v"), 5, 1.0)],
    "cpu v=1\r": [(PointKey("cpu", (), "v"), None, 1.0)],
    "cpu v=5i,v=6i 5": [(PointKey("cpu", (), "v"), 5, 5), (PointKey("cpu", (), "v"), 5, 6)],
    "# a comment": [],
    "": [],
    "\r": [],
}

BAD = {
    "cpu": "there is no field",
    "cpu ": "expected field=value, got the end of the line",
    ",a=b v=1": "expected a measurement",
    "cpu,a v=1": "expected tag=value, got 'a'",
    "cpu,a= v=1": "expected tag=value, got 'a='",
    "cpu,=b v=1": "expected tag=value, got '=b'",
    "cpu,a=b=c v=1": "expected tag=value, got 'a=b=c'",
    "cpu,a=b,a=c v=1": "the tag 'a' is there twice",
    "cpu v": "expected field=value, got 'v'",
    "cpu =1": "expected field=value, got '=1'",
    "cpu v=": "got the end of the line",
    "cpu v=1,": "expected field=value, got the end of the line",
    "cpu v=1, w=2": "expected field=value, got ' w=2'",
    "cpu v=nan": "expected a number, true, false or a text in quotes, got 'nan'",
    "cpu v=inf": "expected a number",
    "cpu v=tru": "expected a number, true, false",
    "cpu v=falsey": "expected a number, true, false",
    "cpu v=0x10": "expected a number",
    "cpu v=1_000": "expected a number",
    "cpu v=i": "expected a number",
    "cpu v=1.5i": "expected a number",
    "cpu v=1e400": "does not fit a float of 64 bits",
    "cpu v=9223372036854775808i": "does not fit 64 bits with a sign",
    "cpu v=9223372036854775808u": "does not fit 64 bits with a sign",
    "cpu v=-1u": "does not fit 64 bits with a sign",
    "cpu v=1 1.5": "expected a timestamp, a whole number, got '1.5'",
    "cpu v=1 now": "expected a timestamp",
    "cpu v=1 99999999999999999999": "the timestamp '99999999999999999999' does not fit 64 bits",
    "cpu v=1 5 6": "expected the end of the line, got '6'",
    'cpu v="a"b 5': "expected a comma or a blank behind a value, got 'b 5'",
    'cpu v="a': "the text has no closing quote",
    "cpu v=1\0": "expected a number",
    "c\0pu v=1": "there is a NUL",
    'cpu v="\0"': "there is a NUL",
    "cpu \0v=1": "there is a NUL",
}


@pytest.mark.parametrize("line", GOOD)
def test_line_gives_its_points(line: str) -> None:
    rows, bad = found(LineProtocol(), line.encode())
    assert bad == []
    assert [row[:3] for row in rows] == GOOD[line]
    assert [type(row[2]) for row in rows] == [type(value) for _, _, value in GOOD[line]]


@pytest.mark.parametrize("line", BAD)
@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_line_that_is_wrong_is_told_and_gives_no_point(line: str, end: str) -> None:
    text = f"a v=1 1\nb,c=d w=7i,x=2 2\n{line}{end}"
    parser = LineProtocol()
    rows, bad = found(parser, text.encode())
    assert [row[2] for row in rows] == [1.0, 7, 2.0]
    assert [one.line for one in bad] == [3]
    assert BAD[line] in bad[0].reason
    rows, _ = found(parser, b"b,c=d x=3 4\n")
    assert [row[:3] for row in rows] == [(PointKey("b", (("c", "d"),), "x"), 4, 3.0)]


@pytest.mark.parametrize("raw", [b"c\xff v=1", b"c v\xff=1", b'c v="\xff"', b"c,a=\xff v=1"])
def test_bytes_that_are_no_utf_8_are_refused(raw: bytes) -> None:
    rows, bad = found(LineProtocol(), raw)
    assert rows == []
    assert "is not UTF-8" in bad[0].reason


def test_good_fields_of_a_bad_line_are_not_taken() -> None:
    rows, bad = found(LineProtocol(), b'm a=1,t="x",b=y 5\nm t="z" 6\n')
    assert rows == [(PointKey("m", (), "t"), 6, "z", 2)]
    assert [one.line for one in bad] == [1]


def test_ends_of_line_in_a_text_belong_to_it_and_are_counted() -> None:
    text = b'm t="one\ntwo\r\n#three" 5\nm v=1 6\nm t="a\nb" x\nm v=2 7\n'
    rows, bad = found(LineProtocol(), text)
    assert [row[2:] for row in rows] == [("one\ntwo\r\n#three", 1), (1.0, 4), (2.0, 7)]
    assert [one.line for one in bad] == [5]


def test_line_behind_a_bad_text_is_read_from_its_next_end() -> None:
    rows, bad = found(LineProtocol(), b'm t="x"y,evil v="\nm v=1 5\n')
    assert [row[2] for row in rows] == [1.0]
    assert len(bad) == 1


def test_integers_of_a_series_of_floats_are_floats() -> None:
    text = b"m,b=1,a=2 v=1i 1\nm,b=1,a=2 v=2 2\nm,a=2,b=1 v=3i 3\nm v=4i 4\n"
    rows, _ = found(LineProtocol(), text)
    assert [(row[2], type(row[2])) for row in rows] == [
        (1, int),
        (2.0, float),
        (3.0, float),
        (4, int),
    ]


def test_tags_in_another_order_are_the_same_series() -> None:
    parser = LineProtocol()
    found(parser, b"m,b=1,a=2 v=1 1\nm,a=2,b=1 v=2 2\n")
    assert parser.series == [PointKey("m", (("a", "2"), ("b", "1")), "v")]


def test_many_series_and_fields_are_told_apart() -> None:
    lines = [
        f"m{m},host=h{h} " + ",".join(f"f{f}={m}{h}{f}i" for f in range(7)) + f" {m}"
        for m in range(3)
        for h in range(200)
    ]
    parser = LineProtocol()
    for text in ("\n".join(lines), "\n".join(reversed(lines))):
        rows, bad = found(parser, text.encode())
        assert bad == []
        assert len(rows) == 3 * 200 * 7
        for key, _, value, _ in rows:
            assert value == int(key.measurement[1:] + key.tags[0][1][1:] + key.field[1:])
    assert len(parser.series) == 3 * 200 * 7


ALL = "\n".join([*GOOD, *BAD]).encode() + b'\nm t="x\ny" 7\nc\xff v=1\n'


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000])
def test_blocks_may_be_cut_anywhere(size: int) -> None:
    assert found(LineProtocol(), ALL, size) == found(LineProtocol(), ALL)


TOKENS = [
    "m",
    ",",
    "=",
    " ",
    "\\",
    '"',
    "\n",
    "\r",
    "1",
    ".5",
    "i",
    "u",
    "e9",
    "-",
    "t",
    "°",
    "#",
    "\0",
]


@given(st.lists(st.sampled_from(TOKENS), max_size=40), st.integers(1, 9))
def test_any_text_is_read_the_same_in_blocks(tokens: list[str], size: int) -> None:
    text = "".join(tokens).encode()
    assert found(LineProtocol(), text, size) == found(LineProtocol(), text)


@given(st.binary(max_size=60))
def test_any_bytes_give_points_or_bad_lines(data: bytes) -> None:
    rows, bad = found(LineProtocol(), data)
    assert len(rows) + len(bad) <= len(data)


@given(
    st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["{!r}", "{:.17e}", "{:f}"])
)
def test_float_is_the_nearest_one(value: float, form: str) -> None:
    text = form.format(value)
    rows, bad = found(LineProtocol(), f"m v={text} 1".encode())
    if bad:
        assert len(text) > 400
    else:
        assert struct.pack("d", rows[0][2]) == struct.pack("d", float(text))


@pytest.mark.parametrize(
    "text", ["1.", ".5", "+1", "-0.0", "1e22", "1e23", "9007199254740993", "0" * 30 + "1"]
)
def test_float_in_odd_dress_is_the_nearest_one(text: str) -> None:
    rows, _ = found(LineProtocol(), f"m v={text} 1".encode())
    assert rows[0][2] == float(text)
    assert math.copysign(1, rows[0][2]) == math.copysign(1, float(text))


@given(st.integers(-(2**70), 2**70))
def test_integer_is_exact_or_refused(value: int) -> None:
    rows, bad = found(LineProtocol(), f"m v={value}i 1".encode())
    assert [row[2] for row in rows] == ([value] if -(2**63) <= value < 2**63 else [])
    assert len(bad) == 1 - len(rows)
