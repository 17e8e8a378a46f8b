"""What a writer does where memory, its journal or its spool is full: each cell of a table.

`docs/full-stores.md` says it. No server is there until everything is full; then one is started,
and what is stored and what was given up have to be all that was taken, each point once.
"""

import asyncio
from pathlib import Path

import pytest

from siridb_fast import (
    BatchWriter,
    BufferFullError,
    Report,
    SpoolFullError,
)
from tests.fix_loop import eventually
from tests.fix_server import Database
from tests.fix_stores import (
    FIRST,
    LONG,
    POINTS,
    WAYS,
    Case,
    Filling,
    options_of,
)

pytestmark = pytest.mark.usefixtures("fast_retry", "small_stores")


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
