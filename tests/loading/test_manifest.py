"""The manifest: what of each file is delivered, for one process at a time, across crashes."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from siridb_fast.errors import FileError
from siridb_fast.loading.manifest import MANIFEST_NAME, Entry, Manifest, _owner, job_key
from siridb_fast.loading.resume import Manifests, Start

JOB = job_key("db", time="ts")
HOSTS = ("b:9000", "a:9000")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.csv"
    path.write_text("ts,v\n1,1\n")
    return path


def begin(
    file: Path, start: Start, *, job: str = JOB, hosts: Sequence[str] = HOSTS
) -> tuple[int, int]:
    with Manifests([file], job, start, hosts) as manifests:
        return manifests.begin(file)


def load_some(file: Path, *, started: int, delivered: int) -> None:
    with Manifests([file], JOB, Start.RESUME, HOSTS) as manifests:
        manifests.begin(file)
        manifests.start(file, started)
        manifests.deliver(file, delivered)


def test_job_is_the_database_and_the_columns() -> None:
    assert job_key("db", time="ts") == JOB
    assert job_key("other", time="ts") != JOB
    assert job_key("db", time="at") != JOB


@pytest.mark.parametrize("start", [Start.FRESH, Start.RESUME])
def test_other_hosts_may_be_another_database(file: Path, start: Start) -> None:
    load_some(file, started=20, delivered=10)
    with pytest.raises(FileError, match="by way of a:9000, b:9000; go on with that URL"):
        begin(file, start, hosts=("/path/to/socket",))
    assert begin(file, Start.RESTART, hosts=("/path/to/socket",)) == (0, 0)


def test_pid_that_is_used_again_is_another_process(file: Path) -> None:
    with Manifest(file.parent / MANIFEST_NAME, JOB) as manifest:
        manifest.claim(file)
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
            with closing(sqlite3.connect(manifest.path)) as base, base:
                base.execute("UPDATE files SET owner = ?", (f"{other.pid} 1",))
            assert begin(file, Start.FRESH, hosts=()) == (0, 0)
            other.kill()


def test_what_was_written_down_is_there_in_the_next_process(file: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; "
        "from siridb_fast.loading.resume import Manifests, Start; file = Path(sys.argv[1]); "
        "m = Manifests([file], sys.argv[2], Start.FRESH, ['a:9000', 'b:9000']); "
        "m.begin(file); m.start(file, 20); "
        "m.deliver(file, 10); m.start(file, 30); m.deliver(file, 20); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", script, file, JOB], check=False)
    assert done.returncode == 9
    assert begin(file, Start.RESUME) == (10, 30)  # what is stored comes with what is next


def test_rows_only_go_up(file: Path) -> None:
    load_some(file, started=20, delivered=10)
    load_some(file, started=5, delivered=5)
    assert begin(file, Start.RESUME) == (10, 20)


def restart(file: Path, *, started: int = 0, delivered: int = 0, stored: bool = True) -> None:
    with Manifests([file], JOB, Start.RESTART, HOSTS) as manifests:
        assert manifests.begin(file) == (0, 0)
        if started:
            manifests.start(file, started)
        if delivered:
            manifests.deliver(file, delivered)
        if not stored:
            manifests.note_nothing_stored()


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
    files = [tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "sub" / "c.csv"]
    files[2].parent.mkdir()
    for file in files:
        file.write_text("ts,v\n1,1\n")
        load_some(file, started=20, delivered=10)
    with Manifests(files, JOB, Start.RESTART, HOSTS) as manifests:
        manifests.begin(files[0])
        manifests.start(files[0], 5)
        manifests.deliver(files[0], 5)
    with Manifests(files, JOB, Start.RESUME, HOSTS) as manifests:
        assert [manifests.begin(file) for file in files] == [(5, 5), (0, 0), (0, 0)]


@pytest.mark.parametrize(("has_begun", "left"), [(False, (10, 20)), (True, (0, 5))])
def test_restart_that_is_killed_goes_on_if_it_had_begun(
    file: Path, has_begun: bool, left: tuple[int, int]
) -> None:
    load_some(file, started=20, delivered=10)
    script = (
        "import os, sys; from pathlib import Path; "
        "from siridb_fast.loading.resume import Manifests, Start; file = Path(sys.argv[1]); "
        "m = Manifests([file], sys.argv[2], Start.RESTART, ['a:9000', 'b:9000']); "
        f"m.begin(file); {has_begun} and m.start(file, 5); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", script, file, JOB], check=False)
    assert done.returncode == 9
    assert begin(file, Start.RESUME) == left


@pytest.mark.parametrize(("is_done", "state"), [(True, "loaded already"), (False, "in part")])
def test_fresh_load_refuses_what_is_known(file: Path, is_done: bool, state: str) -> None:
    load_some(file, started=20, delivered=20)
    if is_done:
        with Manifests([file], JOB, Start.RESUME, HOSTS) as manifests:
            manifests.finish(file)
    with pytest.raises(FileError, match=state):
        begin(file, Start.FRESH)
    assert begin(file, Start.FRESH, job=job_key("other")) == (0, 0)


def test_file_of_which_nothing_left_may_change(file: Path) -> None:
    begin(file, Start.FRESH)
    file.write_text("ts,v\n1,1\n2,2\n")
    assert begin(file, Start.FRESH) == (0, 0)
    load_some(file, started=2, delivered=1)
    assert begin(file, Start.RESUME) == (1, 2)


@pytest.mark.parametrize("start", [Start.FRESH, Start.RESUME])
def test_file_of_which_rows_left_may_not_change(file: Path, start: Start) -> None:
    load_some(file, started=2, delivered=1)
    file.write_text("ts,v\n1,1\n2,2\n")
    with pytest.raises(FileError, match="changed since"):
        begin(file, start)
    assert begin(file, Start.RESTART) == (0, 0)


def test_rows_that_were_counted_in_other_passes_are_not_taken_for_these(file: Path) -> None:
    with Manifests([file], JOB, Start.FRESH, HOSTS) as manifests:
        assert manifests.begin(file, "3 2") == (0, 0)
    with Manifests([file], JOB, Start.RESUME, HOSTS) as manifests:  # nothing has left
        assert manifests.begin(file, "4 1") == (0, 0)
        manifests.start(file, 1)
    with (
        Manifests([file], JOB, Start.RESUME, HOSTS) as manifests,
        pytest.raises(FileError, match=r"in other passes over its columns \(4 1, now 5\)"),
    ):
        manifests.begin(file, "5")
    with Manifests([file], JOB, Start.RESUME, HOSTS) as manifests:
        assert manifests.begin(file, "4 1") == (0, 1)
    with Manifests([file], JOB, Start.RESTART, HOSTS) as manifests:
        assert manifests.begin(file, "5") == (0, 0)


@pytest.mark.parametrize("start", Start)
def test_file_is_of_one_process_at_a_time(file: Path, start: Start) -> None:
    with Manifest(file.parent / MANIFEST_NAME, JOB) as manifest:
        manifest.claim(file)
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
            with closing(sqlite3.connect(manifest.path)) as base, base:
                base.execute("UPDATE files SET owner = ?", (_owner(other.pid),))
            with pytest.raises(FileError, match=f"process {other.pid} is loading it"):
                begin(file, start)
            other.kill()
        assert begin(file, start) == (0, 0)  # it lives no more


def test_files_are_given_up_at_the_end(file: Path) -> None:
    begin(file, Start.FRESH)
    with closing(sqlite3.connect(file.parent / MANIFEST_NAME)) as base:
        assert base.execute("SELECT owner FROM files").fetchall() == [(None,)]


def test_each_folder_has_its_own(tmp_path: Path) -> None:
    files = [tmp_path / name / "a.csv" for name in ("one", "two")]
    for path in files:
        path.parent.mkdir()
        path.write_text("ts,v\n")
    with Manifests(files, JOB, Start.FRESH, HOSTS) as manifests:
        for rows, path in enumerate(files, 1):
            manifests.begin(path)
            manifests.start(path, rows)
        assert manifests.paths == [path.parent / MANIFEST_NAME for path in files]
    assert [begin(path, Start.RESUME) for path in files] == [(0, 1), (0, 2)]


def test_done_and_unknown_files_are_told_apart(tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.csv" for name in ("done", "part", "new")]
    for path in files:
        path.write_text("ts,v\n")
    with Manifests(files, JOB, Start.FRESH, HOSTS) as manifests:
        for path in files[:2]:
            manifests.begin(path)
            manifests.start(path, 1)
        manifests.finish(files[0])
    with Manifests(files, JOB, Start.RESUME, HOSTS) as manifests:
        assert (manifests.done, manifests.todo) == (files[:1], files[1:])
        assert manifests.unknown == files[2:]


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
    path = file.parent / MANIFEST_NAME
    spoil(path)
    with pytest.raises(FileError, match=text) as caught:
        begin(file, Start.FRESH)
    assert caught.value.file == str(path)


def test_manifest_that_becomes_unwritable_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("siridb_fast.loading.manifest_file.BUSY_TIMEOUT", 0.01)
    path = file.parent / MANIFEST_NAME
    with Manifest(path, JOB) as manifest:
        assert manifest.claim(file) == Entry(0, 0, is_done=False)
        with closing(sqlite3.connect(path, isolation_level=None)) as base:
            base.execute("BEGIN IMMEDIATE")
            with pytest.raises(FileError, match="locked"):
                manifest.start(file, 1)
            base.execute("ROLLBACK")
        manifest.start(file, 1)
        assert manifest.look_up(file) == Entry(0, 1, is_done=False)


# ---- which database it was


def load_all(file: Path, servers: list[str]) -> None:
    with Manifests([file], JOB, Start.FRESH, HOSTS, servers) as manifests:
        manifests.begin(file)
        manifests.start(file, 2)
        manifests.finish(file)


@pytest.mark.parametrize("servers", [["three"], ["three", "four"]])
def test_file_that_another_database_of_the_name_has_is_not_taken_for_loaded(
    file: Path, servers: list[str]
) -> None:
    load_all(file, ["one", "two"])
    with pytest.raises(FileError, match=r"another database of this name.*--restart"):
        Manifests([file], JOB, Start.RESUME, HOSTS, servers)
    with Manifests([file], JOB, Start.RESTART, HOSTS, servers) as manifests:
        assert manifests.todo == [file]


@pytest.mark.parametrize("servers", [["two", "three"], []])
def test_database_with_a_server_of_before_is_the_same(file: Path, servers: list[str]) -> None:
    load_all(file, ["one", "two"])
    with Manifests([file], JOB, Start.RESUME, HOSTS, servers) as manifests:
        assert manifests.done == [file]


def test_manifest_of_version_2_is_gone_on_with(file: Path) -> None:
    load_all(file, [])
    with closing(sqlite3.connect(file.parent / MANIFEST_NAME)) as base:
        base.execute("ALTER TABLE files DROP COLUMN servers")
        base.execute("ALTER TABLE files DROP COLUMN dialect")
        base.execute("PRAGMA user_version = 2")
        base.commit()
    with Manifests([file], JOB, Start.RESUME, HOSTS, ["one"]) as manifests:
        assert manifests.done == [file]
