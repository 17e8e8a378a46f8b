"""Points from many threads, and what other threads do in the middle of a call."""

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from siridb_fast import unpackb
from siridb_fast.batching._batch import Batch
from siridb_fast.batching._coalescer import Coalescer
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.writer._point_intake import PointIntake
from siridb_fast.writer._ticker import Ticker

THREADS = 8
POINTS = 6000  # of each thread
NAMES = [f"s{i}" for i in range(5)]


def intake(max_idle: int = 100, max_buffered: int = 1 << 24) -> PointIntake:
    coalescer = Coalescer(
        clock=lambda: 0.0,
        max_buffered=max_buffered,
        linger=0.0,
        package_bytes=5000,
        max_idle=max_idle,
    )
    coalescer.notify = lambda: None
    coalescer.open(1023)
    return PointIntake(coalescer, ColumnRules(), False)


def resolve_types(coalescer: Coalescer) -> None:
    for series in coalescer.take_unresolved():
        coalescer.resolve_type(series, None)


def take_all(coalescer: Coalescer, found: dict[str, list[Any]]) -> int:
    """Move what is pending into lists; return how many points there were."""
    points = 0
    batch = Batch()
    while coalescer.take(1.0, batch):
        for name, part in unpackb(batch.seal(), "utf-8").items():
            found.setdefault(name, []).extend(map(tuple, part))
        points += batch.points
        batch = Batch()
    return points


@pytest.fixture
def short_turns() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("short_turns")
def test_points_of_many_threads_leave_once_each() -> None:
    taker = intake()
    coalescer = taker._coalescer
    errors: list[BaseException] = []

    def write(thread: int) -> None:
        try:
            ticker = Ticker(taker, NAMES)
            for i in range(0, POINTS, 3 * len(NAMES)):
                value = thread * POINTS + i
                ticker.write(value, np.full(len(NAMES), float(value)))
                for k, name in enumerate(NAMES):
                    taker.write(name, value + k, np.float64(value))
                taker.write_tick(value, dict.fromkeys(NAMES, value * 1.0))
        except BaseException as exc:  # noqa: BLE001 - shown in the main thread
            errors.append(exc)

    threads = [threading.Thread(target=write, args=(i,)) for i in range(THREADS)]
    found: dict[str, list[Any]] = {}
    for thread in threads:
        thread.start()
    taken = 0
    while any(thread.is_alive() for thread in threads):
        resolve_types(coalescer)
        taken += take_all(coalescer, found)
    for thread in threads:
        thread.join()
    resolve_types(coalescer)
    taken += take_all(coalescer, found)
    assert not errors
    assert taken == coalescer.accepted == THREADS * POINTS
    assert (coalescer.points, coalescer.run_bytes) == (0, 0)
    for k, name in enumerate(NAMES):
        expected: Counter[tuple[int, float]] = Counter()
        for thread_number in range(THREADS):
            for i in range(0, POINTS, 3 * len(NAMES)):
                value = thread_number * POINTS + i
                expected[(value, float(value))] += 2
                expected[(value + k, float(value))] += 1
        assert Counter(found[name]) == expected


def test_a_point_that_comes_while_a_run_is_sorted_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    taker = intake()
    coalescer = taker._coalescer
    found: dict[str, list[Any]] = {}
    sort = np.argsort
    late = iter(range(100, 105))

    def sort_and_write(*arguments: Any, **options: Any) -> Any:
        for timestamp in late:
            taker.write("s", timestamp, 0.5)
            taker.write("t", timestamp, 0.5)
            break
        return sort(*arguments, **options)

    monkeypatch.setattr(np, "argsort", sort_and_write)
    for timestamp in (3, 2, 1):
        for name in ("s", "t"):
            taker.write(name, timestamp, 0.5)
    resolve_types(coalescer)
    assert take_all(coalescer, found) == coalescer.accepted
    assert coalescer.points == 0
    for points in found.values():
        assert sorted(t for t, _ in points) == [1, 2, 3, 100, 101, 102, 103, 104]


def test_points_wait_for_room_and_are_read_again_then() -> None:
    taker = intake(max_buffered=2000)
    coalescer = taker._coalescer
    found: dict[str, list[Any]] = {}
    waits: list[int] = []

    def make_room(need: int) -> None:
        waits.append(need)
        resolve_types(coalescer)
        take_all(coalescer, found)

    coalescer.on_blocked = make_room
    ticker = Ticker(taker, ["s", "t"])
    for i in range(500):
        taker.write("s", i, 0.5)
        ticker.write(i, np.array([0.5, 1.5]))
        taker.write("text", i, "x" * 100)
        assert coalescer.run_bytes <= coalescer.max_buffered
    ticker.write_block(np.arange(30), np.ones((30, 2)))
    make_room(0)
    assert len(waits) > 50
    assert {name: len(points) for name, points in found.items()} == {
        "s": 1030,
        "t": 530,
        "text": 500,
    }
    assert coalescer.run_bytes == 0


class Busy(float):
    """A value that makes many series when it is read."""

    taker: PointIntake

    def __float__(self) -> float:
        for i in range(50):
            self.taker.series(f"new {i}")
        return 1.5


def test_a_series_is_not_forgotten_while_a_point_of_it_is_read() -> None:
    taker = intake(max_idle=5)
    coalescer = taker._coalescer
    value = Busy(0)
    value.taker = taker
    for _ in range(20):
        taker.write("s", 1, 0.5)
        resolve_types(coalescer)
        take_all(coalescer, {})
        taker.write("s", 2, value)
        found: dict[str, list[Any]] = {}
        resolve_types(coalescer)
        assert take_all(coalescer, found) == 1
        assert found == {"s": [(2, 1.5)]}


def test_a_point_is_refused_that_found_room_only_when_all_was_closed() -> None:
    taker = intake(max_buffered=300)
    coalescer = taker._coalescer

    def close(_: int) -> None:
        if coalescer.is_closed:
            raise RuntimeError("closed")
        coalescer.close()
        for series in coalescer.pending_series():
            coalescer.drop(series)

    coalescer.on_blocked = close

    def write_on() -> None:
        for i in range(100):
            taker.write("s", i, 0.5)

    with pytest.raises(RuntimeError, match="closed"):
        write_on()
    assert (coalescer.points, coalescer.run_bytes) == (0, 0)


def test_points_that_come_while_others_are_cast_are_seen() -> None:
    taker = intake()
    coalescer = taker._coalescer
    taker.write("s", 1, 5)
    series = coalescer.series("s")
    assert coalescer.pending(series)[1] == [5]
    taker.write("s", 2, 6)
    coalescer.recast(series, "string", [b"5"])
    assert coalescer.type_of(series) == "integer"
    coalescer.recast(series, "float", np.array([5.0, 6.0]))
    assert coalescer.resolve_type(series, "float")
    found: dict[str, list[Any]] = {}
    take_all(coalescer, found)
    assert found == {"s": [(1, 5.0), (2, 6.0)]}
