"""A writer that is opened before its server: it waits, or its points do."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import siridb_fast
from siridb_fast import (
    NANOSECOND,
    SECOND,
    AuthenticationError,
    BatchWriter,
    ConfigError,
    RequestTimeout,
    UnknownDatabaseError,
)
from tests.fix_loop import eventually
from tests.fix_server import Database

FIRST = 1_600_000_000_000_000_000
pytestmark = pytest.mark.usefixtures("fast_retry")

LATER = {"wait_for_server": "in_background", "time_precision": NANOSECOND}


@pytest.fixture
def absent(own_database: Database) -> Database:
    """A database whose server is not there yet; `own_database.server.start()` starts it."""
    own_database.server.kill()  # it holds nothing that an orderly end of 2 seconds would save
    return own_database


def url_of(database: Database) -> str:
    return f"{database.url}?max_wait_retry=1"


async def values_of(database: Database, name: str) -> list[float]:
    async with database.client() as client:
        answer = await client.query_arrays(f"select * from '{name}'")  # noqa: S608
        return answer[name][1].tolist()  # type: ignore[no-any-return]


async def test_open_waits_for_a_server_as_long_as_it_is_told(absent: Database) -> None:
    starting = threading.Timer(0.3, absent.server.start)
    starting.start()
    try:
        async with BatchWriter(url_of(absent), wait_for_server=50) as writer:
            writer.write("one", FIRST, 1.5)
    finally:
        await asyncio.to_thread(starting.join)
    assert await values_of(absent, "one") == [1.5]


async def test_open_gives_up_after_that_and_says_why(absent: Database) -> None:
    writer = BatchWriter(url_of(absent), wait_for_server=0.2)
    with pytest.raises(OSError, match=r"Connect call failed|Connection refused"):
        await writer.open()
    with pytest.raises(siridb_fast.WriterClosedError):
        writer.write("one", FIRST, 1.5)


async def test_points_wait_for_a_server_in_memory(absent: Database) -> None:
    async with BatchWriter(url_of(absent), **LATER) as writer:  # type: ignore[arg-type]
        for n in range(1000):
            writer.write("one", FIRST + n, float(n))
        await writer.write_arrays("two", FIRST + np.arange(100), np.arange(100))
        assert writer.stats().buffered == 1100
        await asyncio.to_thread(absent.server.start)
        report = await writer.flush()
    assert report.is_complete
    assert report.points == 1100
    assert await values_of(absent, "one") == [float(n) for n in range(1000)]


async def test_points_wait_for_a_server_on_disk_beyond_the_end_of_their_writer(
    absent: Database, tmp_path: Path
) -> None:
    options = {**LATER, "spool": tmp_path / "spool", "durability": "safe", "linger": 0.05}
    async with BatchWriter(url_of(absent), **options) as writer:  # type: ignore[arg-type]
        writer.write("one", FIRST, 1.5)
        assert (await writer.flush()).spooled == 1
    async with BatchWriter(url_of(absent), **options) as writer:  # type: ignore[arg-type]
        writer.write("one", FIRST + 1, 2.5)
        await asyncio.to_thread(absent.server.start)
        await eventually(lambda: writer.stats().delivered == 2)
    assert sorted(await values_of(absent, "one")) == [1.5, 2.5]


async def test_what_the_server_tells_later_is_heeded(absent: Database) -> None:
    # The type of a series, how many points it buffers, and that the user may select.
    await asyncio.to_thread(absent.server.start)
    async with absent.client() as client:
        await client.insert({"one": [[FIRST, 7]]})
    await asyncio.to_thread(absent.server.stop)
    async with BatchWriter(
        url_of(absent),
        on_type="cast",
        durability="safe",
        **LATER,  # type: ignore[arg-type]
    ) as writer:
        writer.write("one", FIRST + 1, 2.9)
        await asyncio.to_thread(absent.server.start)
        await writer.flush()
        assert writer.stats().not_yet_safe == 0
    assert await values_of(absent, "one") == [7, 2]


async def test_points_that_no_server_took_in_time_are_reported_with_the_reason(
    absent: Database,
) -> None:
    writer = BatchWriter(url_of(absent), **LATER, delivery_timeout=0.5)  # type: ignore[arg-type]
    await writer.open()
    writer.write("one", FIRST, 1.5)
    with pytest.raises(
        RequestTimeout, match=r"1 points are not delivered .*; the last attempt to"
    ):
        await writer.flush(0.1)
    report = await writer.close()
    assert report.rejected_points == 1
    assert not report.is_complete


async def test_database_of_another_precision_gets_nothing(
    absent: Database, caplog: pytest.LogCaptureFixture
) -> None:
    writer = BatchWriter(url_of(absent), wait_for_server="in_background", time_precision=SECOND)
    await writer.open()
    writer.write("one", 1_600_000_000, 1.5)
    with caplog.at_level(logging.ERROR):
        await asyncio.to_thread(absent.server.start)
        await eventually(lambda: "precision" in caplog.text)
    await writer.close(0.1)
    assert "time_precision= is s, but that of the database is ns" in caplog.text
    async with absent.client() as client:
        assert (await client.query("count series"))["series"] == 0


async def test_precision_that_is_given_is_compared_with_that_of_the_database(
    database: Database,
) -> None:
    with pytest.raises(ConfigError, match=r"time_precision= is s, but .* is ns"):
        await BatchWriter(database.url, time_precision=SECOND).open()


async def test_database_may_be_made_later(own_database: Database) -> None:
    server = own_database.server
    with pytest.raises(UnknownDatabaseError):
        await BatchWriter(server.url("later"), wait_for_server=0.2).open()
    writer = BatchWriter(f"{server.url('later')}?max_wait_retry=1", **LATER)  # type: ignore[arg-type]
    await writer.open()
    writer.write("one", FIRST, 1.5)
    await asyncio.to_thread(server.create_database, "later")
    assert (await writer.close()).points == 1


async def test_patience_does_not_help_against_a_wrong_password(database: Database) -> None:
    server = database.server
    for patience in (60, "in_background"):
        options = {"wait_for_server": patience, "time_precision": NANOSECOND}
        wrong = BatchWriter(server.url(database.name, password="wrong"), **options)  # type: ignore[arg-type]
        with pytest.raises(AuthenticationError):
            await wrong.open()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"wait_for_server": "in_background"}, "needs time_precision="),
        ({"wait_for_server": "forever"}, "seconds or 'in_background', got 'forever'"),
        ({"wait_for_server": True}, "0 to 86400 seconds, got True"),
        ({"wait_for_server": -1}, "0 to 86400 seconds, got -1"),
        ({"wait_for_server": None}, "0 to 86400 seconds, got None"),
    ],
)
def test_patience_that_makes_no_sense_is_refused(options: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        BatchWriter("siridb://iris:siri@localhost/db", **options)  # type: ignore[arg-type]


def test_load_without_a_server_fails_at_once(unused_port: int) -> None:
    url = f"siridb://iris:siri@127.0.0.1:{unused_port}/db"

    def points() -> Iterator[tuple[str, list[int], list[float]]]:
        raise AssertionError("the source is not touched")
        yield "one", [FIRST], [1.5]

    with pytest.raises(OSError, match=rf"{unused_port}"):
        siridb_fast.load(points(), url)
