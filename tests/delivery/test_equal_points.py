"""Equal points of several packages: each is stored as often as it was written, and so reported."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import siridb_fast.delivery.repeats
from siridb_fast import BatchWriter, packb
from siridb_fast.delivery.states import PackageState
from siridb_fast.spool.store import Spool
from siridb_fast.testing import FaultProxy
from tests.delivery.equal_model import EqualModel
from tests.fix_examples import examples
from tests.fix_loop import eventually
from tests.fix_server import Database

SECOND = 1_600_000_000
VALUES = {"integers": (7, 8), "floats": (0.0, 1.5), "texts": ("on", "ü")}
DIRECTIONS = ["requests", "answers"]  # of the way in nothing is stored then, of the way back all


@pytest.fixture
def seconds(make_database: Callable[..., Database]) -> Database:
    """Make a fresh database in seconds."""
    return make_database(time_precision="s")


@asynccontextmanager
async def writer_behind(
    proxy: FaultProxy, database: Database, **options: Any
) -> AsyncIterator[BatchWriter]:
    """Open a writer of one connection through a proxy."""
    url = database.url.replace(str(database.server.port), str(proxy.port))
    async with BatchWriter(url, connections=1, **options) as writer:
        yield writer


def proxy_of(database: Database) -> FaultProxy:
    return FaultProxy(database.server.host, database.server.port)


def cut(proxy: FaultProxy, direction: Any) -> None:
    """Cut the next package, or its answer."""
    proxy.cut(after=30 if direction == "requests" else 1, direction=direction)


async def held(database: Database) -> Counter[tuple[int, Any]]:
    async with database.client() as client:
        times, values = (await client.query_arrays("select * from 'a'"))["a"]
    return Counter(zip(times.tolist(), values.tolist(), strict=True))


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("kind", VALUES)
async def test_readings_of_one_second_are_stored_as_often_as_they_were_written(
    seconds: Database, direction: str, kind: str
) -> None:
    one, other = VALUES[kind]
    first, second = [one] * 5, [one] * 4 + [other] * 3
    with proxy_of(seconds) as proxy:
        async with writer_behind(proxy, seconds) as writer:
            for value in first:
                writer.write("a", SECOND, value)
            assert (await writer.flush(30)).points == 5
            cut(proxy, direction)
            for value in second:
                writer.write("a", SECOND, value)
            report = await writer.flush(60)
    assert (report.points, report.is_complete) == (7, True)
    assert await held(seconds) == Counter((SECOND, value) for value in first + second)


@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_constant_sensor_loses_no_reading_while_connections_are_cut_again_and_again(
    seconds: Database, direction: Any
) -> None:
    written: Counter[tuple[int, Any]] = Counter()
    with proxy_of(seconds) as proxy:
        async with writer_behind(proxy, seconds) as writer:
            for number in range(12):
                if number % 3 == 1:
                    cut(proxy, direction)
                for part in range(5):
                    at = SECOND + number // 4 + (part == 4)
                    at -= (part == 4) and number % 4 != 3  # each fourth goes into the next second
                    writer.write("a", at, 21)
                    written[at, 21] += 1
                assert (await writer.flush(60)).is_complete
    assert await held(seconds) == written


@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_columns_that_repeat_a_second_are_stored_as_often_as_they_were_given(
    seconds: Database, direction: str
) -> None:
    # Large ones, that go past the runs of their series; two packages of each, of one not sorted.
    times = np.sort(SECOND + np.arange(4000) // 1500)
    values = np.full(4000, 2.5)
    with proxy_of(seconds) as proxy:
        async with writer_behind(proxy, seconds, package_bytes=40_000) as writer:
            for shift, order in ((0, 1), (2, -1), (4, 1)):
                cut(proxy, direction)
                given = (times + shift).reshape(2, 2000)[:, ::order].ravel()
                delivery = await writer.write_arrays("a", given, values)
                assert (await delivery).is_complete
    expected = Counter((int(at) + shift, 2.5) for shift in (0, 2, 4) for at in times)
    assert await held(seconds) == expected


@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_point_that_goes_back_is_in_doubt_if_it_may_be_an_earlier_one(
    seconds: Database, direction: str
) -> None:
    # It is reported so where it is found; where it is not, it is sent again.
    with proxy_of(seconds) as proxy:
        async with writer_behind(proxy, seconds) as writer:
            for at in range(10):
                writer.write("a", SECOND + at, 1)
            await writer.flush(30)
            cut(proxy, direction)
            writer.write("a", SECOND + 4, 2)  # no equal one: but who knows?
            writer.write("a", SECOND + 20, 2)
            report = await writer.flush(60)
    expected = (2, 0) if direction == "requests" else (1, 1)
    assert (report.points, report.in_doubt_points) == expected
    assert (await held(seconds))[SECOND + 4, 2] == 1


async def test_late_points_of_other_times_than_before_are_not_in_doubt(seconds: Database) -> None:
    # From before all others, on and on beside newer ones: nothing was there.
    with proxy_of(seconds) as proxy:
        async with writer_behind(proxy, seconds) as writer:
            for at in (1000, 10, 1001, 20, 30, 1002):
                cut(proxy, "answers")
                for i in range(9):
                    writer.write("a", SECOND + 10 * at + i, 1)
                assert (await writer.flush(60)).is_complete
    assert set((await held(seconds)).values()) == {1}


async def test_package_of_a_spool_is_counted_beside_what_was_delivered_meanwhile(
    seconds: Database, tmp_path: Path
) -> None:
    # Its points are in doubt; this writer has equal ones in the same second.
    payload = packb({"a": [[SECOND, 3]] * 5})
    with Spool(tmp_path / "spool", dbname=seconds.name, time_precision="s") as spool:
        spool.put(payload, 5, is_sent=True)
    async with BatchWriter(seconds.url, spool=tmp_path / "spool") as writer:
        await eventually(lambda: writer.stats().spooled == 0, 30)
        for _ in range(5):
            writer.write("a", SECOND, 3)
        await writer.flush(30)
    assert await held(seconds) == {(SECOND, 3): 10}


async def test_readings_are_counted_when_the_server_is_killed_before_they_are_safe(
    fast_retry: None, own_database: Database
) -> None:
    own_database.server.create_database("seconds", time_precision="s")
    database = Database(own_database.server, "seconds")
    async with BatchWriter(database.url, durability="safe", linger=0.01) as writer:
        for round_ in range(3):
            for _ in range(5):
                writer.write("a", SECOND, 1)
            assert (await writer.flush(30)).points == 5
            database.server.pause()
            for _ in range(5):
                writer.write("a", SECOND, 1)
            await eventually(lambda: writer.stats().packages_in_flight == 1)
            database.server.kill()
            await asyncio.to_thread(database.server.start)
            assert (await writer.flush(60)).is_complete, round_
    assert await held(database) == {(SECOND, 1): 30}


# ---- what is remembered, and for how long

Runs = list[list[int]]  # the times of each

REMEMBERED: list[tuple[Runs, list[int], str]] = [
    ([[1], [2], [3]], [3], "exact"),
    ([[1], [1], [1]], [1], "exact"),
    ([[1] * 1300], [1], "exact"),
    ([[0] * 300 + [1] * 900], [1], "exact"),
    ([[1], [1], [1, 2], [2], [2]], [2], "exact"),
    ([[1], [1, 2], [2, 3], [3, 4]], [4], "exact"),
    ([[1], [5], [9]], [5], "unknown"),
    ([[10], [5, 10]], [10], "unknown"),
    ([[100], [0], [10], [20]], [30], "exact"),
    ([[100], [0], [10], [20]], [20], "unknown"),
    ([[100], [0], [50, 101]], [50], "unknown"),
    ([[100], [0], [50, 101], [101]], [101], "exact"),
    ([[100, 101], [0, 1], [99]], [50], "unknown"),
    ([[100], [50], [0]], [25], "unknown"),
]


@pytest.mark.parametrize("few_notes", [0, 64])
@pytest.mark.parametrize(("before", "run", "expected"), REMEMBERED)
def test_package_that_is_lost_after_others_is_found_missing_or_nobody_can_tell(
    before: Runs, run: list[int], expected: str, few_notes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # All others are delivered. Of a time that none of them has it is known, in any case.
    monkeypatch.setattr(siridb_fast.delivery.repeats, "FEW_NOTES", few_notes)
    model = EqualModel()
    for times in before:
        model.write([("a", at, 0) for at in times])
        model.send(0)
        model.answer(0, "ack")
    model.write([("a", at, 0) for at in run])
    model.send(0)
    model.answer(0, "vanished")
    model.look_up(0)
    is_there = any(at in run for times in before for at in times)
    unknown = is_there and expected == "unknown"
    assert model.by_fate[PackageState.UNKNOWN].total() == (len(run) if unknown else 0)
    model.finish()
    model.check(is_exact=not unknown)


def test_what_is_counted_at_a_timestamp_is_kept_for_the_package_that_goes_on_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(siridb_fast.delivery.repeats, "FEW_NOTES", 0)
    model = EqualModel()
    model.write_column("a", [(0, 0), (0, 1), (0, 1)])
    model.send(0)
    model.answer(0, "ack")
    model.write([("a", 0, 1), ("a", 1, 0)])
    model.send(0)
    model.answer(0, "vanished")
    model.finish()
    model.check(is_exact=True)


# ---- many orders of events

RUNS = 300
STEPS = 40
OUTCOMES = ["ack", "ack", "lost", "lost", "vanished", "vanished", "part", "refused"]
LOOKUPS = ["", "", "send", "ack", "lost"]


class Player:
    """Does with a model what a seed says; in order, or back and forth in time."""

    def __init__(self, model: EqualModel, seed: int, *, is_in_order: bool) -> None:
        self.model = model
        self.random = random.Random(seed)
        self.is_in_order = is_in_order
        self.newest = {"a": 0, "b": 0}
        self.fronts = [0, 100]  # old points are filled in beside new ones
        self.has_fronts = seed % 2 == 0
        self.values = self.random.choice([1, 2, 4])

    def play(self) -> None:
        """Do it, and let everything be answered in the end."""
        kinds = [self.write, self.write, self.column, self.send, self.send, self.answer]
        kinds += [self.answer, self.look_up, self.look_up, self.settle, self.disk, self.reach]
        kinds += [] if self.is_in_order else [self.inherit]
        for _ in range(STEPS):
            self.random.choice(kinds)()
        self.model.finish()

    def pairs(self, name: str) -> list[tuple[int, int]]:
        """Return timestamps, each with the number of a value."""
        n = self.random.randint(1, 4)
        if self.is_in_order:
            first = self.newest[name] + self.random.choice([0, 0, 0, 1])
            times = [first + self.random.choice([0, 0, 1]) for _ in range(n)]
        elif self.has_fronts:
            front = self.random.randrange(2)
            first = self.fronts[front] + self.random.choice([-1, 0, 0, 0, 1])
            times = [max(0, first + self.random.choice([0, 0, 1])) for _ in range(n)]
            self.fronts[front] = max(times)
        else:
            times = [self.random.randint(0, 12) for _ in range(n)]
        self.newest[name] = max(self.newest[name], *times)
        return [(at, self.random.randrange(self.values)) for at in times]

    def write(self) -> None:
        names = self.random.choice(["a", "a", "b", "ab"])
        self.model.write([(name, *pair) for name in names for pair in self.pairs(name)])

    def column(self) -> None:
        self.model.write_column("a", self.pairs("a") * self.random.choice([1, 1, 5]))

    def send(self) -> None:
        self.model.send(self.random.randrange(4))

    def reach(self) -> None:
        self.model.reach(self.random.randrange(4))

    def inherit(self) -> None:
        self.model.inherit("a", self.pairs("a"), is_stored=self.random.random() < 0.5)

    def answer(self) -> None:
        outcome = self.random.choice(OUTCOMES)
        self.model.answer(self.random.randrange(4), outcome, self.random.randrange(9))

    def look_up(self) -> None:
        number, other = self.random.randrange(4), self.random.randrange(4)
        self.model.look_up(number, self.random.choice(LOOKUPS), other)

    def settle(self) -> None:
        self.model.settle(self.random.randrange(4), is_kept=self.random.random() < 0.6)

    def disk(self) -> None:
        if self.random.random() < 0.5:
            self.model.leave_on_disk(self.random.randrange(4))
        else:
            self.model.recall()


@pytest.mark.parametrize("kind", [int, float, str])
@pytest.mark.parametrize("is_safe", [False, True])
def test_points_written_in_order_are_stored_as_often_as_they_were_written(
    kind: type, is_safe: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(siridb_fast.delivery.repeats, "FEW_NOTES", 0)  # tidy at every chance
    for seed in range(examples(RUNS)):
        model = EqualModel(kind, is_safe=is_safe)
        Player(model, seed, is_in_order=True).play()
        model.check(is_exact=True)


@pytest.mark.parametrize("max_idle", [1, 1000])  # series: others are forgotten
@pytest.mark.parametrize("max_notes", [3, 1000])
@pytest.mark.parametrize("is_safe", [False, True])
def test_points_in_any_order_are_in_doubt_rather_than_reported_wrongly(
    is_safe: bool, max_notes: int, max_idle: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(siridb_fast.delivery.repeats, "FEW_NOTES", 0)
    monkeypatch.setattr(siridb_fast.delivery.repeats, "MAX_NOTES", max_notes)
    in_doubt = 0
    for seed in range(examples(RUNS)):
        model = EqualModel(int, is_safe=is_safe, max_idle=max_idle)
        Player(model, seed, is_in_order=False).play()
        model.check(is_exact=False)
        in_doubt += model.in_doubt
    assert in_doubt
