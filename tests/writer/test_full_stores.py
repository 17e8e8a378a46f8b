"""What a writer does where memory, its journal or its spool is full: each cell of a table.

`docs/full-stores.md` says it. No server is there until everything is full; then one is started,
and what is stored and what was given up have to be all that was taken, each point once.
"""

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
import siridb_fast.writer.full_stores
from siridb_fast import (
    BatchWriter,
    BlockingWriter,
    BufferFullError,
    DeadLetters,
    Failure,
    Report,
    SpoolFullError,
    SpoolOptions,
)
from siridb_fast.errors import SiriDBError
from siridb_fast.journal._frames import Layout
from tests.fix_loop import eventually
from tests.fix_server import Database

pytestmark = pytest.mark.usefixtures("fast_retry")

MIB = 2**20
FIRST = 1_700_000_000_000_000_000
PACKAGE = 100_000
COLUMN = 1000  # points of a call that is awaited
POINTS = {"memory": 100_000, "spool": 100_000, "journal": 1_250_000}  # more than there is room for
WAYS = ["loop", "thread", "await"]
LONG = 120.0


@pytest.fixture(autouse=True)
def _small_stores(monkeypatch: pytest.MonkeyPatch) -> None:
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


# ---- words that lose no point


@pytest.mark.one_loop
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("store", POINTS)
async def test_wait(away: Database, tmp_path: Path, store: str, way: str) -> None:
    case = Case(away, options_of(store, "wait", tmp_path))
    await case.writer.open()
    filling = Filling(case.writer, way, POINTS[store], lambda: True)
    if store == "memory" and way == "loop":
        await asyncio.wait_for(filling.task, LONG)
        assert isinstance(filling.error, BufferFullError)
    elif store == "memory":
        await eventually(lambda: case.writer.stats().room < 80_000, LONG)
        assert not filling.task.done()
    else:
        await asyncio.wait_for(filling.task, LONG)
        assert filling.error is None
    if store == "journal":
        persisted = asyncio.create_task(case.writer.persisted())
        await eventually(lambda: is_journal_full(case.writer), LONG)
        assert not persisted.done()
    await case.finish(filling)
    assert (case.dropped, case.given_up) == (0, [])
    if store == "journal":
        await persisted


@pytest.mark.one_loop
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("store", POINTS)
async def test_raise(away: Database, tmp_path: Path, store: str, way: str) -> None:
    case = Case(away, options_of(store, "raise", tmp_path))
    await case.writer.open()
    filling = Filling(case.writer, way, POINTS[store], lambda: False)
    await asyncio.wait_for(filling.task, LONG)
    expected = BufferFullError if store == "memory" else SpoolFullError
    assert type(filling.error) is expected
    assert {"memory": "max_buffered", "spool": "max_bytes", "journal": "journal_max_bytes"}[
        store
    ] in str(filling.error)
    await case.finish(filling)
    assert (case.dropped, case.given_up) == (0, [])


@pytest.mark.parametrize("store", ["spool", "journal"])
async def test_calls_are_taken_again_once_there_is_room(
    away: Database, tmp_path: Path, store: str
) -> None:
    case = Case(away, options_of(store, "raise", tmp_path))
    await case.writer.open()
    filling = Filling(case.writer, "loop", POINTS[store], lambda: False)
    await asyncio.wait_for(filling.task, LONG)
    await asyncio.to_thread(away.server.start)
    again = Filling(case.writer, "loop", 0, lambda: True)

    def is_taken() -> bool:
        again.error = None
        again.written = filling.written
        again._write()
        return again.error is None

    await eventually(is_taken, LONG)
    filling.written += 1
    report = await case.writer.close(LONG)
    assert report.is_complete
    assert len(await case._stored()) == filling.written


# ---- words that give points up


@pytest.mark.one_loop
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("store", POINTS)
async def test_drop_oldest(away: Database, tmp_path: Path, store: str, way: str) -> None:
    case = Case(away, options_of(store, "drop_oldest", tmp_path))
    await case.writer.open()
    filling = Filling(case.writer, way, POINTS[store], lambda: case.dropped > 0)
    await asyncio.wait_for(filling.task, LONG)
    assert filling.error is None
    report = await case.finish(filling)
    check_drops(case, report, store)
    assert case.stored[-1] == FIRST + filling.written - 1
    if store == "memory":
        assert case.given_up == [FIRST + n for n in range(len(case.given_up))]
    elif store == "journal":  # what was in the spool before is older, and has its place
        assert case.dropped <= filling.written - 500_000


@pytest.mark.one_loop
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("store", POINTS)
async def test_drop_newest(away: Database, tmp_path: Path, store: str, way: str) -> None:
    case = Case(away, options_of(store, "drop_newest", tmp_path))
    await case.writer.open()
    filling = Filling(case.writer, way, POINTS[store], lambda: case.dropped > 0)
    await asyncio.wait_for(filling.task, LONG)
    assert filling.error is None
    report = await case.finish(filling)
    check_drops(case, report, store)
    assert case.stored[0] == FIRST
    assert min(case.given_up) > FIRST + 10_000


def check_drops(case: Case, report: Report, store: str) -> None:
    """Check that what was given up is reported, by its store and its cause."""
    stats, error = (
        case.writer.stats(),
        "BufferFullError" if store == "memory" else "SpoolFullError",
    )
    assert stats.dropped > 0
    others = dict.fromkeys({"memory", "journal", "spool"} - {store}, 0)
    assert stats.dropped_by == {store: stats.dropped, **others}
    assert stats.rejected_by == {error: stats.dropped}
    assert report.rejected[0].series == "a"
    assert type(case.failures[0].error).__name__ == error


def is_journal_full(writer: BatchWriter) -> bool:
    journal = writer.stats().journal
    return journal is not None and "No space" in journal.error


# ---- what else is promised


@pytest.mark.parametrize("word", ["drop_oldest", "drop_newest"])
async def test_points_of_series_that_are_known_are_dropped_too(
    own_database: Database, word: str
) -> None:
    options = options_of("memory", word, Path())
    case = Case(own_database, options)
    await case.writer.open()
    case.writer.write("a", FIRST, 0.0)
    await case.writer.flush()
    own_database.server.stop()
    await eventually(lambda: case.writer.stats().connected == 0, LONG)
    filling = Filling(case.writer, "await", POINTS["memory"], lambda: case.dropped > 0)
    filling.written = 1
    await asyncio.wait_for(filling.task, LONG)
    await case.finish(filling)
    assert case.given_up


async def test_large_column_finds_its_delivery_told(own_database: Database) -> None:
    case = Case(own_database, options_of("memory", "drop_newest", Path()))
    await case.writer.open()
    case.writer.write("a", FIRST, 0.0)
    await case.writer.flush()
    own_database.server.stop()
    await eventually(lambda: case.writer.stats().connected == 0, LONG)
    stamps = np.arange(1, 200_001)
    delivery = await case.writer.write_arrays("a", FIRST + stamps, stamps.astype(float))
    assert 0 < case.dropped < 200_000
    await asyncio.to_thread(own_database.server.start)
    report = await asyncio.wait_for(_report(delivery), LONG)
    assert report.rejected_points == case.dropped
    assert report.points == 200_000 - case.dropped
    await case.writer.close(LONG)


async def _report(delivery: Any) -> Report:
    report: Report = await delivery
    return report


def append(writer: BatchWriter, stamp: int) -> None:
    writer.series("a").append(stamp, 0.5)


def tick(writer: BatchWriter, stamp: int) -> None:
    writer.write_tick(stamp, {"a": 0.5, "text": "é"})


def ticker_list(writer: BatchWriter, stamp: int) -> None:
    writer.ticker(["a", "text"]).write(stamp, [0.5, "é"])


def ticker_array(writer: BatchWriter, stamp: int) -> None:
    writer.ticker(["a", "b"]).write(stamp, np.array([0.5, 1.5]))


def block(writer: BatchWriter, stamp: int) -> None:
    writer.ticker(["a", "b"]).write_block([stamp, stamp + 1], np.array([[0.5, 1.5], [2.5, 3.5]]))


PLAIN: dict[Callable[[BatchWriter, int], None], dict[str, list[list[object]]]] = {
    append: {"a": [[0], [0.5]]},
    tick: {"a": [[0], [0.5]], "text": [[0], ["é"]]},
    ticker_list: {"a": [[0], [0.5]], "text": [[0], ["é"]]},
    ticker_array: {"a": [[0], [0.5]], "b": [[0], [1.5]]},
    block: {"a": [[0, 1], [0.5, 2.5]], "b": [[0, 1], [1.5, 3.5]]},
}


@pytest.mark.parametrize("call", PLAIN, ids=lambda call: call.__name__)
async def test_each_plain_call_reports_what_it_gives_up(
    away: Database, call: Callable[[BatchWriter, int], None]
) -> None:
    case = Case(away, options_of("memory", "drop_newest", Path()))
    await case.writer.open()
    names = [*PLAIN[call], "other"]
    filled = 0
    while not case.dropped:
        for name in names:
            case.writer.write(name, FIRST + filled, "x" * 1000 if name == "text" else 1.0)
        filled += 1
        await asyncio.sleep(0)
    await fill_rest(case)
    case.failures.clear()
    call(case.writer, FIRST + 10**9)
    await eventually(lambda: len(case.failures) == len(PLAIN[call]), LONG)
    found = {
        failure.series: [(failure.timestamps - FIRST - 10**9).tolist(), failure.values.tolist()]
        for failure in case.failures
    }
    assert found == PLAIN[call]
    assert (await case.writer.close(0.01)).rejected_points > 0


async def fill_rest(case: Case) -> None:
    """Write until no series has a place left for another point."""
    for name in ("a", "b", "text"):
        before = -1
        while before != case.dropped:
            before = case.dropped
            for n in range(5000):
                case.writer.write(name, FIRST + n, "x" if name == "text" else 1.0)
            await asyncio.sleep(0)
            if case.dropped - before == 5000:
                break
            before = -1


async def test_callback_that_writes_where_there_is_no_room_has_an_end(away: Database) -> None:
    options = options_of("memory", "drop_oldest", Path())
    failures: list[Failure] = []

    def on_error(failure: Failure) -> None:
        failures.append(failure)
        for n in range(10):
            writer.write("errors", FIRST + n, 1.0)

    writer = BatchWriter(away.url, on_error=on_error, **options)
    await writer.open()
    for n in range(200_000):
        writer.write("a", FIRST + n, 0.5)
        if n % 1000 == 0:
            await asyncio.sleep(0)
    assert writer.stats().dropped > 0
    report = await writer.close(0.01)
    stats = writer.stats()
    assert stats.written == stats.rejected == report.rejected_points


async def test_dead_letters_get_what_was_given_up(away: Database, tmp_path: Path) -> None:
    letters = tmp_path / "letters.ndjson"
    options = options_of("memory", "drop_newest", tmp_path)
    writer = BatchWriter(away.url, on_error=DeadLetters(letters), **options)
    await writer.open()
    filling = Filling(writer, "loop", 100_000, lambda: writer.stats().dropped > 0)
    await asyncio.wait_for(filling.task, LONG)
    dropped = writer.stats().dropped
    lines = letters.read_text().splitlines()
    assert sum("max_buffered" in line for line in lines) >= dropped > 0
    await writer.close(0.01)


async def test_of_very_many_points_the_number_is_told(
    away: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(siridb_fast.writer.full_stores, "KEPT_POINTS", 100)
    case = Case(away, options_of("memory", "drop_newest", Path()))
    await case.writer.open()
    for n in range(100_000):  # the event loop has no turn
        case.writer.write("a", FIRST + n, 0.5)
    await eventually(lambda: case.dropped > 100, LONG)
    told = [failure for failure in case.failures if not failure.has_points]
    assert sum(failure.points for failure in case.failures) == case.dropped
    assert sum(failure.points for failure in told) == case.dropped - 100
    await case.writer.close(0.01)


def test_blocking_writer_obeys(away: Database) -> None:
    options = options_of("memory", "drop_oldest", Path())
    writer = BlockingWriter(away.url, **options)
    for n in range(100_000):
        writer.write("a", FIRST + n, 0.5)
    assert writer.stats().dropped > 0
    report = writer.close(0.01)
    assert report.rejected_points == 100_000
