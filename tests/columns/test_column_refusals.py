"""What cannot be sent is refused with the series, and where there is one the index."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from siridb_fast import ColumnError, PackageTooLargeError, encode_insert, unpackb

T = np.arange(3)
V = np.arange(3.0)


@pytest.mark.parametrize(
    ("timestamps", "values", "reason", "index"),
    [
        (T, np.arange(4), "3 timestamps but 4 values", None),
        (T.reshape(1, 3), V, r"timestamps has one dimension, got shape \(1, 3\)", None),
        (T, np.zeros((3, 2)), r"values has one dimension, got shape \(3, 2\)", None),
        (np.array(5), V, r"got shape \(\)", None),
        (V, V, "timestamps are integers or datetime64, got float64", None),
        (np.array([True, False, True]), V, "got bool", None),
        (np.array([1, 2], "m8[s]"), V[:2], "got timedelta64", None),
        (np.array([pd.Timestamp(0)] * 3, object), V, "holding Timestamp", None),
        (np.array(["NaT"], "M8"), V[:1], "without a unit", None),
        (T, V * 1j, "got complex128", None),
        (T, V.astype(np.longdouble), "got float128|got longdouble", None),
        (T, np.array([1, 2, 3], "m8[s]"), "got timedelta64", None),
        (T, np.array([1, 2**63, 3], "u8"), "9223372036854775808 is over", 1),
        (T, np.array(["a", 5, "c"], object), "holds str, got 5 of type int", 1),
        (T, np.array(["a", "b\0c", "d"], object), "cuts a text at its NUL", 1),
        (T, np.ma.array([1.0, 2.0, 3.0], mask=[False, False, True]), "masked", 2),
        (np.ma.array(T, mask=[True, False, False]), V, "masked", 0),
        (T, [[1], [2, 3], [4]], "cannot be read as an array", None),
    ],
)
def test_arrays_that_cannot_be_sent(
    timestamps: Any, values: Any, reason: str, index: int | None
) -> None:
    with pytest.raises(ColumnError, match=reason) as caught:
        encode_insert({"a series": (timestamps, values)}, time_precision=3)
    assert caught.value.series == "a series"
    assert caught.value.index == index
    assert "'a series'" in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "1 to 65,534 bytes, got 0"),
        ("x" * 65_535, "got 65,535"),
        ("ü" * 32_768, "got 65,536"),
        ("a\0b", "NUL"),
        ("\0", "NUL"),
        ("\ud800", "not valid text"),
        (5, "a series' name is a str, got 5 of type int"),
        (None, "got None"),
    ],
)
def test_names_that_the_server_chokes_on(name: Any, reason: str) -> None:
    with pytest.raises(ColumnError, match=reason):
        encode_insert({name: (T, V)})


def test_the_longest_name_is_taken() -> None:
    name = "x" * 65_534
    assert list(unpackb(encode_insert({name: (T, V)}), "utf-8")) == [name]


@pytest.mark.parametrize("name", ["\0a", b"\0a"])
def test_a_name_that_would_hang_the_server_is_refused_in_lists_too(name: Any) -> None:
    with pytest.raises(ColumnError, match="hangs"):
        encode_insert({"fine": [[1, 2]], name: [[1, 2]]})


def test_a_lone_array_is_no_pair() -> None:
    with pytest.raises(
        ColumnError, match=r"pair of arrays \(timestamps, values\); got one ndarray"
    ):
        encode_insert({"s": np.zeros((3, 2))})


@pytest.mark.parametrize(
    ("option", "value"),
    [("time_precision", 4), ("on_missing", "skip"), ("on_precision_loss", "round")],
)
def test_options_are_checked(option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{option} is .* got {value!r}"):
        encode_insert({"s": (T, V)}, **{option: value})


@pytest.mark.parametrize("n", [2_300_000, 7_000_000])
def test_a_package_over_the_limit_is_refused(n: int) -> None:
    with pytest.raises(PackageTooLargeError, match="41,943,040"):
        encode_insert({"s": (np.arange(n) + 2**40, np.broadcast_to(np.float64(2.5), n))})


def test_one_half_may_be_a_list() -> None:
    assert unpackb(encode_insert({"s": ([1, 2], np.array([3, 4]))}), "utf-8") == {
        "s": [[1, 3], [2, 4]]
    }
    assert unpackb(encode_insert({"s": [np.array([1]), [2.5]]}), "utf-8") == {"s": [[1, 2.5]]}


def test_errors_survive_pickling() -> None:
    import pickle

    with pytest.raises(ColumnError) as caught:
        encode_insert({"s": (T, np.array([1, 2**63, 3], "u8"))})
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own bytes
    assert (str(copy), copy.series, copy.index) == (str(caught.value), "s", 1)


@pytest.mark.parametrize("pair", [(T, V, V), (T,)])
def test_arrays_come_in_pairs(pair: Any) -> None:
    with pytest.raises(ColumnError, match=rf"got {len(pair)} of them"):
        encode_insert({"s": pair})


def test_missing_integers_of_pandas_are_not_rounded() -> None:
    whole = pd.array([1, 2**53 + 1, 3], dtype="Int64")
    assert unpackb(encode_insert({"s": (T, whole)}), "utf-8")["s"][1] == [1, 2**53 + 1]
    with pytest.raises(ColumnError, match="among integers") as caught:
        encode_insert({"s": (T, pd.array([1, None, 3], dtype="Int64"))})
    assert caught.value.index == 1
