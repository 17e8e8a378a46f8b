"""A writer whose memory, journal or spool is small, and what fills it while no server is there."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import siridb_fast.delivery.disk_queue
import siridb_fast.spool.options
from siridb_fast import (
    BatchWriter,
    Failure,
    Report,
    SpoolOptions,
)
from siridb_fast.errors import SiriDBError
from siridb_fast.journal._frames import Layout
from tests.fix_loop import eventually
from tests.fix_server import Database

MIB = 2**20
FIRST = 1_700_000_000_000_000_000
PACKAGE = 100_000
COLUMN = 1000  # points of a call that is awaited
POINTS = {"memory": 100_000, "spool": 100_000, "journal": 1_250_000}  # more than there is room for
WAYS = ["loop", "thread", "await"]
LONG = 120.0


@pytest.fixture
def small_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a journal be as small as a few units, and nothing pause for long."""
    monkeypatch.setattr(siridb_fast.delivery.disk_queue, "GATHER_INTERVAL", 0.005)
    monkeypatch.setattr(siridb_fast.delivery.disk_queue, "RETRY_INTERVAL", 0.05)
    monkeypatch.setattr(siridb_fast.spool.options, "LEAST_JOURNAL", MIB)


def options_of(store: str, word: str, folder: Path) -> dict[str, Any]:
    """Return the options of a writer whose store is small, and obeys a word."""
    options: dict[str, Any] = {
        "package_bytes": PACKAGE, "linger": 0.01, "wait_for_server": "in_background",
        "time_precision": 3,
    }  # fmt: skip
    if store == "memory":
        return options | {"max_buffered": MIB, "on_full": word}
    spool: dict[str, Any] = {"path": folder / "spool", "max_bytes": 4 * PACKAGE}
    if store == "spool":
        spool |= {"on_full": word}
    else:
        spool |= {"journal": folder / "journal", "journal_on_full": word}
        spool |= {"journal_max_bytes": 5 * int(Layout.UNIT_BYTES)}
    return options | {"max_buffered": 64 * MIB, "spool": SpoolOptions(**spool)}


class Filling:
    """Writes points of one series in one way until it has enough, or there is an error."""

    def __init__(
        self, writer: BatchWriter, way: str, points: int, has_enough: Callable[[], bool]
    ) -> None:
        self.writer = writer
        self.points = points
        self.has_enough = has_enough
        self.written = 0  # by calls that returned
        self.error: SiriDBError | None = None
        self.stop = threading.Event()
        run = {"loop": self._in_loop, "thread": self._in_thread, "await": self._awaiting}[way]
        self.task = asyncio.create_task(run())

    def _goes_on(self) -> bool:
        is_enough = self.written >= self.points and self.has_enough()
        return not (is_enough or self.error or self.stop.is_set())

    def _write(self) -> None:
        try:
            self.writer.write("a", FIRST + self.written, float(self.written))
            self.written += 1
        except SiriDBError as exc:
            self.error = exc

    async def _in_loop(self) -> None:
        while self._goes_on():
            self._write()
            if self.written >= self.points:
                await asyncio.sleep(0.001)
            elif self.written % 256 == 0:
                await asyncio.sleep(0)

    async def _in_thread(self) -> None:
        def work() -> None:
            while self._goes_on():
                self._write()
                if self.written >= self.points:
                    time.sleep(0.001)

        await asyncio.to_thread(work)

    async def _awaiting(self) -> None:
        while self._goes_on():
            stamps = np.arange(self.written, self.written + COLUMN)
            try:
                await self.writer.write_arrays("a", FIRST + stamps, stamps.astype(float))
                self.written += COLUMN
            except SiriDBError as exc:
                self.error = exc
            await asyncio.sleep(0)


class Case:
    """A writer whose server is away, what it reports, and what becomes of its points."""

    def __init__(self, database: Database, options: dict[str, Any]) -> None:
        self.database = database
        self.failures: list[Failure] = []
        self.writer = BatchWriter(database.url, on_error=self.failures.append, **options)

    @property
    def dropped(self) -> int:
        return self.writer.stats().dropped

    async def finish(self, filling: Filling) -> Report:
        """Have the server back, and everything delivered; check that nothing is missing."""
        await asyncio.to_thread(self.database.server.start)
        await asyncio.wait_for(filling.task, LONG)
        await eventually(lambda: self._has_all(), LONG)
        report = await self.writer.close(LONG)
        stats = self.writer.stats()
        given_up = [one for failure in self.failures for one in failure.timestamps.tolist()]
        stored = await self._stored()
        assert sorted([*stored, *given_up]) == [FIRST + n for n in range(filling.written)]
        assert stats.written == filling.written
        assert stats.delivered == len(stored)
        assert stats.dropped == stats.rejected == report.rejected_points == len(given_up)
        self.stored, self.given_up = stored, given_up
        return report

    def _has_all(self) -> bool:
        stats = self.writer.stats()
        return stats.connected > 0 and not (stats.buffered or stats.in_flight or stats.spooled)

    async def _stored(self) -> list[int]:
        async with self.database.client() as client:
            found = await client.query_arrays("select * from 'a'", all_points=True)
        times, values = found["a"]
        assert np.array_equal(times - FIRST, values)
        return sorted(times.tolist())


@pytest.fixture
def away(own_database: Database) -> Iterator[Database]:
    """Return a database whose server is not there."""
    own_database.server.stop()
    return own_database  # type: ignore[return-value]
