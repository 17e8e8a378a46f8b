"""What a writer tells of points that it gives up where a store is full."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import siridb_fast.writer.full_stores
from siridb_fast import (
    BatchWriter,
    BlockingWriter,
    DeadLetters,
    Failure,
    Report,
)
from tests.fix_loop import eventually
from tests.fix_server import Database
from tests.fix_stores import (
    FIRST,
    LONG,
    POINTS,
    Case,
    Filling,
    options_of,
)

pytestmark = pytest.mark.usefixtures("fast_retry", "small_stores")


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
