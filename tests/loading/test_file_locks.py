"""The locks of loads: one load of a file into a database at a time, however it ends."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from siridb_fast.errors import FileError
from siridb_fast.loading.database_id import DatabaseId
from siridb_fast.loading.file_locks import FileLocks

ONE = DatabaseId.of("db", ["a:9000"], ["one", "two"])
HOLD = """
import sys
from pathlib import Path
from siridb_fast.loading.database_id import DatabaseId
from siridb_fast.loading.file_locks import FileLocks
locks = FileLocks([Path(sys.argv[1])], DatabaseId.of("db", ["a:9000"], ["two"]))
print("locked", flush=True)
input()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.csv"
    path.touch()
    return path


def is_free(file: Path, database: DatabaseId = ONE) -> bool:
    try:
        FileLocks([file], database).release()
    except FileError as exc:
        assert exc.file == str(file)  # noqa: PT017 - or none
        assert "another load of it into this database is under way" in str(exc)  # noqa: PT017
        return False
    return True


def test_second_load_of_a_file_is_refused_until_the_first_ends(file: Path) -> None:
    other = file.with_name("b.csv")
    with FileLocks([file, file], ONE):
        assert not is_free(file)
        assert is_free(other)
        with pytest.raises(FileError):
            FileLocks([other, file], ONE)
        assert is_free(other)
    assert is_free(file)


def test_file_is_the_same_by_another_path(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = file.with_name("link.csv")
    link.symlink_to(file)
    monkeypatch.chdir(file.parent)
    with FileLocks([file], ONE):
        assert not is_free(link)
        assert not is_free(Path("a.csv"))


@pytest.mark.parametrize(
    ("other", "free"),
    [
        (DatabaseId.of("db", ["b:9000"], ["two", "three"]), False),  # one server is the same
        (DatabaseId.of("db", ["a:9000"], ["three"]), True),
        (DatabaseId.of("db", ["a:9000"]), True),  # nobody can tell
    ],
)
def test_database_is_known_by_its_servers(file: Path, other: DatabaseId, free: bool) -> None:
    with FileLocks([file], ONE):
        assert is_free(file, other) is free


def test_database_whose_servers_may_not_be_listed_is_known_by_its_hosts(file: Path) -> None:
    with FileLocks([file], DatabaseId.of("db", ["b:9000", "a:9000"])):
        assert not is_free(file, DatabaseId.of("db", ["a:9000", "b:9000"]))
        assert is_free(file, DatabaseId.of("other", ["a:9000", "b:9000"]))


def test_lock_ends_with_the_process_that_has_it(file: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(file)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        assert not is_free(file)
        process.kill()
    assert is_free(file)


def test_child_of_a_fork_has_no_part_in_it(file: Path) -> None:
    context = multiprocessing.get_context("fork")
    waits, ends = context.Event(), context.Event()
    with FileLocks([file], ONE):
        child = context.Process(target=_report_and_wait, args=(waits, ends))
        child.start()
        assert waits.wait(60)
        assert not is_free(file)
    try:
        assert is_free(file)
    finally:
        ends.set()
        child.join(60)
    assert child.exitcode == 0


def _report_and_wait(waits: object, ends: object) -> None:
    waits.set()  # type: ignore[attr-defined]
    ends.wait(60)  # type: ignore[attr-defined]


def test_user_without_a_state_folder_has_them_too(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = tmp_path / "nowhere"
    nowhere.touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(nowhere))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with FileLocks([file], ONE):
        assert not is_free(file)
    assert (tmp_path / f"siridb_fast-{os.getuid()}" / "loads.lock").exists()
    monkeypatch.setattr("tempfile.tempdir", str(nowhere))
    with pytest.raises(FileError, match="the locks of loads cannot be opened"):
        FileLocks([file], ONE)


def test_processes_exclude_each_other_without_locks_of_open_files(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in systems other than Linux.
    monkeypatch.delattr("fcntl.F_OFD_SETLK")
    command = [sys.executable, "-c", "import fcntl; del fcntl.F_OFD_SETLK\n" + HOLD, str(file)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        assert not is_free(file)
        process.kill()
    assert is_free(file)


def test_load_of_many_files_locks_their_folder(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("siridb_fast.loading.file_locks.MANY", 2)
    others = [tmp_path / f"{name}.csv" for name in "bcd"]
    elsewhere = tmp_path / "sub" / "a.csv"
    with FileLocks([file], ONE):
        with FileLocks(others[:2], ONE):  # each of its own
            assert not is_free(others[0])
            assert is_free(others[2])
        with pytest.raises(FileError) as caught:
            FileLocks(others, ONE)
        assert caught.value.file == str(tmp_path)
    with FileLocks(others, ONE):
        assert is_free(elsewhere)
        with pytest.raises(FileError, match="another load of it into this database"):
            FileLocks([file], ONE)
        FileLocks([file], DatabaseId.of("db", ["a:9000"], ["three"])).release()
    assert is_free(file)
