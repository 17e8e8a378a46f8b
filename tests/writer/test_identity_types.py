"""Types of series that are not what a writer has learned: made by another, or made anew."""

import asyncio
import logging

import numpy as np
import pytest

from siridb_fast import BatchWriter, ColumnError, PointsChangedError
from siridb_fast.testing import FaultProxy, ScriptedServer
from siridb_fast.writer import series_types
from tests.delivery.held_inserts import scripted_writer
from tests.fix_loop import eventually
from tests.fix_scripted import INSERT, QUERY, HeldPackages
from tests.fix_server import Database

FIRST = 1_600_000_000_000_000_000
NAMES = [f"s{n}" for n in range(200)]
pytestmark = pytest.mark.usefixtures("fast_retry")


async def values_of(database: Database, name: str) -> list[object]:
    async with database.client() as client:
        answer = await client.query_arrays(f"select * from '{name}'")  # noqa: S608
        return answer[name][1].tolist() if name in answer else []


async def remake_series(database: Database, name: str, value: object) -> None:
    """Drop a series and make it again, as another client."""
    async with database.client() as client:
        await client.query(f"drop series '{name}' set ignore_threshold true")
        await client.insert({name: [[FIRST, value]]})


# ---- two writers that meet the same new series


async def test_points_that_the_server_converted_are_reported_as_changed(
    database: Database,
) -> None:
    integers, floats = (BatchWriter(database.url, linger=3600) for _ in range(2))
    await integers.open()
    await floats.open()
    for name in NAMES:
        integers.write(name, FIRST, 7)
        floats.write(name, FIRST + 1, 20.5)
    await eventually(
        lambda: integers.stats().typed_series == floats.stats().typed_series == len(NAMES)
    )
    assert (await integers.flush()).is_complete
    report = await floats.flush()
    assert (report.points, report.changed_points) == (0, len(NAMES))
    assert not report.is_complete
    errors = [failure.error for failure in report.changed]
    assert all(isinstance(error, PointsChangedError) for error in errors)
    assert {(error.sent, error.stored) for error in errors} == {("float", "integer")}  # type: ignore[attr-defined]
    assert {failure.series for failure in report.changed} == set(NAMES)
    assert {failure.fate for failure in report.changed} == {"changed"}
    assert [failure.values.tolist() for failure in report.changed] == [[20.5]] * len(NAMES)
    with pytest.raises(ColumnError, match=r"of type integer, the value 30\.5 is not"):
        floats.write("s0", FIRST + 2, 30.5)
    assert (floats.stats().changed, floats.stats().delivered) == (len(NAMES), 0)
    await integers.close()
    await floats.close()
    assert await values_of(database, "s0") == [7, 20]


async def test_delivery_of_an_array_tells_what_was_changed(database: Database) -> None:
    integers, floats = BatchWriter(database.url), BatchWriter(database.url, package_bytes=1000)
    await integers.open()
    await floats.open()
    integers.write("a", FIRST, 7)
    floats.write("a", FIRST, 0.5)  # asks for the type
    await eventually(lambda: integers.stats().typed_series == floats.stats().typed_series == 1)
    await integers.flush()
    delivery = await floats.write_arrays("a", FIRST + np.arange(40), np.full(40, 20.5))
    report = await delivery
    assert (report.points, report.changed_points + report.rejected_points) == (0, 40)
    await floats.close()
    await integers.close()


async def test_integers_in_a_new_series_of_floats_are_no_change(database: Database) -> None:
    integers, floats = (BatchWriter(database.url, linger=3600) for _ in range(2))
    await integers.open()
    await floats.open()
    integers.write("exact", FIRST, 7)
    integers.write("inexact", FIRST, 2**60 + 1)
    for name in ("exact", "inexact"):
        floats.write(name, FIRST + 1, 20.5)
    await eventually(lambda: integers.stats().typed_series == floats.stats().typed_series == 2)
    assert (await floats.flush()).is_complete
    report = await integers.flush()
    assert (report.points, report.changed_points) == (1, 1)
    assert report.changed[0].series == "inexact"
    integers.write("exact", FIRST + 2, 8)
    assert (await integers.close()).is_complete
    await floats.close()
    assert await values_of(database, "exact") == [7.0, 20.5, 8.0]


async def test_types_are_asked_again_once_for_all_new_series_and_never_for_known_ones() -> None:
    held = HeldPackages()
    async with ScriptedServer(held) as server, scripted_writer(server, linger=0) as writer:
        for name in NAMES:
            writer.write(name, FIRST, 1.5)
        types = [(await held.answer()).type for _ in range(3)]
        assert types == [QUERY, INSERT, QUERY]
        await writer.flush()
        for n in range(1, 4):
            for name in NAMES:
                writer.write(name, FIRST + n, 1.5)
            assert (await held.answer()).type == INSERT
            await writer.flush()
        assert held.packages.empty()


# ---- series that are made anew behind a writer


async def test_type_of_a_series_is_asked_again_now_and_then(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(series_types, "RECHECK_INTERVAL", 0.05)
    monkeypatch.setattr(series_types, "RECHECK_PAUSE", 0.0)
    async with BatchWriter(database.url) as writer:
        writer.write("a", FIRST, 1.5)
        await writer.flush()
        with caplog.at_level(logging.WARNING):
            await remake_series(database, "a", 7)
            await eventually(lambda: "is of type integer" in caplog.text)
        with pytest.raises(ColumnError, match="of type integer"):
            writer.write("a", FIRST + 1, 2.5)
    assert await values_of(database, "a") == [7]


async def test_type_of_a_series_is_asked_again_over_a_new_connection(
    database: Database, proxy: FaultProxy
) -> None:
    url = f"siridb://iris:siri@{proxy.host}:{proxy.port}/{database.name}?max_wait_retry=1"
    writer = BatchWriter(url, linger=3600)
    await writer.open()
    writer.write("a", FIRST, 1.5)
    writer.write("b", FIRST, 1.5)
    assert (await writer.flush()).is_complete
    writer.write("a", FIRST + 1, 2.5)  # waits in its run
    await asyncio.to_thread(proxy.refuse)
    await remake_series(database, "a", 7)
    await remake_series(database, "b", 7)
    await asyncio.to_thread(proxy.heal)
    report = await writer.flush()
    assert (report.points, report.rejected_points) == (0, 1)
    assert isinstance(report.rejected[0].error, ColumnError)
    writer.write("b", FIRST + 1, 3.5)  # is believed to be of floats, and asked for now
    await writer.flush()
    await writer.close()
    assert (await values_of(database, "a"), await values_of(database, "b")) == ([7], [7])


@pytest.mark.parametrize("on_type", ["error", "cast"])
async def test_package_that_waited_gets_the_type_that_its_series_has_by_now(
    database: Database, proxy: FaultProxy, on_type: str
) -> None:
    url = f"siridb://iris:siri@{proxy.host}:{proxy.port}/{database.name}?max_wait_retry=1"
    writer = BatchWriter(url, on_type=on_type, on_doubt="resend")  # type: ignore[arg-type]
    await writer.open()
    for name in ("a", "b"):
        writer.write(name, FIRST, 1.5)
    await writer.flush()
    await asyncio.to_thread(proxy.stall, 60)
    for name in ("a", "b"):
        writer.write(name, FIRST + 1, 2.5)
    delivery = await writer.write_arrays("a", [FIRST + 2, FIRST + 3], [3.5, 4.5])
    await eventually(lambda: writer.stats().packages_in_flight == 1)
    await asyncio.to_thread(proxy.refuse)  # what was sent is gone with the connection
    await remake_series(database, "a", 7)
    await asyncio.to_thread(proxy.heal)
    report = await writer.flush()
    is_cast = on_type == "cast"
    assert (report.points, report.rejected_points) == ((4, 0) if is_cast else (1, 3))
    assert (await delivery).points == (2 if is_cast else 0)
    assert [f.values.tolist() for f in report.rejected] == ([] if is_cast else [[2.5, 3.5, 4.5]])
    await writer.close()
    assert await values_of(database, "a") == ([7, 2, 3, 4] if is_cast else [7])
    assert await values_of(database, "b") == [1.5, 2.5]


async def test_series_that_its_own_client_drops_may_get_another_type(database: Database) -> None:
    async with database.client() as client, client.writer() as writer:
        writer.write("a", FIRST, 7)
        await writer.flush()
        await client.query("drop series 'a' set ignore_threshold true")
        await asyncio.sleep(0)  # the writer hears of it in its event loop
        writer.write("a", FIRST, 2.5)
        assert (await writer.flush()).is_complete
    assert await values_of(database, "a") == [2.5]
