"""Integer timestamps in another unit than the database's: one warning that names the unit.

All units are given to databases of all units, in every way in. What the warning advises is
followed then, and stores the right time.
"""

import logging
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from siridb_fast import SiriDBClient
from siridb_fast.columns.likely_times import LikelyTimes, likely_precision
from siridb_fast.columns.time_units import TimePrecision
from tests.commands import run_command
from tests.fix_server import Database
from tests.loading.load_runs import stored_points

SECONDS = 1_767_225_600  # 2026
README = Path(__file__).parents[2] / "README.md"
UNITS = ("s", "ms", "us", "ns")
PER_SECOND: dict[str, int] = {unit: 1000**number for number, unit in enumerate(UNITS)}

Make = Callable[..., Database]


def in_unit(unit: str) -> int:
    return SECONDS * PER_SECOND[unit]


async def write(client: SiriDBClient, time: Any) -> None:
    async with client.writer() as writer:
        for _ in range(3):
            writer.write("write", time, 1)
            await writer.flush()


async def write_tick(client: SiriDBClient, time: Any) -> None:
    async with client.writer() as writer:
        for _ in range(3):
            writer.write_tick(time, {"tick a": 1, "tick b": 1})
            await writer.flush()


async def write_arrays(client: SiriDBClient, time: Any) -> None:
    async with client.writer() as writer:
        for size in (3, 60_000):  # through the runs, and past them
            await writer.write_arrays("arrays", np.repeat(np.array([time]), size), np.ones(size))
            await writer.flush()


async def insert(client: SiriDBClient, time: Any) -> None:
    for _ in range(3):
        await client.insert({"insert": (np.array([time, time]), np.array([1, 2]))})


WAYS: list[Callable[[SiriDBClient, Any], Awaitable[None]]] = [
    write, write_tick, write_arrays, insert
]  # fmt: skip


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    caplog.clear()
    return found


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("precision", UNITS)
async def test_each_writer_and_client_warns_once_of_another_unit(
    make_database: Make, caplog: pytest.LogCaptureFixture, precision: str, way: Any
) -> None:
    database = make_database(time_precision=precision)
    for unit in UNITS:
        if precision == "s" and unit != "s":
            continue  # over 32 bits: refused
        async with database.client() as client:
            await way(client, in_unit(unit))
        found = warnings_of(caplog)
        assert len(found) == (unit != precision), (unit, found)
        for text in found:
            assert f"looks like a time in {unit}: " in text
            assert f"in {precision}" in text
    async with make_database(time_precision=precision).client() as client:  # as is advised
        await way(client, np.datetime64(SECONDS, "s"))
        await way(client, in_unit(precision))
        stored = await client.query_arrays("select * from *")
    assert {time for times, _ in stored.values() for time in times.tolist()} == {
        in_unit(precision)
    }
    assert warnings_of(caplog) == []


@pytest.mark.parametrize(("precision", "unit"), [("ms", "s"), ("ms", "ns"), ("ns", "us")])
def test_unit_that_a_load_advises_is_the_right_one(
    make_database: Make, tmp_path: Path, precision: str, unit: str
) -> None:
    database = make_database(time_precision=precision)
    path = tmp_path / "t.csv"
    path.write_text(f"time,v\n{in_unit(unit)},1\n{in_unit(unit) + 1},2\n")
    done = run_command("load", path, "--time", "time", url=database.url, code=2)
    text = " ".join(done.stderr.split())
    assert text.count("looks like a time") == 1
    assert f"--unit {unit})" in text
    with_unit = ["--unit", unit] + ["--floor"] * (PER_SECOND[unit] > PER_SECOND[precision])
    assert stored_points(database.url) == {}
    done = run_command("load", path, "--time", "time", *with_unit, url=database.url)
    assert "looks like" not in done.stderr
    assert (in_unit(precision), 1) in stored_points(database.url)["v"]


@pytest.mark.parametrize(("stored", "given", "real"), list(product(range(4), range(4), range(4))))
def test_load_with_a_wrong_unit_is_told_the_right_one(stored: int, given: int, real: int) -> None:
    times = LikelyTimes(UNITS[given], is_load=True)
    converted = SECONDS * 1000**real * 1000**stored // 1000**given
    times.note(converted, converted, stored)
    is_seen = likely_precision(converted) is not None
    if given == real or not is_seen:
        assert times.warning is None
    else:
        assert f"--unit {UNITS[real]})" in str(times.warning)


def test_times_of_no_unit_say_nothing() -> None:
    for precision in TimePrecision:
        times = LikelyTimes()
        for time in (0, 1, 1_000_000, 2**62, 5_000_000_000 * precision.per_second):
            times.note(time, time, precision)
        assert times.warning is None
    LikelyTimes().note(in_unit("s"), in_unit("ns"), None)  # nothing is known of the database


@pytest.mark.parametrize("precision", UNITS)
async def test_times_of_the_examples_are_right_in_every_database(
    make_database: Make, caplog: pytest.LogCaptureFixture, precision: str
) -> None:
    examples = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    written = re.findall(r"\.write\([^,]+, (.+?), [^,]+\)", "\n".join(examples))
    assert written == ["datetime.now(UTC)"] * 2
    async with make_database(time_precision=precision).client() as client:
        before = datetime.now(UTC).timestamp()
        async with client.writer(on_precision_loss="floor") as writer:
            writer.write("a", datetime.now(UTC), 21.5)
        found = await client.query_arrays("select * from 'a'")
    seconds = found["a"][0][0] / PER_SECOND[precision]
    assert int(before) <= seconds <= datetime.now(UTC).timestamp()
    assert warnings_of(caplog) == []
