"""A failure gives back its points: what was to be stored, in bounded memory."""

import asyncio
import pickle
from typing import Any

import numpy as np
import pytest

from siridb_fast import NANOSECOND, BatchWriter, ColumnError, Failure, InsertError, SiriDBError
from siridb_fast.batching._series import Series
from siridb_fast.columns._points import PointColumn
from siridb_fast.columns.column import point_column
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.delivery import report as reports
from siridb_fast.delivery.kept_points import GivenPoints, SentPoints, failure_of
from siridb_fast.delivery.report import OpenDelivery, Tally
from siridb_fast.testing import ScriptedServer
from siridb_fast.writer.column_intake import open_delivery
from tests.delivery.held_inserts import INSERT_REFUSED, HeldInserts, scripted_writer
from tests.fix_loop import eventually
from tests.fix_server import Database

FIRST = 1_600_000_000_000_000_000
VALUES: dict[str, list[Any]] = {
    "f": [0.5, -0.0, 1e300],
    "i": [2**63 - 1, -(2**63), 0],
    "t": ["", "ü", "x" * 300],
}


def points_of(failure: Failure) -> list[tuple[int, Any]]:
    """Return the points of a failure, once their arrays are what they have to be."""
    timestamps, values = failure.timestamps, failure.values
    assert [one.tolist() for one in failure.arrays()] == [timestamps.tolist(), values.tolist()]
    assert timestamps.dtype == np.int64
    assert values.dtype in (np.int64, np.float64, object)
    assert timestamps.shape == values.shape == (failure.points,)
    return list(zip(timestamps.tolist(), values.tolist(), strict=True))


def given(values: list[Any], first: int = FIRST) -> list[tuple[int, Any]]:
    return [(first + k, value) for k, value in enumerate(values)]


def all_given() -> dict[str, list[tuple[int, Any]]]:
    return {name: given(values) for name, values in VALUES.items()}


def write_all(writer: BatchWriter) -> None:
    for name, points in all_given().items():
        for point in points:
            writer.write(name, *point)


# ---- where they come from


async def test_points_that_the_server_refused_come_back() -> None:
    held, heard = HeldInserts(), list[Failure]()
    async with (
        ScriptedServer(held) as server,
        scripted_writer(server, on_error=heard.append) as writer,
    ):
        write_all(writer)
        flushing = asyncio.ensure_future(writer.flush())
        for _ in range(5):  # all, and then its parts until each series is alone
            await held.refuse(INSERT_REFUSED)
        report = await flushing
        assert {f.series: points_of(f) for f in report.rejected} == all_given()
        assert {f.series: points_of(f) for f in heard} == all_given()
        assert {f.fate for f in heard} == {"rejected"}
        assert all(isinstance(f.error, InsertError) for f in heard)


async def test_points_whose_package_got_no_answer_come_back_as_in_doubt() -> None:
    heard: list[Failure] = []
    async with ScriptedServer(HeldInserts()) as server:
        writer = scripted_writer(server, linger=0, on_error=heard.append)
        await writer.open()
        write_all(writer)
        await eventually(lambda: writer.stats().packages_in_flight == 1)
        report = await writer.close(timeout=0.05)
    assert {f.series: points_of(f) for f in report.in_doubt} == all_given()
    assert {f.fate for f in heard} == {"in_doubt"}


async def test_points_that_were_in_no_package_yet_come_back() -> None:
    async with ScriptedServer(HeldInserts()) as server:
        writer = scripted_writer(server, linger=60)
        await writer.open()
        writer.write("f", FIRST, 0.5)
        flushing = asyncio.ensure_future(writer.flush())  # the only package that the window takes
        await eventually(lambda: writer.stats().packages_in_flight == 1)
        flushing.cancel()
        write_all(writer)
        report = await writer.close(timeout=0.05)
    assert {f.series: points_of(f) for f in report.rejected} == all_given()


@pytest.mark.parametrize("name", VALUES)
async def test_points_of_another_type_than_their_series_come_back(
    database: Database, name: str
) -> None:
    other: float | str = "text" if name != "t" else 1.5
    database.server.api.insert(database.name, {name: [(FIRST, other)]})
    writer = BatchWriter(database.url)
    await writer.open()
    for point in given(VALUES[name]):
        writer.write(name, *point)  # the writer asks for the type only now
    (failure,) = (await writer.close()).rejected
    assert isinstance(failure.error, ColumnError)
    assert points_of(failure) == given(VALUES[name])
    assert failure.time_precision == NANOSECOND


async def test_points_of_a_column_that_waited_for_room_come_back(database: Database) -> None:
    """Its series has got another type meanwhile; then its arrays are the caller's again."""

    def refuse(_: Series, column: PointColumn) -> PointColumn:
        raise ColumnError("another type", series=column.name)

    async with BatchWriter(database.url) as writer:
        writer.write("a", FIRST, 1)
        timestamps, values = np.array([FIRST + 1, FIRST + 2]), np.array([0.5, 1.5])
        column = point_column("a", timestamps, values, ColumnRules())
        assert writer._engine is not None
        series, delivery = writer._coalescer.series("a"), open_delivery()
        await writer._engine.admission.append(series, column, delivery, refuse)
        timestamps[:], values[:] = 0, 99.0
        delivery.seal(0.0)
        for report in (await delivery.handle, await writer.flush()):
            (failure,) = report.rejected
            assert points_of(failure) == [(FIRST + 1, 0.5), (FIRST + 2, 1.5)]


# ---- what is kept, and where


async def test_delivery_has_its_points_if_no_others_are_among_them() -> None:
    held = HeldInserts()
    async with ScriptedServer(held) as server, scripted_writer(server) as writer:
        alone = await writer.write_arrays("alone", [FIRST], [0.5])
        mixed = await writer.write_arrays("mixed", [FIRST], [0.5])
        writer.write("mixed", FIRST + 1, 1.5)
        flushing = asyncio.ensure_future(writer.flush())
        for _ in range(3):
            await held.refuse(INSERT_REFUSED)
        report = await flushing
        assert points_of((await alone).rejected[0]) == [(FIRST, 0.5)]
        (failure,) = (await mixed).rejected
        assert (failure.points, failure.has_points) == (1, False)
        with pytest.raises(SiriDBError, match="1 points of series 'mixed' are not kept"):
            print(failure.timestamps)
        assert {f.series: f.points for f in report.rejected} == {"alone": 1, "mixed": 2}
        assert all(f.has_points for f in report.rejected)


def test_report_keeps_the_points_of_the_first_failures_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reports, "KEPT_BYTES", 100)
    tally = Tally(since=0.0)
    failures = [failure_of("a", np.arange(3), np.arange(3.0), ColumnError("no")) for _ in "abc"]
    for failure in failures:  # 48 bytes each
        tally.add_failure(failure)
    report = tally.report(1.0)
    assert [failure.has_points for failure in report.rejected] == [True, True, False]
    assert report.rejected_points == 9
    assert all(failure.has_points for failure in failures)  # as those who were called have them


def test_tally_that_is_never_reported_keeps_no_failure() -> None:
    tally = Tally(since=0.0, lists=False)
    tally.add_failure(failure_of("a", np.arange(3), np.arange(3.0), ColumnError("no")))
    assert (tally.rejected, tally.kept_bytes, tally.rejected_points) == ([], 0, 3)


async def test_a_part_of_a_failure_is_without_points() -> None:
    opened = OpenDelivery(asyncio.get_running_loop().create_future, 0.0)
    opened.expect(2)
    opened.seal(0.0)
    failure = failure_of("a", np.arange(3), np.arange(3.0), ColumnError("no"))
    opened.add_failure(failure, 2, 1.0)
    (part,) = (await opened.handle).rejected
    assert (part.points, part.has_points) == (2, False)


@pytest.mark.parametrize(
    ("points", "size"),
    [
        (GivenPoints(np.arange(3), np.arange(3.0)), 48),
        (GivenPoints(np.arange(2), [b"a", b"bcd"]), 16 + 84),
        (GivenPoints(np.arange(1), np.array(["abc"], object)), 8 + 43),
        (SentPoints(b"\xfd\x81a\xfc\xef\x01\x02\xfe"), 8),
    ],
)
def test_memory_of_kept_points_is_counted(points: Any, size: int) -> None:
    assert points.size == size
    assert len(points.arrays()[0]) == len(points.arrays()[1]) > 0


def test_given_texts_are_what_they_say() -> None:
    failure = failure_of("a", np.arange(2), ["ü".encode(), b"\xff"], ColumnError("no"))
    assert points_of(failure) == [(0, "ü"), (1, b"\xff")]


def test_failure_is_pickled_with_its_points() -> None:
    for kept in (
        SentPoints(b"\xfd\x81a\xfc\xef\x01\x02\xfe"),
        GivenPoints(np.array([1]), np.array([2])),
    ):
        failure = pickle.loads(pickle.dumps(Failure("a", 1, ColumnError("no"), kept, "in_doubt")))  # noqa: S301
        assert points_of(failure) == [(1, 2)]
        assert failure.fate == "in_doubt"
