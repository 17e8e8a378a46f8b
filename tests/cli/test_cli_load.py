"""`siridb-fast load`: every option on a real server, and what it says of what it did."""

import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import siridb_fast
from tests.commands import figures, run_command, run_process
from tests.fix_server import Database
from tests.loading.load_runs import (
    START,
    WIDE,
    manifest_entries,
    points_of,
    stored_points,
    write_table,
)

SECRET = "se-cret.word"  # noqa: S105 - it is looked for in everything that is printed
SUFFIXES = [".parquet", ".feather", ".csv", ".csv.gz"]
LONG: dict[str, list[Any]] = {
    "ts": [START + k // 2 for k in range(6)],
    "host": ["a", "b"] * 3,
    "metric": ["cpu"] * 4 + ["mem"] * 2,
    "value": [k / 4 for k in range(6)],
}
BAD_LINES = "ts,v\n1767225600,1\n1767225601,one\n1767225602\n1767225603,4\n"


@pytest.fixture
def seconds(make_database: Callable[..., Database]) -> Database:
    """Make a database in seconds."""
    return make_database(time_precision="s")


def test_user_who_may_only_insert_loads_dates_as_the_error_says(
    seconds: Database, tmp_path: Path
) -> None:
    with siridb_fast.connect(seconds.url) as client:
        client.query(f"create user 'feeder' set password '{SECRET}'")
        client.query("grant insert to user 'feeder'")
    url = seconds.server.url(seconds.name, username="feeder", password=SECRET)
    dates = {**WIDE, "ts": np.array(WIDE["ts"], "M8[s]")}
    path = write_table(tmp_path / "w.parquet", dates)
    error = run_command("load", path, "--time", "ts", url=url, code=2).stderr
    assert "the right 'show'" in error
    assert "--time-precision" in error
    run_command("load", path, "--time", "ts", "--time-precision", "s", url=url)
    assert stored_points(seconds.url) == points_of(["temp", "count", "text"], WIDE)
    error = run_command(
        "load",
        path,
        "--time",
        "ts",
        "--time-precision",
        "ms",
        "--restart",
        url=seconds.url,
        code=2,
    ).stderr
    assert "that of the database is s" in error


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_wide_file_is_a_series_for_each_column(
    seconds: Database, tmp_path: Path, suffix: str
) -> None:
    path = write_table(tmp_path / f"w{suffix}", WIDE)
    done = run_process("load", path, "--time", "ts", url=seconds.url)
    assert stored_points(seconds.url) == points_of(["temp", "count", "text"], WIDE)
    rows = figures(done.stdout)
    assert "Loaded" in done.stdout
    assert rows["files"] == "1"
    assert rows["rows"] == "4"
    assert rows["series"] == "3"
    kinds = "2 of floats, 1 of texts" if ".csv" in suffix else "1 of floats, 1 of integers, 1 of"
    assert rows["new series"].startswith(kinds)
    assert rows["points delivered"] == "12"
    assert rows["missing cells"] == "0"
    assert done.stderr == ""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_long_file_is_named_by_its_template(
    seconds: Database, tmp_path: Path, suffix: str
) -> None:
    path = write_table(tmp_path / f"l{suffix}", LONG)
    run_command("load", path, "--time", "ts", "--series", "{host}.{metric}", url=seconds.url)
    found: dict[str, Counter[tuple[int, float]]] = {}
    for ts, host, metric, value in zip(*LONG.values(), strict=True):
        found.setdefault(f"{host}.{metric}", Counter())[ts, value] += 1
    assert stored_points(seconds.url) == found


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 10**3), ("ns", 10**9)])
def test_unit_is_that_of_integer_times(
    make_database: Callable[..., Database], tmp_path: Path, unit: str, factor: int
) -> None:
    database = make_database(time_precision="ms")
    path = write_table(tmp_path / "u.parquet", {"ts": [START * factor], "v": [1]})
    run_command("load", path, "--time", "ts", "--unit", unit, url=database.url)
    assert stored_points(database.url) == {"v": Counter([(START * 1000, 1)])}


def test_values_are_the_columns_that_are_loaded(seconds: Database, tmp_path: Path) -> None:
    path = write_table(tmp_path / "w.csv", WIDE)
    options = ["--time", "ts", "--values", "count", "--values", "text"]
    run_command("load", path, *options, url=seconds.url)
    assert stored_points(seconds.url) == points_of(["count", "text"], WIDE)


def test_type_and_delimiter_are_those_of_the_csv_file(seconds: Database, tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text(f"ts;a;b\n{START};1;2\n")
    options = ["--delimiter", ";", "--type", "a=float", "--type", "b=string"]
    run_command("load", path, "--time", "ts", *options, url=seconds.url)
    points = stored_points(seconds.url)
    assert points == {"a": Counter([(START, 1.0)]), "b": Counter([(START, "2")])}
    assert isinstance(next(iter(points["a"]))[1], float)


SAID = [
    *("--delimiter", ";", "--decimal", ",", "--thousands", ".", "--encoding", "cp1252"),
    *("--skip-rows", "1", "--comment", "%", "--header", "--names", "d,t,a", "--units-row"),
    *("--null", "fehlt", "--time", "d", "--time", "t", "--time-format", "%d.%m.%Y %H:%M"),
    *("--time-zone", "Europe/Berlin", "--fold", "later"),
]
LOGGER_FILE = """\
Zähler;4711;
%% Kommentar
Tag;Zeit;Wärme °C
;;kWh
01.03.2024;01:00;1.234,5
27.10.2024;02:30;2,5
27.10.2024;03:30;fehlt
"""


def test_how_a_csv_file_is_written_can_be_said_and_is_shown(
    seconds: Database, tmp_path: Path
) -> None:
    path = tmp_path / "z.csv"
    path.write_text(LOGGER_FILE, "cp1252")
    done = run_command("load", path, *SAID, url=seconds.url)
    points = Counter([(1709251200, 1234.5), (1729992600, 2.5)])
    assert stored_points(seconds.url) == {"a": points}
    line = done.stdout.partition("\n")[0]
    assert line.startswith("read as: semicolon, decimal comma, thousands '.', 1 line above the")
    assert ", comments '%', a row of units, missing values 'fehlt', times '%d.%m.%Y" in line
    assert line.endswith("%H:%M' in columns 'd', 't', taken as Europe/Berlin, CP1252")


def test_ambiguous_number_sends_nothing_and_names_the_options(
    seconds: Database, tmp_path: Path
) -> None:
    path = tmp_path / "n.csv"
    path.write_text('time,a\n2024-03-01,"1,234"\n')
    error = run_command("load", path, url=seconds.url, code=2).stderr
    assert (
        "column 'a': '1,234' may be one number or another, say which: decimal=',' (--decimal ,)"
        in error
    )
    assert "Go on with" not in error
    run_command("load", path, "--decimal", ",", url=seconds.url)
    assert stored_points(seconds.url) == {"a": Counter([(1709251200, 1.234)])}


def test_bad_line_is_named_and_nothing_behind_it_is_loaded(
    seconds: Database, tmp_path: Path
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(BAD_LINES)
    options = ["--time", "ts", "--type", "v=integer"]
    done = run_process("load", path, *options, url=seconds.url, code=2)
    assert f"{path}:3" in done.stderr
    assert "column 'v'" in done.stderr
    assert stored_points(seconds.url) == {}


def test_nested_column_is_left_out_on_request(seconds: Database, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"ts": [1, 2], "a": [0.5, 1.5], "tags": [["x"], ["y"]]}), path)
    error = run_command("load", path, "--time", "ts", url=seconds.url, code=2).stderr
    assert "'tags' (list<" in error
    assert "--ignore" in error
    run_command("load", path, "--time", "ts", "--ignore", "tags", url=seconds.url)
    with siridb_fast.connect(seconds.url) as client:
        assert client.query("list series name")["series"] == [["a"]]


def test_skip_bad_counts_the_bad_lines_and_names_them(seconds: Database, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(BAD_LINES)
    options = ["--time", "ts", "--type", "v=integer", "--skip-bad"]
    done = run_process("load", path, *options, url=seconds.url)
    assert stored_points(seconds.url) == {"v": Counter([(START, 1), (START + 3, 4)])}
    assert figures(done.stdout)["bad lines left out"] == "2"
    assert figures(done.stdout)["rows"] == "2"
    assert f"{path}:3" in done.stderr
    assert f"{path}:4" in done.stderr
    assert "column 'v'" in done.stderr


def test_file_that_was_corrected_before_anything_of_it_left_is_loaded(
    seconds: Database, tmp_path: Path
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(BAD_LINES)
    options = ["--time", "ts", "--type", "v=integer"]
    run_command("load", path, *options, url=seconds.url, code=2)
    path.write_text(f"ts,v\n{START},1\n{START + 1},2\n")
    run_command("load", path, *options, url=seconds.url)
    assert stored_points(seconds.url) == {"v": Counter([(START, 1), (START + 1, 2)])}


def test_options_that_were_corrected_before_anything_left_need_no_resume(
    seconds: Database, tmp_path: Path
) -> None:
    path = write_table(tmp_path / "f.parquet", {"ts": [START * 1000 + 1], "v": [1]})
    options = ["--time", "ts", "--unit", "ms"]
    error = run_command("load", path, *options, url=seconds.url, code=2).stderr
    assert str(path) in error
    run_command("load", path, *options, "--floor", url=seconds.url)
    assert stored_points(seconds.url) == {"v": Counter([(START, 1)])}


def test_type_of_an_existing_series_is_respected_or_cast(
    seconds: Database, tmp_path: Path
) -> None:
    with siridb_fast.connect(seconds.url) as client:
        client.insert({"v": [[START - 1, 1]]})
    path = write_table(tmp_path / "c.parquet", {"ts": [START], "v": [2.5]})
    for options in ([], ["--dry-run"]):
        error = run_command("load", path, "--time", "ts", *options, url=seconds.url, code=2).stderr
        assert "'v'" in error
        assert "integer" in error
        assert "float" in error
    run_command("load", path, "--time", "ts", "--cast", "--resume", url=seconds.url)
    assert stored_points(seconds.url) == {"v": Counter([(START - 1, 1), (START, 2)])}


def test_dry_run_sends_nothing_and_says_what_it_would(own_database: Database) -> None:
    server, folder = own_database.server, own_database.server.folder
    path = write_table(folder / "w.csv", {**WIDE, "ts": [t * 10**9 for t in WIDE["ts"]]})
    before = received(server.url("dbtest"))
    done = run_process("load", path, "--time", "ts", "--dry-run", url=own_database.url)
    assert received(own_database.url) == before
    assert manifest_entries(folder) == {}
    rows = figures(done.stdout)
    assert "nothing was sent" in done.stdout
    assert (rows["series"], rows["points"], rows["rows"]) == ("3", "12", "4")
    assert rows["first time"] == "2026-01-01T00:00:00.000000000Z"
    assert rows["last time"] == "2026-01-01T00:00:03.000000000Z"
    assert rows["string"] == "text"
    assert "2026-01-01T00:00:02.000000000Z │ 2.5 │" in " ".join(done.stdout.split())
    assert "2026-01-01T00:00:01.000000000Z │ 'b' │" in " ".join(done.stdout.split())
    assert "read as: comma, times in column 'ts' as the precision of the database" in done.stdout
    assert done.stderr == ""


def received(url: str) -> int:
    with siridb_fast.connect(url) as client:
        return int(client.query("show received_points")["data"][0]["value"])


def test_dry_run_warns_of_odd_times(database: Database, tmp_path: Path) -> None:
    path = write_table(tmp_path / "w.parquet", WIDE)  # seconds, taken for nanoseconds
    done = run_command("load", path, "--time", "ts", "--dry-run", url=database.url)
    assert "Warning: these times are odd" in done.stderr
    assert "--unit" in done.stderr


@pytest.mark.parametrize("option", [[], ["--dry-run"]])
def test_points_that_have_expired_are_a_warning(
    seconds: Database, tmp_path: Path, option: list[str]
) -> None:
    with siridb_fast.connect(seconds.url) as client:
        client.query("alter database set expiration_num 1000w")
    path = write_table(tmp_path / "e.parquet", {"ts": [1000, START], "v": [1, 2]})
    done = run_command("load", path, "--time", "ts", *option, url=seconds.url)
    assert "Warning: 1 points are older than what the database keeps" in done.stderr
    assert "v" in done.stderr


def test_folders_and_patterns_are_loaded_in_one_go(seconds: Database, tmp_path: Path) -> None:
    for folder, name in itertools.product(["a", "b"], ["1.csv", "2.parquet", "note.txt"]):
        (tmp_path / folder).mkdir(exist_ok=True)
        path = tmp_path / folder / name
        if path.suffix == ".txt":
            path.write_text("no table")
            continue
        write_table(path, {"ts": [START], f"{folder}{name[0]}": [1]})
    given: list[Path | str] = [
        tmp_path / "a",
        str(tmp_path / "b" / "*.csv"),
        tmp_path / "a" / "1.csv",
    ]
    done = run_command("load", *given, "--time", "ts", url=seconds.url)
    assert figures(done.stdout)["files"] == "3"
    one = Counter([(START, 1)])
    assert stored_points(seconds.url) == {"a1": one, "a2": one, "b1": one}
    assert manifest_entries(tmp_path / "a") == {"1.csv": (1, 1, 1), "2.parquet": (1, 1, 1)}
    assert manifest_entries(tmp_path / "b") == {"1.csv": (1, 1, 1)}


def test_little_memory_is_enough(seconds: Database, tmp_path: Path) -> None:
    count = 300_000
    times, values = START + np.arange(count), np.arange(count)
    path = write_table(tmp_path / "m.parquet", {"ts": times, "v": values})
    run_process("load", path, "--time", "ts", "--max-memory", "4", url=seconds.url)
    with siridb_fast.connect(seconds.url) as client:
        found, stored_values = client.query_arrays('select * from "v"')["v"]
    np.testing.assert_array_equal(found, times)
    np.testing.assert_array_equal(stored_values, values)


def test_wrong_column_is_told_with_the_file_and_what_there_is(
    seconds: Database, tmp_path: Path
) -> None:
    path = write_table(tmp_path / "w.csv", WIDE)
    for options in (["--time", "when"], ["--time", "ts", "--series", "{rack}"],
                    ["--time", "ts", "--values", "nope"]):  # fmt: skip
        done = run_command("load", path, *options, url=seconds.url, code=2)
        missing = options[-1].strip("{}")
        assert str(path) in done.stderr
        assert missing in done.stderr
        assert all(name in done.stderr for name in WIDE)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".feather"])
def test_file_that_is_none_is_named(seconds: Database, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"none{suffix}"
    path.write_bytes(b"")
    assert str(path) in run_command("load", path, url=seconds.url, code=2).stderr
    if suffix != ".csv":
        path.write_bytes(b"this is no table" * 10)
        assert str(path) in run_command("load", path, url=seconds.url, code=2).stderr


@pytest.mark.parametrize("text", ["ts,v\n1767225601,\n", '{"ts": 1767225601, "v": null}\n'])
def test_file_whose_values_are_all_missing_does_not_end_well(
    seconds: Database, tmp_path: Path, text: str
) -> None:
    path = tmp_path / ("a.csv" if text.startswith("ts") else "a.ndjson")
    path.write_text(text)
    done = run_command("load", path, "--time", "ts", url=seconds.url, code=3)
    assert "no point was loaded: all values are missing" in done.stderr


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".feather"])
def test_file_without_rows_is_loaded(seconds: Database, tmp_path: Path, suffix: str) -> None:
    columns = {"ts": np.array([], np.int64), "host": np.array([], str), "v": np.array([], float)}
    path = write_table(tmp_path / f"empty{suffix}", columns)
    options = ["--time", "ts", "--series", "{host}"]
    done = run_command("load", path, *options, url=seconds.url)
    assert figures(done.stdout)["points delivered"] == "0"
    done = run_command("load", path, *options, "--resume", url=seconds.url)
    assert "loaded already" in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ["--type", "v"], ["--type", "v=decimal"], ["--delimiter", ";;"], ["--max-memory", "3"],
        ["--unit", "h"], ["--resume", "--restart"], ["--series", "{host"], ["--timeout", "0"],
    ],
)  # fmt: skip
def test_wrong_usage_ends_with_code_2(
    seconds: Database, tmp_path: Path, options: list[str]
) -> None:
    path = write_table(tmp_path / "w.csv", WIDE)
    done = run_command("load", path, "--time", "ts", *options, url=seconds.url, code=2)
    assert done.stderr.startswith("Error: ")
    assert stored_points(seconds.url) == {}


def test_path_that_does_not_exist_is_named(seconds: Database, tmp_path: Path) -> None:
    missing = tmp_path / "missing.csv"
    assert str(missing) in run_command("load", missing, url=seconds.url, code=2).stderr


def test_server_that_is_not_there_ends_with_code_1(tmp_path: Path, unused_port: int) -> None:
    path = write_table(tmp_path / "w.csv", WIDE)
    url = f"siridb://iris:{SECRET}@127.0.0.1:{unused_port}/db"
    done = run_process("load", path, "--time", "ts", "--timeout", "1", url=url, code=1)
    assert f"127.0.0.1:{unused_port}" in done.stderr
    assert SECRET not in done.stdout + done.stderr
