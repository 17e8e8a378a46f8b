"""`siridb-fast query`: every form of an answer, read back and compared with what was inserted."""

import csv
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import siridb_fast
from siridb_fast.cli.output.plot import thinned
from siridb_fast.cli.output.time_axis import time_ticks
from tests.commands import COMMAND, environment, run_command, run_process
from tests.fix_server import Database

START = 1_767_225_600_000  # 2026-01-01 in ms
FLOATS = [0.1, float("nan"), float("inf"), -1e300]
INTEGERS = [0, 2**63 - 1, -(2**63)]
TEXTS = ["a", 'b,"c"', "ü"]
ISO = [f"2026-01-01T00:00:00.00{k}Z" for k in range(4)]


@pytest.fixture
def filled(make_database: Callable[..., Database]) -> Database:
    """Make a database in ms with a series of each type."""
    database = make_database(time_precision="ms")
    columns: dict[str, list[object]] = {"f": [*FLOATS], "i": [*INTEGERS], "t": [*TEXTS]}
    with siridb_fast.connect(database.url) as client:
        client.insert(
            {n: [[START + k, v] for k, v in enumerate(values)] for n, values in columns.items()}
        )
    return database


@pytest.fixture
def long_series(database: Database) -> Database:
    """Make a database in ns with 20,000 points of a series."""
    with siridb_fast.connect(database.url) as client:
        client.insert({"a": (np.arange(20_000) + START * 10**6, np.arange(20_000) / 8)})
    return database


def test_csv_has_a_column_for_each_series(filled: Database) -> None:
    text = run_process("query", "select * from *", url=filled.url).stdout
    header, *rows = csv.reader(io.StringIO(text))
    assert header == ["time", "f", "i", "t"]
    assert [row[0] for row in rows] == ISO
    np.testing.assert_array_equal([float(row[1]) for row in rows], FLOATS)
    assert [row[2] for row in rows] == [*map(str, INTEGERS), ""]
    assert [row[3] for row in rows] == [*TEXTS, ""]


def test_long_csv_has_a_row_for_each_point(filled: Database) -> None:
    text = run_command("query", "select * from 'i'", "--long", url=filled.url).stdout
    assert text.splitlines() == [
        "series,time,value_integer", *(f"i,{t},{v}" for t, v in zip(ISO, INTEGERS, strict=False)),
    ]  # fmt: skip


def test_raw_times_are_integers(filled: Database) -> None:
    query = ["query", "select * from 'i'", "--raw-times"]
    rows = run_command(*query, url=filled.url).stdout.splitlines()
    assert rows == ["time,i", *(f"{START + k},{v}" for k, v in enumerate(INTEGERS))]
    answer = json.loads(run_command(*query, "-f", "json", url=filled.url).stdout)
    assert answer == {"i": {"times": [START, START + 1, START + 2], "values": INTEGERS}}


@pytest.fixture
def reader_url(filled: Database) -> str:
    """Return the URL of a user who may select, and not ask for the time precision."""
    with siridb_fast.connect(filled.url) as client:
        client.query("create user 'reader' set password 'secret'")
        client.query("grant select to user 'reader'")
    return filled.server.url(filled.name, username="reader", password="secret")


@pytest.mark.parametrize("form", ["csv", "table", "json", "parquet"])
@pytest.mark.parametrize("width", ["--wide", "--long"])
def test_raw_times_need_no_precision(
    reader_url: str, tmp_path: Path, form: str, width: str
) -> None:
    path = tmp_path / "out"
    command = ["query", "select * from 'i'", "-f", form, "-o", str(path), width]
    if form != "json":
        assert "--raw-times" in run_command(*command, url=reader_url, code=1).stderr
    run_command(*command, "--raw-times", url=reader_url)
    if form == "parquet":
        assert pq.read_table(path)["time"].to_pylist() == [START, START + 1, START + 2]
    assert form == "parquet" or str(START + 2) in path.read_text()


def test_raw_times_of_another_unit_need_the_precision(reader_url: str) -> None:
    command = ["query", "select * from 'i'", "--raw-times", "--time-precision", "s"]
    assert "the right 'show'" in run_command(*command, url=reader_url, code=1).stderr


ABSENT = [  # the select, and what stderr says of it
    ("select * from 'temprature'", "no series matched: select * from 'temprature'\n"),
    ("select * from 'i', 'temprature'", "there is no series 'temprature'\n"),
    ('select * from "t" | "x""y"', "there is no series 'x\"y'\n"),
    ("select count() from 'nope'", "no series matched: select count() from 'nope'\n"),
    ("select max(1h) prefix 'p-' from 'i','nope'", "there is no series 'nope'\n"),
    ("select * from /x.*/", "no series matched: select * from /x.*/\n"),
    ("select * from 'i' where length > 9", "no series matched: "),
    ("select * from 'i' after '2999-01-01'", "no points: "),
    ("select * from 'nope' merge as 'm'", "no points: "),
    ("select * from 'i', 'i'", ""),
    ("select * from 'i' - 't'", ""),
    ("select * from *", ""),
    ("select max(1h) suffix '-max' from 'i'", ""),
    ("select * from 'i' merge as 'm'", ""),
    ("list series 'nope'", ""),
]


@pytest.mark.parametrize("query", [query for query, _ in ABSENT])
@pytest.mark.parametrize("options", [[], ["--long"], ["-f", "json"], ["--raw-times"]])
def test_what_is_not_found_is_told_on_stderr(
    filled: Database, query: str, options: list[str]
) -> None:
    if "from *" in query and options == ["--long"]:
        options = []  # texts and numbers do not fit one column
    done = run_command("query", query, *options, url=filled.url)
    wanted = dict(ABSENT)[query]
    assert done.stderr.startswith(wanted)
    assert bool(done.stderr) is bool(wanted)


def test_times_have_the_digits_of_the_precision(filled: Database) -> None:
    for unit, wanted in (
        ("s", "2026-01-01T00:00:00Z"),
        ("us", "2026-01-01T00:00:00.000000Z"),
        ("ns", "2026-01-01T00:00:00.000000000Z"),
    ):
        command = ["query", "select * from 'i'", "--time-precision", unit]
        assert run_command(*command, url=filled.url).stdout.splitlines()[1].startswith(wanted)


def test_json_is_valid_and_exact(filled: Database) -> None:
    text = run_process("query", "select * from *", "-f", "json", url=filled.url).stdout
    answer = json.loads(text, parse_constant=pytest.fail)
    assert answer == {
        "f": {"times": ISO, "values": [0.1, None, None, -1e300]},
        "i": {"times": ISO[:3], "values": INTEGERS},
        "t": {"times": ISO[:3], "values": TEXTS},
    }


def test_parquet_holds_the_points(filled: Database, tmp_path: Path) -> None:
    path = tmp_path / "points.parquet"
    assert run_command("query", "select * from *", "-o", path, url=filled.url).stdout == ""
    table = pq.read_table(path)
    assert str(table.schema.field("time").type) == "timestamp[ms, tz=UTC]"
    assert table["i"].to_pylist() == [*INTEGERS, None]
    np.testing.assert_array_equal(table["f"].to_pylist(), FLOATS)
    run_command("query", "select * from 'i'", "-o", path, "--raw-times", url=filled.url)
    assert pq.read_table(path)["time"].to_pylist() == [START, START + 1, START + 2]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "start"),
    [("a.csv", "time,i\n"), ("a.json", "{\n"), ("a.txt", "\n"), ("a", "time,i\n")],
)
def test_name_of_the_file_decides(filled: Database, tmp_path: Path, name: str, start: str) -> None:
    run_command("query", "select * from 'i'", "-o", tmp_path / name, url=filled.url)
    text = (tmp_path / name).read_text()
    assert "\n".join(line.strip() for line in text.split("\n")).startswith(start)


@pytest.mark.parametrize("name", ["t.xlsx", "t.csv.gz", "t.data", "t.table"])
@pytest.mark.parametrize("command", [["query", "show"], ["spool", "export", "none.spool"]])
def test_name_that_says_no_form_we_write_is_refused(
    tmp_path: Path, command: list[str], name: str
) -> None:
    url = "siridb://iris:siri@127.0.0.1:1/db"  # nobody is asked before
    error = run_command(*command, "-o", tmp_path / name, url=url, code=2).stderr
    assert f"{name}: a file ends in .csv, .json, .parquet" in error
    assert not list(tmp_path.iterdir())


def test_form_that_is_asked_for_is_written_under_any_name(
    filled: Database, tmp_path: Path
) -> None:
    path = tmp_path / "t.data"
    run_command("query", "select * from 'i'", "-o", path, "-f", "csv", url=filled.url)
    assert path.read_text().startswith("time,i\n")


def test_failed_query_leaves_the_file_as_it_was(filled: Database, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("before")
    error = run_process("query", "select * fro", "-o", path, url=filled.url, code=1).stderr
    assert error.startswith("Error: Query error at position")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_table_shows_both_ends_of_a_long_answer(long_series: Database) -> None:
    command = ["query", "select * from 'a'", "-f", "table", "--limit", "4"]
    text = run_command(*command, url=long_series.url).stdout
    values = [line.split()[-1] for line in text.splitlines() if line.strip()]
    assert values[2:7] == ["0.0", "0.125", "…", "2499.75", "2499.875"]
    assert "20,000 rows, 19,996 not shown" in text
    command[1:] = ["select * from 'a' head 2000", "-f", "table", "--limit", "0"]
    assert run_command(*command, url=long_series.url).stdout.count("2026-01-01T") == 2000


def test_control_characters_do_not_reach_the_terminal(database: Database) -> None:
    with siridb_fast.connect(database.url) as client:
        client.insert({"evil\x1b[31m": [[1, "\x1b]0;x\x07"]]})
    text = run_process("query", "select * from *", "-f", "table", url=database.url).stdout
    assert "\x1b" not in text
    assert r"evil\x1b[31m" in text


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("list series name, type", "name,type\nf,float\ni,integer\nt,string\n"),
        ("show time_precision", "name,value\ntime_precision,ms\n"),
        ("count series", "series\n3\n"),
        ("select * from 'none'", "time\n"),
    ],
)
def test_other_answers_are_rows_too(filled: Database, query: str, wanted: str) -> None:
    found = run_command("query", query, url=filled.url).stdout
    header, *rows = found.splitlines(keepends=True)
    assert "".join([header, *sorted(rows)]) == wanted


def test_message_is_printed_as_it_is(database: Database) -> None:
    command = ["query", "alter database set list_limit 5000", "-f"]
    assert "changed" in run_command(*command, "table", url=database.url).stdout
    answer = json.loads(run_command(*command, "json", url=database.url).stdout)
    assert list(answer) == ["success_msg"]


def test_all_points_are_selected_over_the_limit(long_series: Database) -> None:
    with siridb_fast.connect(long_series.url) as client:
        client.insert({"b": (np.arange(20_000) + START * 10**6, np.arange(20_000))})
        client.query("alter database set select_points_limit 15000")
    command = ["query", "select * from *"]
    assert "15000" in run_command(*command, url=long_series.url, code=1).stderr
    text = run_command(*command, "--all-points", url=long_series.url).stdout
    assert len(text.splitlines()) == 20_001


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_plot_writes_a_picture(long_series: Database, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    command = ["query", "select * from 'a'", "--plot", str(path)]
    assert run_command(*command, url=long_series.url, DISPLAY="").stdout == ""
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix]
    assert path.read_bytes().startswith(start)
    assert path.stat().st_size > 5000


def test_plot_alone_draws_in_the_terminal(long_series: Database) -> None:
    command = ["query", "--plot", "select * from 'a'"]
    text = run_process(*command, url=long_series.url, COLUMNS="90").stdout
    assert "select * from 'a'" in text
    assert "UTC" in text
    assert max(map(len, text.splitlines())) == 90
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["select * from 't'", "--plot"], "holds text"),
        (["select * from 'none'", "--plot"], "no point"),
        (["select * from 'i'", "--plot=a.gif"], "ends in .png"),
        (["select * from 'i'", "--plot", "/nowhere/a.png"], "cannot write"),
        (["show", "--plot"], "selects none"),
        (["show", "-f", "parquet"], "parquet holds points"),
        (["show", "-o", "/nowhere/a.csv"], "cannot write /nowhere/a.csv: No such file"),
    ],
)
def test_wish_that_cannot_be_met_is_wrong_usage(
    filled: Database, arguments: list[str], error: str
) -> None:
    assert error in run_command("query", *arguments, url=filled.url, code=2).stderr


def test_reader_that_goes_away_ends_it_quietly(long_series: Database) -> None:
    command = [*COMMAND, "query", "select * from 'a'"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment(long_series.url), **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == b"time,a\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 0


def test_thinning_keeps_spikes_and_gaps() -> None:
    times, values = np.arange(100_000), np.zeros(100_000)
    values[[12_345, 77_777]] = 50, -50
    values[40_000:60_000] = np.nan
    thin, found = thinned(times, values, 100)
    assert len(thin) <= 202
    assert {50.0, -50.0} <= set(found.tolist())
    assert np.isnan(found[(thin >= 41_000) & (thin < 59_000)]).all()
    assert (np.diff(thin) > 0).all()


@pytest.mark.parametrize("span", [10**k for k in range(1, 19)])
def test_marks_of_the_time_axis_are_few_and_inside(span: int) -> None:
    ticks = time_ticks(START * 10**6, START * 10**6 + span, 5)
    assert 1 <= len(ticks.positions) == len(ticks.labels) <= 7
    assert all(START * 10**6 <= at <= START * 10**6 + span for at in ticks.positions)
    assert len(set(ticks.labels)) == len(ticks.labels)
