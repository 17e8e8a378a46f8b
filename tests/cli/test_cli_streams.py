"""`siridb-fast load` of standard input, of a pipe, and of a sheet of a spreadsheet."""

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import pytest

from tests.commands import run_command, run_process
from tests.fix_server import Database
from tests.loading.load_runs import WIDE, points_of, stored_points, write_table

NAMES = ["temp", "count", "text"]
UNUSED = "siridb://iris:siri@127.0.0.1:1/unused"


@pytest.fixture
def seconds(make_database: Callable[..., Database]) -> Database:
    return make_database(time_precision="s")


def file_of(folder: Path, said: str) -> Path:
    if said == "ndjson":
        path = folder / "given"
        rows = zip(*WIDE.values(), strict=True)
        lines = (
            f'{{"ts": {at}, "temp": {temp}, "count": {count}, "text": "{text}"}}\n'
            for at, temp, count, text in rows
        )
        path.write_text("".join(lines))
        return path
    return write_table(folder / f"given.{said}", WIDE)


def words(text: str) -> str:
    # as they were before lines were broken
    return " ".join(text.split())


@pytest.mark.parametrize("said", ["csv", "ndjson", "parquet", "feather"])
def test_each_format_is_loaded_from_standard_input(
    seconds: Database, tmp_path: Path, said: str
) -> None:
    given = file_of(tmp_path, said)
    command = ["load", "-", "--format", said, "--time", "ts"]
    done = run_process(*command, url=seconds.url, given=given, TMPDIR=str(tmp_path))
    assert "Loaded" in done.stdout
    assert stored_points(seconds.url) == points_of(NAMES, WIDE)
    run_process(*command, "--resume", url=seconds.url, given=given)
    assert stored_points(seconds.url) == points_of(NAMES, WIDE)
    run_process("verify", *command[1:], url=seconds.url, given=given)
    assert [path.name for path in tmp_path.iterdir()] == [given.name]  # no copy is left


def test_spreadsheet_is_loaded_from_standard_input(seconds: Database, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["ts", *NAMES], *zip(*WIDE.values(), strict=True)):
        book.active.append(row)
    given = tmp_path / "given"
    book.save(given)
    run_process("load", "-", "--format", "xlsx", "--time", "ts", url=seconds.url, given=given)
    assert stored_points(seconds.url) == points_of(NAMES, WIDE)


def test_pipe_is_loaded(seconds: Database, tmp_path: Path) -> None:
    given, pipe = file_of(tmp_path, "csv"), tmp_path / "pipe"
    os.mkfifo(pipe)
    thread = threading.Thread(target=lambda: pipe.write_bytes(given.read_bytes()))
    thread.start()
    run_command("load", pipe, "--format", "csv", "--time", "ts", url=seconds.url)
    thread.join(60)
    assert stored_points(seconds.url) == points_of(NAMES, WIDE)


def test_bad_line_of_standard_input_is_named(seconds: Database, tmp_path: Path) -> None:
    given = tmp_path / "bad"
    given.write_text("ts,v\n1,1\n2,x\n")
    command = ["load", "-", "--format", "csv", "--time", "ts"]
    done = run_process(*command, url=seconds.url, given=given, code=2)
    assert "stdin.csv:3" in done.stderr
    assert stored_points(seconds.url) == {}


def test_format_of_standard_input_is_to_be_said(seconds: Database, tmp_path: Path) -> None:
    done = run_process("load", "-", url=seconds.url, given=file_of(tmp_path, "csv"), code=2)
    assert "standard input has no suffix; --format says what it is" in done.stderr


@pytest.mark.parametrize(
    ("command", "first", "second"),
    [("load", "-", "-"), ("load", "-", "other.csv"), ("load", "other.csv", "pipe"),
     ("verify", "-", "other.csv")],
)  # fmt: skip
def test_stream_is_to_be_the_only_file(
    tmp_path: Path, command: str, first: str, second: str
) -> None:
    # Nothing would be noted of a file beside it. Nobody has opened the pipe.
    file_of(tmp_path, "csv").rename(tmp_path / "other.csv")
    os.mkfifo(tmp_path / "pipe")
    paths = [path if path == "-" else tmp_path / path for path in (first, second)]
    done = run_process(command, *paths, "--format", "csv", url=UNUSED, code=2)
    name = "standard input" if first == "-" else "pipe"
    assert f"{name} is to be the only file" in words(done.stderr)


@pytest.mark.parametrize("stream", ["-", "pipe"])
def test_manifest_of_a_stream_is_refused(tmp_path: Path, stream: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    path = stream if stream == "-" else tmp_path / stream
    noted = tmp_path / "noted.sqlite"
    command: list[str | Path] = ["load", path, "--format", "csv", "--manifest", noted]
    done = run_process(*command, url=UNUSED, code=2)
    assert "nothing is noted of a stream" in words(done.stderr)
    assert not noted.exists()


def test_folder_of_files_without_suffixes_is_loaded(seconds: Database, tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    file_of(tmp_path, "csv").rename(folder / "2024-01-01.log")
    run_command("load", folder, "--time", "ts", url=seconds.url, code=2)
    run_command("load", folder, "--format", "csv", "--time", "ts", url=seconds.url)
    assert stored_points(seconds.url) == points_of(NAMES, WIDE)


def test_sheet_of_a_spreadsheet_is_loaded_and_verified(seconds: Database, tmp_path: Path) -> None:
    path = tmp_path / "plant.xlsx"
    book = openpyxl.Workbook()
    book.active.append(["notes"])
    sheet = book.create_sheet("Data")
    sheet.append(["ts", *NAMES])
    for at, *values in zip(*WIDE.values(), strict=True):
        sheet.append([datetime.fromtimestamp(at, UTC).replace(tzinfo=None), *values])
    book.save(path)
    done = run_command("load", path, url=seconds.url, code=2)
    assert "several sheets: 'Sheet', 'Data'" in done.stderr
    run_command("load", path, "--sheet", "Data", url=seconds.url)
    assert stored_points(seconds.url) == points_of(NAMES, WIDE)
    assert "Verified" in run_command("verify", path, "--sheet", "Data", url=seconds.url).stdout
