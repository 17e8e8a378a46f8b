"""Points of a series that are given as lists: one value has one meaning in all calls."""

import itertools
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from siridb_fast import ColumnError, decode_points, encode_insert
from siridb_fast.columns.given import checked_columns
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.loading.options import LoadOptions
from siridb_fast.loading.sources import portions

T = 1_700_000_000

FORMS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    f"{outer.__name__} of {inner.__name__}s": (outer, inner)
    for outer, inner in itertools.product([list, tuple], repeat=2)
}


def given(form: str, n: int, *, columns: bool) -> Any:
    """Return ``n`` points in a form, as columns or as points."""
    outer, inner = FORMS[form]
    times, values = range(T, T + n), range(n)
    parts = (times, values) if columns else zip(times, values, strict=True)
    return outer(inner(part) for part in parts)


def inserted(points: Any) -> list[tuple[int, int]]:
    return pairs_of(decode_points(encode_insert({"q": points}))["q"])


def written(points: Any) -> list[tuple[int, int]]:
    (column,) = checked_columns({"q": points}, ColumnRules())
    return pairs_of(column.plain())


def loaded(points: Any) -> list[tuple[int, int]]:
    (portion,) = portions({"q": points}, LoadOptions())
    ((_, times, values),) = portion.columns  # type: ignore[attr-defined]
    return list(zip(times, values, strict=True))


def pairs_of(columns: Any) -> list[tuple[int, int]]:
    times, values = columns
    return list(zip(times.tolist(), values.tolist(), strict=True))


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("as_columns", [False, True])
def test_a_value_means_the_same_in_every_call_that_takes_it(
    form: str, n: int, as_columns: bool
) -> None:
    points = given(form, n, columns=as_columns)
    meanings = set()
    for call in (inserted, written, loaded):
        with suppress(ColumnError):
            meanings.add(tuple(call(points)))
    assert len(meanings) <= 1
    if n != 2:
        assert meanings <= {tuple((T + i, i) for i in range(n))}


def test_what_may_be_two_points_or_two_columns_is_refused_with_both_forms() -> None:
    with pytest.raises(ColumnError, match=r"\[\[timestamp, value\], …\].*numpy.array") as refused:
        encode_insert({"q": ([T, T + 1], [7, 8])})
    assert refused.value.series == "q"
    for call in (written, loaded):
        with pytest.raises(ColumnError, match=r"tuple, \(timestamps, values\)"):
            call([[T, 7], [T + 1, 8]])


def test_lists_of_columns_that_cannot_be_points_name_the_forms() -> None:
    with pytest.raises(ColumnError, match="got a list of lists of 3 items"):
        encode_insert({"q": [[T, T + 1, T + 2], [7, 8, 9]]})


def test_names_and_points_may_stand_in_a_list_too() -> None:
    with pytest.raises(ColumnError, match="may be two points or two columns"):
        encode_insert([{"name": "q", "points": ([T, T + 1], [7, 8])}])
