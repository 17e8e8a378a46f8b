"""Files that grow: a load goes on where they ended, and compares their last row alone."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from siridb_fast.loading.database_id import DatabaseId
from siridb_fast.loading.database_manifest import DatabaseManifest
from siridb_fast.loading.manifest import Manifest
from siridb_fast.loading.notes import EVERY_ROW, Notes, job_key
from siridb_fast.loading.resume import KnownFiles, Start
from tests.commands import figures, run_command
from tests.fix_server import Database
from tests.loading.load_runs import START, stored_points
from tests.loading.note_stores import NoteMemory

JOB = job_key("db", time="ts")
HEAD, FIRST, MORE = "ts,v\n", "1,1\n2,2\n3,3\n", "4,4\n"


@pytest.fixture(params=["file", "database"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Notes]:
    """Return what opens a manifest again and again."""
    memory = NoteMemory()

    def open_one() -> Notes:
        if request.param == "database":
            return DatabaseManifest(memory, JOB, "a test")
        database = DatabaseId.of("db", ["a:9000"], ["one"])
        return Manifest(tmp_path / "noted.sqlite", JOB, database)

    return open_one


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.csv"
    path.write_text(HEAD + FIRST)
    return path


def load(files: KnownFiles, file: Path, rows: int, *, is_whole: bool = True) -> tuple[int, int]:
    known = files.begin(file, "1", "dialect", may_grow=True)
    files.start(file, rows)
    files.deliver(file, rows)
    if is_whole:
        files.finish(file)
    return known


def test_file_that_has_grown_goes_on_with_its_last_row(
    opened: Callable[[], Notes], file: Path
) -> None:
    with KnownFiles([file], opened(), Start.FRESH) as files:
        load(files, file, 3)
    with file.open("a") as end:
        end.write(MORE)
    with KnownFiles([file], opened(), Start.RESUME) as files:
        assert (files.todo, files.grown, files.changed) == ([file], [file], [])
        assert files.dialect_of(file) == "dialect"
        assert load(files, file, 4) == (2, 3)
    with KnownFiles([file], opened(), Start.RESUME) as files:
        assert files.done == [file]


def test_grown_file_whose_rows_do_not_leave_goes_on_again(
    opened: Callable[[], Notes], file: Path
) -> None:
    with KnownFiles([file], opened(), Start.FRESH) as files:
        load(files, file, 3)
    with file.open("a") as end:
        end.write(MORE)
    with KnownFiles([file], opened(), Start.RESUME) as files:
        files.begin(file, "1", "dialect", may_grow=True)
    with KnownFiles([file], opened(), Start.RESUME) as files:
        files.begin(file, "1", "dialect", may_grow=True)
        files.start(file, 4)  # and the process is killed
    with KnownFiles([file], opened(), Start.RESUME) as files:
        assert files.begin(file, "1", "dialect", may_grow=True) == (2, 4)


def test_file_that_was_only_touched_is_done(opened: Callable[[], Notes], file: Path) -> None:
    with KnownFiles([file], opened(), Start.FRESH) as files:
        load(files, file, 3)
    os.utime(file, ns=(5, 5))
    with KnownFiles([file], opened(), Start.RESUME) as files:
        assert files.done == [file]


CHANGES: dict[str, str] = {
    "another value": HEAD + "1,1\n2,7\n3,3\n" + MORE,
    "shorter": HEAD + "1,1\n2,2\n",
    "the same size": HEAD + "1,1\n2,2\n3,4\n",
    "a row before the others": HEAD + "0,0\n" + FIRST,
}


@pytest.mark.parametrize("change", CHANGES)
def test_file_that_was_changed_otherwise_is_compared(
    opened: Callable[[], Notes], file: Path, change: str
) -> None:
    with KnownFiles([file], opened(), Start.FRESH) as files:
        load(files, file, 3)
    file.write_text(CHANGES[change])
    os.utime(file, ns=(5, 5))
    with KnownFiles([file], opened(), Start.RESUME) as files:
        assert (files.changed, files.grown) == ([file], [])
        assert files.begin(file, "1", "dialect", may_grow=True) == (0, EVERY_ROW)


def test_file_that_is_written_anew_while_it_is_loaded_is_compared(
    opened: Callable[[], Notes], file: Path
) -> None:
    with KnownFiles([file], opened(), Start.FRESH) as files:
        file.write_text(HEAD + "7,7\n8,8\n9,9\n")  # once its rows were read
        os.utime(file, ns=(5, 5))
        load(files, file, 3)
    with file.open("a") as end:
        end.write(MORE)
    with KnownFiles([file], opened(), Start.RESUME) as files:
        assert files.changed == [file]


@pytest.fixture
def seconds(make_database: Callable[..., Database]) -> Database:
    return make_database(time_precision="s")


KINDS: dict[str, tuple[str, Callable[[int], str], list[str]]] = {
    "log.csv": ("ts,v\n", lambda n: f"{START + n},{n}.5\n", ["--time", "ts"]),
    "log.ndjson": ("", lambda n: f'{{"ts": {START + n}, "v": {n}.5}}\n', ["--time", "ts"]),
    "log.lp": ("", lambda n: f"m v={n}.5 {(START + n) * 10**9}\n", ["--series", "{field}"]),
    "log.graphite": ("", lambda n: f"v {n}.5 {START + n}\n", []),
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("place", [[], ["--manifest", "database"]])
def test_log_that_grows_is_loaded_again_and_again(
    seconds: Database, tmp_path: Path, name: str, place: list[str]
) -> None:
    head, line, options = KINDS[name]
    path, count = tmp_path / name, 4000
    path.write_text(head + "".join(map(line, range(count))))
    command: list[Any] = ["load", path, *options, *place]
    run_command(*command, url=seconds.url)
    for _ in range(3):
        with path.open("a") as end:
            end.write("".join(map(line, range(count, count + 10))))
        count += 10
        done = run_command(*command, "--resume", url=seconds.url)
        assert "it has grown since it was loaded" in done.stderr.replace("\n", " ")
        assert figures(done.stdout)["points delivered"] == "10"
        assert figures(done.stdout)["points stored already"] == "1"
    stored = stored_points(seconds.url)["v"]
    assert stored == Counter((START + n, n + 0.5) for n in range(count))


def test_line_that_was_half_there_is_stored_whole(seconds: Database, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"ts,v\n{START},1\n{START + 1},2")
    run_command("load", path, "--time", "ts", url=seconds.url)
    with path.open("a") as end:
        end.write(f"5\n{START + 2},3\n")
    run_command("load", path, "--time", "ts", "--resume", url=seconds.url)
    expected = [(START, 1.0), (START + 1, 2.0), (START + 1, 25.0), (START + 2, 3.0)]
    assert stored_points(seconds.url)["v"] == Counter(expected)
