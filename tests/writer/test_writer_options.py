"""The options of a writer, and the small parts of it that need no server."""

import asyncio
import threading
from typing import Any

import pytest

from siridb_fast import (
    BatchWriter,
    ColumnError,
    ConfigError,
    ConnectionLost,
    InsertError,
    WriterClosedError,
)
from siridb_fast.concurrency.waiting import Waiters
from siridb_fast.delivery.report import Delivery, Failure, OpenDelivery, Report, Tally
from siridb_fast.testing import wait_until
from siridb_fast.writer.admission import even_run

URL = "siridb://iris:secret-word@localhost/db"
BAD_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"linger": -1}, "linger is 0 to 3600 seconds, got -1"),
    ({"linger": True}, "linger"),
    ({"linger": "1"}, "linger"),
    ({"linger": float("nan")}, "linger"),
    ({"delivery_timeout": 0}, "delivery_timeout"),
    ({"max_buffered": 1000}, "max_buffered is an integer from 1,048,576"),
    ({"max_buffered": 2.0**30}, "max_buffered"),
    ({"max_buffered": 1 << 20}, "four times package_bytes"),
    ({"package_bytes": 999}, "package_bytes"),
    ({"package_bytes": 41_943_040}, "package_bytes"),
    ({"connections": 0}, "connections"),
    ({"window": 65}, "window"),
    ({"window": 1.0}, "window"),
    ({"buffer_size": 0}, "buffer_size"),
    ({"max_idle_series": 0}, "max_idle_series"),
    ({"on_full": "spill"}, "on_full is one of 'wait', 'raise'"),
    ({"on_doubt": "maybe"}, "on_doubt"),
    ({"on_type": "ignore"}, "on_type"),
    ({"on_missing": "ignore"}, "on_missing"),
    ({"on_precision_loss": "round"}, "on_precision_loss"),
    ({"time_precision": 9}, "time_precision"),
    ({"on_delivery": 1}, "on_delivery is a function"),
    ({"on_error": "print"}, "on_error is a function"),
    ({"lingre": 1}, "no option 'lingre'"),
]


@pytest.mark.parametrize(("options", "text"), BAD_OPTIONS)
def test_option_that_makes_no_sense_is_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        BatchWriter(URL, **options)


def test_url_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigError, match="starts with"):
        BatchWriter("localhost")


def test_repr_shows_no_password() -> None:
    assert repr(BatchWriter(URL)) == "<BatchWriter to 'db' at localhost:9000: new>"


async def test_writer_that_is_not_open_takes_nothing() -> None:
    writer = BatchWriter(URL)
    for call in (
        lambda: writer.write("a", 1, 1.0),
        lambda: writer.write_tick(1, {"a": 1.0}),
        lambda: writer.series("a").append(1, 1.0),
        lambda: writer.ticker(["a"]).write(1, [1.0]),
        lambda: writer.ticker(["a"]).write_block([1], [[1.0]]),
        writer.stats,
    ):
        with pytest.raises(WriterClosedError, match="not open yet"):
            call()
    for awaited in (writer.flush(), writer.write_arrays("a", [1], [1.0])):
        with pytest.raises(WriterClosedError, match="not open yet"):
            await awaited
    assert (await writer.close()).points == 0
    with pytest.raises(WriterClosedError):
        await writer.open()


@pytest.mark.parametrize(
    ("points", "size", "part"),
    [
        (1, 30, 1),
        (100, 1000, 100),
        (100, 1001, 50),
        (101, 1500, 51),
        (100, 100_000, 1),
        (100_000, 1000, 25_000),
        (100_001, 1000, 20_001),
    ],
)
def test_a_long_column_is_cut_in_even_parts(points: int, size: int, part: int) -> None:
    assert even_run(points, size, package_bytes=1000) == part


def test_report_tells_what_was_not_delivered() -> None:
    tally = Tally(since=1.0)
    tally.add_package(10, 190)
    assert tally.report(3.0) == Report(10, 1, 190, 2.0)
    assert str(tally.report(3.0)) == "10 points delivered in 1 packages"
    tally.add_failure(Failure("a", 3, InsertError("no")), in_doubt=False)
    tally.add_failure(Failure("b", 4, ConnectionLost("gone")), in_doubt=True)
    report = tally.report(3.0)
    assert not report.is_complete
    assert (report.rejected_points, report.in_doubt_points) == (3, 4)
    assert "3 not delivered, first 3 points of series 'a': no" in str(report)
    assert "4 in doubt, first 4 points of series 'b': gone" in str(report)


def test_report_lists_a_thousand_failures_and_counts_all() -> None:
    tally = Tally(since=0.0)
    for i in range(1500):
        tally.add_failure(Failure(f"s{i}", 2, ColumnError("no")), in_doubt=False)
    report = tally.report(1.0)
    assert (len(report.rejected), report.rejected_points) == (1000, 3000)


async def test_delivery_is_done_once_the_fate_of_all_its_points_is_known() -> None:
    opened = OpenDelivery(asyncio.get_running_loop().create_future, 0.0)
    delivery = opened.handle
    opened.expect(5)
    opened.add_delivered(3, 57, 1.0)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(_report(delivery), 0.01)
    opened.seal(2.0)
    waiting = [asyncio.ensure_future(_report(delivery)) for _ in range(2)]
    await asyncio.sleep(0)
    opened.add_failure(Failure("a", 2, InsertError("no")), 3.0)
    reports = await asyncio.gather(*waiting)
    assert delivery.is_done
    assert {(r.points, r.rejected_points, r.seconds) for r in reports} == {(3, 2, 3.0)}
    assert await delivery is reports[0]


async def _report(delivery: Delivery) -> Report:
    return await delivery


async def test_gate_lets_go_those_whose_wait_is_over() -> None:
    notified: list[None] = []
    gate = Waiters(asyncio.get_running_loop(), lambda: notified.append(None))
    things: list[int] = []
    first = asyncio.ensure_future(gate.wait_until(lambda: bool(things)))
    second = asyncio.ensure_future(gate.wait_until(lambda: len(things) > 1))
    await asyncio.sleep(0)
    assert len(notified) == 2  # that somebody waits
    things.append(1)
    gate.wake()
    await first
    assert not second.done()
    gate.end(WriterClosedError("closed"))
    with pytest.raises(WriterClosedError):
        await second


async def test_gate_lets_threads_go_at_a_look() -> None:
    gate = Waiters(asyncio.get_running_loop(), lambda: None)
    has_room = threading.Event()
    thread = threading.Thread(target=lambda: gate.wait_in_thread(has_room.is_set))
    thread.start()
    has_room.set()

    def is_gone() -> bool:
        gate.wake()
        return not thread.is_alive()

    wait_until(is_gone, timeout=5, what="the end of the thread")
