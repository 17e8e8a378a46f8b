"""Cutting columns into packages: nothing lost or doubled, long runs, memory used again safely."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siridb_fast import ColumnError, PackingOverflowError, encode_insert, packb, unpackb
from siridb_fast.columns.insert_data import parts_of
from siridb_fast.columns.payloads import PACKAGE_BYTES, Part, Payload, cut_payloads
from siridb_fast.columns.rules import ColumnRules
from tests.fix_examples import examples

RULES = ColumnRules()


def columns(lengths: dict[str, int]) -> list[Part]:
    data = {name: (np.arange(n) + 10**18, np.arange(n) / 7) for name, n in lengths.items()}
    return parts_of(data, RULES)


def contents(package: Payload) -> dict[str, list[Any]]:
    read: dict[str, list[Any]] = unpackb(package.buffer, "utf-8")
    return read


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=9).filter(lambda s: "\0" not in s),
        st.integers(0, 900),
        max_size=12,
    ),
    st.integers(200, 20_000),
)
@settings(max_examples=examples(100))
def test_every_point_is_in_one_package_in_order(lengths: dict[str, int], max_bytes: int) -> None:
    found: dict[str, list[Any]] = {}
    points = 0
    for package in cut_payloads(columns(lengths), max_bytes):
        for name, part in contents(package).items():
            found.setdefault(name, []).extend(part)
            points += len(part)
        assert len(package.buffer) <= max_bytes + 100
    assert points == sum(lengths.values())
    expected = {n: [[10**18 + i, i / 7] for i in range(k)] for n, k in lengths.items() if k}
    assert found == expected


def test_a_long_series_goes_in_runs_of_a_whole_package() -> None:
    packages = [len(p.buffer) for p in cut_payloads(columns({"long": 500_000}))]
    assert len(packages) == 10
    assert all(PACKAGE_BYTES - 100 < size <= PACKAGE_BYTES for size in packages[:-1])


def test_short_series_share_packages_and_are_not_cut() -> None:
    lengths = {f"s{i}": 1000 for i in range(200)}
    packages = [contents(p) for p in cut_payloads(columns(lengths))]
    assert [len(names) for names in packages] == [52, 52, 52, 44]
    assert all(len(points) == 1000 for names in packages for points in names.values())


def test_a_package_that_is_looked_at_is_not_written_over() -> None:
    held, copies = [], []
    for i, package in enumerate(cut_payloads(columns({"long": 600_000}))):
        view = memoryview(package.buffer)
        copies.append((view, bytes(view)))
        if i % 2:
            held.append(view)
        else:
            view.release()
            copies.pop()
    assert len(held) >= 5
    assert all(view == copy for view, copy in copies)


def test_memory_is_used_again() -> None:
    seen = {id(package.buffer) for package in cut_payloads(columns({"long": 2_000_000}))}
    assert len(seen) <= 3


def test_lists_go_into_the_first_package_and_show_their_faults_there() -> None:
    data = {"array": (np.arange(200_000), np.ones(200_000)), "list": [[1, 2.5]]}
    first = next(cut_payloads(parts_of(data, RULES)))
    assert contents(first)["list"] == [[1, 2.5]]
    packages = cut_payloads(parts_of(data | {"bad": [[1, 2**70]]}, RULES))
    with pytest.raises(PackingOverflowError):
        next(packages)


def test_texts_are_cut_by_their_bytes() -> None:
    data = {"text": (np.arange(3000), np.array(["x" * 1000] * 3000))}
    packages = [contents(p)["text"] for p in cut_payloads(parts_of(data, RULES))]
    assert [len(points) for points in packages] == [981, 981, 981, 57]


def test_a_text_larger_than_a_package_goes_alone() -> None:
    data = {"text": (np.arange(3), np.array(["x" * 1_200_000, "y", "z"], object))}
    packages = [contents(p)["text"] for p in cut_payloads(parts_of(data, RULES))]
    assert [[len(text) for _, text in points] for points in packages] == [[1_200_000], [1, 1]]


@pytest.mark.parametrize(
    "data",
    [
        {},
        [],
        5,
        None,
        "x",
        {"a": []},
        {"a": [[1]]},
        {5: [[1, 2]]},
        [{"name": "a"}],
        {"a": [[1, 2], [3, 4]]},
    ],
)
def test_data_without_arrays_is_packed_as_it_is(data: Any) -> None:
    assert encode_insert(data) == packb(data)


def test_lists_and_arrays_mix_in_both_forms() -> None:
    pair = (np.array([1]), np.array([2.5]))
    expected = {"a": [[1, 2.5]], "b": [[3, 4]]}
    assert unpackb(encode_insert({"a": pair, "b": [[3, 4]]}), "utf-8") == expected
    maps = [{"name": "a", "points": pair}, {"points": [[3, 4]], "name": "b"}]
    assert unpackb(encode_insert(maps), "utf-8") == expected
    with pytest.raises(ColumnError, match="a series' name is a str, got None"):
        encode_insert([{"points": pair}])
