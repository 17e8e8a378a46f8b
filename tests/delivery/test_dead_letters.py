"""What was refused is written where `load` reads it; nothing of a disk gets into the writer."""

import json
import logging
import resource
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
    MILLISECOND,
    SECOND,
    BatchWriter,
    ColumnError,
    ConfigError,
    DeadLetters,
    Failure,
)
from siridb_fast.delivery import letter_tables
from tests.commands import run_command
from tests.delivery.letters import (
    FORMS,
    LINE,
    START,
    failure_of,
    rows_of,
    run_in_process,
    set_clock,
)
from tests.fix_server import Database
from tests.loading.load_runs import counted, stored_points

VALUES: dict[str, list[Any]] = {
    "f": [0.1, -0.0, 1e300, 5e-324],
    "i": [2**63 - 1, -(2**63), 0],
    "t": ["", "NA", 'a,"b"\r\n', "ü", "null"],
}


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    set_clock(monkeypatch, 1_767_323_045.5)


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
        database.server.pause()  # else a type may be known, and the call raises
        try:
            for name, values in VALUES.items():
                for number, value in enumerate(values):
                    writer.write(name, START + number, value)
        finally:
            database.server.resume()
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
