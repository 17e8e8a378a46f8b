"""packb and unpackb: golden bytes at every edge, two oracles, and bytes from an enemy."""

import collections
import enum
import tracemalloc
from typing import Any

import numpy as np
import pytest
import qpack
from hypothesis import given, settings
from hypothesis import strategies as st

from siridb_fast import PackingOverflowError, SiriDBError, UnpackError, packb, unpackb
from tests.fix_examples import examples
from tests.protocol import reference_qpack

GOLDEN: list[tuple[object, str]] = [
    (None, "fb"),
    (True, "f9"),
    (False, "fa"),
    (0, "00"),
    (63, "3f"),
    (64, "e840"),
    (127, "e87f"),
    (128, "e98000"),
    (32767, "e9ff7f"),
    (32768, "ea00800000"),
    (2**31 - 1, "eaffffff7f"),
    (2**31, "eb0000008000000000"),
    (2**63 - 1, "ebffffffffffffff7f"),
    (-1, "40"),
    (-60, "7b"),
    (-61, "e8c3"),
    (-128, "e880"),
    (-129, "e97fff"),
    (-32768, "e90080"),
    (-32769, "eaff7fffff"),
    (-(2**31), "ea00000080"),
    (-(2**31) - 1, "ebffffff7fffffffff"),
    (-(2**63), "eb0000000000000080"),
    (0.0, "7e"),
    (-0.0, "7e"),
    (1.0, "7f"),
    (-1.0, "7d"),
    (2.5, "ec0000000000000440"),
    (float("inf"), "ec000000000000f07f"),
    (5e-324, "ec0100000000000000"),
    ("", "80"),
    ("ß", "82c39f"),
    (b"a", "8161"),
    ("x" * 99, "e3" + "78" * 99),
    ("x" * 100, "e464" + "78" * 100),
    ("x" * 255, "e4ff" + "78" * 255),
    ("x" * 256, "e50001" + "78" * 256),
    ("x" * 65535, "e5ffff" + "78" * 65535),
    ("x" * 65536, "e600000100" + "78" * 65536),
    ([], "ed"),
    ([1, 2, 3, 4, 5], "f20102030405"),
    ([1, 2, 3, 4, 5, 6], "fc010203040506fe"),
    ({}, "f3"),
    ({1: 2}, "f40102"),
    ({i: i for i in range(6)}, "fd000001010202030304040505ff"),
]
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=120)
    | st.binary(max_size=300),
    lambda inner: (
        st.lists(inner, max_size=8)
        | st.lists(inner, max_size=8).map(tuple)
        | st.dictionaries(st.text(max_size=4) | st.integers(0, 200), inner, max_size=8)
    ),
    max_leaves=30,
)
SAMPLE = packb(
    {"a": [[1, 2.5], [10**18, 1.0]] * 4, "b": ["x" * 200, None, {"c": [True, -5, 70000]}]}
)


class Color(enum.IntEnum):
    RED = 300


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "not asked for"


Pair = collections.namedtuple("Pair", "a b")


@pytest.mark.parametrize(("value", "expected"), GOLDEN, ids=lambda value: repr(value)[:24])
def test_bytes_of_every_edge(value: object, expected: str) -> None:
    assert packb(value).hex() == expected
    assert qpack.packb(value).hex() == expected
    assert reference_qpack.pack(value).hex() == expected
    decoded = unpackb(packb(value), None if isinstance(value, bytes) else "utf-8")
    assert decoded == value
    assert type(decoded) is type(value)


@given(values)
@settings(max_examples=examples(300))
def test_any_value_packs_like_the_reference_and_comes_back(value: Any) -> None:
    packed = packb(value)
    assert packed == qpack.packb(value) == reference_qpack.pack(value)
    assert unpackb(packed) == qpack.unpackb(packed)
    assert unpackb(packed, use_tuples=True) == qpack.unpackb(packed, use_tuples=True)


@pytest.mark.parametrize(
    ("value", "builtin"),
    [
        *((np.dtype(code).type(7), 7) for code in "bhilqBHILQ"),
        *((np.dtype(code).type(2.5), 2.5) for code in "efd"),
        (np.int64(-(2**63)), -(2**63)),
        (np.bool_(True), True),
        (np.str_("abc"), "abc"),
        (Color.RED, 300),
        (Text("abc"), "abc"),
        (Pair(1, 2.5), (1, 2.5)),
        (collections.OrderedDict(a=1), {"a": 1}),
    ],
    ids=repr,
)
def test_scalars_of_numpy_and_subclasses_pack_as_the_builtin(
    value: object, builtin: object
) -> None:
    assert packb([value]) == packb([builtin])


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**30, np.uint64(2**64 - 1)], ids=repr)
def test_integers_outside_64_bits_overflow(value: object) -> None:
    with pytest.raises(OverflowError) as caught:
        packb({"a": [value]})
    assert isinstance(caught.value, PackingOverflowError)


@pytest.mark.parametrize("value", [object(), {1, 2}, 1j, np.zeros(3), np.datetime64("now")])
def test_types_that_qpack_lacks_are_named(value: object) -> None:
    with pytest.raises(TypeError, match=type(value).__name__):
        packb([value])


def test_nesting_is_bounded_both_ways() -> None:
    deep: list[Any] = []
    deep.append(deep)
    with pytest.raises(ValueError, match="nested deeper than 512"):
        packb(deep)
    assert unpackb(b"\xee" * 511 + b"\xed") is not None
    with pytest.raises(UnpackError, match="nested deeper than 512"):
        unpackb(b"\xee" * 512 + b"\xed")


@pytest.mark.parametrize(
    "wrap", [bytes, bytearray, memoryview, lambda b: np.frombuffer(b, np.uint8)]
)
def test_any_bytes_like_is_taken(wrap: Any) -> None:
    assert unpackb(wrap(SAMPLE)) == qpack.unpackb(SAMPLE)


def test_bytes_with_gaps_are_refused() -> None:
    with pytest.raises(BufferError):
        unpackb(memoryview(b"\x01\x02\x03\x04")[::2])


def test_raw_values_decode_as_asked() -> None:
    packed = packb([b"\xff", b"\xc3\xa4"])
    assert unpackb(packed) == [b"\xff", b"\xc3\xa4"]
    assert unpackb(packed, "latin-1") == ["ÿ", "Ã¤"]
    assert unpackb(packed, "utf-8", ignore_decode_errors=True) == [b"\xff", "ä"]
    with pytest.raises(UnpackError, match="not text"):
        unpackb(packed, "utf-8")
    with pytest.raises(LookupError, match="utf-16"):
        unpackb(packed, "utf-16")


def test_open_maps_and_arrays_end_with_the_bytes() -> None:
    assert unpackb(bytes.fromhex("fd8161fc0102")) == {b"a": [1, 2]}


@pytest.mark.parametrize(
    ("hostile", "reason"),
    [
        ("", "end where a value"),
        ("7c", "124 is reserved"),
        ("fe", "close without"),
        ("ee", "end where a value"),
        ("e8", "1 bytes are announced, 0 are left"),
        ("e7ffffffffffffffff", "18446744073709551615 bytes"),
        ("e6ffffffff00", "4294967295 bytes"),
        ("f4ed01", "no valid key"),
        ("0102", "1 bytes after the value"),
        ("fdff00", "1 bytes after the value"),
        ("fc" * 100_000, "nested deeper"),
        ("fd01" * 100_000, "nested deeper"),
    ],
    ids=lambda text: text[:20],
)
def test_bytes_that_are_not_qpack_are_refused(hostile: str, reason: str) -> None:
    with pytest.raises(UnpackError, match=reason) as caught:
        unpackb(bytes.fromhex(hostile))
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, SiriDBError)
    assert caught.value.offset is not None
    assert 0 <= caught.value.offset <= len(hostile) // 2


def test_every_cut_and_every_changed_byte_gives_a_value_or_an_error() -> None:
    refused = 0
    hostile = [SAMPLE[:i] for i in range(len(SAMPLE))]
    for i in range(len(SAMPLE)):
        hostile += [SAMPLE[:i] + bytes([byte]) + SAMPLE[i + 1 :] for byte in range(0, 256, 3)]
    for raw in hostile:
        try:
            unpackb(raw, "utf-8")
        except UnpackError:
            refused += 1
    assert refused > len(SAMPLE)


@given(st.binary(max_size=64))
@settings(max_examples=examples(500))
def test_random_bytes_give_a_value_or_an_error(raw: bytes) -> None:
    try:
        unpackb(raw)
    except UnpackError:
        return
    assert unpackb(raw) is not Ellipsis


def test_announced_lengths_take_no_memory() -> None:
    tracemalloc.start()
    try:
        for code in ("e6ffffff7f", "e7ffffffffffffff7f"):
            with pytest.raises(UnpackError):
                unpackb(bytes.fromhex(code))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
