"""A spool of yesterday, and a database that is another one today; and files of former versions."""

import asyncio
import logging
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import pytest

from siridb_fast import BatchWriter, ColumnError, SpoolError
from siridb_fast.cli.spool.replay import replay
from siridb_fast.connection.config import parse_url
from siridb_fast.spool.reader import SpoolReader
from siridb_fast.spool.schema import Settings
from siridb_fast.spool.store import Spool
from tests.fix_changes import replace_server
from tests.fix_server import Database
from tests.spool.spools import contents, payload

FIRST = 1_600_000_000_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool"


async def values_of(database: Database, name: str) -> list[object]:
    async with database.client() as client:
        answer = await client.query_arrays(f"select * from '{name}'")  # noqa: S608
        return answer[name][1].tolist() if name in answer else []


async def fill(database: Database, path: Path) -> None:
    """Leave points of two series of floats on disk: some may have been sent, some were not."""
    writer = BatchWriter(f"{database.url}?keepalive=0", spool=path)
    await writer.open()
    for name in ("a", "b"):
        writer.write(name, FIRST, 0.5)
    await writer.flush()
    database.server.pause()
    for name in ("a", "b"):
        writer.write(name, FIRST + 1, 1.5)
    await writer.close(0.5)
    database.server.kill()
    assert writer.stats().spooled == 2


async def test_spool_of_yesterday_goes_to_no_database_of_another_precision(
    own_database: Database, path: Path
) -> None:
    await fill(own_database, path)
    await asyncio.to_thread(replace_server, own_database, time_precision="ms")
    with pytest.raises(SpoolError, match="for the time precision 'ns', and was opened for 'ms'"):
        await replay(path, parse_url(own_database.url), None, 10)
    with SpoolReader(path) as reader:
        assert reader.snapshot().points == 2
    assert await values_of(own_database, "a") == []


async def test_spool_of_yesterday_gets_the_types_of_the_database_of_today(
    own_database: Database, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await fill(own_database, path)
    await asyncio.to_thread(replace_server, own_database)
    async with own_database.client() as client:
        await client.insert({"b": [[FIRST, 7]]})
    with caplog.at_level(logging.WARNING):
        replayed = await replay(path, parse_url(own_database.url), None, 30)
    assert "another one than that its packages were made for" in caplog.text
    assert (replayed.report.points, replayed.report.rejected_points, replayed.left) == (1, 1, 0)
    assert isinstance(replayed.report.rejected[0].error, ColumnError)
    assert (await values_of(own_database, "a"), await values_of(own_database, "b")) == ([1.5], [7])


async def test_spool_knows_its_database_by_the_servers(database: Database, path: Path) -> None:
    async with database.client() as client:
        answer = await client.query("list servers uuid")
    async with BatchWriter(database.url, spool=path):
        pass
    with SpoolReader(path) as reader:
        assert reader.settings.servers == answer["servers"][0][0]


# ---- former versions


def a_file_of_version_1(path: Path) -> dict[int, bytes]:
    """Make a spool as version 1 wrote it; return its payloads by id."""
    with Spool(path, dbname="db", time_precision="ns") as spool:
        payloads = {spool.put(payload(seed), seed): payload(seed) for seed in range(3)}
        spool.mark_sent([2], "one")
    values = (1, "db", "ns", None, "normal")
    with closing(sqlite3.connect(path)) as base:
        base.execute("ALTER TABLE settings DROP COLUMN servers")
        base.execute("ALTER TABLE sent DROP COLUMN server")
        base.execute(
            "REPLACE INTO settings VALUES (1, ?, ?, ?, ?, ?, ?)",
            (*values, zlib.crc32(repr(values).encode())),
        )
        base.execute(f"PRAGMA user_version = {1 << 16 | 1}")
        base.commit()
    return payloads


def test_file_of_version_1_is_opened_and_made_one_of_version_2(path: Path) -> None:
    payloads = a_file_of_version_1(path)
    with SpoolReader(path) as reader:
        assert reader.fault is None
        assert reader.settings == Settings("db", "ns", None, "normal", None)
        assert [row.is_sent for row in reader.packages()] == [False, True, False]
    with Spool(path, servers="one two") as spool:
        assert contents(spool) == payloads
        assert (spool.dbname, spool.time_precision, spool.damaged) == ("db", "ns", 0)
        assert [(row.is_sent, row.server) for row in spool.read()] == [
            (False, None), (True, None), (False, None)
        ]  # fmt: skip
        spool.mark_sent([1], "two")
        assert [row.server for row in spool.read()] == ["two", None, None]
    with SpoolReader(path) as reader:
        assert reader.settings.servers == "one two"
    with Spool(path) as spool:
        assert contents(spool) == payloads
    assert not path.with_name("spool.damaged-1").exists()


@pytest.mark.parametrize("version", [1, 2])
def test_settings_of_each_version_are_salvaged(path: Path, version: int) -> None:
    if version == 1:
        payloads = a_file_of_version_1(path)
    else:
        with Spool(path, dbname="db", time_precision="ns", servers="one") as spool:
            payloads = {spool.put(payload(seed), seed): payload(seed) for seed in range(3)}
    with path.open("r+b") as file:  # the first page: nothing finds the tables
        file.write(bytes(100))
    with Spool(path) as spool:
        assert contents(spool) == payloads
        assert (spool.dbname, spool.time_precision) == ("db", "ns")
