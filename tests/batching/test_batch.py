"""A package that knows its series is cut without encoding anything again, and keeps its books."""

import gc
import weakref
from collections.abc import Iterator
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siridb_fast import ColumnError, unpackb
from siridb_fast.batching._append import append_column
from siridb_fast.batching._batch import Batch
from siridb_fast.batching._coalescer import Coalescer
from siridb_fast.columns._points import PointColumn
from siridb_fast.columns.column import point_column
from siridb_fast.columns.rules import ColumnRules
from tests.fix_examples import examples
from tests.protocol.reference_qpack import pack_double, pack_int, pack_raw

RULES = ColumnRules()
FIRST = 10**18


def column(name: str, n: int) -> PointColumn:
    return point_column(name, FIRST + np.arange(n), np.arange(n) + 0.5, RULES)


def raw_series(name: str, n: int) -> bytes:
    """Return the bytes of such a column, by the reference encoder's primitives."""
    points = [b"\xef" + pack_int(FIRST + i) + pack_double(i + 0.5) for i in range(n)]
    return pack_raw(name.encode()) + b"\xfc" + b"".join(points) + b"\xfe"


def raw_package(lengths: dict[str, int]) -> bytes:
    return b"\xfd" + b"".join(raw_series(*pair) for pair in lengths.items()) + b"\xff"


def batch_of(lengths: dict[str, int]) -> Batch:
    batch = Batch()
    for name, n in lengths.items():
        batch.append_column(column(name, n), 0, n)
    return batch


def cut(batch: Batch) -> Iterator[Batch]:
    """Yield the batches of single series, in order."""
    if len(batch) <= 1:
        yield batch
        return
    for half in batch.halves():
        yield from cut(half)


def test_an_empty_batch_is_an_empty_map() -> None:
    batch = Batch()
    assert (len(batch), batch.points, batch.oldest, batch.series()) == (0, 0, inf, [])
    assert bytes(batch.seal()) == b"\xfd\xff"


def test_the_payload_of_one_series_in_full() -> None:
    batch = batch_of({"s": 2})
    first = "ef eb 0000 64a7 b3b6 e00d ec 0000 0000 0000 e03f"
    second = "ef eb 0100 64a7 b3b6 e00d ec 0000 0000 0000 f83f"
    assert bytes(batch.seal()) == bytes.fromhex(f"fd 81 73 fc {first} {second} fe ff")


def test_a_batch_knows_its_series_and_their_points() -> None:
    lengths = {"b": 3, "a": 1, "ü": 70, "x" * 300: 2}
    batch = batch_of(lengths)
    assert batch.names == list(lengths)
    assert batch.series() == list(lengths.items())
    assert (batch.points, len(batch)) == (76, 4)
    assert batch.size == len(raw_package(lengths)) - 1
    assert bytes(batch.seal()) == raw_package(lengths)
    assert repr(batch) == "<Batch of 76 points of 4 series>"


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=120).filter(
            lambda name: "\0" not in name and name.isprintable()
        ),
        st.integers(1, 40),
        min_size=1,
        max_size=20,
    )
)
@settings(max_examples=examples(100))
def test_halves_are_cut_until_each_series_is_alone_byte_for_byte(lengths: dict[str, int]) -> None:
    batch = batch_of(lengths)
    batch.seal()
    singles = list(cut(batch))
    assert [single.series() for single in singles] == [[pair] for pair in lengths.items()]
    for single, (name, n) in zip(singles, lengths.items(), strict=True):
        assert bytes(single.buffer) == raw_package({name: n})
    assert bytes(batch.buffer) == raw_package(lengths)


def test_halves_keep_the_order_and_differ_by_one_series_at_most() -> None:
    batch = batch_of({f"s{i}": i + 1 for i in range(7)})
    batch.seal()
    one, other = batch.halves()
    assert (one.names, other.names) == (["s0", "s1", "s2"], ["s3", "s4", "s5", "s6"])
    assert (one.points, other.points) == (6, 22)


def test_halves_of_one_series_are_nothing_and_all() -> None:
    batch = batch_of({"alone": 3})
    batch.seal()
    nothing, everything = batch.halves()
    assert bytes(nothing.buffer) == b"\xfd\xff"
    assert bytes(everything.buffer) == raw_package({"alone": 3})


def test_halves_outlive_the_batch_they_were_cut_from() -> None:
    batch = batch_of({"a": 30, "b": 30})
    batch.seal()
    one, other = batch.halves()
    del batch
    gc.collect()
    _ = [batch_of({"other": 60}) for _ in range(50)]
    assert bytes(one.buffer) == raw_package({"a": 30})
    assert bytes(other.buffer) == raw_package({"b": 30})


def test_credits_follow_their_series() -> None:
    batch = batch_of({f"s{i}": 10 for i in range(5)})
    waiting = [("x", 0, 10), ("y", 1, 4), ("x", 1, 6), ("z", 2, 1), ("y", 4, 10)]
    for credit in waiting:
        batch.credit(*credit)
    batch.seal()
    assert batch.credits == waiting
    found = []
    for single in cut(batch):
        assert all(index == 0 for _, index, _ in single.credits)
        found += [(who, single.names[0], points) for who, _, points in single.credits]
    assert found == [(who, f"s{index}", points) for who, index, points in waiting]


def test_the_age_of_the_oldest_point_follows() -> None:
    clock = [5.0]
    coalescer = Coalescer(
        clock=lambda: clock[0],
        max_buffered=1 << 20,
        linger=1.0,
        package_bytes=10_000,
        max_idle=10,
    )
    coalescer.notify = lambda: None
    coalescer.open(1023)
    one = np.ones(1, np.int64)
    for name in ("old", "young"):
        series = coalescer.series(name)
        coalescer.pin(series, "integer")
        coalescer.resolve_type(series, None)
        append_column(coalescer, series, one, one, name)
        clock[0] += 0.5
    batch = Batch()
    assert coalescer.take(7.0, batch)
    batch.seal()
    assert batch.oldest == 5.0
    assert [half.oldest for half in batch.halves()] == [5.0, 5.0]
    assert [half.credits for half in batch.halves()] == [[("old", 0, 1)], [("young", 0, 1)]]


@pytest.mark.parametrize(
    ("length", "points"), [(0, 4136), (1, 4135), (10, 4125), (1023, 4096), (4095, 4096), (4096, 0)]
)
def test_points_of_long_runs_are_those_of_runs_over_the_length(length: int, points: int) -> None:
    batch = batch_of({"a": 1, "b": 4096, "c": 10, "d": 29})
    expected = sum(n for n in (1, 4096, 10, 29) if n > length)
    assert batch.points_of_long_runs(length) == expected == points


def test_points_that_cannot_be_sent_leave_no_trace() -> None:
    batch = batch_of({"fine": 3})
    size = batch.size
    bad = point_column("bad", np.array([1, -2]), np.ones(2), RULES)
    with pytest.raises(ColumnError, match=r"series 'bad', index 1"):
        batch.append_column(bad, 0, 2)
    nan = point_column("nan", np.arange(2), np.full(2, np.nan), ColumnRules(on_missing="drop"))
    assert batch.append_column(nan, 0, 2) == 0
    assert (batch.size, batch.series()) == (size, [("fine", 3)])
    assert unpackb(batch.seal(), "utf-8") == {"fine": [[FIRST + i, i + 0.5] for i in range(3)]}


def test_parts_of_a_column_are_counted_without_the_missing_points() -> None:
    values = np.array([0.5, np.nan, 2.5, 3.5, np.nan, np.nan])
    given = point_column("s", np.arange(6), values, ColumnRules(on_missing="drop"))
    batch = Batch()
    assert [batch.append_column(given, start, start + 2) for start in (0, 2, 4)] == [1, 2, 0]
    assert batch.series() == [("s", 1), ("s", 2)]


def test_memory_of_a_former_batch_is_used_again_once_nobody_looks() -> None:
    batch = batch_of({"a": 100})
    buffer = batch.seal()
    view = memoryview(buffer)
    with pytest.raises(BufferError, match="1 views"):
        Batch(buffer)
    assert bytes(view) == raw_package({"a": 100})
    view.release()
    again = Batch(buffer)
    assert (again.buffer is buffer, again.size, len(again)) == (True, 1, 0)


def test_a_batch_lets_go_of_who_waits() -> None:
    class Waiting:
        pass

    waiting = Waiting()
    gone = weakref.ref(waiting)
    batch = batch_of({"a": 1, "b": 1})
    batch.credit(waiting, 0, 1)
    batch.seal()
    halves = batch.halves()
    del waiting, batch, halves
    gc.collect()
    assert gone() is None
