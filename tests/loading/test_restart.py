"""`load --restart` that ends early, and what is printed then: followed, each point is stored once.

The load before was stopped by a number that does not fit its type, so that a part is stored.
"""

import shlex
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import siridb_fast
from siridb_fast.loading.database_id import DatabaseId
from siridb_fast.loading.file_locks import FileLocks
from siridb_fast.loading.manifest import Manifest
from siridb_fast.loading.manifest_file import default_path
from siridb_fast.loading.notes import job_key
from siridb_fast.loading.options import LoadOptions
from siridb_fast.loading.resume import KnownFiles, Start
from siridb_fast.testing import FaultProxy
from tests.commands import run_command
from tests.fix_server import Database
from tests.loading.load_runs import START, manifest_entries, stored_points

ROWS = 20_000
PAD = "-" * 1_000  # a column that is not loaded, for more than one portion
GOOD = [f"{START + row},{row},{PAD}" for row in range(ROWS)]


@pytest.fixture
def seconds(make_database: Callable[..., Database]) -> Database:
    return make_database(time_precision="s")


@pytest.fixture
def half_loaded(seconds: Database, tmp_path: Path) -> Path:
    """Load a file up to a line that does not fit."""
    path = tmp_path / "half.csv"
    path.write_text("\n".join(["ts,v,pad", *GOOD, f"{START + ROWS},2.5,", ""]))
    done = load(path, url=seconds.url, code=2)
    assert "--resume" in advised(done.stderr)
    assert manifest_entries(tmp_path)["half.csv"][0] > 0
    return path


def load(path: Path, *options: str, url: str, code: int) -> Any:
    values = [] if "--values" in options else ["--values", "v"]
    types = [] if "--type" in options else ["--type", "v=integer"]
    return run_command("load", path, "--time", "ts", *values, *types, *options, url=url, code=code)


def advised(errors: str) -> list[str]:
    """Return the arguments of the command that is printed; none if there is none."""
    text = errors.replace("\n", " ").partition("Go on with: siridb-fast ")[2]
    return shlex.split(text.partition("Error:")[0].partition("Warning:")[0])


def follow(errors: str, *options: str, url: str, code: int = 0) -> None:
    run_command(*advised(errors), *options, url=url, code=code)


def each_once(rows: int = ROWS) -> Counter[tuple[int, int]]:
    return Counter((START + row, row) for row in range(rows))


FAILURES: dict[str, tuple[list[str], int]] = {
    "a type that the series has not": (["--type", "v=string"], 2),
    "a type that the first line has not": (["--type", "v=float", "--type", "ts=bool"], 2),
    "a column that is not there": (["--values", "w"], 2),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_restart_that_fails_before_its_first_point_forgets_nothing(
    seconds: Database, half_loaded: Path, failure: str
) -> None:
    options, code = FAILURES[failure]
    before = manifest_entries(half_loaded.parent)
    done = load(half_loaded, "--restart", *options, url=seconds.url, code=code)
    assert manifest_entries(half_loaded.parent) == before
    assert "--resume" not in advised(done.stderr)
    load(half_loaded, "--resume", "--skip-bad", url=seconds.url, code=0)
    assert stored_points(seconds.url)["v"] == each_once()


def test_restart_without_a_server_forgets_nothing(seconds: Database, half_loaded: Path) -> None:
    with FaultProxy(seconds.server.host, seconds.server.port) as proxy:
        url = f"siridb://iris:siri@{proxy.host}:{proxy.port}/{seconds.name}"
        proxy.refuse()
        load(half_loaded, "--restart", "--skip-bad", "--timeout", "1", url=url, code=1)
    load(half_loaded, "--resume", "--skip-bad", url=seconds.url, code=0)
    assert stored_points(seconds.url)["v"] == each_once()


def test_printed_resume_after_a_restart_that_stored_some_goes_on_with_that(
    seconds: Database, half_loaded: Path
) -> None:
    with siridb_fast.connect(seconds.url) as client:
        client.query("drop series 'v' set ignore_threshold true")
    done = load(half_loaded, "--restart", url=seconds.url, code=2)
    assert "--resume" in advised(done.stderr)
    follow(done.stderr, "--skip-bad", url=seconds.url)
    assert stored_points(seconds.url)["v"] == each_once()


def test_printed_restart_after_the_series_was_dropped_loads_all(
    seconds: Database, half_loaded: Path
) -> None:
    with siridb_fast.connect(seconds.url) as client:
        client.query("drop series 'v' set ignore_threshold true")
    half_loaded.write_text("ts,v,pad\n1,x,\n" + half_loaded.read_text().partition("\n")[2])
    done = load(half_loaded, "--restart", "--type", "v=float", url=seconds.url, code=2)
    assert "--restart" in advised(done.stderr)
    follow(done.stderr, "--skip-bad", url=seconds.url)
    expected: Counter[tuple[int, float]] = Counter([(START + ROWS, 2.5)])
    expected.update(each_once())
    assert stored_points(seconds.url)["v"] == expected


@pytest.mark.parametrize("option", ["--resume", "--restart", "--compare"])
def test_restart_that_runs_is_not_taken_for_one_that_was_killed(
    seconds: Database, half_loaded: Path, option: str
) -> None:
    # Else its rows would be noted no more, and be stored twice by the load that goes on.
    with siridb_fast.connect(seconds.url) as client:
        servers = [uuid for (uuid,) in client.query("list servers uuid")["servers"]]
    database = DatabaseId.of(seconds.name, [], servers)
    options = LoadOptions.of({"time": ["ts"], "values": ["v"]})
    columns = {name: getattr(options, name) for name in ("time", "series", "values", "unit")}
    manifest = Manifest(default_path(), job_key(seconds.name, **columns), database)
    with (
        FileLocks([half_loaded], database),
        KnownFiles([half_loaded], manifest, Start.RESTART) as files,
    ):
        files.begin(half_loaded)
        files.start(half_loaded, 5)
        noted = attempts(half_loaded)
        assert len(noted) == 2  # of the first load, and of this one
        done = load(half_loaded, option, "--skip-bad", url=seconds.url, code=2)
        assert "another load of it into this database is under way" in done.stderr
        assert attempts(half_loaded) == noted


def attempts(file: Path) -> list[tuple[Any, ...]]:
    """Return what is noted of all attempts to load a file."""
    with closing(sqlite3.connect(f"file:{default_path()}?mode=ro", uri=True, timeout=10)) as base:
        query = "SELECT attempt, owner, started FROM files WHERE file = ? ORDER BY attempt"
        return base.execute(query, [str(file.resolve())]).fetchall()


def test_nothing_is_advised_where_nothing_was_begun(seconds: Database, tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text("\n".join(["ts,v,pad", *GOOD[:10], ""]))
    done = load(path, "--values", "w", url=seconds.url, code=2)
    assert advised(done.stderr) == []
    load(path, url=seconds.url, code=0)
    assert stored_points(seconds.url)["v"] == each_once(10)
