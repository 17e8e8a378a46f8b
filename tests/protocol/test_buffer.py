"""The memory of a payload: open, sealed, viewed, used again."""

import gc
import io
import sys

import pytest

from siridb_fast.columns._payload import finish_payload, restart_payload, start_payload


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


def test_a_buffer_says_whether_it_is_sealed() -> None:
    buffer = start_payload()
    assert "open, 1 bytes" in repr(buffer)
    assert "sealed, 2 bytes" in repr(finish_payload(buffer))
