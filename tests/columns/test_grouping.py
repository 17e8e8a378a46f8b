"""Rows of many series → groups, beside numpy and plain Python."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siridb_fast import ColumnError
from siridb_fast.columns._grouping import encode_objects, group, scatter
from siridb_fast.columns.column import is_missing
from siridb_fast.columns.rows import group_rows, mixed_points
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.loading.frames.base import Coded
from siridb_fast.loading.series_names import combine_labels

NAMES = [f"s{i}" for i in range(6)]
LABELS = st.one_of(
    st.none(), st.integers(-3, 3), st.booleans(), st.floats(width=16), st.text(max_size=2),
    st.tuples(st.integers(0, 2)),
)  # fmt: skip
ROWS = st.lists(
    st.tuples(
        st.integers(0, len(NAMES) - 1),
        st.integers(0, 2**63 - 1),
        st.one_of(st.none(), st.floats(allow_nan=True)),
    )
)
RULES = ColumnRules(time_precision=3, on_missing="drop")


@given(st.lists(LABELS, max_size=60))
def test_objects_have_the_codes_of_a_dict(objects: list[Any]) -> None:
    array = np.empty(len(objects), object)
    array[:] = objects
    codes, labels = encode_objects(array, is_missing)
    table: dict[Any, int] = {}
    wanted = [
        -1 if is_missing(item) else table.setdefault((type(item), item), len(table))
        for item in objects
    ]
    assert codes.tolist() == wanted
    assert [(type(label), label) for label in labels] == list(table)


def test_more_objects_than_the_table_of_places_holds_are_found() -> None:
    texts = [str(i) for i in range(20_000)]
    array = np.array(texts + texts[::-1], object)
    codes, labels = encode_objects(array, is_missing)
    assert labels == texts
    assert codes.tolist() == [*range(20_000), *range(19_999, -1, -1)]


@given(st.lists(st.integers(0, 7)))
def test_rows_are_grouped_as_a_stable_sort_does(codes: list[int]) -> None:
    array = np.array(codes, np.int32)
    present, stops, indices = group(array, 8)
    order = np.argsort(array, kind="stable")
    assert present.tolist() == np.unique(array).tolist()
    assert np.diff(stops, prepend=0).tolist() == np.bincount(array, minlength=8)[present].tolist()
    values = np.arange(len(array), dtype=np.int64)
    moved = values if indices is None else scatter(values, indices)
    assert moved.tolist() == order.tolist()


@pytest.mark.parametrize("codes", [[0, 3], [-1, 0]])
def test_code_without_a_label_is_refused(codes: list[int]) -> None:
    with pytest.raises(IndexError, match="there are 3 labels"):
        group(np.array(codes, np.int32), 3)


def test_scatter_refuses_places_of_another_length() -> None:
    with pytest.raises(ValueError, match="2 indices for 3 values"):
        scatter(np.arange(3), np.arange(2, dtype=np.int32))


@given(
    st.lists(st.lists(st.integers(0, 4), min_size=7, max_size=7), min_size=1, max_size=4),
    st.booleans(),
)
def test_combined_labels_are_those_of_the_rows(rows: list[list[int]], is_wide: bool) -> None:
    labels = [f"l{i}" for i in range(200_000 if is_wide else 5)]
    keys = [Coded(np.array(codes, np.int32), labels) for codes in rows]
    codes, combinations = combine_labels(keys)
    wanted = [tuple(labels[code] for code in row) for row in zip(*rows, strict=True)]
    assert [combinations[code] for code in codes.tolist()] == wanted
    assert sorted(combinations) == sorted(set(wanted))


@given(ROWS, st.sampled_from(["number", "text"]), st.integers(1, 5))
def test_groups_hold_the_points_of_a_dict(
    rows: list[tuple[int, int, float | None]], kind: str, part: int
) -> None:
    numbers = np.array([np.nan if row[2] is None else row[2] for row in rows], np.float64)
    values: Any = numbers
    if kind == "text":
        texts = [None if np.isnan(number) else str(number) for number in numbers]
        values = np.empty(len(rows), object)
        values[:] = texts
    mixed = mixed_points(
        NAMES,
        np.array([row[0] for row in rows], np.int32),
        np.array([row[1] for row in rows], np.int64),
        values,
        RULES,
    )
    wanted: dict[str, list[Any]] = {}
    for number, (code, timestamp, _) in enumerate(rows):
        if not is_missing(values[number]):
            wanted.setdefault(NAMES[code], []).append((timestamp, values[number], number))
    found: dict[str, list[Any]] = {}
    for some in mixed.slices(part):
        groups = group_rows(some)
        for name, start, stop in groups.bounds():
            for index in range(start, stop):
                value: Any = groups.values[index]
                value = value.decode() if kind == "text" else value
                point = (int(groups.timestamps[index]), value, groups.row(index))
                found.setdefault(name, []).append(point)
    assert found == wanted


@pytest.mark.parametrize(
    ("timestamps", "values", "index", "text"),
    [
        ([1, -1, 3], [1.0, 2.0, 3.0], 1, "-1 is not in"),
        ([1, 2, -3], [np.nan, 2.0, 3.0], 2, "-3 is not in"),
        ([1, 2, 3], np.array(["a", None, "\0"], object), 2, "NUL"),
        ([1, 2, 3], np.array([0, 1, 2**63], np.uint64), 2, "largest integer"),
    ],
)
def test_fault_among_rows_is_named_by_series_and_row(
    timestamps: list[int], values: Any, index: int, text: str
) -> None:
    codes = np.array([0, 1, 1], np.int32)
    with pytest.raises(ColumnError, match=text) as caught:
        mixed_points(NAMES, codes, np.array(timestamps), np.array(values), RULES)
    assert (caught.value.series, caught.value.index) == ("s1", index)
