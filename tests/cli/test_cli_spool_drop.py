"""`siridb-fast spool drop`: points are given up, if the operator says so."""

import os
import pty
import subprocess
from pathlib import Path

import pytest

from siridb_fast import encode_insert
from siridb_fast.spool.store import Spool
from tests.commands import COMMAND, environment, run_command
from tests.fix_journal import Recorder
from tests.spool.spools import writer_process


def fill(path: Path, packages: int = 3) -> None:
    with Spool(path, dbname="plant", time_precision="ms") as spool:
        for number in range(packages):
            points = [[number, 0.5], [number + 1, 1.5]]
            spool.put(bytes(memoryview(encode_insert({"room": points}))), 2)


def left_in(path: Path) -> int:
    with Spool(path) as spool:
        return spool.points


def test_it_says_what_would_be_lost_and_asks(tmp_path: Path) -> None:
    path = tmp_path / "plant.spool"
    fill(path)
    refused = run_command("spool", "drop", path, code=2)
    assert "6 points of 'plant' in 3 packages would be lost: say --yes" in refused.stderr
    assert left_in(path) == 6
    assert "6 points dropped" in run_command("spool", "drop", path, "--yes").stderr
    assert left_in(path) == 0
    assert "it is empty already" in run_command("spool", "drop", path, "--yes").stderr
    fill(path, 1)
    assert left_in(path) == 2


@pytest.mark.parametrize(("answer", "left"), [(b"n\n", 6), (b"y\n", 0)])
def test_an_operator_at_a_terminal_answers(tmp_path: Path, answer: bytes, left: int) -> None:
    path = tmp_path / "plant.spool"
    fill(path)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "spool", "drop", str(path)],
        env=environment(), stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        os.close(theirs)
        os.write(ours, answer)
        _, told = process.communicate(timeout=60)
    os.close(ours)
    assert b"6 points of 'plant' in 3 packages will be lost. Drop them?" in told
    assert left_in(path) == left


def test_it_is_refused_while_a_writer_has_it(tmp_path: Path) -> None:
    path = tmp_path / "plant.spool"
    fill(path)
    with writer_process(path, script=HOLDER) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        told = run_command("spool", "drop", path, "--yes", code=2).stderr
        assert f"process {process.pid} writes to this spool" in told
        process.kill()
        process.communicate(timeout=60)
    assert left_in(path) == 6


HOLDER = """
import sys, time
from siridb_fast.spool.store import Spool
spool = Spool(sys.argv[1], dbname="plant", time_precision="ms")
print("ready", flush=True)
time.sleep(600)
"""


def test_journal_is_emptied_too(tmp_path: Path) -> None:
    path = tmp_path / "plant.journal"
    recorder = Recorder(path)
    recorder.write("room", [1, 2, 3], [0.5, 1.5, 2.5])
    recorder.sync()
    held = run_command("spool", "drop", path, "--yes", code=2).stderr
    assert "only one can at a time" in held
    recorder.stop()
    refused = run_command("spool", "drop", path, code=2).stderr
    assert "up to 3 points of 'db', as far as they are not" in refused
    assert "3 points dropped" in run_command("spool", "drop", path, "--yes").stderr
    assert "it is empty already" in run_command("spool", "drop", path, "--yes").stderr
    again = Recorder(path)
    again.write("room", [4], [3.5])
    again.sync()
    again.stop()
    assert "up to 1 points" in run_command("spool", "drop", path, code=2).stderr


@pytest.mark.parametrize("content", [b"time,value\n1,2\n", None])
def test_what_is_neither_is_left_alone(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "data.csv"
    if content is not None:
        path.write_bytes(content)
    run_command("spool", "drop", path, "--yes", code=2)
    assert (path.read_bytes() if path.exists() else None) == content
