"""The dialect of a CSV file is guessed from its head; what is ambiguous is an error."""

from pathlib import Path
from typing import Any

import pytest

from siridb_fast.errors import FileError
from siridb_fast.files.base import ReadOptions
from siridb_fast.files.csv.dialect import Dialect, TimeFormat
from siridb_fast.files.csv.given import CsvGiven
from siridb_fast.files.csv.guess import guess_dialect

CSV_OPTIONS = set(CsvGiven.__dataclass_fields__)


def guessed(head: str | bytes, name: str = "a.csv", **given: Any) -> Dialect:
    csv = {option: given.pop(option) for option in [*given] if option in CSV_OPTIONS}
    options = ReadOptions(csv=CsvGiven(**csv), **given)
    data = head if isinstance(head, bytes) else head.encode()
    return guess_dialect(data, options, Path(name), True)


DAY = "2024-03-01 00:00:00"
ISO = TimeFormat(columns=("time",))
PLAIN = f"time,a\n{DAY},1.5\n"
FOUND: list[tuple[str | bytes, dict[str, Any], dict[str, Any]]] = [
    # the text
    (PLAIN, {}, {"encoding": "utf-8", "delimiter": ",", "decimal": ".", "time": ISO}),
    (b"\xef\xbb\xbf" + PLAIN.encode(), {}, {"encoding": "utf-8-sig", "names": ("time", "a")}),
    (PLAIN.encode("utf-16"), {}, {"encoding": "utf-16", "names": ("time", "a")}),
    (PLAIN.encode("utf-16-le"), {}, {"encoding": "utf-16-le", "names": ("time", "a")}),
    (PLAIN.encode("utf-16-be"), {}, {"encoding": "utf-16-be", "names": ("time", "a")}),
    (
        "time,T °C\n2024-03-01,1\n".encode("cp1252"),
        {},
        {"encoding": "cp1252", "names": ("time", "T °C")},
    ),
    (
        "time,€\n2024-03-01,1\n".encode("cp1252"),
        {},
        {"encoding": "cp1252", "names": ("time", "€")},
    ),
    ("time,T °C\n2024-03-01,1\n", {}, {"encoding": "utf-8", "names": ("time", "T °C")}),
    (
        b"time,\xe9\n2024-03-01,1\n",
        {"encoding": "latin-1"},
        {"encoding": "latin-1", "names": ("time", "é")},
    ),
    (f"time,a\r\n{DAY},1.5\r\n", {}, {"names": ("time", "a"), "time": ISO}),
    # what separates fields
    (f"time;a\n{DAY};1.5\n", {}, {"delimiter": ";"}),
    (f"time\ta\n{DAY}\t1.5\n", {}, {"delimiter": "\t"}),
    (f"time|a\n{DAY}|1.5\n", {}, {"delimiter": "|"}),
    (
        "time    a  b\n2024-03-01T00:00  1.5 2\n",
        {},
        {"delimiter": " ", "names": ("time", "a", "b")},
    ),
    (f"time;a, b\n{DAY};1,5\n", {}, {"delimiter": ";", "decimal": ","}),
    (f'time,a\n{DAY},"1;2"\n', {}, {"delimiter": ","}),
    (f"time;a\n{DAY};1,5\n", {"delimiter": ";"}, {"delimiter": ";", "decimal": ","}),
    # numbers
    (
        f"time;a\n{DAY};1,5\n{DAY};3\n",
        {},
        {"decimal": ",", "thousands": None, "kinds": {"time": "time", "a": "float"}},
    ),
    (f'time,a\n{DAY},"1,234.5"\n{DAY},"2,000.0"\n', {}, {"decimal": ".", "thousands": ","}),
    (f"time;a\n{DAY};1.234,5\n", {}, {"decimal": ",", "thousands": "."}),
    (f"time;a\n{DAY};1 234,5\n", {}, {"decimal": ",", "thousands": " "}),
    (f"time;a\n{DAY};1\u00a0234,5\n", {}, {"decimal": ",", "thousands": " "}),
    (f"time;a\n{DAY};1'234.5\n", {}, {"decimal": ".", "thousands": "'"}),
    (f"time;a\n{DAY};1'234\n", {}, {"decimal": ".", "thousands": "'"}),
    (f"time;a;b\n{DAY};1,234;1,5\n", {}, {"decimal": ",", "thousands": None}),
    (f'time,a\n{DAY},"1,234,567"\n', {}, {"decimal": ".", "thousands": ","}),
    (f"time,a\n{DAY},1.234\n", {}, {"decimal": ".", "thousands": None}),
    (f"time;a\n{DAY};0.234\n", {}, {"decimal": ".", "thousands": None}),
    (f"time;a\n{DAY};1.234\n{DAY};1.5\n", {}, {"decimal": ".", "thousands": None}),
    (f"time;a\n{DAY};1.234\n", {"decimal": "."}, {"decimal": ".", "thousands": None}),
    (f"time;a\n{DAY};1.234\n", {"decimal": ","}, {"decimal": ",", "thousands": "."}),
    (f"time;a\n{DAY};1.234\n", {"thousands": "."}, {"decimal": ",", "thousands": "."}),
    (f'time,a\n{DAY},"1,234"\n', {"decimal": ","}, {"decimal": ",", "thousands": None}),
    (f'time,a\n{DAY},"1,234"\n', {"thousands": ","}, {"decimal": ".", "thousands": ","}),
    (f"time,a\n{DAY},-1e-5\n{DAY},inf\n", {}, {"kinds": {"time": "time", "a": "float"}}),
    (f"time;a\n{DAY};1_234\n", {"thousands": "_"}, {"decimal": ".", "thousands": "_"}),
    # kinds
    (
        f"time,a,b\n{DAY},true,x\n{DAY},False,1\n{DAY},,z\n",
        {},
        {"kinds": {"time": "time", "a": "bool", "b": "string"}},
    ),
    (
        f"time,a\n{DAY},1\n{DAY},x\n{DAY},y\n{DAY},z\n",
        {},
        {"kinds": {"time": "time", "a": "float"}},
    ),
    (f"time,a\n{DAY},\n", {}, {"kinds": {"time": "time", "a": "float"}}),
    (
        f"time,a\n{DAY},1\n",
        {"types": {"a": "integer"}},
        {"kinds": {"time": "time", "a": "integer"}},
    ),
    (f"time,a\n{DAY},1\n", {"types": {"a": "string"}}, {"kinds": {"time": "time", "a": "string"}}),
    (
        f"time,host,a\n{DAY},7,1\n",
        {"names": ("host",)},
        {"kinds": {"time": "time", "host": "string", "a": "float"}},
    ),
    (
        f"time,a\n{DAY},nil\n{DAY},2\n",
        {},
        {"nulls": ("nil",), "kinds": {"time": "time", "a": "float"}},
    ),
    (f"time,a\n{DAY},-\n{DAY},2,\n", {}, {"nulls": ("-",)}),
    (f"time,a\n{DAY},-999\n{DAY},2\n", {"nulls": ("-999",)}, {"nulls": ("-999",)}),
    (f"time,a\n{DAY},55 W\n{DAY},off\n", {}, {"kinds": {"time": "time", "a": "string"}}),
    (f"time,a,b\n{DAY},55 W,x\n{DAY},,\n{DAY},1.5 kW,y\n", {}, {"with_units": ("a",)}),
    (f"time,a\n{DAY},10%\n", {"types": {"a": "string"}}, {"with_units": ()}),
    (
        "time,a\n" + "2024-03-01,1\n" * 20 + "soon,1\n",
        {},
        {"time": ISO, "kinds": {"time": "time", "a": "float"}},
    ),
    # header, and what is above and below it
    (
        f"{DAY},1.5\n{DAY},2.5\n",
        {},
        {
            "has_header": False,
            "names": ("column_1", "column_2"),
            "time": TimeFormat(columns=("column_1",)),
        },
    ),
    (
        f"{DAY},1.5\n{DAY},2.5\n",
        {"column_names": ("time", "a")},
        {"has_header": False, "names": ("time", "a"), "time": ISO},
    ),
    (
        f"time,a\n{DAY},2.5\n",
        {"column_names": ("t", "b")},
        {"has_header": True, "names": ("t", "b")},
    ),
    (
        "time,2020,2021\n2024-03-01,1,2\n",
        {},
        {"has_header": True, "names": ("time", "2020", "2021")},
    ),
    ("name,kind\nx,y\nz,w\n", {}, {"has_header": True, "names": ("name", "kind"), "time": None}),
    (
        f"x,a\n{DAY},2.5\n",
        {"header": False},
        {"has_header": False, "names": ("column_1", "column_2")},
    ),
    (
        f"Station 12\nexported by X\n\ntime,a\n{DAY},1\n",
        {},
        {"skip_rows": 3, "names": ("time", "a")},
    ),
    (f"Station,12\ntime,a\n{DAY},1\n{DAY},2\n", {}, {"skip_rows": 1, "names": ("time", "a")}),
    (
        f"a,b,c\ntime,x,y\n{DAY},1,2\n",
        {"skip_rows": 1},
        {"skip_rows": 1, "names": ("time", "x", "y")},
    ),
    (
        f"time,a\n,°C\n{DAY},1\n",
        {},
        {"has_units_row": True, "skip_rows": 0, "names": ("time", "a")},
    ),
    (
        f"time,a,b\n[s],[V],[A]\n{DAY},1,2\n",
        {},
        {"has_units_row": True, "names": ("time", "a", "b")},
    ),
    (f"time,a,b\nUTC,kWh,m/s\n{DAY},1,2\n", {}, {"has_units_row": True}),
    (
        f"time,a\nfoo,bar\n{DAY},1\n",
        {"units_row": True, "skip_rows": 0},
        {"has_units_row": True, "names": ("time", "a")},
    ),
    (
        f"# station 12\n# tz UTC\ntime,a\n{DAY},3.1\n# maintenance\n{DAY},3.2\n",
        {},
        {"comment": "#", "names": ("time", "a")},
    ),
    (
        f"# time,a\n{DAY},3.1\n",
        {},
        {"comment": "#", "has_header": False, "names": ("time", "a"), "time": ISO},
    ),
    (f"// x\ntime,a\n{DAY},3.1\n", {"comment": "//"}, {"comment": "//", "names": ("time", "a")}),
    (f"time,a,\n{DAY},3.1,\n{DAY},3.2,\n", {}, {"names": ("time", "a", "")}),
    (f"time,a\n{DAY},3.1,\n{DAY},3.2,\n", {}, {"names": ("time", "a", "")}),
    (f",time,a\n0,{DAY},3.1\n1,{DAY},3.2\n", {}, {"names": ("", "time", "a")}),
    (
        f",a\n{DAY},3.1\n",
        {},
        {"names": ("column_1", "a"), "time": TimeFormat(columns=("column_1",))},
    ),
    (f"time,temp,temp\n{DAY},3.1,4\n", {}, {"names": ("time", "temp", "temp_2")}),
    (f"time,a\nsoon,3\n{DAY},1\n{DAY},2\n", {}, {"skip_rows": 0, "names": ("time", "a")}),
    (f"time,a\n{DAY},nil\n{DAY},1\n", {}, {"skip_rows": 0, "names": ("time", "a")}),
    (f"id,time,a\n#1,{DAY},1\n#2,{DAY},1\n", {}, {"comment": None}),
    # times
    ("time,a\n2024-03-01T00:00:00Z,1\n2024-03-01T00:00:00.5+02:00,1\n", {}, {"time": ISO}),
    ("time,a\n2024-03-01 00:00:00 UTC,1\n", {}, {"time": ISO}),
    ("time,a\n20240301T000000Z,1\n", {}, {"time": ISO}),
    (
        "when,a\n2024-03-01,1\n",
        {"time": "when", "time_zone": "Europe/Berlin", "fold": "later"},
        {"time": TimeFormat(columns=("when",), zone="Europe/Berlin", fold="later")},
    ),
    ("x,y,a\n2024-03-01,2024-03-02,1\n", {"time": "y"}, {"time": TimeFormat(columns=("y",))}),
    (
        "Zeit;a\n01.03.2024 00:15;1,5\n",
        {},
        {"time": TimeFormat(columns=("Zeit",), form="%d.%m.%Y %H:%M")},
    ),
    ("time,a\n2012/01/31,1\n", {}, {"time": TimeFormat(columns=("time",), form="%Y/%m/%d")}),
    (
        "time,a\n03/14/2024 1:05 PM,1\n",
        {},
        {"time": TimeFormat(columns=("time",), form="%m/%d/%Y %I:%M %p")},
    ),
    (
        "time,a\n14/03/2024 01:05:06,1\n",
        {},
        {"time": TimeFormat(columns=("time",), form="%d/%m/%Y %H:%M:%S")},
    ),
    (
        "time,a\n03/04/2024,1\n",
        {"time_format": "%d/%m/%Y"},
        {"time": TimeFormat(columns=("time",), form="%d/%m/%Y")},
    ),
    (
        "date,a\n20240301,1\n20240302,2\n",
        {"time": "date"},
        {"time": TimeFormat(columns=("date",), form="%Y%m%d")},
    ),
    (
        "time,a\n1709251200,1\n",
        {"time": "time"},
        {"time": TimeFormat(columns=("time",), form="epoch")},
    ),
    (
        "t,a\n5,1\n",
        {"time": "t", "unit": "s"},
        {"time": TimeFormat(columns=("t",), form="epoch", unit="s")},
    ),
    (
        "timestamp,a\n1709251200123,1\n",
        {},
        {"time": TimeFormat(columns=("timestamp",), form="epoch")},
    ),
    ("n,a\n1709251200,1\n", {}, {"time": None}),
    ("Date,Time,a\n2024-03-01,00:15,1\n", {}, {"time": TimeFormat(columns=("Date", "Time"))}),
    (
        "Date,Time,a\n2024-03-01,00:15,1\n",
        {"time_columns": ("Date", "Time")},
        {"time": TimeFormat(columns=("Date", "Time"))},
    ),
    (
        "d,t,a\n31.03.2024,00:15:01,1\n",
        {},
        {"time": TimeFormat(columns=("d", "t"), form="%d.%m.%Y %H:%M:%S")},
    ),
    (
        "year,month,day,hour,a\n2024,3,1,5,1\n",
        {},
        {"time": TimeFormat(columns=("year", "month", "day", "hour"), form="%Y %m %d %H")},
    ),
]


@pytest.mark.parametrize(("head", "given", "expected"), FOUND)
def test_dialect_is_found(
    head: str | bytes, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    dialect = guessed(head, **given)
    assert {name: getattr(dialect, name) for name in expected} == expected
    assert Dialect.from_json(dialect.as_json()) == dialect


REFUSED: list[tuple[str | bytes, dict[str, Any], list[str]]] = [
    (
        f'time,a\n{DAY},"1,234"\n',
        {},
        [
            "a.csv:2: column 'a'",
            "'1,234'",
            "reads 1.234",
            "reads 1234",
            "--decimal",
            "--thousands ,",
        ],
    ),
    (f"time;a\n{DAY};1,234\n", {}, ["column 'a'", "reads 1.234", "reads 1234"]),
    (f"time;a\n{DAY};1.234\n", {}, ["column 'a'", "reads 1.234", "reads 1234", "--decimal ."]),
    (f'time,a,b\n{DAY},"1,5",2.5\n', {}, ["column 'b'", "'2.5'", "--type b=string"]),
    (f"time;a\n{DAY};1,5\n", {"decimal": "."}, ["column 'a'", "'1,5' is no number", "--decimal"]),
    (
        "time,a\n03/04/2024,1\n",
        {},
        ["a.csv:2: column 'time'", "'03/04/2024'", "%d/%m/%Y", "%m/%d/%Y", "--time-format"],
    ),
    ("time,a\n20240301,1\n", {}, ["'20240301'", "%Y%m%d", "--unit"]),
    ("t,u,a\n2024-03-01,2024-03-02,1\n", {}, ["'t', 'u'", "--time"]),
    (
        f"time,a,b\nleft,one,two\n{DAY},1,2\n",
        {},
        ["lines 1 and 2", "--skip-rows 1", "--units-row"],
    ),
    (
        "time,é\n2024-03-01,1\n".encode("latin-1"),
        {"encoding": "utf-8"},
        ["a.csv:1", "not utf-8", "--encoding"],
    ),
]


@pytest.mark.parametrize(("head", "given", "texts"), REFUSED)
def test_what_is_ambiguous_names_the_readings_and_the_option(
    head: str | bytes, given: dict[str, Any], texts: list[str]
) -> None:
    with pytest.raises(FileError) as caught:
        guessed(head, **given)
    assert [text for text in texts if text not in str(caught.value)] == []


def test_suffix_tsv_has_tabs_where_others_would_do_too() -> None:
    assert guessed("a,b\tc,d\n1,2\t3,4\n", "a.tsv").delimiter == "\t"


def test_head_that_is_cut_ends_with_its_last_whole_line() -> None:
    head = (PLAIN + "2024-03-01 00:10:00,é").encode()[:-1]
    dialect = guess_dialect(head, ReadOptions(), Path("a.csv"), False)
    assert (dialect.encoding, dialect.kinds) == ("utf-8", {"time": "time", "a": "float"})


def test_later_line_settles_what_the_first_ones_leave_open() -> None:
    head = "time;a\n" + f"{DAY};1,234\n" * 9000 + f"{DAY};1,5\n"
    assert guessed(head).decimal == ","
    head = "time,a\n" + "03/04/2024,1\n" * 9000 + "14/04/2024,1\n"
    assert guessed(head).time == TimeFormat(columns=("time",), form="%d/%m/%Y")


def test_empty_head_has_the_plain_dialect() -> None:
    assert guessed("") == guessed("\n\n") == Dialect()


EPOCH = "times in column 'time' as the precision of the database since 1970"
WITH_UNITS = "numbers with units, stored as texts, in"
ISO_TIME = "times ISO 8601 in column 'time'"
ZEIT = "times '%d.%m.%Y %H:%M' in column 'Zeit'"
SHOWN: list[tuple[str, dict[str, Any], str]] = [
    (PLAIN, {}, "comma, times ISO 8601 in column 'time', taken as UTC, UTF-8"),
    (
        "Zeit;a\n01.03.2024 00:15;1,5\n",
        {"time_zone": "Asia/Tokyo"},
        f"semicolon, decimal comma, {ZEIT}, taken as Asia/Tokyo, UTF-8",
    ),
    (
        "x\n\ntime,a,\n1709251200,y,\n",
        {},
        f"comma, 2 lines above the header, {EPOCH}, field 3 left out, texts in 'a', UTF-8",
    ),
    (
        f"time,a,b\n{DAY},55 W,x\n",
        {},
        f"comma, {ISO_TIME}, taken as UTC, texts in 'b', {WITH_UNITS} 'a', UTF-8",
    ),
    (
        "time\ta,\n2024-03-01\t-\n2024-03-01\t1 234\n",
        {},
        f"tab, thousands ' ', missing values '-', {ISO_TIME}, taken as UTC, UTF-8",
    ),
]


@pytest.mark.parametrize(("head", "given", "line"), SHOWN)
def test_dialect_is_shown_in_one_line(head: str, given: dict[str, Any], line: str) -> None:
    assert str(guessed(head, **given)) == line
