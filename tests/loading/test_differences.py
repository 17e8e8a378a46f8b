"""Differences of two multisets of points, beside what counting them one by one gives."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siridb_fast.loading.differences import compare
from siridb_fast.loading.fingerprints import fingerprint, value_keys

VALUES: dict[str, list[Any]] = {
    "floats": [0.0, -0.0, 1.5, float("nan"), float("inf")],
    "integers": [0, -(2**63), 2**63 - 1, 7],
    "texts": ["", "a", b"a", b"\xff", "\udcff"],
}
TIMES = [-(2**63), -1, 0, 1, 5, 2**63 - 1]
Points = list[tuple[int, Any]]


def points(kind: str) -> st.SearchStrategy[Points]:
    return st.lists(st.tuples(st.sampled_from(TIMES), st.sampled_from(VALUES[kind])), max_size=12)


def arrays(kind: str, pairs: Points) -> tuple[Any, Any]:
    dtype = {"floats": np.float64, "integers": np.int64}.get(kind, np.object_)
    values = np.empty(len(pairs), dtype)
    values[:] = [value for _, value in pairs]
    return np.array([at for at, _ in pairs], np.int64), values


def counted(pairs: Points) -> Counter[tuple[int, Any]]:
    def plain(value: Any) -> Any:
        if isinstance(value, str):
            return value.encode("utf-8", "surrogatepass")
        return "nan" if value != value else value + 0.0 if isinstance(value, float) else value

    return Counter((at, plain(value)) for at, value in pairs)


@pytest.mark.parametrize("kind", VALUES)
@given(data=st.data())
def test_counts_are_those_of_counting(kind: str, data: st.DataObject) -> None:
    ours, theirs = data.draw(points(kind)), data.draw(points(kind))
    here, there = counted(ours), counted(theirs)
    times = {at for at, _ in ours}
    lacking, surplus = here - there, there - here
    others = Counter(at for (at, v), n in surplus.items() for _ in range(n) if not here[at, v])
    missed = Counter(at for (at, _), n in lacking.items() for _ in range(n))
    changed = sum((others & missed).values())
    found = compare("s", arrays(kind, ours), arrays(kind, theirs))
    assert found.changed == changed
    assert found.missing == sum(lacking.values()) - changed
    assert found.doubled == sum(n for point, n in surplus.items() if here[point])
    assert all(each.timestamp in times for each in found.first)
    words = Counter(each.kind for each in found.first)
    assert words["changed"] == changed
    sent = [pair for pair, lacks in zip(ours, found.lacking.tolist(), strict=True) if lacks]
    assert len(sent) == found.missing
    assert not counted(sent) - lacking


@pytest.mark.parametrize("kind", VALUES)
@given(data=st.data())
def test_points_have_one_fingerprint_in_each_order(kind: str, data: st.DataObject) -> None:
    ours = data.draw(points(kind))
    others = data.draw(st.one_of(st.permutations(ours), points(kind)))
    prints = []
    for pairs in (ours, others):
        timestamps, values = arrays(kind, pairs)
        prints.append(fingerprint(timestamps, value_keys(values)))
    assert (prints[0] == prints[1]) == (counted(ours) == counted(others))
