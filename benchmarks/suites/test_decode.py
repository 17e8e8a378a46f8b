"""How fast does the answer of a select become arrays?

The reference gives lists of points, of which its users make one array of floats with `np.array`,
or two arrays where nanoseconds must stay exact; both are shown. The answers have the form that the
server gives them: an open map without a close, integers in their smallest form.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import numpy as np
import pytest
import qpack

from benchmarks.data import data
from benchmarks.harness.contest import Contest
from siridb_fast import decode_points, packb, unpackb

ROUNDS = 2
POINTS = 1_000_000
SERIES = 10
MAP_OPEN = b"\xfd"

KINDS = {
    "float64": (data.nanoseconds, data.doubles),
    "int64, all widths": (data.nanoseconds, data.mixed_integers),
    "float64, seconds": (data.seconds, data.doubles),
}


@pytest.mark.parametrize("kind", KINDS)
def test_one_series(contest: Contest, kind: str) -> None:
    answer = _answer(*KINDS[kind], series=1)
    what = f"1 M {kind}, reference: np.array(points)"
    _compare(contest, answer, what, _unpack_to_array, ROUNDS + 1)


@pytest.mark.parametrize("kind", KINDS)
def test_one_series_exactly(contest: Contest, kind: str) -> None:
    answer = _answer(*KINDS[kind], series=1)
    _compare(contest, answer, f"1 M {kind}, reference: two exact arrays", _unpack_to_arrays)


def test_ten_series(contest: Contest) -> None:
    answer = _answer(*KINDS["float64"], series=SERIES)
    _compare(contest, answer, "10 series of 100 k float64, exact", _unpack_to_arrays)


def test_lists(contest: Contest) -> None:
    answer = _answer(*KINDS["float64"], series=1)
    contest.run(
        ROUNDS,
        {
            "ours": partial(unpackb, answer, decode="utf-8"),
            "reference": partial(qpack.unpackb, answer, decode="utf-8"),
        },
    )
    contest.row("1 M float64, to lists (unpackb)", "ns/point", POINTS)


def _compare(
    contest: Contest,
    answer: bytes,
    what: str,
    reference: Callable[[bytes], object],
    rounds: int = ROUNDS,
) -> None:
    contest.run(
        rounds,
        {"ours": partial(decode_points, answer), "reference": partial(reference, answer)},
    )
    contest.row(what, "ns/point", POINTS)


@cache  # to make one takes longer than to read it
def _answer(
    timestamps_of: Callable[[int], data.Array],
    values_of: Callable[[int], data.Array],
    series: int,
) -> bytes:
    points = data.as_lists(timestamps_of(POINTS), values_of(POINTS))
    step = POINTS // series
    items = [packb(f"room.{i}") + packb(points[i * step : (i + 1) * step]) for i in range(series)]
    return MAP_OPEN + b"".join(items)


def _unpack_to_array(answer: bytes) -> dict[str, data.Array]:
    # The shortest way, one array of floats: nanoseconds are rounded in it.
    return {
        name: np.array(points) for name, points in qpack.unpackb(answer, decode="utf-8").items()
    }


def _unpack_to_arrays(answer: bytes) -> dict[str, tuple[data.Array, data.Array]]:
    arrays = {}
    for name, points in qpack.unpackb(answer, decode="utf-8").items():
        # of the ways to do this the fastest: zip(*points) takes ten times as long for so many
        arrays[name] = np.array([t for t, _ in points]), np.array([v for _, v in points])
    return arrays
