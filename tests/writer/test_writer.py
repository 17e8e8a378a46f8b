"""BatchWriter against a real server: every way in, and every point comes out again."""

import numpy as np
import pytest

from siridb_fast import BatchWriter, ColumnError, Report, WriterClosedError
from tests.fix_server import Database

FIRST = 1_600_000_000_000_000_000
SECOND = 1_000_000_000


def stamps(n: int) -> np.ndarray:
    return FIRST + np.arange(n, dtype=np.int64) * SECOND


async def stored(database: Database, name: str) -> tuple[list[int], list[object]]:
    async with database.client() as client:
        timestamps, values = (await client.query_arrays("select * from *"))[name]
        return timestamps.tolist(), values.tolist()


async def test_single_points_of_every_type_are_stored(database: Database) -> None:
    async with BatchWriter(database.url) as writer:
        for i in range(100):
            writer.write("float", FIRST + i, i / 2)
            writer.write("integer", FIRST + i, i)
            writer.write("text", FIRST + i, f"value {i}")
    expected = list(range(FIRST, FIRST + 100))
    assert await stored(database, "float") == (expected, [i / 2 for i in range(100)])
    assert await stored(database, "integer") == (expected, list(range(100)))
    assert await stored(database, "text") == (expected, [f"value {i}" for i in range(100)])


async def test_flush_reports_what_was_delivered(database: Database) -> None:
    async with database.client() as client, client.writer() as writer:
        for i in range(1000):
            writer.write(f"series {i % 10}", FIRST + i, float(i))
        report = await writer.flush()
        assert isinstance(report, Report)
        assert (report.points, report.packages, report.is_complete) == (1000, 1, True)
        assert (await writer.flush()).points == 0


@pytest.mark.parametrize("n", [1, 1000, 30_000, 120_001])
async def test_arrays_of_any_length_are_stored(database: Database, n: int) -> None:
    values = np.random.default_rng(n).normal(size=n)
    async with BatchWriter(database.url) as writer:
        delivery = await writer.write_arrays("a", stamps(n), values)
        await writer.flush()
        report = await delivery
    assert report.points == n
    assert await stored(database, "a") == (stamps(n).tolist(), values.tolist())


async def test_a_point_leaves_by_itself_when_linger_is_over(database: Database) -> None:
    async with BatchWriter(database.url, linger=0.05) as writer:
        delivery = await writer.write_arrays("a", stamps(1), np.array([1.5]))
        assert (await delivery).points == 1


async def test_what_cannot_be_sent_is_refused_at_the_call(database: Database) -> None:
    async with BatchWriter(database.url) as writer:
        writer.write("a", FIRST, 1.0)
        with pytest.raises(ColumnError, match=r"series 'a'.*-1"):
            writer.write("a", -1, 1.0)
    assert await stored(database, "a") == ([FIRST], [1.0])
    with pytest.raises(WriterClosedError):
        writer.write("a", FIRST, 1.0)
