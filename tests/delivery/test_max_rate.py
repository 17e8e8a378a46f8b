"""`max_rate`: no more points a second leave than that, and none is given up for it.

That something takes long enough is shown; that it takes no longer, on a busy machine, is not.
"""

import asyncio
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import siridb_fast
from siridb_fast import BatchWriter, ConfigError, Delivered, SpoolOptions
from siridb_fast.concurrency.rate_limit import RateLimit
from siridb_fast.writer.options import WriterOptions
from tests.commands import run_command
from tests.fix_loop import eventually
from tests.fix_server import Database

RATE = 20_000
POINTS = 60_000
LEAST = 1.4  # seconds: the last package, of RATE points or fewer, and half a second's are at once


class Clock:
    """Measures how long something takes."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began


@pytest.fixture
def clock() -> Clock:
    return Clock()


def arrays(points: int, first: int = 0) -> tuple[Any, Any]:
    numbers = np.arange(first, first + points)
    return numbers, numbers / 2


async def count(database: Database) -> int:
    async with database.client() as client:
        answer = await client.query("select count() from *")
    return sum(points[0][1] for points in answer.values())


# ---- the limit itself


def test_pause_is_as_long_as_the_points_take() -> None:
    limit = RateLimit(100)
    assert limit.take(50, now=10.0) == pytest.approx(0.0)  # half a second's are ahead
    assert limit.take(50, now=10.0) == pytest.approx(0.5)
    assert limit.take(200, now=10.5) == pytest.approx(2.0)
    assert limit.take(10, now=11.0) == pytest.approx(1.6)
    assert limit.until == pytest.approx(12.6)
    assert limit.take(100, now=100.0) == pytest.approx(0.5)


def test_points_of_a_long_time_are_no_more_than_the_rate() -> None:
    limit, now, sent = RateLimit(1000), 50.0, 0
    while now < 150.0:
        sent += 700
        now = max(now + 0.01, now + limit.take(700, now))
    assert 99_000 <= sent <= 101_500


def test_no_rate_is_no_pause() -> None:
    limit = RateLimit(None)
    assert [limit.take(10**9, now) for now in (0.0, 1.0, 1.0)] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("rate", [0, 0.5, -1, float("nan"), float("inf"), "5", True])
def test_rate_that_makes_no_sense_is_refused(rate: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="max_rate is 1 or more points a second, or None"):
        BatchWriter("siridb://u:p@h/d", max_rate=rate)
    with pytest.raises(ConfigError, match="spool: max_rate is 1 or more"):
        SpoolOptions(tmp_path / "s", max_rate=rate)
    with pytest.raises(ConfigError, match="max_rate is 1 or more"):
        siridb_fast.load({"a": arrays(1)}, "siridb://u:p@h/d", max_rate=rate)


@pytest.mark.parametrize(
    ("rate", "wanted"), [(None, 500_000), (1, 1000), (5000, 100_000), (10**9, 500_000)]
)
def test_package_has_about_a_second_of_points_at_most(rate: float | None, wanted: int) -> None:
    options = WriterOptions(package_bytes=500_000, max_rate=rate)
    assert options.full_package_bytes == wanted


# ---- what obeys it


async def test_writer_takes_its_time(database: Database, clock: Clock) -> None:
    async with BatchWriter(database.url, max_rate=RATE) as writer:
        await writer.write_arrays("a", *arrays(POINTS))
        report = await writer.flush()
    assert clock.seconds > LEAST
    assert (report.points, report.packages >= 3) == (POINTS, True)


async def test_packages_that_wait_for_their_turn_are_not_given_up(
    database: Database, tmp_path: Path
) -> None:
    timeout = 2.0  # up to four packages wait behind each other, of a second each
    async with BatchWriter(
        database.url, max_rate=10_000, delivery_timeout=timeout, journal=tmp_path / "journal"
    ) as writer:
        await writer.write_arrays("a", *arrays(60_000))
        report = await writer.flush()
        await writer.write_arrays("b", *arrays(10_000))
    assert report.is_complete
    assert await count(database) == 70_000


async def test_fresh_points_overtake_a_backlog(own_database: Database, tmp_path: Path) -> None:
    order: list[str] = []

    def note(delivered: Delivered) -> None:
        order.append("fresh" if delivered.points == 1 else "old")

    spool = SpoolOptions(tmp_path / "spool", max_rate=10_000)
    async with BatchWriter(
        own_database.url, linger=0.01, package_bytes=200_000, spool=spool, on_delivery=note
    ) as writer:
        await own_database_away(own_database, writer)
        for n in range(6):
            await writer.write_arrays(f"old-{n}", *arrays(10_000))
        await eventually(lambda: writer.stats().spooled == 60_000, 60)
        await asyncio.to_thread(own_database.server.start)
        await eventually(lambda: "old" in order, 60)
        for n in range(3):
            writer.write("fresh", n, 0.5)
            await eventually(lambda n=n: order.count("fresh") == n + 1, 60)  # type: ignore[misc]
        assert order.count("old") < 6
        report = await writer.flush()
    assert report.is_complete
    assert await count(own_database) == 60_003


async def own_database_away(database: Database, writer: BatchWriter) -> None:
    database.server.kill()
    engine = writer._engine
    assert engine is not None
    await eventually(lambda: not engine._cluster.is_connected, 60)


def test_load_takes_its_time(database: Database, clock: Clock, tmp_path: Path) -> None:
    report = siridb_fast.load({"a": arrays(POINTS)}, database.url, max_rate=RATE)
    assert clock.seconds > LEAST
    assert report.points == POINTS
    table = tmp_path / "t.csv"
    rows = "\n".join(f"2026-01-01T00:00:{n // 1000:02}.{n % 1000:03}Z,{n}" for n in range(30_000))
    table.write_text(f"time,b\n{rows}\n")
    clock = Clock()
    run_command("load", table, "--time", "time", "--max-rate", "10000", url=database.url)
    assert clock.seconds > LEAST
    assert asyncio.run(count(database)) == POINTS + 30_000


def test_replay_takes_its_time(own_database: Database, tmp_path: Path) -> None:
    async def spool_all(path: Path) -> None:
        writer = BatchWriter(own_database.url, linger=0.01, package_bytes=200_000, spool=path)
        await writer.open()
        await own_database_away(own_database, writer)
        for n in range(3):
            await writer.write_arrays(f"s-{n}", *arrays(10_000))
        await writer.close()

    path = tmp_path / "spool"
    asyncio.run(spool_all(path))
    own_database.server.start()
    clock = Clock()
    done = run_command("spool", "replay", path, "--max-rate", "10000", url=own_database.url)
    assert clock.seconds > LEAST
    assert "30,000 points delivered" in done.stderr
    bad = run_command("spool", "replay", path, "--max-rate", "0", url=own_database.url, code=2)
    assert "--max-rate" in bad.stderr
