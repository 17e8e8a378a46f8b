"""What a caller says of CSV files: it reaches the files, or is refused with what it may be."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from siridb_fast.errors import ConfigError, FileError
from siridb_fast.loading.database_id import DatabaseId
from siridb_fast.loading.file_source import FileSource, _read_options
from siridb_fast.loading.manifest import Manifest
from siridb_fast.loading.notes import job_key
from siridb_fast.loading.options import LoadOptions
from siridb_fast.loading.resume import KnownFiles, Start

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"delimiter": ";;"}, "delimiter is one ASCII character"),
    ({"decimal": ";"}, "decimal is '.' or ',', got ';'"),
    ({"thousands": "xx"}, "thousands is one ASCII character"),
    ({"thousands": "0"}, "thousands is a separator such as ',', got '0'"),
    ({"thousands": ",", "decimal": ","}, "decimal and thousands are both ','"),
    ({"thousands": ";", "delimiter": ";"}, "delimiter and thousands are both ';'"),
    ({"encoding": "utf-99"}, "encoding: Python knows no 'utf-99'"),
    ({"skip_rows": -1}, "skip_rows is a count of lines, got -1"),
    ({"skip_rows": True}, "skip_rows is a count of lines, got True"),
    ({"comment": 1}, "comment is what a line begins with, got 1"),
    ({"header": 2}, "header is true or false, got 2"),
    ({"units_row": "no"}, "units_row is true or false, got 'no'"),
    ({"column_names": "time"}, "column_names is a list of texts, got 'time'"),
    ({"column_names": ["a", "a"]}, "column_names has each name once, got ['a', 'a']"),
    ({"nulls": "x"}, "nulls is a list of texts, got 'x'"),
    ({"time_format": "yyyy"}, "time_format is 'iso', 'epoch' or a format such as '%d.%m.%Y"),
    ({"time_zone": "Mars"}, "time_zone is a name such as 'Europe/Berlin', got 'Mars'"),
    ({"time_zone": ""}, "time_zone is a name such as 'Europe/Berlin', got ''"),
    ({"fold": "first"}, "fold is one of 'error', 'earlier', 'later', got 'first'"),
    ({"time": 1}, "time is the name of a column, or of several, got 1"),
    ({"time": []}, "time is the name of a column, or of several, got []"),
    ({"time": ["a", "a"]}, "time names each column once, got ['a', 'a']"),
]


@pytest.mark.parametrize(("options", "reason"), REFUSED)
def test_option_that_makes_no_sense_is_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        LoadOptions(**options)
    assert reason in str(caught.value)


SAID: list[tuple[str, Any]] = [
    ("decimal", ","),
    ("thousands", "."),
    ("encoding", "cp1252"),
    ("skip_rows", 3),
    ("comment", ""),
    ("header", False),
    ("column_names", ("time", "a")),
    ("units_row", True),
    ("nulls", ("nil",)),
    ("time_format", "%d.%m.%Y"),
    ("time_zone", "Europe/Berlin"),
    ("fold", "later"),
]


@pytest.mark.parametrize(("name", "value"), SAID)
def test_what_is_said_of_csv_files_reaches_them(name: str, value: Any) -> None:
    options = LoadOptions(**{name: value})
    assert getattr(_read_options(options).csv, name) == value


TIMES: list[tuple[Any, tuple[str, ...], str | None]] = [
    (None, (), None),
    ("t", ("t",), "t"),
    (["t"], ("t",), "t"),
    (["Date", "Time"], ("Date", "Time"), "Date Time"),
    ("{Date} {Time}", ("Date", "Time"), "Date Time"),
    ("{Date}{Time}", ("Date", "Time"), "Date Time"),
    ("{t}", ("{t}",), "{t}"),
]


@pytest.mark.parametrize(("time", "columns", "name"), TIMES)
def test_time_may_be_in_several_columns(
    time: Any, columns: tuple[str, ...], name: str | None
) -> None:
    options = LoadOptions(time=time)
    read = _read_options(options)
    assert (options.time_columns, options.time_name) == (columns, name)
    assert (read.time_columns, read.time) == (columns, name)


TWO_TIMES = "begin,end,v\n2024-01-01,2024-01-02,1.5\n"


def known(file: Path, start: Start) -> KnownFiles:
    manifest = Manifest(file.parent / "noted.sqlite", job_key("db"), DatabaseId("db"))
    return KnownFiles([file], manifest, start)


def test_load_that_goes_on_reads_as_it_began(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(TWO_TIMES)
    with known(file, Start.FRESH) as files:
        portions = iter(FileSource([file], LoadOptions(time="end"), files))
        next(portions).on_leaving()
    with known(file, Start.RESUME) as files:
        source = FileSource([file], LoadOptions(), files)
        assert [portion.current.roles.time for portion in source._each()] == ["end"]


def test_file_of_which_nothing_left_is_guessed_anew(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(TWO_TIMES)
    with known(file, Start.FRESH) as files:
        next(iter(FileSource([file], LoadOptions(time="end"), files)))
    with known(file, Start.RESUME) as files:
        assert files.dialect_of(file) == ""


def test_number_that_contradicts_the_guess_is_found_before_the_first_point_leaves(
    tmp_path: Path,
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("time;v\n" + "2024-01-01;1,5\n" * 3000 + "2024-01-01;1.5\n")
    source = FileSource([file], LoadOptions())
    source._read_options = replace(source._read_options, batch_bytes=1000)
    with pytest.raises(FileError, match=r"a\.csv:3002: column 'v': .*'1\.5'.*--decimal"):
        next(iter(source))
