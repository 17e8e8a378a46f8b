"""What a writer refuses of a journal: another writer's, a file that is none, odd options."""

from pathlib import Path
from typing import Any

import pytest

from siridb_fast import BatchWriter, ConfigError, SpoolError, SpoolOptions, WriterClosedError
from tests.fix_server import Database

FIRST = 1_700_000_000_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "plant.journal"


def read(path: Path) -> bytes:
    return path.read_bytes()


def write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


async def test_second_writer_is_refused_and_the_first_goes_on(
    database: Database, path: Path
) -> None:
    async with BatchWriter(database.url, journal=path) as writer:
        other = BatchWriter(database.url, journal=path, spool=path.with_name("other.spool"))
        with pytest.raises(SpoolError, match=r"plant\.journal"):
            await other.open()
        writer.write("a", FIRST, 0.5)
        await writer.persisted()


async def test_file_that_is_no_journal_is_refused(database: Database, path: Path) -> None:
    write(path, b"time,value\n1,2\n")
    with pytest.raises(SpoolError, match="is no journal"):
        await BatchWriter(database.url, journal=path).open()
    assert read(path) == b"time,value\n1,2\n"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"journal": 7}, "journal: expected the path of a file, got 7"),
        ({"journal": ""}, "journal: expected the path of a file, got ''"),
        ({"journal": "x", "spool": "x"}, "the journal and the spool are two files"),
        (
            {"journal": "x", "spool": SpoolOptions("y", journal="z")},
            "the journal is given twice",
        ),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        BatchWriter("siridb://iris:siri@localhost/db", **options)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"journal_sync": 0}, "journal_sync is 0.0005 to 1 seconds, got 0"),
        ({"journal_sync": "5ms"}, "journal_sync is 0.0005 to 1 seconds, got '5ms'"),
        ({"journal_max_bytes": 1000}, "journal_max_bytes is an integer from 67,108,864"),
    ],
)
def test_spool_options_that_make_no_sense(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        SpoolOptions("x", journal="y", **options)


def test_spool_beside_a_journal_is_synced() -> None:
    assert SpoolOptions("x").file_sync == "normal"
    assert SpoolOptions("x", journal="y").file_sync == "full"
    assert SpoolOptions("x", journal="y", sync="normal").file_sync == "normal"


async def test_persisted_needs_a_journal(database: Database) -> None:
    async with BatchWriter(database.url) as writer:
        with pytest.raises(ConfigError, match=r"persisted\(\) needs a journal"):
            await writer.persisted()


async def test_persisted_of_a_closed_writer_is_an_error(database: Database, path: Path) -> None:
    writer = BatchWriter(database.url, journal=path)
    with pytest.raises(WriterClosedError):
        await writer.persisted()
    await writer.open()
    await writer.close()
    with pytest.raises(WriterClosedError):
        await writer.persisted()
