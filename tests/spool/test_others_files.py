"""A file that is no spool: whoever names it as one gets an error, and the file is as it was."""

import os
import random
import shutil
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from siridb_fast import BatchWriter
from siridb_fast.errors import SpoolError
from siridb_fast.spool.log_replay import PAGE_SIZE
from siridb_fast.spool.reader import SpoolReader
from siridb_fast.spool.store import Spool
from tests.commands import run_command
from tests.fix_server import Database
from tests.spool.spools import contents, filled

ANOTHER = "is no spool: it is another file, and was left as it is"
PROGRAM = "is no spool: it is a database of another program"


def a_folder(path: Path) -> None:
    path.mkdir()


def a_device(path: Path) -> None:
    os.mkfifo(path)


def csv(path: Path) -> None:
    path.write_text("time,temperature\n" + "2025-03-01T00:00:00Z,20.5\n" * 5000)


def one_byte(path: Path) -> None:
    path.write_bytes(b"x")


def zeros(path: Path) -> None:
    path.write_bytes(bytes(500_000))


def like_pages(path: Path) -> None:
    # each page begins as a leaf of a table does, and has cells anywhere
    source = random.Random(7)
    pages = [
        b"\x0d\0\0" + struct.pack(">H", 200) + source.randbytes(PAGE_SIZE - 5) for _ in range(9)
    ]
    path.write_bytes(b"".join(pages))


def cut_head(path: Path) -> None:
    path.write_bytes(b"SQLite form")


def head_only(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + bytes(3 * PAGE_SIZE))


def another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as base:
        base.execute("CREATE TABLE files (name TEXT)")


def another_program_with_a_log(path: Path) -> None:
    source = path.with_name("source")
    with closing(sqlite3.connect(source, isolation_level=None)) as base:
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("CREATE TABLE packages (id INTEGER PRIMARY KEY, name TEXT)")
        base.execute("INSERT INTO packages VALUES (1, 'parcel')")
        shutil.copy(source, path)
        shutil.copy(f"{source}-wal", f"{path}-wal")


def a_newer_version(path: Path) -> None:
    filled(path, 1)
    with closing(sqlite3.connect(path)) as base:
        base.execute(f"PRAGMA user_version = {3 << 16 | 3}")


OTHERS: list[tuple[Callable[[Path], None], str]] = [
    (a_folder, "expected the file of a spool, this is no file"),
    (a_device, "expected the file of a spool, this is no file"),
    (csv, ANOTHER),
    (one_byte, ANOTHER),
    (zeros, ANOTHER),
    (like_pages, ANOTHER),
    (cut_head, ANOTHER),
    (head_only, PROGRAM),
    (another_program, PROGRAM),
    (another_program_with_a_log, PROGRAM),
    (a_newer_version, "expected a spool of version 2, this has 3: a newer siridb-fast reads it"),
]


def state_of(folder: Path) -> dict[str, object]:
    """Return all that can be seen of the files of a folder."""
    return {
        file.name: (
            file.stat().st_mode,
            file.stat().st_mtime_ns,
            file.is_file() and file.read_bytes(),
        )
        for file in folder.iterdir()
    }


@pytest.mark.parametrize(("make", "text"), OTHERS)
@pytest.mark.parametrize("open_file", [Spool, SpoolReader])
def test_file_that_is_no_spool_is_named_and_left_as_it_is(
    tmp_path: Path, open_file: type[Spool | SpoolReader], make: Callable[[Path], None], text: str
) -> None:
    path = tmp_path / "data.csv"
    make(path)
    if path.is_file():
        path.chmod(0o644)
    before = state_of(tmp_path)
    with pytest.raises(SpoolError) as caught:
        open_file(path)
    assert str(caught.value).startswith(str(path))
    assert text in str(caught.value)
    after = state_of(tmp_path)
    if make is a_newer_version:  # a spool, whose lock is taken, and which is private
        assert after.keys() - before.keys() <= {"data.csv.lock"}
        assert after["data.csv"][2] == before["data.csv"][2]  # type: ignore[index]
    else:
        assert after == before


async def test_writer_leaves_a_file_that_is_no_spool(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    csv(path)
    before = state_of(tmp_path)
    with pytest.raises(SpoolError, match=ANOTHER):
        async with BatchWriter(database.url, spool=path):
            pass
    assert state_of(tmp_path) == before


@pytest.mark.parametrize("command", [["status"], ["export", "-o", "-"], ["replay"]])
def test_command_leaves_a_file_that_is_no_spool(
    database: Database, tmp_path: Path, command: list[str]
) -> None:
    path = tmp_path / "data.csv"
    csv(path)
    before = state_of(tmp_path)
    done = run_command("spool", *command, path, url=database.url, code=2)
    assert f"{path} {ANOTHER}" in done.stderr
    assert state_of(tmp_path) == before


@pytest.mark.parametrize("rest", ["settings", "a package"])
def test_spool_without_its_head_is_known_by_what_is_left(tmp_path: Path, rest: str) -> None:
    path = tmp_path / "spool"
    payloads = filled(path, 1)
    with path.open("r+b") as file:
        file.write(b"x" * PAGE_SIZE)
        if rest == "a package":
            file.seek(3 * PAGE_SIZE)
            file.write(b"x" * PAGE_SIZE)
    with Spool(path) as spool:
        assert contents(spool) == payloads
    assert path.with_name("spool.damaged-1").exists()
