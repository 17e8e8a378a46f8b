"""`siridb-fast load` of files of which something was loaded before, or is being loaded."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from siridb_fast.testing import wait_until
from tests.commands import run_command, run_process
from tests.fix_server import Database
from tests.loading.load_runs import (
    START,
    WIDE,
    manifest_entries,
    points_of,
    running_load,
    stored_points,
    write_table,
)


@pytest.fixture
def seconds(make_database: Callable[..., Database]) -> Database:
    """Make a database in seconds."""
    return make_database(time_precision="s")


def test_file_is_not_loaded_twice_unless_restarted(seconds: Database, tmp_path: Path) -> None:
    path = write_table(tmp_path / "w.csv", WIDE)
    arguments: list[str | Path] = ["load", path, "--time", "ts"]
    run_command(*arguments, url=seconds.url)
    done = run_command(*arguments, url=seconds.url, code=2)
    assert "was loaded already; --resume loads what is left, --restart" in done.stderr
    done = run_command(*arguments, "--resume", url=seconds.url)
    assert done.stderr == f"{path}: loaded already\n"
    assert stored_points(seconds.url) == points_of(["temp", "count", "text"], WIDE)
    run_command(*arguments, "--restart", url=seconds.url)
    twice = points_of(["temp", "count", "text"], WIDE)
    assert stored_points(seconds.url) == {name: points + points for name, points in twice.items()}


def test_same_file_into_another_database_is_another_load(
    make_database: Callable[..., Database], tmp_path: Path
) -> None:
    path = write_table(tmp_path / "w.csv", WIDE)
    for database in (make_database(time_precision="s"), make_database(time_precision="s")):
        run_command("load", path, "--time", "ts", url=database.url)
        assert stored_points(database.url) == points_of(["temp", "count", "text"], WIDE)


def test_resume_of_what_was_never_begun_loads_all_and_says_so(
    seconds: Database, tmp_path: Path
) -> None:
    path = write_table(tmp_path / "w.csv", WIDE)
    done = run_command("load", path, "--time", "ts", "--resume", url=seconds.url)
    assert stored_points(seconds.url) == points_of(["temp", "count", "text"], WIDE)
    assert "not known from an earlier load; the points that the database has" in done.stderr


def test_options_of_the_url_do_not_make_another_load(seconds: Database, tmp_path: Path) -> None:
    path = write_table(tmp_path / "w.csv", WIDE)
    run_command("load", path, "--time", "ts", url=seconds.url)
    done = run_command("load", path, "--time", "ts", url=f"{seconds.url}?timeout=20", code=2)
    assert "was loaded already" in done.stderr


def test_of_a_file_that_grew_or_was_changed_what_is_new_is_loaded(
    seconds: Database, tmp_path: Path
) -> None:
    path = write_table(tmp_path / "w.csv", WIDE)
    command: list[str | Path] = ["load", path, "--time", "ts"]
    run_command(*command, url=seconds.url)
    with path.open("a") as file:
        file.write(f"{START + 9},1.5,1,a\n")
    done = run_command(*command, url=seconds.url, code=2)
    assert "was loaded already, and has grown since; --resume" in done.stderr
    done = run_command(*command, "--resume", url=seconds.url)
    assert "it has grown since it was loaded; what was appended is loaded" in done.stderr
    path.write_text(path.read_text().replace(f"{START + 9},1.5", f"{START + 9},2.5"))
    done = run_command(*command, url=seconds.url, code=2)
    assert "was loaded already, and was changed since; --resume" in done.stderr
    done = run_command(*command, "--resume", url=seconds.url)
    assert "it was changed since it was loaded, or in part; the points that" in done.stderr
    expected = points_of(["temp", "count", "text"], WIDE)
    expected["temp"].update([(START + 9, 1.5), (START + 9, 2.5)])
    expected["count"].update([(START + 9, 1)])
    expected["text"].update([(START + 9, "a")])
    assert stored_points(seconds.url) == expected


@pytest.mark.parametrize("content", [None, b"this is no database" * 100])
def test_manifest_that_cannot_be_written_is_named(
    seconds: Database, tmp_path: Path, content: bytes | None
) -> None:
    path = write_table(tmp_path / "w.csv", WIDE)
    manifest = tmp_path / "state" / "siridb_fast" / "loads.sqlite"
    manifest.parent.mkdir(parents=True)
    if content is None:
        manifest.mkdir()
    else:
        manifest.write_bytes(content)
    command: list[str | Path] = ["load", path, "--time", "ts"]
    home = str(tmp_path / "state")
    done = run_command(*command, url=seconds.url, code=2, XDG_STATE_HOME=home)
    assert str(manifest) in done.stderr
    assert stored_points(seconds.url) == {}


def test_file_that_another_process_loads_is_refused(
    own_database: Database, tmp_path: Path
) -> None:
    count = 1_000_000
    path = write_table(tmp_path / "m.parquet", {"ts": np.arange(count), "v": np.arange(count)})
    options: list[str | Path] = [path, "--time", "ts", "--max-memory", "4"]
    with running_load(*options, url=own_database.url) as process:
        wait_until(
            lambda: bool(manifest_entries(tmp_path)), timeout=30, what="the file is claimed"
        )
        own_database.server.pause()
        own_database.server.resume()
        os.kill(process.pid, signal.SIGSTOP)
        try:
            done = run_process("load", *options, "--resume", url=own_database.url, code=2)
            assert "another load of it into this database is under way" in done.stderr
        finally:
            os.kill(process.pid, signal.SIGCONT)
        process.communicate(timeout=50)
    assert process.returncode == 0
    assert manifest_entries(tmp_path) == {"m.parquet": (count, count, 1)}
