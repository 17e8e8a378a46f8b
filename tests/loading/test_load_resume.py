"""Loads that are cut off and go on: in the end the database holds exactly the points of the files.

A load is cut off when the manifest says that rows have left, not by the clock. A server that is
paused at that moment has some packages, and the loader does not know which.
"""

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import siridb_fast
from siridb_fast.query.select import quote
from siridb_fast.testing import wait_until
from tests.commands import run_command
from tests.fix_server import Database
from tests.loading.load_runs import manifest_entries, running_load, write_table

START = 1_600_000_000
ROWS = 900_000
WIDE_ROWS = 350_000
ONE_PAGE: dict[str, Any] = {
    "use_dictionary": False,
    "compression": "none",
    "data_page_size": 8 * WIDE_ROWS,
    "max_rows_per_page": WIDE_ROWS,
}
FACTORS = {"s": 1, "ns": 10**9}
LITTLE = ["--time", "ts", "--max-memory", "4"]
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}

Columns = dict[str, Any]


def times(rows: int, unit: str) -> Any:
    """Return times of which two rows in a row share one now and then."""
    return (START + np.arange(rows) - np.arange(rows) % 7 // 6) * FACTORS[unit]


def wide_numbers(unit: str) -> Columns:
    """Return a column of each type, the same point twice among them."""
    at = times(ROWS, unit)
    return {"ts": at, "f": (at // FACTORS[unit] % 1000) / 8, "i": at // FACTORS[unit] % 100}


def long_numbers(unit: str) -> Columns:
    names = np.array([f"host {k}" for k in range(30)], object)
    rows = np.arange(ROWS)
    return {"ts": times(ROWS, unit), "series": names[rows % 30], "v": rows // 60}


def long_texts(unit: str) -> Columns:
    names = np.array([f"log {k}" for k in range(5)], object)
    rows = np.arange(ROWS // 3)
    texts = np.array([f"line {k} äöü" + "-" * 60 for k in range(100)], object)
    return {"ts": times(len(rows), unit), "series": names[rows % 5], "v": texts[rows % 100]}


def many_numbers() -> Columns:
    """Return columns that are read in two passes if each is `ONE_PAGE`: 11 of them take 64 MiB."""
    rows = np.arange(WIDE_ROWS)
    return {"ts": times(WIDE_ROWS, "s"), **{f"c{k}": rows % (1000 + k) / 8 for k in range(16)}}


def by_series(columns: Columns) -> dict[str, tuple[Any, Any]]:
    if "series" not in columns:
        return {name: (columns["ts"], columns[name]) for name in columns if name != "ts"}
    names = pa.array(columns["series"]).dictionary_encode()
    numbers = names.indices.to_numpy()
    rows = {name: numbers == number for number, name in enumerate(names.dictionary.to_pylist())}
    return {name: (columns["ts"][some], columns["v"][some]) for name, some in rows.items()}


def assert_holds(database: Database, *files: Columns) -> None:
    """Check that the database holds the points of all files, each as often as they do."""
    expected: dict[str, list[tuple[Any, Any]]] = {}
    for columns in files:
        for name, pair in by_series(columns).items():
            expected.setdefault(name, []).append(pair)
    with siridb_fast.connect(database.url) as client:
        assert client.query("count series") == {"series": len(expected)}
        for name, pairs in expected.items():
            found = client.query_arrays(f"select * from {quote(name)}")[name]  # noqa: S608
            ours = [np.concatenate(some) for some in zip(*pairs, strict=True)]
            for theirs, own in zip(ordered(*found), ordered(*ours), strict=True):
                np.testing.assert_array_equal(theirs, own, err_msg=name)


def ordered(timestamps: Any, values: Any) -> tuple[Any, Any]:
    values = np.asarray(values)
    keys = places(values) if values.dtype == "O" else values
    order = np.lexsort((keys, timestamps))
    return timestamps[order], values[order]


def places(texts: Any) -> Any:
    """Return for each text how many of the different ones are before it."""
    found = pa.array(texts).dictionary_encode()
    order = np.argsort(found.dictionary.to_numpy(zero_copy_only=False))
    return np.argsort(order)[found.indices.to_numpy()]


def has_left(folder: Path, file: str, rows: int = 1) -> Callable[[], bool]:
    return lambda: manifest_entries(folder).get(file, (0, 0, 0))[1] >= rows


def has_arrived(folder: Path, file: str) -> Callable[[], bool]:
    return lambda: manifest_entries(folder).get(file, (0, 0, 0))[0] > 0


def template(columns: Columns) -> list[str]:
    return ["--series", "{series}"] if "series" in columns else []


def has_ended(process: subprocess.Popen[str]) -> bool:
    """Press Ctrl+C once more."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(0.5)
    except subprocess.TimeoutExpired:
        return False
    return True


def end(process: subprocess.Popen[str]) -> str:
    errors = process.communicate(timeout=50)[1]
    assert "Traceback" not in errors
    return errors


# Each way to end a load with each file, and both with each moment.
@pytest.mark.parametrize(
    ("number", "make", "unit", "suffix", "moment"),
    [
        (signal.SIGINT, wide_numbers, "s", ".parquet", has_left),
        (signal.SIGINT, long_numbers, "ns", ".parquet", has_arrived),
        (signal.SIGINT, long_texts, "ns", ".feather", has_left),
        (signal.SIGTERM, wide_numbers, "s", ".parquet", has_arrived),
        (signal.SIGTERM, long_numbers, "ns", ".parquet", has_left),
        (signal.SIGTERM, long_texts, "ns", ".feather", has_arrived),
        (signal.SIGKILL, wide_numbers, "s", ".parquet", has_left),
        (signal.SIGKILL, long_numbers, "ns", ".parquet", has_arrived),
        (signal.SIGKILL, long_texts, "ns", ".feather", has_left),
    ],
)
def test_load_that_was_ended_goes_on_to_the_same_points(
    make_database: Callable[..., Database],
    tmp_path: Path,
    number: signal.Signals,
    make: Callable[[str], Columns],
    unit: str,
    suffix: str,
    moment: Callable[[Path, str], Callable[[], bool]],
) -> None:
    database = make_database(time_precision=unit)
    columns = make(unit)
    path = write_table(tmp_path / f"d{suffix}", columns)
    options: list[str | Path] = [path, *LITTLE, *template(columns)]
    with running_load(*options, url=database.url) as process:
        wait_until(moment(tmp_path, path.name), timeout=30, interval=0.02, what="rows have left")
        database.server.pause()
        try:
            process.send_signal(number)
        finally:
            database.server.resume()
        errors = end(process)
    if process.returncode:  # else it was quicker
        assert process.returncode == CODES[number]
        is_done = manifest_entries(tmp_path)[path.name][
            2
        ]  # at the very end there is nothing to go on with
        is_told = "Go on with: siridb-fast load --resume" in errors
        assert is_told or is_done or number == signal.SIGKILL
        run_command("load", "--resume", *options, url=database.url)
    rows = len(columns["ts"])
    assert manifest_entries(tmp_path) == {path.name: (rows, rows, 1)}
    assert_holds(database, columns)


@pytest.mark.parametrize(
    ("rows", "number"),
    [
        (1, signal.SIGINT),
        (WIDE_ROWS, signal.SIGKILL),
        (WIDE_ROWS + 1, signal.SIGINT),
        (WIDE_ROWS + 1, signal.SIGKILL),
        (2 * WIDE_ROWS - 50_000, signal.SIGKILL),
    ],
)
def test_wide_file_goes_on_in_the_pass_where_it_ended(
    make_database: Callable[..., Database], tmp_path: Path, rows: int, number: signal.Signals
) -> None:
    database = make_database(time_precision="s")
    columns = many_numbers()
    path = write_table(tmp_path / "w.parquet", columns, **ONE_PAGE)
    with running_load(path, *LITTLE, url=database.url) as process:
        wait_until(
            has_left(tmp_path, path.name, rows), timeout=30, interval=0.02, what="rows have left"
        )
        database.server.pause()
        try:
            process.send_signal(number)
        finally:
            database.server.resume()
        end(process)
    if process.returncode:  # else it was quicker
        assert process.returncode == CODES[number]
        run_command("load", "--resume", path, *LITTLE, url=database.url)
    assert manifest_entries(tmp_path) == {path.name: (2 * WIDE_ROWS, 2 * WIDE_ROWS, 1)}
    assert_holds(database, columns)


def test_load_that_is_killed_again_and_again_ends_with_the_same_points(
    database: Database, tmp_path: Path
) -> None:
    columns = long_numbers("ns")
    path = write_table(tmp_path / "d.parquet", columns, row_group_size=50_000)
    options: list[str | Path] = [path, *LITTLE, "--series", "{series}"]
    for rows in range(1, ROWS, ROWS // 3):
        with running_load("--resume", *options, url=database.url) as process:
            wait_until(
                has_left(tmp_path, path.name, rows),
                timeout=30,
                interval=0.02,
                what="rows have left",
            )
            process.kill()
            end(process)
    run_command("load", "--resume", *options, url=database.url)
    assert_holds(database, columns)


def test_what_is_loaded_when_the_server_dies_goes_on_when_it_is_back(
    own_database: Database, tmp_path: Path
) -> None:
    # The server may lose the last acknowledged point of a database then, and a young series as a
    # whole, of which no buffer is on disk: so these are there since before its last orderly end.
    # And killed while it makes a shard it may not load the database again: so there is only one.
    with siridb_fast.connect(own_database.url) as client:
        client.insert({"f": [[1, 0.5]], "i": [[1, 1]]})
    own_database.server.restart()
    columns = wide_numbers("ns")
    columns["ts"] = START * 10**9 + np.arange(ROWS) * 1000
    path = write_table(tmp_path / "d.parquet", columns)
    with running_load(path, *LITTLE, url=own_database.url) as process:
        wait_until(
            has_arrived(tmp_path, path.name), timeout=30, interval=0.02, what="rows have arrived"
        )
        own_database.server.kill()
        own_database.server.start()
        end(process)
    if process.returncode:
        run_command("load", "--resume", path, *LITTLE, url=own_database.url)
    with siridb_fast.connect(own_database.url) as client:
        for name, (at, _) in by_series(columns).items():
            found = client.query_arrays(f"select * from {quote(name)}")[name][0]  # noqa: S608
            lost = len(at) + 1 - len(found)
            assert 0 <= lost <= 1, f"{lost} points of {name} are lost, or stored twice if negative"


def test_load_is_stopped_while_the_server_is_away_and_goes_on_later(
    own_database: Database, tmp_path: Path
) -> None:
    columns = wide_numbers("ns")
    path = write_table(tmp_path / "d.parquet", columns)
    with running_load(path, *LITTLE, url=own_database.url) as process:
        wait_until(
            has_arrived(tmp_path, path.name), timeout=30, interval=0.02, what="rows have arrived"
        )
        own_database.server.stop()
        wait_until(lambda: has_ended(process), timeout=20, what="Ctrl+C ends it")
        end(process)
    own_database.server.start()
    if process.returncode:
        run_command("load", "--resume", path, *LITTLE, url=own_database.url)
    assert_holds(own_database, columns)


def test_second_file_with_a_bad_line_goes_on_without_it(
    make_database: Callable[..., Database], tmp_path: Path
) -> None:
    database = make_database(time_precision="s")
    rows = np.arange(1000)
    first = {"ts": START + rows, "v": rows}
    second = {"ts": START + 2000 + rows, "v": rows}
    third = {"ts": START + 4000 + rows, "v": rows}
    for name, columns in (("1.csv", first), ("2.csv", second), ("3.csv", third)):
        write_table(tmp_path / name, columns)
    with (tmp_path / "2.csv").open("a") as file:
        file.write(f"{START},bad\n")
    options: list[str | Path] = [tmp_path, "--time", "ts"]
    done = run_command("load", *options, url=database.url, code=2)
    assert f"{tmp_path / '2.csv'}:1002" in done.stderr
    assert manifest_entries(tmp_path)["1.csv"] == (1000, 1000, 1)
    done = run_command("load", *options, "--resume", "--skip-bad", url=database.url)
    assert f"{tmp_path / '1.csv'}: loaded already" in done.stderr
    assert_holds(database, first, second, third)


def test_bad_lines_are_counted_alike_on_both_sides_of_a_stop(
    make_database: Callable[..., Database], tmp_path: Path
) -> None:
    database = make_database(time_precision="s")
    columns = {name: column[: ROWS // 2] for name, column in wide_numbers("s").items()}
    path = write_table(tmp_path / "b.csv", columns)
    lines = path.read_text().splitlines(keepends=True)
    lines[1:] = [f"bad\n{line}" if k % 1000 == 0 else line for k, line in enumerate(lines[1:])]
    path.write_text("".join(lines))
    options: list[str | Path] = [path, *LITTLE, "--skip-bad"]
    with running_load(*options, url=database.url) as process:
        wait_until(has_left(tmp_path, path.name), timeout=30, interval=0.02, what="rows have left")
        process.kill()
        end(process)
    run_command("load", "--resume", *options, url=database.url)
    assert_holds(database, columns)
