"""What was refused is written where `load` reads it; nothing of a disk gets into the writer."""

import json
import logging
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from pyarrow import json as arrow_json

import siridb_fast
from siridb_fast import (
    MICROSECOND,
    MILLISECOND,
    SECOND,
    BatchWriter,
    ColumnError,
    ConfigError,
    DeadLetters,
    Failure,
    FileError,
    InsertError,
)
from siridb_fast.delivery import dead_letters, letter_tables
from siridb_fast.delivery.kept_points import GivenPoints
from tests.commands import run_command
from tests.fix_server import Database
from tests.loading.load_runs import counted, stored_points

START = 1_700_000_000_000  # 2023-11-14T22:13:20Z
FORMS = ["letters.ndjson", "letters.jsonl", "letters.parquet"]
VALUES: dict[str, list[Any]] = {
    "f": [0.1, -0.0, 1e300, 5e-324],
    "i": [2**63 - 1, -(2**63), 0],
    "t": ["", "NA", 'a,"b"\r\n', "ü", "null"],
}
LINE = (
    '{"series": "a", "time": "2023-11-14T22:13:20.000Z", "value_float": null, "value_integer": 7, '
    '"value_text": null, "reason": "no", "error": "InsertError", "refused_at": '
    '"2026-01-02T03:04:05.500Z"}\n'
)


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    set_clock(monkeypatch, 1_767_323_045.5)


def set_clock(patch: pytest.MonkeyPatch, seconds: float) -> None:
    patch.setattr(DeadLetters, "_clock", staticmethod(lambda: seconds))


def failure_of(values: Any, series: str = "a", *, first: int = START, **options: Any) -> Failure:
    kept = GivenPoints(first + np.arange(len(values)), np.asarray(values))
    options = {"fate": "rejected", "time_precision": MILLISECOND, **options}
    return Failure(series, len(values), InsertError("no"), kept, **options)


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Let no file be longer: as on a disk that is full, what fits of a write is written."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# ---- what is in a file


def test_line_of_a_letter(tmp_path: Path) -> None:
    path = tmp_path / "letters.ndjson"
    with DeadLetters(path) as letters:
        letters(failure_of([7]))
        assert path.read_text() == LINE  # at once
        assert (letters.written, letters.waiting, letters.lost) == (1, 0, 0)
    assert repr(letters) == f"<DeadLetters in {str(path)!r}: 1 points written>"


@pytest.mark.parametrize(
    ("precision", "time", "shown"),
    [
        (SECOND, 1, "1970-01-01T00:00:01Z"),
        (SECOND, 253_402_300_799, "9999-12-31T23:59:59Z"),
        (SECOND, 253_402_300_800, 253_402_300_800),
        (MILLISECOND, 253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (MILLISECOND, 253_402_300_800_000, 253_402_300_800_000),
        (siridb_fast.NANOSECOND, 2**63 - 1, "2262-04-11T23:47:16.854775807Z"),
        (None, START, START),
    ],
)
def test_time_is_iso_8601_where_that_has_a_form_for_it(
    tmp_path: Path, precision: int | None, time: int, shown: object
) -> None:
    path = tmp_path / "letters.ndjson"
    with DeadLetters(path) as letters:
        letters(failure_of([7], first=time, time_precision=precision))
    assert json.loads(path.read_text())["time"] == shown


def test_numbers_that_json_lacks_are_written_as_python_and_arrow_read_them(tmp_path: Path) -> None:
    path, values = tmp_path / "letters.ndjson", [np.nan, np.inf, -np.inf, -0.0, 5e-324]
    with DeadLetters(path) as letters:
        letters(failure_of(values))
    assert [str(row["value_float"]) for row in rows_of(path)] == list(map(str, values))
    table = arrow_json.read_json(path)
    assert list(map(str, table.column("value_float").to_pylist())) == list(map(str, values))


def test_what_is_written_survives_the_death_of_the_process(tmp_path: Path) -> None:
    path = tmp_path / "letters.ndjson"
    run_in_process(path, "os.kill(os.getpid(), 9)", code=-9)
    assert [row["value_integer"] for row in rows_of(path)] == [7]


def test_columns_of_a_parquet_file(tmp_path: Path) -> None:
    path = tmp_path / "letters.parquet"
    with DeadLetters(path) as letters:
        letters(failure_of([7]))
        letters(failure_of(np.array(["x"], object), "b"))
        letters(failure_of([0.5, 1.5], "c"))
        assert (letters.written, letters.waiting, path.exists()) == (0, 4, False)
    assert (letters.written, letters.waiting) == (4, 0)
    table = pq.read_table(path)
    assert table.column("series").to_pylist() == ["a", "b", "c", "c"]
    assert table.column("value_float").to_pylist() == [None, None, 0.5, 1.5]
    assert table.column("value_integer").to_pylist() == [7, None, None, None]
    assert table.column("value_text").to_pylist() == [None, "x", None, None]
    assert str(table.schema.field("time").type) == "timestamp[ms, tz=UTC]"
    assert set(table.column("error").to_pylist()) == {"InsertError"}
    assert [path.name for path in tmp_path.iterdir()] == ["letters.parquet"]


# ---- the way back


def refuse_points(database: Database, letters: DeadLetters) -> None:
    """Write points to series that have another type."""
    others: dict[str, Any] = {"f": 7, "i": "text", "t": 1.5}
    for name, value in others.items():
        database.server.api.insert(database.name, {name: [(START, value)]})
    with siridb_fast.connect(database.url) as client:
        writer = client.writer(on_error=letters)
        for name, values in VALUES.items():
            for number, value in enumerate(values):
                writer.write(name, START + number, value)
        assert writer.close().rejected_points == sum(map(len, VALUES.values()))


@pytest.mark.parametrize("name", FORMS)
def test_what_was_refused_is_loaded_without_options(
    make_database: Any, tmp_path: Path, name: str
) -> None:
    database = make_database(time_precision="ms")
    with DeadLetters(tmp_path / name) as letters:
        refuse_points(database, letters)
    for series in VALUES:
        query = f"drop series '{series}' set ignore_threshold true"
        database.server.api.query(database.name, query)
    run_command("load", tmp_path / name, url=database.url)
    assert stored_points(database.url) == {
        series: counted(np.arange(len(some)) + START, np.array(some, object))
        for series, some in VALUES.items()
    }
    with siridb_fast.connect(database.url) as client:
        types = dict(client.query("list series name, type")["series"])
    assert types == {"f": "float", "i": "integer", "t": "string"}


async def test_writer_takes_dead_letters(database: Database, tmp_path: Path) -> None:
    database.server.api.insert(database.name, {"a": [(START, 7)]})
    with DeadLetters(tmp_path / "letters.ndjson") as letters:
        writer = BatchWriter(database.url, on_error=letters)
        await writer.open()
        writer.write("a", START, "text")
        assert (await writer.close()).rejected_points == letters.written == 1


def test_blocking_writer_takes_dead_letters(database: Database, tmp_path: Path) -> None:
    database.server.api.insert(database.name, {"a": [(START, "text")]})
    path = tmp_path / "letters.ndjson"
    with DeadLetters(path) as letters, siridb_fast.connect(database.url) as client:
        writer = client.writer(on_error=letters)
        writer.write("a", START, 0.5)
        assert writer.close().rejected_points == 1
    row = json.loads(path.read_text())
    assert (row["series"], row["value_float"], row["error"]) == ("a", 0.5, "ColumnError")
    assert "the series is of type string in the database" in row["reason"]


# ---- points in doubt


@pytest.mark.parametrize("name", FORMS)
def test_points_in_doubt_are_in_a_file_of_their_own(tmp_path: Path, name: str) -> None:
    with DeadLetters(tmp_path / name) as letters:
        letters(failure_of([7]))
        letters(failure_of([8, 9], fate="in_doubt"))
        letters(failure_of([0.5], "b", fate="changed"))
    assert (letters.written, letters.left_out) == (4, 0)
    sizes = {path.name: len(rows_of(path)) for path in tmp_path.iterdir()}
    assert sizes == {name: 2, f"in-doubt-{name}": 2}


@pytest.mark.parametrize("name", ["letters.ndjson", "letters.parquet"])
def test_points_in_doubt_are_compared_with_the_database(
    make_database: Any, tmp_path: Path, name: str
) -> None:
    database = make_database(time_precision="ms")
    database.server.api.insert(database.name, {"a": [(START, 7)]})  # one was stored, one was not
    with DeadLetters(tmp_path / name) as letters:
        letters(failure_of([7, 8], fate="in_doubt"))
    run_command("load", "--compare", tmp_path / f"in-doubt-{name}", url=database.url)
    assert stored_points(database.url)["a"] == {(START, 7): 1, (START + 1, 8): 1}


@pytest.mark.parametrize("name", FORMS)
def test_times_of_an_unknown_unit_are_those_of_the_database(
    make_database: Any, tmp_path: Path, name: str
) -> None:
    database = make_database(time_precision="us")
    with DeadLetters(tmp_path / name) as letters:
        letters(failure_of([7, 8], first=START * 1000, time_precision=None))
    run_command("load", tmp_path / name, url=database.url)
    assert stored_points(database.url)["a"] == {(START * 1000, 7): 1, (START * 1000 + 1, 8): 1}


def test_points_in_doubt_are_left_out_on_request(tmp_path: Path) -> None:
    with DeadLetters(tmp_path / "letters.ndjson", in_doubt=False) as letters:
        letters(failure_of([8, 9], fate="in_doubt"))
    assert (letters.written, letters.left_out, letters.lost) == (0, 2, 0)
    assert [*tmp_path.iterdir()] == []


def rows_of(path: Path) -> list[Any]:
    if path.suffix == ".parquet":
        return list(pq.read_table(path).to_pylist())
    return [json.loads(line) for line in path.read_text().splitlines()]


# ---- files that are there


def test_lines_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "letters.ndjson"
    for _ in range(2):
        with DeadLetters(path) as letters:
            letters(failure_of([7]))
        assert letters.written == 1
    assert path.read_text() == LINE * 2


@pytest.mark.parametrize("cut", [1, 50, len(LINE) - 2])
def test_line_that_a_crash_left_unfinished_is_taken_away(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "letters.ndjson"
    path.write_text(LINE + LINE[:cut])
    with DeadLetters(path) as letters:
        letters(failure_of([7]))
    assert path.read_text() == LINE * 2


@pytest.mark.parametrize("left", [0, 3, 200_000])
def test_file_that_is_one_unfinished_line_begins_anew(tmp_path: Path, left: int) -> None:
    path = tmp_path / "letters.ndjson"
    path.write_text("{" * left)
    with DeadLetters(path) as letters:
        letters(failure_of([7]))
    assert path.read_text() == LINE


def test_line_that_lacks_its_end_alone_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "letters.ndjson"
    path.write_text(LINE + LINE.rstrip("\n"))
    with DeadLetters(path) as letters:
        letters(failure_of([7]))
    assert path.read_text() == LINE * 3


@pytest.mark.parametrize("text", ['{"a": 1}\n', "time,value\n1,2\n", "[1]\n"])
def test_nothing_is_appended_to_what_is_no_file_of_letters(tmp_path: Path, text: str) -> None:
    path = tmp_path / "letters.ndjson"
    path.write_text(text)
    with pytest.raises(FileError, match="something else than dead letters"):
        DeadLetters(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(FileError, match="dead letters go to a file"):
        DeadLetters(path)


@pytest.mark.parametrize("what", ["deleted", "renamed"])
def test_file_that_is_gone_is_made_anew(tmp_path: Path, what: str) -> None:
    path = tmp_path / "letters.ndjson"
    with DeadLetters(path) as letters:
        letters(failure_of([7]))
        if what == "deleted":
            path.unlink()
        else:
            path.rename(tmp_path / "letters.ndjson.1")
        letters(failure_of([7]))
    assert path.read_text() == LINE


def test_each_file_of_parquet_is_whole_and_none_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letter_tables, "FILE_POINTS", 2)
    path = tmp_path / "letters.parquet"
    for _ in range(2):
        with DeadLetters(path) as letters:
            for value in range(3):
                letters(failure_of([value]))
            assert letters.waiting == 1
    sizes = {path.name: len(rows_of(path)) for path in tmp_path.iterdir()}
    names = ["letters.parquet", "letters-2.parquet", "letters-3.parquet", "letters-4.parquet"]
    assert sizes == dict(zip(names, [2, 1, 2, 1], strict=True))


def test_file_of_parquet_is_written_after_a_minute_and_on_demand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DeadLetters(tmp_path / "letters.parquet") as letters:
        letters(failure_of([1]))
        letters(failure_of([2]))
        assert (letters.written, letters.waiting) == (0, 2)
        set_clock(monkeypatch, 1_767_323_105.5)
        letters(failure_of([3]))
        assert (letters.written, letters.waiting) == (2, 1)
        letters.flush()
        assert (letters.written, letters.waiting) == (3, 0)


def test_times_of_another_unit_are_in_a_file_of_their_own(tmp_path: Path) -> None:
    with DeadLetters(tmp_path / "letters.parquet") as letters:
        letters(failure_of([1]))
        letters(failure_of([2], time_precision=MICROSECOND))
        letters(failure_of([2], first=2**62))
    types = [str(pq.read_schema(path).field("time").type) for path in sorted(tmp_path.iterdir())]
    assert types == ["timestamp[us, tz=UTC]", "int64", "timestamp[ms, tz=UTC]"]


def test_parquet_is_written_at_the_end_of_the_program(tmp_path: Path) -> None:
    path = tmp_path / "letters.parquet"
    run_in_process(path, "", code=0)
    assert len(rows_of(path)) == 1


def run_in_process(path: Path, end: str, *, code: int) -> None:
    """Write a letter in a process that ends in some way."""
    program = f"""
import os
from tests.delivery.test_dead_letters import failure_of
from siridb_fast import DeadLetters
letters = DeadLetters({str(path)!r})
letters(failure_of([7]))
{end}
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], check=False, cwd=root)
    assert done.returncode == code


def test_fork_does_not_write_the_letters_of_its_parent(tmp_path: Path) -> None:
    files: Any = DeadLetters(tmp_path / "letters.parquet")
    files(failure_of([7]))
    dead_letters._close(files._files, os.getpid() + 1)
    assert files.waiting == 1
    files.close()


# ---- what cannot be written


@pytest.mark.parametrize("name", FORMS)
def test_full_disk_raises_nothing_and_is_logged_once(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "siridb_fast")
    monkeypatch.setattr(letter_tables, "FILE_POINTS", 1)
    with DeadLetters(tmp_path / name) as letters:
        letters(failure_of([7]))
        with disk_of(len(LINE) + 9):
            for _ in range(3):
                letters(failure_of([7]))
        assert (letters.written, letters.waiting) in ((1, 0), (0, 1))
        assert letters.lost == 3
        letters(failure_of([7]))
    assert letters.written == 2
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert f"{tmp_path / name} are not written" in caplog.text
    assert sum(len(rows_of(path)) for path in tmp_path.iterdir()) == 2


@pytest.mark.parametrize("name", FORMS)
def test_folder_that_is_gone_raises_nothing(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    letters = DeadLetters(folder / name)
    folder.rmdir()
    letters(failure_of([7]))
    letters.close()
    assert (letters.written, letters.waiting, letters.lost) == (0, 0, 1)


def test_letters_that_are_closed_count_what_comes_as_lost(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path / "letters.ndjson")
    letters.close()
    letters.close()
    letters(failure_of([7, 8]))
    assert (letters.written, letters.lost) == (0, 2)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("name", FORMS)
def test_text_that_is_not_utf_8_is_lost_alone(tmp_path: Path, name: str) -> None:
    with DeadLetters(tmp_path / name) as letters:
        letters(failure_of(np.array([b"\xff"], object)))
        letters(failure_of([1], "a\udcff"))
        letters(Failure("a", 3, ColumnError("not kept")))
        letters(failure_of([7]))
    assert (letters.written, letters.lost) == (1, 5)
    assert len(rows_of(tmp_path / name)) == 1


def test_letters_come_from_many_threads(tmp_path: Path) -> None:
    path = tmp_path / "letters.ndjson"
    with DeadLetters(path) as letters:

        def work() -> None:
            for _ in range(50):
                letters(failure_of([7, 7]))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert letters.written == len(rows_of(path)) == 400


@pytest.mark.parametrize(
    ("path", "options", "text"),
    [
        ("letters.csv", {}, r"a path ends in one of \.ndjson, \.jsonl, \.parquet, got"),
        ("letters", {}, "a path ends in one of"),
        ("nowhere/letters.ndjson", {}, "there is no folder"),
        ("letters.ndjson", {"in_doubt": 1}, "in_doubt is true or false, got 1"),
    ],
)
def test_path_that_makes_no_sense_is_refused(
    tmp_path: Path, path: str, options: Any, text: str
) -> None:
    with pytest.raises(ConfigError, match=text):
        DeadLetters(tmp_path / path, **options)
