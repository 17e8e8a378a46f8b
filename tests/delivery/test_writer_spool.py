"""A writer with a spool: what goes to disk, what comes back, and that it is stored once."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import siridb_fast.delivery.disk_queue
from siridb_fast import (
    BatchWriter,
    BufferFullError,
    ConfigError,
    DeliveryError,
    Failure,
    SpoolError,
    SpoolLockedError,
    SpoolOptions,
    encode_insert,
)
from siridb_fast.spool.store import Spool
from tests.fix_loop import eventually
from tests.fix_server import Database

pytestmark = pytest.mark.usefixtures("fast_retry")

MIB = 2**20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a spool."""
    return tmp_path / "spool"


async def stored(database: Database) -> dict[str, list[int]]:
    async with database.client() as client:
        found = await client.query_arrays("select * from *", all_points=True)
    return {name: sorted(times.tolist()) for name, (times, _) in found.items()}


@contextlib.asynccontextmanager
async def outage(database: Database, writer: BatchWriter) -> AsyncIterator[None]:
    """Have no server, and none that the writer takes for one; have it back afterwards."""
    database.server.kill()
    assert writer._engine is not None
    cluster = writer._engine._cluster
    await eventually(lambda: not cluster.is_connected)
    yield
    await asyncio.to_thread(database.server.start)
    await eventually(lambda: cluster.is_connected)


def is_empty(path: Path) -> bool:
    with Spool(path) as spool:
        return spool.packages == 0


async def test_everything_is_delivered_and_nothing_stays(database: Database, path: Path) -> None:
    async with BatchWriter(database.url, package_bytes=20_000, spool=path) as writer:
        for n in range(5000):
            writer.write("a", n, n / 2)
        await writer.write_arrays("b", np.arange(20_000), np.arange(20_000))
        report = await writer.flush()
    assert (report.points, report.spooled) == (25_000, 0)
    assert report.packages > 10
    assert await stored(database) == {"a": list(range(5000)), "b": list(range(20_000))}
    assert is_empty(path)


async def test_outage_is_bridged_on_disk(own_database: Database, path: Path) -> None:
    async with BatchWriter(own_database.url, linger=0.02, spool=path) as writer:
        async with outage(own_database, writer):
            for n in range(1000):
                writer.write("a", n, n / 2)
            delivery = await writer.write_arrays("b", np.arange(100_000), np.arange(100_000))
            report = await writer.flush(timeout=5)
            assert (report.points, report.spooled) == (0, 101_000)
            assert (await delivery).spooled == 100_000
            stats = writer.stats()
            assert (stats.buffered, stats.in_flight, stats.spooled) == (0, 0, 101_000)
            assert stats.buffered_bytes < 100_000
        writer.write("a", 1000, 1.0)
    assert writer.stats().delivered == 101_001
    assert await stored(own_database) == {"a": list(range(1001)), "b": list(range(100_000))}
    assert is_empty(path)


async def test_next_writer_delivers_what_one_left(own_database: Database, path: Path) -> None:
    writer = BatchWriter(own_database.url, spool=path)
    await writer.open()
    own_database.server.kill()
    for n in range(1000):
        writer.write("a", n, n / 2)
    report = await writer.close()
    assert (report.spooled, report.is_complete) == (1000, True)
    assert "1,000 in the spool" in str(report)
    own_database.server.start()
    async with BatchWriter(own_database.url, spool=path) as writer:
        writer.write("b", 1, 1)
    assert writer.stats().delivered == 1001
    assert await stored(own_database) == {"a": list(range(1000)), "b": [1]}
    assert is_empty(path)


async def test_package_that_was_sent_is_looked_up_first(database: Database, path: Path) -> None:
    async with BatchWriter(database.url) as writer:
        await writer.write_arrays("a", np.arange(100), np.arange(100))
    payload = encode_insert({"a": (np.arange(150), np.arange(150))})
    with Spool(path, dbname=database.name, time_precision="ns") as spool:
        spool.put(payload, 150, is_sent=True)
        spool.put(encode_insert({"b": [[1, 2]]}), 1)
    async with BatchWriter(database.url, spool=path):
        pass
    assert await stored(database) == {"a": list(range(150)), "b": [1]}
    assert is_empty(path)


async def test_types_of_series_are_asked_when_a_server_is_back(
    own_database: Database, path: Path
) -> None:
    async with BatchWriter(own_database.url) as writer:
        writer.write("floats", 1, 0.5)
        writer.write("texts", 1, "x")
    failures: list[Failure] = []
    options = {"on_error": failures.append, "linger": 0.01}
    writer = BatchWriter(own_database.url, spool=path, **options)  # type: ignore[arg-type]
    await writer.open()
    async with outage(own_database, writer):
        writer.write("floats", 2, 3)
        writer.write("texts", 2, 1.5)
        writer.write("new", 2, 1)
        assert (await writer.flush()).spooled == 3
    await eventually(lambda: len(failures) == 1)
    writer.write("new", 3, 2)
    report = await writer.close()
    assert (report.points, report.rejected_points) == (3, 1)
    assert "texts" in str(failures[0])
    assert "float" in str(failures[0].error)
    assert (await stored(own_database))["floats"][-1] == 2
    assert (await stored(own_database))["new"] == [2, 3]
    assert is_empty(path)


@pytest.mark.parametrize("linger", [0.01, 60.0])  # whether or not a timer comes to help
async def test_frozen_server_lets_memory_overflow_to_disk(
    own_database: Database, path: Path, linger: float
) -> None:
    writer = BatchWriter(
        own_database.url, spool=path, max_buffered=MIB, package_bytes=100_000, linger=linger
    )
    async with writer:
        writer.write("a", 0, 0)
        await writer.flush()
        own_database.server.pause()
        for n in range(1, 400_000):
            writer.write("a", n, n)
            if n % 500 == 0:
                await writer.drain()
        assert writer.stats().spooled > 200_000
        assert writer.stats().buffered_bytes <= MIB + 4_000_000
        own_database.server.resume()
    assert await stored(own_database) == {"a": list(range(400_000))}
    assert is_empty(path)


class StoppedClock:
    """An event loop whose timers fire, each before its time by the clock."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._now = loop.time()

    def time(self) -> float:
        return self._now

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


async def test_timer_that_is_early_by_the_clock_lets_packages_go_to_disk(
    own_database: Database, path: Path
) -> None:
    writer = BatchWriter(own_database.url, spool=path, linger=0.01)
    async with writer, outage(own_database, writer):
        assert writer._engine is not None
        disk_queue: Any = writer._engine._dispatcher.disk_queue
        disk_queue._loop = StoppedClock(disk_queue._loop)
        for n in range(3):
            writer.write("a", n, n)
            report = await writer.flush(timeout=10)
            assert report.spooled == 1
    assert await stored(own_database) == {"a": [0, 1, 2]}


async def test_full_spool_makes_the_writer_wait(own_database: Database, path: Path) -> None:
    options = SpoolOptions(path, max_bytes=200_000)
    writer = BatchWriter(
        own_database.url, spool=options, max_buffered=MIB, package_bytes=50_000, linger=0.01
    )
    async with writer, outage(own_database, writer):
        n = 0
        with contextlib.suppress(BufferFullError):
            while n < 1_000_000:
                writer.write("a", n, n)
                n += 1
                if n % 100 == 0:
                    await asyncio.sleep(0)
        assert 60_000 < n < 1_000_000
    assert await stored(own_database) == {"a": list(range(n))}


async def test_full_spool_gives_up_the_oldest_if_told_so(
    own_database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        siridb_fast.delivery.disk_queue, "GATHER_INTERVAL", 0.005
    )  # each flush waits for it
    failures: list[Failure] = []
    options = SpoolOptions(path, max_bytes=200_000, on_full="drop_oldest")
    writer = BatchWriter(
        own_database.url,
        spool=options,
        package_bytes=50_000,
        linger=0.01,
        on_error=failures.append,
    )
    await writer.open()
    async with outage(own_database, writer):
        for first in range(0, 100_000, 1000):
            times = np.arange(first, first + 1000)
            await writer.write_arrays("a", times, times)
            await writer.flush()
    report = await writer.close()
    dropped = sum(failure.points for failure in failures)
    assert 0 < dropped < 100_000
    assert report.points + dropped == 100_000
    assert {failure.series for failure in failures} == {"a"}
    assert await stored(own_database) == {"a": list(range(dropped, 100_000))}


async def test_spool_that_the_former_mode_always_left_is_recalled_exactly(
    database: Database, path: Path
) -> None:
    # It noted each package as sent before it was, and whom to only where somebody had the time.
    payloads = [encode_insert({"a": [[10 * n + k, n] for k in range(10)]}) for n in range(6)]
    with Spool(path, dbname=database.name, time_precision="ns") as spool:
        for payload in payloads[:4]:
            spool.put(payload, 10, is_sent=True)
        for payload in payloads[4:]:
            spool.put(payload, 10)
    whole, part = [(10 + k, 1) for k in range(10)], [(30 + k, 3) for k in range(4)]
    for stored_before in (whole, part):
        database.server.api.insert(database.name, {"a": stored_before})
    async with BatchWriter(database.url, spool=path) as writer:
        await eventually(lambda: writer.stats().spooled == 0, 60)
        assert writer.stats().delivered == 60
    assert await stored(database) == {"a": list(range(60))}
    assert is_empty(path)


async def test_package_that_is_no_insert_stops_nothing(database: Database, path: Path) -> None:
    with Spool(path, dbname=database.name, time_precision="ns") as spool:
        spool.put(b"nonsense", 3)
        spool.put(encode_insert({"b": [[1, 2]]}), 1)
    writer = BatchWriter(database.url, spool=path)
    await writer.open()
    report = await writer.close()
    assert (report.points, report.rejected_points) == (1, 3)
    assert "package 1 of the spool is no insert" in str(report)
    assert await stored(database) == {"b": [1]}
    assert is_empty(path)


async def test_too_old_packages_are_reported(database: Database, path: Path) -> None:
    with Spool(path, dbname=database.name, time_precision="ns", clock=lambda: 0.0) as spool:
        spool.put(encode_insert({"a": [[1, 2], [2, 3]]}), 2)
    writer = BatchWriter(database.url, spool=SpoolOptions(path, max_age=3600))
    with pytest.raises(DeliveryError, match="2 points of series 'a': no server took it within"):
        async with writer:
            pass
    assert await stored(database) == {}


async def test_only_one_writer_has_a_spool(database: Database, path: Path) -> None:
    async with BatchWriter(database.url, spool=path) as writer:
        writer.write("a", 1, 1)
        with pytest.raises(SpoolLockedError):
            await BatchWriter(database.url, spool=path).open()
    async with BatchWriter(database.url, spool=path):
        pass


async def test_spool_of_another_database_is_refused(
    make_database: Callable[..., Database], path: Path
) -> None:
    async with BatchWriter(make_database().url, spool=path):
        pass
    with pytest.raises(SpoolError, match="database"):
        await BatchWriter(make_database().url, spool=path).open()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"path": ""}, "path of a file"),
        ({"path": 5}, "path of a file, got 5"),
        ({"path": "x", "mode": "never"}, "mode is 'overflow', or left out; got 'never'"),
        ({"path": "x", "mode": "always"}, 'mode="always" is gone: journal="plant.journal" keeps '),
        ({"path": "x", "on_full": "drop"}, "on_full is one of 'wait', 'raise', 'drop_oldest', "),
        ({"path": "x", "journal_on_full": 1}, "journal_on_full is one of 'wait', 'raise', "),
        ({"path": "x", "sync": "off"}, "sync is one of"),
        ({"path": "x", "max_bytes": 0}, "max_bytes is an integer over 0, got 0"),
        ({"path": "x", "max_age": -1}, "max_age is a number of seconds, got -1"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict, complaint: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ConfigError, match=complaint):
        SpoolOptions(**options)


CHILD = """
import asyncio, sys
from siridb_fast import BatchWriter, SpoolOptions, run

async def main(url, path, first):
    options = SpoolOptions(path, journal=f"{path}.journal")
    async with BatchWriter(url, linger=0.01, package_bytes=20_000, spool=options) as writer:
        n = first
        while True:
            for _ in range(2000):
                writer.write("a", n, n)
                n += 1
            await writer.flush()
            print(n, flush=True)

run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


def test_killed_process_loses_nothing_that_was_flushed(database: Database, path: Path) -> None:
    reported: set[int] = set()
    for first in (0, 10**9, 2 * 10**9):  # what was not reported may be there or not
        command = [sys.executable, "-c", CHILD, database.url, str(path), str(first)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            lines = [child.stdout.readline() for _ in range(10)]
            os.kill(child.pid, signal.SIGKILL)
            lines += child.stdout.read().split()
        reported.update(range(first, int(lines[-1])))

    async def finish() -> dict[str, list[int]]:
        options = SpoolOptions(path, journal=f"{path}.journal")
        async with BatchWriter(database.url, spool=options):
            pass
        return await stored(database)

    times = asyncio.run(finish())["a"]
    assert len(times) == len(set(times))
    assert reported <= set(times)
    assert is_empty(path)
