"""Remote write: what each request gives, and what is wrong with one."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siridb_fast.formats._remote_write import RemoteWrite
from siridb_fast.formats._snappy import decompressed
from siridb_fast.formats.points import LineError, PointKey
from tests.formats.parsed import rows_of
from tests.formats.remote_writes import compressed, part, request, time_series, varint

UP = {"__name__": "up", "job": "a", "instance": "x"}
KEY = PointKey("up", (("instance", "x"), ("job", "a")))
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]


def test_series_have_their_samples() -> None:
    parser = RemoteWrite()
    text = request(
        time_series(UP, [(1.5, 5), (STALE, 6), (float("inf"), 7)]),
        time_series({"__name__": "b"}, []),
        time_series({"__name__": "c"}, [(2.0, -1)]),
    )
    for _ in range(2):
        parser.line = 1
        points = parser.parse(text)
        assert points.bad == []
        assert rows_of(parser.series, points) == [
            (KEY, 5, 1.5, 1),
            (KEY, 7, float("inf"), 1),
            (PointKey("c", ()), -1, 2.0, 3),
        ]
    assert len(parser.series) == 3


def test_other_fields_are_passed_over() -> None:
    more = varint(9 << 3) + varint(2**64 - 1) + varint(10 << 3 | 1) + b"8 bytes!" + part(11, b"x")
    more += varint(12 << 3 | 5) + b"four"
    parser = RemoteWrite()
    points = parser.parse(request(more + time_series(UP, [(1.0, 1)])) + part(3, b"metadata"))
    assert rows_of(parser.series, points) == [(KEY, 1, 1.0, 1)]


@pytest.mark.parametrize(
    ("series", "reason"),
    [
        (time_series({"job": "a"}, [(1.0, 1)]), "a series has the label __name__"),
        (b"", "a series has labels"),
        (time_series(UP, []) + time_series({}, [(1.0, 1)]) + part(1, b""), "a series has labels"),
        (time_series({"__name__": "a\0"}, [(1.0, 1)]), "NUL"),
        (part(1, part(1, b"__name__") + part(2, b"\xff")), "UTF-8"),
        (time_series(UP, []) + time_series(UP, []), "the label '__name__' is there twice"),
        (time_series(UP, []) + part(4, b""), "native histograms"),
        (time_series(UP, [(1.0, 1)])[:-1], "no WriteRequest"),
    ],
)
def test_a_bad_series_is_told_and_the_next_one_is_read(series: bytes, reason: str) -> None:
    parser = RemoteWrite()
    points = parser.parse(request(series, time_series(UP, [(2.0, 2)])))
    assert rows_of(parser.series, points) == [(KEY, 2, 2.0, 2)]
    assert [(one.line, reason in one.reason) for one in points.bad] == [(1, True)]


@pytest.mark.parametrize("text", [b"\x0a", b"\x0a\x05", b"\x0b", b"\xff" * 11, b"\x00", b"hello"])
def test_what_is_no_request_is_refused(text: bytes) -> None:
    with pytest.raises(LineError, match="no WriteRequest"):
        RemoteWrite().parse(text)


@given(st.binary(max_size=300))
def test_any_bytes_give_points_or_are_refused(text: bytes) -> None:
    try:
        points = RemoteWrite().parse(text)
    except LineError:
        return
    assert len(points) + len(points.bad) <= len(text)


@given(st.binary(max_size=300), st.integers(0, 5))
def test_what_was_compressed_comes_back(data: bytes, repeats: int) -> None:
    data *= repeats
    assert decompressed(compressed(data), len(data)) == data


@given(st.binary(max_size=100))
def test_any_bytes_are_decompressed_or_refused(data: bytes) -> None:
    with suppress(LineError):
        assert len(decompressed(data, 10_000)) <= 10_000


GOLDEN = {
    "0000": None,  # an element where none is meant
    "05100068656c6c6f": None,
    "051068656c6c6f": b"hello",
    "08046162" + "0902": b"abababab"[:2] + b"ababab",
    "0b04616209020902"[:14]: None,
    "05f00468656c6c6f": b"hello",  # the length of a literal in a byte of its own
    "05f4040068656c6c6f": b"hello",  # in two
    "060461620e0200": b"ababab",  # a copy whose offset has two bytes
    "0604616" + "20f02000000": b"ababab",  # four
    "0604616" + "20e0300": None,  # before the start
    "0604616" + "20e0000": None,
    "05106865": None,
    "ffffffffff01": None,
    "": None,
}


@pytest.mark.parametrize("text", GOLDEN)
def test_elements_of_snappy(text: str) -> None:
    expected = GOLDEN[text]
    if expected is None:
        with pytest.raises(LineError, match="not compressed by snappy"):
            decompressed(bytes.fromhex(text), 1_000)
    else:
        assert decompressed(bytes.fromhex(text), 1_000) == expected


def test_more_than_is_taken_is_refused_before_it_is_there() -> None:
    with pytest.raises(LineError, match="4,294,967,295 bytes"):
        decompressed(varint(2**32 - 1), 1_000)
