"""A writer with a journal: what `persisted` has said survives SIGKILL, and is stored once."""

import asyncio
import os
import random
import signal
import sys
from pathlib import Path
from subprocess import PIPE
from typing import Any

import numpy as np
import pytest

from siridb_fast import (
    BatchWriter,
    BlockingWriter,
    SpoolOptions,
)
from tests.commands import environment
from tests.fix_examples import examples
from tests.fix_journal import frames_in
from tests.fix_loop import eventually
from tests.fix_server import Database

FIRST = 1_700_000_000_000_000_000
NAMES = ["a", "b", "c", "texts"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "plant.journal"


def read(path: Path) -> bytes:
    return path.read_bytes()


def write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


async def stored_in(database: Database) -> dict[str, list[tuple[int, Any]]]:
    """Return the points of each series, in order."""
    async with database.client() as client:
        arrays = await client.query_arrays("select * from *")
    return {
        name: sorted(zip(timestamps.tolist(), values.tolist(), strict=True))
        for name, (timestamps, values) in arrays.items()
        if not name.startswith("siridb_fast.")
    }


# ---- a process that is killed

WRITING = f"""
import asyncio, sys
import numpy as np
from siridb_fast import BatchWriter

async def main():
    url, path, first = sys.argv[1], sys.argv[2], int(sys.argv[3])
    writer = BatchWriter(
        url, journal=path, linger=0.3, wait_for_server=60, durability="safe"
    )
    await writer.open()
    number = first
    while True:
        for _ in range(30):
            writer.write("a", {FIRST} + number, float(number))
            writer.write("b", {FIRST} + number, number)
            writer.write("texts", {FIRST} + number, f"text {{number}}")
            number += 1
        stamps = np.arange(number, number + 40) + {FIRST}
        await writer.write_arrays("c", stamps, stamps - {FIRST})
        number += 40
        await writer.persisted()
        print(number, flush=True)

asyncio.run(main())
"""


async def write_and_kill(database: Database, path: Path, first: int, seconds: float) -> int:
    """Return up to which number all was on disk when the process was killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITING, database.url, str(path), str(first),
        env=environment(), stdout=PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    said = int(await asyncio.wait_for(process.stdout.readline(), 60))
    await asyncio.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    for line in (await process.stdout.read()).split():
        said = int(line)
    await process.wait()
    return said


def check_once(stored: dict[str, list[tuple[int, Any]]], spans: list[tuple[int, int]]) -> None:
    """Check that what was persisted is there, each point once, and that values are right."""
    for name, points in stored.items():
        assert len(points) == len(set(points)), f"{name}: points are there twice"
        shape = "text {}" if name == "texts" else "{}"
        kind = {"a": float, "texts": str}.get(name, int)
        assert all(value == kind(shape.format(time - FIRST)) for time, value in points)
    for first, said in spans:
        found = {timestamp - FIRST for name in ("a", "c") for timestamp, _ in stored[name]}
        assert set(range(first, said)) <= found


async def test_what_was_persisted_survives_kills_and_is_stored_once(
    own_database: Database, path: Path
) -> None:
    chance, spans, first = random.Random(7), [], 0
    for kill in range(examples(6)):
        said = await write_and_kill(own_database, path, first, chance.random())
        spans.append((first, said))
        first = said + 100_000
        if kill % 2:
            own_database.server.kill()
            own_database.server.start()
    async with BatchWriter(own_database.url, journal=path, wait_for_server=60, durability="safe"):
        pass
    check_once(await stored_in(own_database), spans)


async def test_recovery_that_was_killed_is_begun_again(own_database: Database, path: Path) -> None:
    # The server is away, so that what was recovered stays in the spool.
    said = await write_and_kill(own_database, path, 0, 0.3)
    copy = read(path)
    own_database.server.stop()
    options: dict[str, Any] = {"wait_for_server": "in_background", "time_precision": 3}
    for _ in range(3):
        writer = BatchWriter(own_database.url, journal=path, **options)
        await writer.open()
        spooled = writer.stats().spooled
        assert spooled > 0
        await writer.close(0.1)
        write(path, copy)  # as if it had not been emptied
    own_database.server.start()
    async with BatchWriter(own_database.url, journal=path, wait_for_server=60):
        pass
    check_once(await stored_in(own_database), [(0, said)])


async def test_equal_points_are_counted(own_database: Database, path: Path) -> None:
    own_database.server.stop()
    code = f"""
import asyncio, os, signal
from siridb_fast import BatchWriter
async def main():
    writer = BatchWriter({own_database.url!r}, journal={str(path)!r}, linger=60,
                         wait_for_server="in_background", time_precision=3)
    await writer.open()
    for value in (1.5, 1.5, 1.5, 2.5):
        writer.write("a", {FIRST}, value)
    await writer.persisted()
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, env=environment())
    assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
    own_database.server.start()
    async with BatchWriter(own_database.url, journal=path, wait_for_server=60):
        pass
    assert await stored_in(own_database) == {
        "a": [(FIRST, 1.5), (FIRST, 1.5), (FIRST, 1.5), (FIRST, 2.5)]
    }


# ---- persisted


async def test_persisted_waits_for_the_disk_and_not_for_the_server(
    database: Database, path: Path
) -> None:
    writer = BatchWriter(database.url, journal=path, linger=60)
    await writer.open()
    for i in range(100):
        writer.write("a", FIRST + i, float(i))
    await writer.persisted()
    stats = writer.stats()
    assert (stats.delivered, stats.buffered) == (0, 100)
    assert stats.journal is not None
    assert (stats.journal.persisted, stats.journal.waiting, stats.journal.error) == (100, 0, "")
    await writer.persisted()  # at once
    report = await writer.close()
    assert report.points == 100
    assert len((await stored_in(database))["a"]) == 100


async def test_callback_is_told_how_many_points_are_on_disk(
    database: Database, path: Path
) -> None:
    told: list[int] = []
    writer = BatchWriter(database.url, journal=path, linger=60, on_persisted=told.append)
    await writer.open()
    for i in range(3):
        writer.write("a", FIRST + i, 0.5)
        await eventually(lambda i=i: bool(told) and told[-1] == i + 1)  # type: ignore[misc]
    await writer.close()
    assert told == sorted(told)


async def test_callback_that_raises_harms_nobody(
    database: Database, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: int) -> None:
        raise ValueError("my own fault")

    async with BatchWriter(database.url, journal=path, on_persisted=fail) as writer:
        writer.write("a", FIRST, 0.5)
        await writer.persisted()
    assert "my own fault" in caplog.text
    assert len((await stored_in(database))["a"]) == 1


def test_blocking_writer_has_it(database: Database, path: Path) -> None:
    with BlockingWriter(database.url, journal=path) as writer:
        writer.write("a", FIRST, 0.5)
        writer.persisted()
        stats = writer.stats().journal
        assert stats is not None
        assert stats.persisted == 1


# ---- every way in


async def test_all_ways_in_are_in_the_journal(own_database: Database, path: Path) -> None:
    # They are written while no server is there, and left to the next writer.
    own_database.server.stop()
    options: dict[str, Any] = {
        "journal": path, "linger": 60, "wait_for_server": "in_background", "time_precision": 3,
    }  # fmt: skip
    writer = BatchWriter(own_database.url, **options)
    stamps = np.arange(5) + FIRST
    before = writer.series("handle")
    await writer.open()
    writer.write("write", FIRST, 0.5)
    before.append(FIRST, 1.5)
    writer.write_tick(FIRST, {"tick1": 1, "tick2": "x"})
    ticker = writer.ticker(["t1", "t2"])
    ticker.write(FIRST, np.array([1.0, 2.0]))
    ticker.write_block(stamps + 10, np.ones((5, 2)))
    await writer.write_arrays("arrays", stamps, [1, 2, 3, 4, 5])
    await writer.write_rows(["r1", "r2"], [0, 1, 0], stamps[:3], [0.5, 1.5, 2.5])
    await writer.write_arrays("texts", stamps, ["a", "b", "c", "d", "e"])
    await writer.persisted()
    stats = writer.stats()
    assert stats.journal is not None
    assert stats.journal.persisted == stats.written
    copy = read(path)
    spool = path.with_name(f"{path.name}.spool")
    await writer.close(0.1)
    write(path, copy)  # as if it had been killed before the spool had anything
    for file in path.parent.glob(f"{spool.name}*"):
        file.unlink()
    own_database.server.start()
    async with BatchWriter(own_database.url, journal=path, wait_for_server=60):
        pass
    stored = await stored_in(own_database)
    assert {name: len(points) for name, points in stored.items()} == {
        "write": 1, "handle": 1, "tick1": 1, "tick2": 1, "t1": 6, "t2": 6, "arrays": 5,
        "r1": 2, "r2": 1, "texts": 5,
    }  # fmt: skip


async def test_large_columns_are_in_the_journal(own_database: Database, path: Path) -> None:
    options: dict[str, Any] = {"journal": path, "linger": 60}
    writer = BatchWriter(own_database.url, **options)
    await writer.open()
    writer.write("big", FIRST, 0.0)
    await writer.flush()
    own_database.server.pause()
    stamps = np.arange(1, 60_000) + FIRST
    await asyncio.wait_for(writer.write_arrays("big", stamps, stamps * 0.5), 60)
    await writer.persisted()
    stats = writer.stats()
    assert stats.journal is not None
    assert stats.journal.persisted == 60_000
    own_database.server.resume()
    await writer.close()
    assert len((await stored_in(own_database))["big"]) == 60_000


# ---- what is kept, and how long


async def test_journal_is_empty_once_all_has_its_fate(database: Database, path: Path) -> None:
    writer = BatchWriter(database.url, journal=path, linger=0.01)
    await writer.open()
    for i in range(1000):
        writer.write(f"s{i % 10}", FIRST + i, float(i))
    await writer.flush()

    def is_empty() -> bool:
        stats = writer.stats().journal
        return stats is not None and stats.persisted == 1000 and stats.segments == 0

    await eventually(is_empty)
    await eventually(lambda: not frames_in(path))
    process_left = read(path)
    await writer.close()
    write(path, process_left)  # as if it had been killed now
    async with BatchWriter(database.url, journal=path) as writer:
        assert writer.stats().spooled == 0


async def test_server_away_fills_the_spool_and_not_memory(
    own_database: Database, path: Path
) -> None:
    own_database.server.stop()
    writer = BatchWriter(
        own_database.url, journal=path, wait_for_server="in_background", time_precision=3,
        max_buffered=8 << 20, package_bytes=500_000,
    )  # fmt: skip
    await writer.open()
    stamps = np.arange(20_000)
    for i in range(50):  # a million points
        await asyncio.wait_for(
            writer.write_arrays("a", stamps + FIRST + i * 20_000, stamps + i * 0.5), 60
        )
        assert writer.stats().buffered_bytes <= 9 << 20
    await asyncio.wait_for(writer.persisted(), 60)
    stats = writer.stats()
    assert stats.written == 1_000_000
    assert stats.journal is not None
    assert stats.journal.bytes <= 64 << 20
    own_database.server.start()
    await eventually(lambda: writer.stats().delivered == 1_000_000, 120)
    await writer.close()
    assert len((await stored_in(own_database))["a"]) == 1_000_000


async def test_points_that_the_spool_does_not_take_stay_in_the_journal(
    own_database: Database, path: Path
) -> None:
    own_database.server.stop()
    spool = SpoolOptions(path.with_suffix(".spool"), journal=path, max_bytes=4_000_000)
    options: dict[str, Any] = {
        "spool": spool, "wait_for_server": "in_background", "time_precision": 3, "linger": 60,
    }  # fmt: skip
    writer = BatchWriter(own_database.url, **options)
    await writer.open()
    names = [f"s{i}" for i in range(100)]
    stamps = np.arange(4000)
    ticker = writer.ticker(names)
    for first in range(0, 4000, 100):
        some = stamps[first : first + 100]
        ticker.write_block(some + FIRST, np.outer(some, np.ones(100)))
        await asyncio.sleep(0)
    report = await writer.close(0.1)
    assert report.rejected_points == 0
    assert report.spooled == 400_000
    own_database.server.start()
    async with BatchWriter(own_database.url, spool=spool, wait_for_server=60):
        pass
    stored = await stored_in(own_database)
    assert {len(points) for points in stored.values()} == {4000}
    assert len(stored) == 100


async def test_deleted_journal_is_made_anew(
    database: Database, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = BatchWriter(database.url, journal=path, linger=60)
    await writer.open()
    writer.write("a", FIRST, 0.5)
    await writer.persisted()
    await asyncio.to_thread(path.unlink)
    await eventually(path.exists)
    writer.write("a", FIRST + 1, 1.5)
    await writer.persisted()
    assert sum(frame.points for frame in frames_in(path)) == 2
    assert "the journal was deleted, and is made anew" in caplog.text
    await writer.close()
    assert len((await stored_in(database))["a"]) == 2


async def test_child_of_a_fork_leaves_it_alone(database: Database, path: Path) -> None:
    async with BatchWriter(database.url, journal=path, linger=60) as writer:
        writer.write("a", FIRST, 0.5)
        child = os.fork()
        if not child:
            os._exit(0)
        await asyncio.to_thread(os.waitpid, child, 0)
        writer.write("a", FIRST + 1, 1.5)
        await writer.persisted()
    assert len((await stored_in(database))["a"]) == 2
