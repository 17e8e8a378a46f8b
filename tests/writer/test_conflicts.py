"""`on_conflict="refuse"`: another value at the time of a stored one is refused, and named."""

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from siridb_fast import BatchWriter, ConfigError, ConflictError, DeadLetters, SpoolOptions
from tests.fix_examples import examples
from tests.fix_loop import eventually
from tests.fix_server import Database

FIRST = 1_700_000_000_000_000_000


def refuses(url: str, **options: Any) -> BatchWriter:
    settings: dict[str, Any] = {"late": "compare", "on_conflict": "refuse", "linger": 0.01}
    return BatchWriter(url, **(settings | options))


async def stored(database: Database) -> dict[str, list[list[Any]]]:
    async with database.client() as client:
        found: dict[str, list[list[Any]]] = await client.query("select * from *")
    return found


def test_what_it_takes_and_what_it_needs() -> None:
    url = "siridb://iris:siri@localhost/db"
    with pytest.raises(ConfigError, match=r"on_conflict is one of 'keep', 'refuse', got 'drop'"):
        BatchWriter(url, late="compare", on_conflict="drop")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"on_conflict='refuse' needs late='compare'"):
        BatchWriter(url, on_conflict="refuse")


@pytest.mark.parametrize(
    ("first", "other"), [(1.5, 2.5), (1, 2), ("one", "two")], ids=["float", "integer", "text"]
)
async def test_other_value_is_refused_with_both_values(
    database: Database, first: Any, other: Any
) -> None:
    async with refuses(database.url) as writer:
        writer.write("a", FIRST, first)
        await writer.flush()
        for value in (other, first):
            writer.write("a", FIRST, value)
        report = await writer.flush()
        late = writer.stats().late
    assert await stored(database) == {"a": [[FIRST, first]]}
    assert (report.points, report.rejected_points) == (1, 1)
    (failure,) = report.rejected
    assert isinstance(failure.error, ConflictError)
    assert (failure.series, failure.timestamps.tolist(), failure.values.tolist()) == (
        "a", [FIRST], [other],
    )  # fmt: skip
    assert failure.error.stored == [first]
    assert str(failure.error) == (
        f"series 'a': at {FIRST} it has {first!r}, so {other!r} is refused (on_conflict='refuse')"
    )
    assert late is not None
    assert (late.compared, late.already_stored, late.beside, late.refused) == (2, 1, 0, 1)


async def test_first_of_a_run_is_stored_and_the_other_is_refused(database: Database) -> None:
    async with refuses(database.url) as writer:
        for value in (9.5, 1.5, 9.5, 12.5):
            writer.write("a", FIRST, value)
        report = await writer.flush()
    assert await stored(database) == {"a": [[FIRST, 9.5]]}
    assert (report.points, report.rejected_points) == (2, 2)


async def test_kept_values_of_one_run_are_counted(database: Database) -> None:
    async with refuses(database.url, on_conflict="keep") as writer:
        for value in (9.5, 1.5, 9.5, 12.5):
            writer.write("a", FIRST, value)
        report = await writer.flush()
        late = writer.stats().late
    assert sorted((await stored(database))["a"]) == [[FIRST, v] for v in (1.5, 9.5, 12.5)]
    assert (report.points, report.rejected_points) == (4, 0)
    assert late is not None
    assert (late.beside, late.already_stored, late.refused) == (2, 1, 0)


async def test_delivery_and_on_error_name_the_points_of_a_column(database: Database) -> None:
    failures: list[Any] = []
    times = FIRST + np.arange(1_000)
    async with refuses(database.url, on_error=failures.append) as writer:
        await (await writer.write_arrays("a", times, np.arange(1_000) / 2))
        others = np.arange(1_000) / 2
        others[::10] += 0.25
        report = await (await writer.write_arrays("a", times, others))
        assert (await writer.flush()).rejected_points == 100
    assert (report.points, report.rejected_points) == (900, 100)
    assert sum(one.points for one in failures) == 100
    for one in failures:
        index = one.timestamps - FIRST
        assert one.error.timestamps == one.timestamps.tolist()
        assert one.error.stored == (index / 2).tolist()
        assert one.values.tolist() == (index / 2 + 0.25).tolist()


@pytest.mark.parametrize("name", ["letters.ndjson", "letters.parquet"])
async def test_dead_letters_name_both_values(
    database: Database, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    letters = DeadLetters(path)
    async with refuses(database.url, on_error=letters) as writer:
        for value in (0.5, 1.5):
            await (await writer.write_arrays("a", [FIRST, FIRST + 1], [value, value + 5]))
        assert (await writer.flush()).rejected_points == 2
    letters.close()
    if path.suffix == ".parquet":
        from pyarrow.parquet import read_table

        rows = read_table(path).to_pylist()
    else:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(row["value_float"], row["error"]) for row in rows] == [
        (1.5, "ConflictError"), (6.5, "ConflictError"),
    ]  # fmt: skip
    assert [row["reason"] for row in rows] == [
        f"series 'a': at {FIRST + n} it has {was}, so {now} is refused (on_conflict='refuse')"
        for n, was, now in ((0, 0.5, 1.5), (1, 5.5, 6.5))
    ]


@pytest.mark.parametrize("seed", range(examples(4)))
async def test_of_each_time_exactly_one_value_is_stored(database: Database, seed: int) -> None:
    chance = random.Random(seed)
    written: dict[tuple[str, int], set[float]] = {}
    async with refuses(database.url) as writer:
        for _ in range(40):
            for _ in range(chance.randrange(1, 80)):
                key = f"s{chance.randrange(4)}", FIRST + chance.randrange(60)
                value = float(chance.randrange(3))
                written.setdefault(key, set()).add(value)
                writer.write(*key, value)
            await asyncio.sleep(chance.choice([0, 0, 0.02]))
        report = await writer.flush()
        stats = writer.stats()
    found = await stored(database)
    points = [(name, at, value) for name, some in found.items() for at, value in some]
    assert len(points) == len(written)
    assert all(value in written[name, at] for name, at, value in points)
    assert report.points + report.rejected_points == stats.written
    assert stats.late is not None
    assert stats.late.refused == report.rejected_points > 0
    assert len(points) == report.points - stats.late.already_stored


async def test_points_that_waited_on_disk_are_refused_too(
    own_database: Database, tmp_path: Path
) -> None:
    spool = SpoolOptions(tmp_path / "spool")
    async with refuses(own_database.url, spool=spool, delivery_timeout=0.5) as writer:
        writer.write("a", FIRST, 1.5)
        await writer.flush()
        own_database.server.stop()
        for value in (2.5, 1.5):
            writer.write("a", FIRST, value)
        writer.write("a", FIRST + 1, 7.5)
        await eventually(lambda: writer.stats().spooled == 3)
        own_database.server.start()
        await eventually(lambda: writer.stats().spooled == 0)
        report = await writer.flush()
    assert await stored(own_database) == {"a": [[FIRST, 1.5], [FIRST + 1, 7.5]]}
    assert report.rejected_points == 1
    (failure,) = report.rejected
    assert isinstance(failure.error, ConflictError)
    assert (failure.error.values, failure.error.stored) == ([2.5], [1.5])
