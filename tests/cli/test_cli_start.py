"""What a command needs to start, and what it has no use for."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.commands import COMMAND, environment
from tests.fix_server import Database

START = 1_700_000_000
PING_HELP = """
import contextlib, gc, os, sys
from siridb_fast.cli import main
sys.argv = ["siridb-fast", "ping", "--help"]
with contextlib.redirect_stdout(open(os.devnull, "w")), contextlib.suppress(SystemExit): main()
import numpy
print(len(os.listdir("/proc/self/task")), gc.isenabled())
"""
AHEAD = """
import pathlib, sys, threading
from siridb_fast.cli.load.import_ahead import import_ahead
import_ahead(pathlib.Path(sys.argv[1]), None)
for thread in threading.enumerate():
    if thread is not threading.main_thread(): thread.join()
names = ("writer.engine", "files.parquet")
print([name for name in names if f"siridb_fast.{name}" in sys.modules])
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a Parquet file of ten points."""
    found = tmp_path / "points.parquet"
    table = {"ts": [START + i for i in range(10)], "a": [i / 4 for i in range(10)]}
    pq.write_table(pa.table(table), found)
    return found


def arguments(path: Path) -> list[str]:
    manifest = str(path.with_suffix(".sqlite"))
    return ["load", str(path), "--time", "ts", "--unit", "s", "--manifest", manifest]


def test_numpy_starts_no_threads_and_a_command_collects_garbage() -> None:
    variables = environment()
    variables.pop("OPENBLAS_NUM_THREADS", None)
    script = [sys.executable, "-c", PING_HELP]
    done = subprocess.run(script, env=variables, capture_output=True, text=True, check=True)
    assert done.stdout == "1 True\n"


@pytest.mark.parametrize(
    ("name", "imported"),
    [("a.parquet", ["writer.engine", "files.parquet"]), ("a.csv", ["writer.engine"])],
)
def test_what_a_load_needs_is_imported_ahead(name: str, imported: list[str]) -> None:
    script = [sys.executable, "-c", AHEAD, name]
    done = subprocess.run(script, env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout == f"{imported}\n"


def test_load_without_a_terminal_draws_nothing(database: Database, path: Path) -> None:
    python, *command = COMMAND
    done = subprocess.run(
        [python, "-X", "importtime", *command, *arguments(path)],
        env=environment(database.url),
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "siridb_fast.loading.loader" in imported
    assert {name for name in imported if name.startswith("rich.")} <= {
        "rich._extension",
        "rich.filesize",
    }
    assert "│ points delivered │" in done.stdout


def test_load_draws_a_bar_on_a_terminal(database: Database, path: Path) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        with os.fdopen(theirs, "wb") as stderr:
            subprocess.run(
                [*COMMAND, *arguments(path)],
                env=environment(database.url),
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                check=True,
            )
        shown = terminal.read(65536).decode()
    assert "10 points" in shown
    assert "100 %" in shown
