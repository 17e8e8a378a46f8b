"""The small parts that others stand on: buffers, headers, what replies mean, casts."""

import gc
import io
import sys
from typing import Any

import numpy as np
import pytest

from siridb_fast import errors, packb
from siridb_fast.columns._payload import finish_payload, restart_payload, start_payload
from siridb_fast.columns.casting import cast_values
from siridb_fast.protocol._buffer import PayloadBuffer
from siridb_fast.protocol._wire import MAX_PAYLOAD, pack_header, parse_header
from siridb_fast.protocol.responses import value_of

# ---- PayloadBuffer


def test_a_buffer_shows_its_bytes_only_when_they_can_change_no_more() -> None:
    buffer = start_payload()
    with pytest.raises(BufferError, match="not sealed"):
        memoryview(buffer)
    finish_payload(buffer)
    assert bytes(buffer) == b"\xfd\xff"
    with pytest.raises(BufferError, match="sealed"):
        finish_payload(buffer)
    assert memoryview(buffer).readonly


def test_memory_in_use_is_not_cleared() -> None:
    buffer = finish_payload(start_payload())
    view = memoryview(buffer)
    assert not buffer.is_free
    with pytest.raises(BufferError, match="1 views"):
        restart_payload(buffer)
    view.release()
    assert buffer.is_free
    restart_payload(buffer)
    assert len(buffer) == 1


def test_views_of_a_buffer_are_counted_and_leak_nothing() -> None:
    buffer = finish_payload(start_payload())
    before = sys.getrefcount(None), sys.getrefcount(buffer)
    for _ in range(10_000):
        with memoryview(buffer) as view:
            assert (view.format, view.shape, view.strides) == ("B", (2,), (1,))
    assert sys.getrefcount(buffer) == before[1]
    assert sys.getrefcount(None) < before[0] + 5_000
    with pytest.raises(TypeError, match=r"read-only|not writable|read-write"):
        io.BytesIO(b"xx").readinto(buffer)


def test_a_view_keeps_the_memory_alive() -> None:
    view = memoryview(finish_payload(start_payload()))
    gc.collect()
    assert bytes(view) == b"\xfd\xff"
    assert "sealed, 0 bytes" in repr(PayloadBuffer().seal())


# ---- headers


@pytest.mark.parametrize(
    ("length", "pid", "kind", "expected"),
    [
        (0, 0, 0, "00000000000000ff"),
        (5, 1, 2, "05000000010002fd"),
        (MAX_PAYLOAD, 65_535, 255, "00008002ffffff00"),
    ],
)
def test_headers(length: int, pid: int, kind: int, expected: str) -> None:
    raw = pack_header(length, pid, kind)
    assert raw.hex() == expected
    assert parse_header(raw) == (length, pid, kind)


def test_headers_that_cannot_be() -> None:
    with pytest.raises(errors.PackageTooLargeError, match="41,943,041"):
        pack_header(MAX_PAYLOAD + 1, 1, 1)
    for pid, kind in ((-1, 1), (65_536, 1), (1, 256)):
        with pytest.raises(ValueError, match="out of range"):
            pack_header(0, pid, kind)
    with pytest.raises(errors.ProtocolError, match="check byte"):
        parse_header(bytes.fromhex("05000000010002ff"))
    with pytest.raises(errors.ProtocolError, match="8 bytes, got 7"):
        parse_header(bytes(7))


# ---- replies

TEXT = packb({"error_msg": "no, because"})
REFUSALS: list[tuple[int, bytes, type[Exception], type[Exception], str]] = [
    (64, TEXT, errors.ServerMessageError, RuntimeError, "no, because"),
    (65, TEXT, errors.QueryError, errors.SiriDBError, "no, because"),
    (66, TEXT, errors.InsertError, errors.SiriDBError, "no, because"),
    (67, TEXT, errors.ServerError, errors.SiriDBError, "no, because"),
    (68, TEXT, errors.PoolError, errors.SiriDBError, "no, because"),
    (69, TEXT, errors.UserAuthError, errors.AuthenticationError, "no, because"),
    (70, b"", errors.ServerMessageError, RuntimeError, "unexpected error"),
    (71, b"", errors.AuthenticationError, errors.SiriDBError, "not authenticated"),
    (72, b"", errors.AuthenticationError, errors.SiriDBError, "invalid credentials"),
    (73, b"", errors.UnknownDatabaseError, IndexError, "unknown database"),
    (73, b"", errors.UnknownDatabaseError, errors.AuthenticationError, "unknown database"),
    (74, b"", errors.ServerMessageError, RuntimeError, "load the database"),
    (75, b"", errors.ServerMessageError, RuntimeError, "give the file"),
    (99, b"", errors.UnknownPackageError, TypeError, "unknown type 99"),
    (66, b"\xfe", errors.UnpackError, ValueError, "close"),
    (66, packb([1]), errors.InsertError, errors.SiriDBError, r"\[1\]"),
]


@pytest.mark.parametrize(("kind", "body", "error", "builtin", "text"), REFUSALS)
def test_each_refusal_is_its_own_error_and_the_builtin_it_promises(
    kind: int, body: bytes, error: type[Exception], builtin: type[Exception], text: str
) -> None:
    with pytest.raises(builtin, match=text) as caught:
        value_of(kind, body)
    assert type(caught.value) is error


def test_the_point_limit_has_an_error_of_its_own() -> None:
    said = "Query has reached the maximum number of selected points (1000000)."
    with pytest.raises(errors.SelectLimitError, match="1000000") as caught:
        value_of(65, packb({"error_msg": said}))
    assert isinstance(caught.value, errors.QueryError)


def test_what_answers_bring() -> None:
    assert value_of(0, packb({"a": ["b"]})) == {"a": ["b"]}
    assert value_of(0, b"\xfe", is_raw=True) == b"\xfe"
    assert value_of(0, packb([b"\xff"])) == [b"\xff"]
    assert (value_of(2, b""), value_of(3, b""), value_of(5, b"raw")) == (True, None, b"raw")


def test_which_errors_are_worth_another_try() -> None:
    retriable = {
        name
        for name in errors.__all__
        if getattr(errors, name).retriable and name != "SiriDBError"
    }
    full = {"BufferFullError", "SpoolFullError"}
    assert retriable == {"ServerError", "PoolError", "ConnectionLost"} | full


# ---- casts


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
