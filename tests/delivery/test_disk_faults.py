"""A spool whose disk fails at one step for a while: the packages wait, and then they go on."""

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import siridb_fast.delivery.disk_queue
import siridb_fast.delivery.recall
import siridb_fast.spool.schema
from siridb_fast import BatchWriter, encode_insert
from siridb_fast.spool.store import Spool
from tests.fix_loop import eventually
from tests.fix_server import Database

PACKAGES, POINTS = 20, 100

ERRORS = {
    "full": sqlite3.SQLITE_FULL,
    "full, by the system": sqlite3.SQLITE_IOERR_WRITE,
    "read-only": sqlite3.SQLITE_READONLY,
    "locked": sqlite3.SQLITE_BUSY,
    "unmounted": sqlite3.SQLITE_IOERR_LOCK,
    "gone": sqlite3.SQLITE_CANTOPEN,
    "without memory": sqlite3.SQLITE_NOMEM,
}
STEPS = [
    "BEGIN",
    "SELECT id, size",
    "REPLACE INTO sent",
    "DELETE",
    "COMMIT",
]


class FailingBase:
    """A connection of SQLite whose statements of one kind raise an error while it `fails`."""

    def __init__(self, base: sqlite3.Connection, step: str, code: int) -> None:
        self._base = base
        self._step = step
        self._code = code
        self.fails = True
        self.failures = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._base, name)

    def execute(self, statement: str, *args: Any) -> sqlite3.Cursor:
        if self.fails and " ".join(statement.split()).startswith(self._step):
            self.failures += 1
            error = sqlite3.OperationalError(f"made to fail at {self._step}")
            error.sqlite_errorcode = self._code
            raise error
        return self._base.execute(statement, *args)


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(siridb_fast.delivery.recall, "RETRY_INTERVAL", 0.02)
    monkeypatch.setattr(siridb_fast.delivery.disk_queue, "RETRY_INTERVAL", 0.02)


def fill(path: Path) -> None:
    """Leave packages of points of one series."""
    with Spool(path) as spool:
        for n in range(PACKAGES):
            times = np.arange(n * POINTS, (n + 1) * POINTS)
            spool.put(bytes(encode_insert({"a": (times, times)})), POINTS)


def delete_all(folder: Path) -> None:
    for file in folder.glob("spool*"):
        file.unlink()


async def stored(database: Database) -> list[int]:
    async with database.client() as client:
        found = await client.query_arrays("select * from 'a', 'b'", all_points=True)
    return sorted(time for times, _ in found.values() for time in times.tolist())


def errors_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("error", ERRORS)
async def test_packages_go_on_once_the_disk_works_again(
    database: Database,
    tmp_path: Path,
    error: str,
    step: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = tmp_path / "spool"
    fill(path)
    bases: list[FailingBase] = []
    open_file = Spool._open

    def open_failing(spool: Spool) -> None:
        open_file(spool)
        bases.append(FailingBase(spool._base, step, ERRORS[error]))
        spool._base = bases[-1]  # type: ignore[assignment]

    monkeypatch.setattr(Spool, "_open", open_failing)
    async with BatchWriter(database.url, spool=path, linger=0.01) as writer:
        writer.write("b", PACKAGES * POINTS, 1)
        await eventually(lambda: len(errors_of(caplog)) > 0, timeout=60)
        await eventually(lambda: bases[0].failures >= 4, timeout=60)
        bases[0].fails = False
        await eventually(lambda: writer.stats().delivered == PACKAGES * POINTS + 1, timeout=60)
    assert await stored(database) == list(range(PACKAGES * POINTS + 1))
    with Spool(path) as spool:
        assert spool.packages == 0
    assert len(errors_of(caplog)) == len(set(errors_of(caplog)))
    assert any("works again" in one.getMessage() for one in caplog.records)


@pytest.mark.parametrize("error", ERRORS)
async def test_what_the_disk_does_not_take_is_sent_all_the_same(
    own_database: Database,
    tmp_path: Path,
    error: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bases: list[FailingBase] = []
    open_file = Spool._open

    def open_failing(spool: Spool) -> None:
        open_file(spool)
        bases.append(FailingBase(spool._base, "INSERT INTO packages", ERRORS[error]))
        spool._base = bases[-1]  # type: ignore[assignment]

    monkeypatch.setattr(Spool, "_open", open_failing)
    path = tmp_path / "spool"
    async with BatchWriter(own_database.url, spool=path, linger=0.01) as writer:
        own_database.server.kill()
        for n in range(100):
            writer.write("a", n, n)
        await eventually(lambda: bases[0].failures >= 4, timeout=60)
        own_database.server.start()
        await eventually(lambda: writer.stats().delivered == 100, timeout=60)
        assert bases[0].fails
    assert await stored(own_database) == list(range(100))
    assert len(errors_of(caplog)) == len(set(errors_of(caplog)))


@pytest.mark.parametrize("call", ["put_rows", "read", "mark_sent", "remove"])
async def test_slow_disk_holds_up_neither_the_event_loop_nor_whoever_writes(
    own_database: Database, tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "spool"
    fill(path)
    is_held, is_quick = threading.Event(), threading.Event()
    real = getattr(Spool, call)

    def slow(*args: Any, **options: Any) -> Any:
        is_held.set()
        is_quick.wait(60)
        return real(*args, **options)

    monkeypatch.setattr(Spool, call, slow)
    async with BatchWriter(own_database.url, spool=path, linger=0.01) as writer:
        if call == "put_rows":
            own_database.server.kill()
        writer.write("b", PACKAGES * POINTS, 1)
        await eventually(is_held.is_set, timeout=60)
        for n in range(1, 100):
            writer.write("b", PACKAGES * POINTS + n, 1)
            await asyncio.sleep(0)
        assert writer.stats().spooled > 0
        is_quick.set()
        if call == "put_rows":
            own_database.server.start()
        await eventually(lambda: writer.stats().delivered == PACKAGES * POINTS + 100, timeout=60)
    assert await stored(own_database) == list(range(PACKAGES * POINTS + 100))


async def test_spool_that_is_deleted_while_the_server_is_away_keeps_its_packages(
    own_database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "spool"
    async with BatchWriter(own_database.url, spool=path, linger=0.01) as writer:
        own_database.server.kill()
        writer.write("a", 0, 1)
        await eventually(lambda: writer.stats().spooled == 1, timeout=60)
        delete_all(tmp_path)
        writer.write("a", 1, 1)
        await eventually(lambda: writer.stats().spooled == 2, timeout=60)
        assert "was deleted while it was open" in caplog.text
        own_database.server.start()
        await eventually(lambda: writer.stats().delivered == 2, timeout=60)
    async with own_database.client() as client:
        found = await client.query_arrays("select * from 'a'")
    assert found["a"][0].tolist() == [0, 1]


@pytest.mark.parametrize("seconds", [0.5])
async def test_packages_go_on_after_another_program_has_held_the_lock(
    database: Database, tmp_path: Path, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(siridb_fast.spool.schema, "BUSY_TIMEOUT", 0.01)
    path = tmp_path / "spool"
    fill(path)
    async with BatchWriter(database.url, spool=path) as writer:
        with sqlite3.connect(path, isolation_level=None) as backup:
            await eventually(lambda: _has_lock(backup))
            await asyncio.sleep(seconds)
            backup.execute("ROLLBACK")
        backup.close()
        await eventually(lambda: writer.stats().delivered == PACKAGES * POINTS, timeout=60)
    assert await stored(database) == list(range(PACKAGES * POINTS))


def _has_lock(base: sqlite3.Connection) -> bool:
    try:
        base.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    return True
