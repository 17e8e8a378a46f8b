"""Files of dead letters that are there already, are rotated, or end with the process."""

import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from siridb_fast import (
    MICROSECOND,
    DeadLetters,
    FileError,
)
from siridb_fast.delivery import dead_letters, letter_tables
from tests.delivery.letters import LINE, failure_of, rows_of, run_in_process, set_clock


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    set_clock(monkeypatch, 1_767_323_045.5)


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


def test_fork_does_not_write_the_letters_of_its_parent(tmp_path: Path) -> None:
    files: Any = DeadLetters(tmp_path / "letters.parquet")
    files(failure_of([7]))
    dead_letters._close(files._files, os.getpid() + 1)
    assert files.waiting == 1
    files.close()
