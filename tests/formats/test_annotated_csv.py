"""Annotated CSV of InfluxDB: its tables, what is wrong with them, blocks cut anywhere."""

from typing import Any

import pytest

from siridb_fast.formats.annotated_csv import AnnotatedCsv
from siridb_fast.formats.annotated_start import is_annotated
from siridb_fast.formats.points import PointKey
from tests.formats.parsed import found

SECOND = 1_000_000_000
FIRST = 1_525_812_600 * SECOND  # 2018-05-08T20:50:00Z
USAGE = PointKey("cpu", (("host", "A"),), "usage")

# As the reference of InfluxDB shows answers of queries; two tables, of floats and of integers.
ANSWER = """#group,false,false,true,true,false,false,true,true,true\r
#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339,double,string,string,string\r
#default,mean,,,,,,,,\r
,result,table,_start,_stop,_time,_value,_field,_measurement,host\r
,,0,2018-05-08T20:50:00Z,2018-05-08T20:51:00Z,2018-05-08T20:50:00Z,15.43,usage,cpu,A\r
,,0,2018-05-08T20:50:00Z,2018-05-08T20:51:00Z,2018-05-08T20:50:20.5Z,,usage,cpu,A\r
,,0,2018-05-08T20:50:00Z,2018-05-08T20:51:00Z,2018-05-08T22:50:40.25+02:00,-1e3,usage,cpu,A\r
\r
#group,false,false,false,false,true,true\r
#datatype,string,long,dateTime:RFC3339,long,string,string\r
#default,_result,,,,,\r
,result,table,_time,_value,_field,_measurement\r
,,1,2018-05-08T20:50:00Z,7,n,cpu\r
"""
ANSWER_ROWS = [
    (USAGE, FIRST, 15.43, 5),
    (USAGE, FIRST + 40_250_000_000, -1000.0, 7),
    (PointKey("cpu", (), "n"), FIRST, 7, 13),
]

TABLES: dict[str, tuple[str, list[tuple[PointKey, int, Any]]]] = {
    "pivoted": (
        (
            "#group,false,false,false,true,true,false,false,false\n"
            "#datatype,string,long,dateTime:RFC3339,string,string,double,string,boolean\n"
            "#default,_result,,,,,,,\n"
            ",result,table,_time,_measurement,room,co,note,ok\n"
            ",,0,2018-05-08T20:50:00Z,air,Kitchen,0.5,hello,true\n"
        ),
        [
            (PointKey("air", (("room", "Kitchen"),), "co"), FIRST, 0.5),
            (PointKey("air", (("room", "Kitchen"),), "note"), FIRST, "hello"),
            (PointKey("air", (("room", "Kitchen"),), "ok"), FIRST, 1),
        ],
    ),
    "to be written": (
        (
            "#datatype measurement,tag,double,string,ignored,dateTime:RFC3339\n"
            "m,host,used,note,x,time\n"
            'mem,a,64.23,"a, ""b""\ntwo",9,2018-05-08T20:50:00Z\n'
            "mem,b,72.01,,9,2018-05-08T20:50:00.000000001Z\n"
        ),
        [
            (PointKey("mem", (("host", "a"),), "used"), FIRST, 64.23),
            (PointKey("mem", (("host", "a"),), "note"), FIRST, 'a, "b"\ntwo'),
            (PointKey("mem", (("host", "b"),), "used"), FIRST + 1, 72.01),
        ],
    ),
    "constants and defaults": (
        (
            "#constant measurement,cpu\n#constant tag,dc,east\n"
            "#datatype dateTime,double|1.5,long\n"
            "time,usage,n\n1525812600000000000,,3\n"
        ),
        [
            (PointKey("cpu", (("dc", "east"),), "usage"), FIRST, 1.5),
            (PointKey("cpu", (("dc", "east"),), "n"), FIRST, 3),
        ],
    ),
    "two tables without a blank line": (
        (
            "#datatype,string,long,dateTime:RFC3339,double,string,string\n"
            ",result,table,_time,_value,_field,_measurement\n"
            ",,0,2018-05-08T20:50:00Z,1,a,m\n"
            "#datatype,string,long,dateTime:RFC3339,string,string,string\n"
            ",result,table,_time,_value,_field,_measurement\n"
            ",,0,2018-05-08T20:50:00Z,1,b,m\n"
        ),
        [(PointKey("m", (), "a"), FIRST, 1.0), (PointKey("m", (), "b"), FIRST, "1")],
    ),
}

HEAD = (
    "#datatype,string,long,dateTime:RFC3339,{},string,string\n"
    ",result,table,_time,_value,_field,_measurement\n"
)
BAD = {
    "double": ("x", "column '_value': expected a number, got 'x'"),
    "long": ("1.5", "expected a whole number, got '1.5'"),
    "unsignedLong": ("9223372036854775808", "does not fit 64 bits with a sign"),
    "boolean": ("yes", "expected true or false, got 'yes'"),
    "duration": ("1h", "values of type 'duration' cannot be stored"),
    "base64Binary": ("/w==", "bytes that are no UTF-8 cannot be stored"),
}


def test_answer_of_a_query_gives_its_points() -> None:
    rows, bad = found(AnnotatedCsv(), ANSWER.encode())
    assert (rows, bad) == (ANSWER_ROWS, [])


@pytest.mark.parametrize("size", [1, 7, 100])
def test_blocks_may_be_cut_anywhere(size: int) -> None:
    for text in (ANSWER, *(text for text, _ in TABLES.values())):
        assert found(AnnotatedCsv(), text.encode(), size) == found(AnnotatedCsv(), text.encode())


@pytest.mark.parametrize("name", TABLES)
def test_table_gives_its_points(name: str) -> None:
    text, expected = TABLES[name]
    rows, bad = found(AnnotatedCsv(), text.encode())
    assert bad == []
    assert [row[:3] for row in rows] == expected
    assert [type(row[2]) for row in rows] == [type(value) for *_, value in expected]


@pytest.mark.parametrize("kind", BAD)
def test_cell_that_is_not_of_its_type_is_named(kind: str) -> None:
    cell, reason = BAD[kind]
    row = ",,0,2018-05-08T20:50:00Z,{},f,m\n"
    rows, bad = found(AnnotatedCsv(), (HEAD.format(kind) + row.format(cell)).encode())
    assert rows == []
    assert bad[0].line == 3
    assert reason in bad[0].reason


ODD: dict[str, tuple[str, int, str]] = {
    "an error": (
        "#datatype,string,string\n#group,true,true\n#default,,\n,error,reference\n,no such,897\n",
        4,
        "has failed",
    ),
    "no times": (
        "#datatype,string,long,double,string\n,result,table,_value,host\n,,0,15.43,A\n",
        2,
        "no column of times",
    ),
    "no values": (
        (
            "#group,false,false,false,true\n#datatype,string,long,dateTime:RFC3339,string\n"
            ",result,table,_time,host\n"
        ),
        3,
        "no column of values",
    ),
    "a column twice": (
        "#datatype measurement,tag,tag,double,dateTime:RFC3339\nm,a,a,v,time\n",
        2,
        "the column 'a' twice",
    ),
    "too few cells": (
        HEAD.format("double") + ",,0,2018-05-08T20:50:00Z,1\n",
        3,
        "expected 7 cells",
    ),
    "no time": (
        HEAD.format("double") + ",,0,,1,f,m\n",
        3,
        "expected a time as in RFC 3339, got ''",
    ),
    "no such time": (
        HEAD.format("double") + ",,0,2018-02-30T20:50:00Z,1,f,m\n",
        3,
        "'2018-02-30T20:50:00Z' is no time",
    ),
    "an unknown annotation": ("#concat,a\n", 1, "the annotation #concat is not understood"),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_table_is_told_with_its_line(name: str) -> None:
    text, line, reason = ODD[name]
    rows, bad = found(AnnotatedCsv(), text.encode())
    assert rows == []
    assert bad[0].line == line
    assert reason in bad[0].reason


def test_rows_behind_a_header_that_is_wrong_are_all_bad_until_the_next_table() -> None:
    text = ODD["no times"][0] + "\n" + HEAD.format("long") + ",,0,2018-05-08T20:50:00Z,1,f,m\n"
    rows, bad = found(AnnotatedCsv(), text.encode())
    assert [row[2] for row in rows] == [1]
    assert [one.line for one in bad] == [2, 3]


@pytest.mark.parametrize("cell", [b"\xff", b"a\0b"])
def test_odd_bytes_are_told(cell: bytes) -> None:
    text = HEAD.format("string").encode() + b",,0,2018-05-08T20:50:00Z," + cell + b",f,m\n"
    rows, bad = found(AnnotatedCsv(), text)
    assert rows == []
    assert bad[0].line == 3


def test_times_that_are_numbers_have_a_unit() -> None:
    text = b"#datatype measurement,double,dateTime\nm,v,time\nm,1,1525812600\n"
    rows, _ = found(AnnotatedCsv(unit=SECOND), text)
    assert rows[0][1] == FIRST
    text = text.replace(b"1525812600", b"1525812600000000000")
    _, bad = found(AnnotatedCsv(unit=SECOND), text)
    assert "does not fit 64 bits of nanoseconds" in bad[0].reason


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (b"#group,false", True),
        (b"\xef\xbb\xbf#datatype measurement,tag", True),
        (b"\r\n#default,", True),
        (b'"#datatype",', True),
        (b"#constant tag,a,b", True),
        (b"# comment", False),
        (b"#groups,a", False),
        (b"time,value", False),
        (b"", False),
    ],
)
def test_text_is_known_by_its_first_line(start: bytes, expected: bool) -> None:
    assert is_annotated(start) is expected
