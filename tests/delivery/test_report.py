"""What a report says, and when a delivery has its own; no server is needed."""

import asyncio

import pytest

from siridb_fast import ColumnError, ConnectionLost, InsertError, PointsChangedError
from siridb_fast.delivery.report import Delivery, Failure, OpenDelivery, Report, Tally


def test_report_says_what_was_not_delivered() -> None:
    tally = Tally(since=1.0)
    tally.add_package(10, 190)
    assert tally.report(3.0) == Report(10, 1, 190, 2.0)
    assert str(tally.report(3.0)) == "10 points delivered in 1 packages"
    tally.add_failure(Failure("a", 3, InsertError("no")))
    tally.add_failure(Failure("b", 4, ConnectionLost("gone"), fate="in_doubt"))
    report = tally.report(3.0)
    assert not report.is_complete
    assert (report.rejected_points, report.in_doubt_points) == (3, 4)
    assert "3 not delivered, first 3 points of series 'a': no" in str(report)
    assert "4 in doubt, first 4 points of series 'b': gone" in str(report)


@pytest.mark.parametrize("name", ["a", "it's", "long" * 50])
def test_failure_names_its_series_once(name: str) -> None:
    for error in (
        InsertError("no"),
        ColumnError("no"),
        ColumnError("no", series=name),
        ColumnError("no", series=name, index=3),
        PointsChangedError("no", series=name, sent="integer", stored="float"),
    ):
        text = str(Failure(name, 3, error))
        assert text.startswith(f"3 points of series {name!r:.80}"[:100])
        assert text.count("series ") == 1
        assert text.endswith(": no")


def test_report_lists_a_thousand_failures_and_counts_all() -> None:
    tally = Tally(since=0.0)
    for i in range(1500):
        tally.add_failure(Failure(f"s{i}", 2, ColumnError("no")))
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
    opened.add_failure(Failure("a", 2, InsertError("no")), 2, 3.0)
    reports = await asyncio.gather(*waiting)
    assert delivery.is_done
    assert {(r.points, r.rejected_points, r.seconds) for r in reports} == {(3, 2, 3.0)}
    assert await delivery is reports[0]


async def _report(delivery: Delivery) -> Report:
    return await delivery
