"""How fast do arrays become the bytes of insert packages?

The reference driver's users hold arrays too: they convert them to lists, which are then packed by
the qpack C extension. That is the reference here; in the rows with memcpy it is numpy's copy of as
many bytes into memory that is there already. In parentheses stand the bytes of a point: ours, the
reference's, and those of a record with all numbers in full.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import qpack

from benchmarks.data import data
from benchmarks.harness.contest import Contest
from siridb_fast import NANOSECOND
from siridb_fast.columns._payload import restart_payload, start_payload
from siridb_fast.columns._points import PointColumn
from siridb_fast.columns.column import point_column
from siridb_fast.columns.payloads import PACKAGE_BYTES, cut_payloads
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.protocol._buffer import PayloadBuffer

RULES = ColumnRules(time_precision=NANOSECOND)
NAME = "room.12.temperature"
FULL_BYTES = 19  # of a point whose timestamp and value are written in full
POINTS_PER_PACKAGE = PACKAGE_BYTES // FULL_BYTES

KINDS = {
    "float64": (data.nanoseconds, data.doubles),
    "float64, strided": (data.nanoseconds, data.strided),
    "float64, all 0.0 or 1.0": (data.nanoseconds, data.flags),
    "float64, seconds": (data.seconds, data.doubles),
    "float64, datetime64[us]": (data.stamps, data.doubles),
    "float32": (data.nanoseconds, data.singles),
    "int64, 0..59": (data.nanoseconds, data.digits),
    "str": (data.nanoseconds, data.texts),
}


def test_float64_column(contest: Contest) -> None:
    timestamps, values = data.nanoseconds(data.MANY), data.doubles(data.MANY)
    buffer = start_payload(data.MANY * FULL_BYTES + 1024)
    contest.run(
        2,
        {
            "packages": partial(_cut, timestamps, values),
            "buffer": partial(_write, _column(timestamps, values), buffer),
            "list": partial(_pack_lists, timestamps, values),
            "lists": partial(_pack_lists_in_packages, timestamps, values),
        },
    )
    row = partial(contest.row, unit="ns/point", count=data.MANY)
    row("4 M float64 in packages of 1 MB", ours="packages", reference="list")
    row("4 M float64 in one buffer of 76 MB", ours="buffer", reference="list")
    row("… packages, reference in packages too", ours="packages", reference="lists")


def test_mixed_integers(contest: Contest) -> None:
    _compare_with_lists(contest, "int64, all widths", data.nanoseconds, data.mixed_integers)


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(contest: Contest, kind: str) -> None:
    _compare_with_lists(contest, kind, *KINDS[kind])


def test_memcpy_in_cache(contest: Contest) -> None:
    points, repeats = data.IN_CACHE, 100
    column = _column(data.nanoseconds(points), data.doubles(points))
    buffer = start_payload(points * FULL_BYTES + 1024)
    source, target = _bytes_like(column, buffer)
    contest.run(
        25,
        {
            "ours": partial(_repeat, repeats, partial(_write, column, buffer)),
            "reference": partial(_repeat, repeats, partial(np.copyto, target, source)),
        },
    )
    contest.row("memcpy, 30 k float64, in cache", "ns/point", points * repeats)


def test_memcpy_out_of_cache(contest: Contest) -> None:
    timestamps, values = data.nanoseconds(data.MANY), data.doubles(data.MANY)
    column = _column(timestamps, values)
    buffer = start_payload(data.MANY * FULL_BYTES + 1024)
    source, target = _bytes_like(column, buffer)
    contest.run(
        15,
        {
            "packages": partial(_cut, timestamps, values),
            "buffer": partial(_write, column, buffer),
            "memcpy": partial(np.copyto, target, source),
        },
    )
    row = partial(contest.row, unit="ns/point", count=data.MANY, reference="memcpy")
    row("memcpy, 4 M float64 in packages", ours="packages")
    row("memcpy, 4 M float64 in one buffer", ours="buffer")


def _compare_with_lists(
    contest: Contest,
    kind: str,
    timestamps_of: Callable[[int], data.Array],
    values_of: Callable[[int], data.Array],
) -> None:
    timestamps, values = timestamps_of(data.SOME), values_of(data.SOME)
    contest.run(
        2,
        {
            "ours": partial(_cut, timestamps, values),
            "reference": partial(_pack_lists_in_packages, timestamps, values),
        },
    )
    ours = _cut(timestamps, values) / data.SOME
    reference = _pack_lists_in_packages(timestamps, values) / data.SOME
    note = f"{ours:.1f} bytes a point; {reference:.1f}; full {FULL_BYTES}"
    contest.row(kind, "ns/point", data.SOME, note=note)


def _column(timestamps: data.Array, values: data.Array) -> PointColumn:
    return point_column(NAME, timestamps, values, RULES)


def _cut(timestamps: data.Array, values: data.Array) -> int:
    # The way of an insert. No package is held, so one buffer serves them all.
    packages = cut_payloads([_column(timestamps, values)])
    return sum(len(package.buffer) for package in packages)


def _write(column: PointColumn, buffer: PayloadBuffer) -> None:
    restart_payload(buffer)
    column.append_to(buffer, 0, len(column))


def _bytes_like(column: PointColumn, buffer: PayloadBuffer) -> tuple[data.Array, data.Array]:
    _write(column, buffer)
    source = np.full(len(buffer), 7, np.uint8)
    return source, np.ones_like(source)  # written to, so that the memory is there


def _pack_lists(timestamps: data.Array, values: data.Array) -> int:
    if timestamps.dtype.kind == "M":
        timestamps = timestamps.astype("datetime64[ns]").astype(np.int64)
    return len(qpack.packb({NAME: data.as_lists(timestamps, values)}))


def _pack_lists_in_packages(timestamps: data.Array, values: data.Array) -> int:
    size = 0
    for start in range(0, len(timestamps), POINTS_PER_PACKAGE):
        part = slice(start, start + POINTS_PER_PACKAGE)
        size += _pack_lists(timestamps[part], values[part])
    return size


def _repeat(times: int, action: Callable[[], object]) -> None:
    for _ in range(times):
        action()
