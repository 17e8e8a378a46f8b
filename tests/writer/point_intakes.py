"""What tests of the intake share: an intake that nothing leaves, and every way in."""

from collections.abc import Callable
from typing import Any

import pytest

from siridb_fast import ColumnError
from siridb_fast.batching._coalescer import Coalescer
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.columns.time_units import NANOSECOND
from siridb_fast.writer._point_intake import PointIntake
from siridb_fast.writer._ticker import Ticker

Call = Callable[[PointIntake, Any, Any], None]


def intake(*, casts: bool = False, max_buffered: int = 1 << 22, **rules: Any) -> PointIntake:
    coalescer = Coalescer(
        clock=lambda: 0.0,
        max_buffered=max_buffered,
        linger=1.0,
        package_bytes=10_000,
        max_idle=100,
    )
    coalescer.notify = lambda: None
    coalescer.open(1023)
    return PointIntake(coalescer, ColumnRules(**{"time_precision": NANOSECOND} | rules), casts)


def stored(taker: PointIntake, name: str) -> list[tuple[int, Any]]:
    timestamps, values = taker._coalescer.pending(taker._coalescer.series(name))
    items = values if isinstance(values, list) else values.tolist()
    return list(zip(timestamps.tolist(), items, strict=True))


def by_write(taker: PointIntake, timestamp: Any, value: Any) -> None:
    taker.write("s", timestamp, value)


def by_handle(taker: PointIntake, timestamp: Any, value: Any) -> None:
    taker.series("s").append(timestamp, value)


def by_tick(taker: PointIntake, timestamp: Any, value: Any) -> None:
    taker.write_tick(timestamp, {"s": value, "other": 1.5})


def by_ticker(taker: PointIntake, timestamp: Any, value: Any) -> None:
    Ticker(taker, ["s", "other"]).write(timestamp, [value, 1.5])


WAYS = [by_write, by_handle, by_tick, by_ticker]
ways = pytest.mark.parametrize("way", WAYS)


def with_earlier_points(**options: Any) -> PointIntake:
    taker = intake(**options)
    for name, value in {"s": 0.5, "whole": 7, "text": "x", "other": 2.5}.items():
        taker.write(name, 1, value)
    return taker


def check_refused(
    taker: PointIntake,
    call: Callable[[], None],
    reason: str,
    series: str | None,
    index: int | None,
) -> None:
    """Check that a call is refused with this reason, and that nothing of it was taken."""
    coalescer = taker._coalescer
    before = coalescer.points, coalescer.accepted, coalescer.run_bytes
    with pytest.raises(ColumnError, match=reason) as caught:
        call()
    assert (caught.value.series, caught.value.index) == (series, index)
    assert (coalescer.points, coalescer.accepted, coalescer.run_bytes) == before
    for name, value in {"s": 0.5, "whole": 7, "text": b"x", "other": 2.5}.items():
        assert stored(taker, name) == [(1, value)]


def shown(argument: object) -> str:
    """Return a short name of a parameter."""
    return type(argument).__name__ if not isinstance(argument, str) else argument[:20]
