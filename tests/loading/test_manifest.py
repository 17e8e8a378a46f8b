"""The manifest: what of each file is delivered, for one process at a time, across crashes."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from siridb_fast.errors import FileError
from siridb_fast.loading.database_id import DatabaseId
from siridb_fast.loading.manifest import Manifest
from siridb_fast.loading.notes import EVERY_ROW, Entry, job_key
from siridb_fast.loading.resume import KnownFiles, Start

JOB = job_key("db", time="ts")
DATABASE = DatabaseId.of("db", ("b:9000", "a:9000"))
NAME = "noted.sqlite"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.csv"
    path.write_text("ts,v\n1,1\n")
    return path


def known(
    files: Sequence[Path], start: Start, *, job: str = JOB, database: DatabaseId = DATABASE
) -> KnownFiles:
    return KnownFiles(files, Manifest(files[0].parent / NAME, job, database), start)


def begin(
    file: Path, start: Start, *, job: str = JOB, database: DatabaseId = DATABASE
) -> tuple[int, int]:
    with known([file], start, job=job, database=database) as files:
        return files.begin(file)


def load_some(file: Path, *, started: int, delivered: int, start: Start = Start.FRESH) -> None:
    with known([file], start) as files:
        files.begin(file)
        files.start(file, started)
        files.deliver(file, delivered)


def test_job_is_the_database_and_the_columns() -> None:
    assert job_key("db", time="ts") == JOB
    assert job_key("other", time="ts") != JOB
    assert job_key("db", time="at") != JOB


@pytest.mark.parametrize("start", [Start.FRESH, Start.RESUME])
def test_other_hosts_may_be_another_database(file: Path, start: Start) -> None:
    load_some(file, started=20, delivered=10)
    other = DatabaseId.of("db", ["/path/to/socket"])
    with pytest.raises(FileError, match=r"by way of a:9000, b:9000.*right 'list'.*that URL"):
        begin(file, start, database=other)
    assert begin(file, Start.RESTART, database=other) == (0, 0)


ELSEWHERE = """
import os, sys
from pathlib import Path
from siridb_fast.loading.database_id import DatabaseId
from siridb_fast.loading.manifest import Manifest
from siridb_fast.loading.resume import KnownFiles, Start
file = Path(sys.argv[1])
database = DatabaseId.of("db", ["a:9000", "b:9000"])
files = KnownFiles([file], Manifest(file.parent / "noted.sqlite", sys.argv[2], database), Start.{})
files.begin(file)
{}
os._exit(9)
"""


def run_elsewhere(file: Path, start: Start, steps: str) -> None:
    """Begin a load in a process that is killed."""
    script = ELSEWHERE.format(start.name, steps)
    done = subprocess.run([sys.executable, "-c", script, file, JOB], check=False)
    assert done.returncode == 9


def test_what_was_written_down_is_there_in_the_next_process(file: Path) -> None:
    steps = "files.start(file, 20); files.deliver(file, 10); files.start(file, 30)"
    run_elsewhere(file, Start.FRESH, steps + "; files.deliver(file, 20)")
    assert begin(file, Start.RESUME) == (10, 30)  # what is stored comes with what is next


def test_rows_only_go_up(file: Path) -> None:
    load_some(file, started=20, delivered=10)
    load_some(file, started=5, delivered=5, start=Start.RESUME)
    assert begin(file, Start.RESUME) == (10, 20)


def restart(file: Path, *, started: int = 0, delivered: int = 0, stored: bool = True) -> None:
    with known([file], Start.RESTART) as files:
        assert files.begin(file) == (0, 0)
        if started:
            files.start(file, started)
        if delivered:
            files.deliver(file, delivered)
        if not stored:
            files.note_nothing_stored()


@pytest.mark.parametrize(
    ("started", "delivered", "stored", "left"),
    [
        (0, 0, True, (10, 20)),  # it failed before its first point
        (5, 0, False, (10, 20)),  # nobody took that
        (5, 0, True, (0, 5)),  # nobody can tell
        (5, 5, True, (5, 5)),
    ],
)
def test_restart_forgets_with_its_first_point(
    file: Path, started: int, delivered: int, stored: bool, left: tuple[int, int]
) -> None:
    load_some(file, started=20, delivered=10)
    restart(file, started=started, delivered=delivered, stored=stored)
    assert begin(file, Start.RESUME) == left


def test_restart_forgets_all_its_files_together(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.csv", "b.csv", "c.csv")]
    for path in paths:
        path.write_text("ts,v\n1,1\n")
        load_some(path, started=20, delivered=10)
    with known(paths, Start.RESTART) as files:
        files.begin(paths[0])
        files.start(paths[0], 5)
        files.deliver(paths[0], 5)
    with known(paths, Start.RESUME) as files:
        assert [files.begin(path) for path in paths] == [(5, 5), (0, EVERY_ROW), (0, EVERY_ROW)]


@pytest.mark.parametrize(("has_begun", "left"), [(False, (10, 20)), (True, (0, 5))])
def test_restart_that_is_killed_goes_on_if_it_had_begun(
    file: Path, has_begun: bool, left: tuple[int, int]
) -> None:
    load_some(file, started=20, delivered=10)
    run_elsewhere(file, Start.RESTART, "files.start(file, 5)" if has_begun else "")
    assert begin(file, Start.RESUME) == left


@pytest.mark.parametrize(("is_done", "state"), [(True, "loaded already"), (False, "in part")])
def test_fresh_load_refuses_what_is_known(file: Path, is_done: bool, state: str) -> None:
    load_some(file, started=20, delivered=20)
    if is_done:
        with known([file], Start.RESUME) as files:
            files.finish(file)
    with pytest.raises(FileError, match=state):
        begin(file, Start.FRESH)
    assert begin(file, Start.FRESH, job=job_key("other")) == (0, 0)


def test_file_of_which_nothing_left_may_change(file: Path) -> None:
    begin(file, Start.FRESH)
    file.write_text("ts,v\n1,1\n2,2\n")
    assert begin(file, Start.FRESH) == (0, 0)
    load_some(file, started=2, delivered=1)
    assert begin(file, Start.RESUME) == (1, 2)


def test_file_of_which_rows_left_and_that_was_changed_is_compared(file: Path) -> None:
    load_some(file, started=2, delivered=1)
    file.write_text("ts,v\n1,1\n2,2\n")
    with pytest.raises(FileError, match="was loaded in part, and was changed since; --resume"):
        begin(file, Start.FRESH)
    with known([file], Start.RESUME) as files:
        assert files.changed == files.todo == [file]
        assert files.begin(file) == (0, EVERY_ROW)
        files.start(file, 1)
    with pytest.raises(FileError, match="was loaded in part; --resume"):
        begin(file, Start.FRESH)
    assert begin(file, Start.RESUME) == (0, EVERY_ROW)
    assert begin(file, Start.RESTART) == (0, 0)


def test_unknown_file_is_compared_where_a_load_goes_on(file: Path) -> None:
    with known([file], Start.RESUME) as files:
        assert files.unknown == files.todo == [file]
        assert files.begin(file) == (0, EVERY_ROW)
        files.start(file, 1)
        files.deliver(file, 1)
    assert begin(file, Start.RESUME) == (1, EVERY_ROW)  # whoever goes on compares the rest
    with known([file], Start.RESUME) as files:
        files.begin(file)
        files.finish(file)
    with known([file], Start.RESUME) as files:
        assert files.done == [file]


def test_all_is_compared_where_that_is_asked(file: Path) -> None:
    load_some(file, started=20, delivered=20)
    with known([file], Start.RESUME) as files:
        files.finish(file)
    with known([file], Start.COMPARE) as files:
        assert (files.done, files.todo, files.dialect_of(file)) == ([], [file], "")
        assert files.begin(file) == (0, EVERY_ROW)
        files.start(file, 1)
    with pytest.raises(FileError, match="was loaded in part"):
        begin(file, Start.FRESH)


def test_rows_that_were_counted_in_other_passes_are_not_taken_for_these(file: Path) -> None:
    with known([file], Start.FRESH) as files:
        assert files.begin(file, "3 2") == (0, 0)
    with known([file], Start.FRESH) as files:  # nothing has left
        assert files.begin(file, "4 1") == (0, 0)
        files.start(file, 1)
    with known([file], Start.RESUME) as files:
        assert files.begin(file, "4 1") == (0, 1)
    with known([file], Start.RESUME) as files:
        assert files.begin(file, "5") == (0, EVERY_ROW)
    with known([file], Start.RESTART) as files:
        assert files.begin(file, "3 2") == (0, 0)


def test_load_that_ends_between_is_found_when_a_file_begins(file: Path) -> None:
    with known([file], Start.FRESH) as files:
        load_some(file, started=20, delivered=10)
        with pytest.raises(FileError, match="was loaded in part"):
            files.begin(file)


def test_files_of_the_same_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    files = [tmp_path / name / "a.csv" for name in ("one", "two")]
    for path in files:
        path.parent.mkdir()
        path.write_text("ts,v\n")
    with Manifest(tmp_path / NAME, JOB, DATABASE) as manifest:
        for rows, path in enumerate(files, 1):
            manifest.claim(path)
            manifest.start(path, rows)
        found = [Entry(0, rows, is_done=False) for rows in (1, 2)]
        assert manifest.look_up(files) == found


def test_names_that_are_not_utf_8_are_noted(tmp_path: Path) -> None:
    file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.csv"))
    file.write_text("ts,v\n1,1\n")
    load_some(file, started=20, delivered=10)
    assert begin(file, Start.RESUME) == (10, 20)


def test_done_and_unknown_files_are_told_apart(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.csv" for name in ("done", "part", "new")]
    for path in paths:
        path.write_text("ts,v\n")
    with known(paths[:2], Start.FRESH) as files:
        for path in paths[:2]:
            files.begin(path)
            files.start(path, 1)
        files.finish(paths[0])
    with known(paths, Start.RESUME) as files:
        assert (files.done, files.todo) == (paths[:1], paths[1:])
        assert files.unknown == paths[2:]


def a_folder(path: Path) -> None:
    path.mkdir()


def no_database(path: Path) -> None:
    path.write_bytes(b"no database" * 100)


def another_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("CREATE TABLE files (name TEXT)")


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (a_folder, "the manifest cannot be written"),
        (no_database, "the manifest cannot be written"),
        (another_table, "it is a database of another program"),
    ],
)
def test_manifest_that_is_none_is_named(
    file: Path, spoil: Callable[[Path], None], text: str
) -> None:
    path = file.parent / NAME
    spoil(path)
    with pytest.raises(FileError, match=text) as caught:
        begin(file, Start.FRESH)
    assert caught.value.file == str(path)


def test_manifest_that_becomes_unwritable_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("siridb_fast.loading.manifest_file.BUSY_TIMEOUT", 0.01)
    path = file.parent / NAME
    with Manifest(path, JOB, DATABASE) as manifest:
        assert manifest.claim(file) == Entry(0, 0, is_done=False)
        with closing(sqlite3.connect(path, isolation_level=None)) as base:
            base.execute("BEGIN IMMEDIATE")
            with pytest.raises(FileError, match="locked"):
                manifest.start(file, 1)
            base.execute("ROLLBACK")
        manifest.start(file, 1)
        assert manifest.look_up([file]) == [Entry(0, 1, is_done=False)]


# ---- which database it was


def of(servers: list[str]) -> DatabaseId:
    return DatabaseId.of("db", ("b:9000", "a:9000"), servers)


def load_all(file: Path, servers: list[str]) -> None:
    with known([file], Start.FRESH, database=of(servers)) as files:
        files.begin(file)
        files.start(file, 2)
        files.finish(file)


@pytest.mark.parametrize("servers", [["three"], ["three", "four"]])
def test_file_that_another_database_of_the_name_has_is_not_taken_for_loaded(
    file: Path, servers: list[str]
) -> None:
    load_all(file, ["one", "two"])
    load_all(file, servers)
    for each in (["one", "two"], servers):  # what is noted of one does not hide the other
        with known([file], Start.RESUME, database=of(each)) as files:
            assert files.done == [file]


@pytest.mark.parametrize("servers", [["two", "three"], []])
def test_database_with_a_server_of_before_is_the_same(file: Path, servers: list[str]) -> None:
    load_all(file, ["one", "two"])
    with known([file], Start.RESUME, database=of(servers)) as files:
        assert files.done == [file]


# ---- short files, which are noted together


def short_files(folder: Path) -> list[Path]:
    files = [folder / f"{number}.csv" for number in range(5)]
    for file in files:
        file.write_text("ts,v\n1,1\n")
    return files


@pytest.mark.parametrize("start", [Start.FRESH, Start.RESTART])
def test_short_files_are_noted_with_the_first_row_of_them(tmp_path: Path, start: Start) -> None:
    paths = short_files(tmp_path)
    with known(paths, start) as files:
        files.announce(paths[:4])
        for path in paths[:2]:
            assert files.begin(path, "1") == (0, 0)
            files.start(path, 1)
            files.deliver(path, 1)
        files.finish(paths[0])
    with known(paths, Start.RESUME) as files:
        assert (files.done, files.unknown) == (paths[:1], paths[4:])
        # The others may be stored, and nobody knows how their rows were counted.
        assert [files.begin(path, "1") for path in paths[1:4]] == [(0, EVERY_ROW)] * 3


def test_short_files_that_are_known_go_on_where_they_ended(tmp_path: Path) -> None:
    paths = short_files(tmp_path)
    load_some(paths[0], started=20, delivered=10)
    with known(paths, Start.RESUME) as files:
        files.announce(paths)
        assert files.begin(paths[0]) == (10, 20)
        assert files.begin(paths[1]) == (0, EVERY_ROW)


def test_short_files_are_noted_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = short_files(tmp_path)
    written: list[Path | None] = []
    write = Manifest._write

    def noting(self: Manifest, file: Path | None, started: int = 0) -> None:
        written.append(file)
        write(self, file, started)

    monkeypatch.setattr(Manifest, "_write", noting)
    with known(paths, Start.FRESH) as files:
        files.announce(paths)
        for path in paths:
            files.begin(path, "1")
            files.start(path, 1)
            files.deliver(path, 1)
            files.finish(path)
    assert written == [paths[0], None]
    with known(paths, Start.RESUME) as files:
        assert files.done == paths
