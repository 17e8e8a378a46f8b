"""Which point is blamed: the first that cannot be sent, whatever was dropped or scaled around it.

A column is read in blocks of 512 points; each case stands at the start of a column and, behind
points without fault, on both sides of a block's edge and beyond the length that is written without
the GIL.
"""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siridb_fast import (
    MICROSECOND,
    NANOSECOND,
    SECOND,
    ColumnError,
    decode_points,
    encode_insert,
    unpackb,
)
from siridb_fast.columns._payload import start_payload
from siridb_fast.columns.casting import cast_values
from siridb_fast.columns.column import point_column
from siridb_fast.columns.rules import ColumnRules
from tests.fix_examples import examples

AHEAD = (0, 1, 509, 510, 511, 512, 5000)
NAN = float("nan")
S = 10**9
Array = np.ndarray[Any, Any]

# timestamps, values, options, index that is blamed, part of its text
FAULTS: list[tuple[Array, Array, dict[str, Any], int, str]] = [
    # what is dropped is not blamed, and does not hide what is behind it
    (np.array([5, -7, 8]), np.array([NAN, 1, NAN]), {"on_missing": "drop"}, 1, "-7"),
    (np.array([5, -7, 8]), np.array([NAN, 1, NAN], "f4"), {"on_missing": "drop"}, 1, "-7"),
    (np.array([-5, -7]), np.array([NAN, 1]), {"on_missing": "drop"}, 1, "-7"),
    (np.array([-5, -7]), np.array([None, "x"], object), {"on_missing": "drop"}, 1, "-7"),
    (
        np.array([1, 2**40, 3]),
        np.array([NAN, 1, NAN]),
        {"on_missing": "drop", "time_precision": SECOND},
        1,
        "1099511627776",
    ),
    (
        np.array([S + 1, S + 2], "M8[ns]"),
        np.array([NAN, 1]),
        {"on_missing": "drop", "time_precision": SECOND},
        1,
        "finer",
    ),
    (
        np.array([S + 1, S + 2], "M8[ns]"),
        np.array([None, "x"], object),
        {"on_missing": "drop", "time_precision": SECOND},
        1,
        "finer",
    ),
    # of two faults the first counts, whatever their kind
    (np.array([1, -7]), np.array([NAN, 1]), {"on_missing": "error"}, 0, "NaN"),
    (np.array([-7, 1]), np.array([1, NAN]), {"on_missing": "error"}, 0, "-7"),
    (np.array([1, -7]), np.array([2**63, 1], "u8"), {}, 0, "9223372036854775808"),
    (np.array([-7, 1]), np.array([1, 2**63], "u8"), {}, 0, "-7"),
    (
        np.array([S, S + 5, 2 * S], "M8[ns]"),
        np.arange(3),
        {"time_precision": SECOND},
        1,
        "finer",
    ),
    (
        np.array([S, S + 5, 2 * S], "M8[ns]"),
        np.array(["a", "b", "c"]),
        {"time_precision": SECOND},
        1,
        "finer",
    ),
    (np.array([1001, -1], "M8[ns]"), np.arange(2), {"time_precision": MICROSECOND}, 0, "finer"),
    (np.array([1000, -1], "M8[ns]"), np.arange(2), {"time_precision": MICROSECOND}, 1, "not in"),
    # the reason is the one that holds
    (np.array([1, -5]), np.array([1, NAN]), {"on_missing": "keep"}, 1, "-5 is not in"),
    (np.array([1, -2], "M8[us]"), np.arange(2), {"time_precision": NANOSECOND}, 1, "not in"),
    (np.array([1, "NaT"], "M8[us]"), np.arange(2), {"time_precision": NANOSECOND}, 1, "NaT"),
]


@pytest.mark.parametrize("ahead", AHEAD)
@pytest.mark.parametrize(("timestamps", "values", "options", "index", "text"), FAULTS)
def test_the_first_point_that_cannot_be_sent_is_named(
    timestamps: Array, values: Array, options: dict[str, Any], index: int, text: str, ahead: int
) -> None:
    fill = "x" if values.dtype.kind in "OU" else 1
    pair = (
        np.concatenate([np.zeros(ahead, timestamps.dtype), timestamps]),
        np.concatenate([np.full(ahead, fill, values.dtype), values]),
    )
    with pytest.raises(ColumnError, match=text) as caught:
        encode_insert({"s": pair}, **options)
    assert (caught.value.series, caught.value.index) == ("s", ahead + index)


cells = st.tuples(
    st.sampled_from([1, 2, 3, -1, 2**31, 2**32 - 1, 2**32]),
    st.sampled_from([NAN, 0.0, 2.5]),
)


@given(st.lists(cells, min_size=1, max_size=20), st.sampled_from(["keep", "drop", "error"]))
@settings(max_examples=examples(300), database=None)
def test_each_point_is_sent_dropped_or_refused(cells: list[Any], on_missing: Any) -> None:
    kept = [c for c in cells if on_missing != "drop" or c[1] == c[1]]
    bad = [
        i
        for i, (t, v) in enumerate(cells)
        if (not 0 <= t < 2**32 and (t, v) in kept) or (on_missing == "error" and v != v)
    ]
    pair = (np.array([t for t, _ in cells]), np.array([v for _, v in cells]))
    options = {"time_precision": SECOND, "on_missing": on_missing}
    if bad:
        with pytest.raises(ColumnError) as caught:
            encode_insert({"s": pair}, **options)
        assert caught.value.index == bad[0]
        return
    raw = encode_insert({"s": pair}, **options)
    expected = sorted(kept, key=lambda cell: cell[0])
    assert repr(unpackb(raw).get(b"s", [])) == repr([list(cell) for cell in expected])
    assert repr(decode_points(bytes(raw)).get("s", ([], []))[1]) is not None


def test_a_dropped_row_may_hold_anything() -> None:
    times = np.array(["NaT", 5], "M8[ns]")
    raw = encode_insert(
        {"s": (times, np.array([2**63, 7], "u8"))}, time_precision=NANOSECOND, on_missing="drop"
    )
    assert unpackb(raw) == {b"s": [[5, 7]]}


def test_a_unit_too_coarse_to_convert_is_a_column_error() -> None:
    with pytest.raises(ColumnError, match="too coarse"):
        encode_insert({"s": (np.array([0], "M8[20000W]"), np.ones(1))}, time_precision=NANOSECOND)


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (0, 4), (3, 2), (5, 6), (0, 2**40)])
def test_points_outside_the_column_are_not_read(start: int, stop: int) -> None:
    column = point_column("s", np.arange(3), np.arange(3), ColumnRules())
    buffer = start_payload()
    with pytest.raises(IndexError):
        column.append_to(buffer, start, stop)
    assert len(buffer) == 1


PAIR = (np.array([1]), np.array([2.5]))


@pytest.mark.parametrize(
    "other", [7, None, {"name": "b"}, {"name": "b", "pts": [[1, 2]]}, [["b", [[1, 2]]]]]
)
def test_an_item_beside_arrays_that_is_no_series_is_not_lost(other: object) -> None:
    with pytest.raises(ColumnError, match="item 1"):
        encode_insert([{"name": "a", "points": PAIR}, other])


def test_a_pair_may_be_a_list_whichever_half_is_the_array() -> None:
    assert unpackb(encode_insert({"s": [[1, 2], np.array([3, 4])]})) == {b"s": [[1, 3], [2, 4]]}


@pytest.mark.parametrize(
    ("values", "index"),
    [
        (np.array([1, 2**63], "u8"), 1),
        (np.array([1.0, -np.inf], "f2"), 1),
        (np.array([1.0, np.inf], "f2"), 1),
        (np.array([1.0, 2.0**63], "f4"), 1),
        (np.array(["1", str(2**63)]), 1),
        (np.array(["1", str(-(2**63) - 1)]), 1),
    ],
)
def test_what_is_no_64_bit_integer_is_not_cast(values: Array, index: int) -> None:
    with pytest.raises(ColumnError, match="no 64-bit integer") as caught:
        cast_values("s", values, "integer")
    assert (caught.value.series, caught.value.index) == ("s", index)


def test_the_ends_of_the_integers_are_cast_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ends = [-(2**63), 2**63 - 1]
        assert cast_values("s", np.array([str(i) for i in ends]), "integer").tolist() == ends
        assert cast_values("s", np.array([2**63 - 1], "u8"), "integer").tolist() == [2**63 - 1]
        assert cast_values("s", np.array([-65504.0], "f2"), "integer").tolist() == [-65504]
