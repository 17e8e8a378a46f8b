"""Values of one type into a series of another: what has a counterpart, and what has none."""

from typing import Any

import numpy as np
import pytest

from siridb_fast import errors
from siridb_fast.columns.casting import cast_values


@pytest.mark.parametrize(
    ("values", "series_type", "expected"),
    [
        (np.array([2.9, -2.9]), "integer", [2, -2]),
        (np.array([True]), "integer", [1]),
        (np.array(["42", "-7"]), "integer", [42, -7]),
        (np.array([2, 2**53 + 1]), "float", [2.0, 2.0**53]),
        (np.array(["2.5", "nan"], object), "float", [2.5, float("nan")]),
        (np.array([1e-7, 2.0]), "string", ["1e-07", "2.0"]),
        (np.array([5]), "string", ["5"]),
    ],
)
def test_casts(values: Any, series_type: str, expected: list[Any]) -> None:
    cast = cast_values("s", values, series_type)
    assert repr(cast.tolist()) == repr(expected)


@pytest.mark.parametrize(
    ("values", "series_type", "index"),
    [
        (np.array([1.0, np.nan]), "integer", 1),
        (np.array([np.inf]), "integer", 0),
        (np.array([0.0, 2.0**63]), "integer", 1),
        (np.array(["1", "x"]), "integer", 1),
        (np.array(["1", "2.5"]), "integer", 1),
        (np.array(["abc"]), "float", 0),
        (np.array([None], object), "float", 0),
        (np.array(["9" * 30]), "integer", 0),
    ],
)
def test_casts_that_would_do_damage(values: Any, series_type: str, index: int | None) -> None:
    with pytest.raises(errors.ColumnError) as caught:
        cast_values("s", values, series_type)
    assert (caught.value.series, caught.value.index) == ("s", index)
