"""Limits that only an odd run meets: package ids, memory of the decoder, the bound of a record."""

import tracemalloc

import numpy as np
import pytest

from siridb_fast import encode_insert, unpackb
from siridb_fast.protocol._session import Session
from siridb_fast.protocol._wire import RES_ACK, pack_header
from tests.protocol import reference_qpack


def test_urgent_requests_stop_when_every_id_waits_for_a_late_answer() -> None:
    session = Session(window=1)
    for i in range(65_536):
        session.abandon(session.open(i, is_urgent=True))
    with pytest.raises(RuntimeError):
        session.open("ping", is_urgent=True)
    session.feed(pack_header(0, 77, RES_ACK))
    assert session.open("ping", is_urgent=True) == 77


HUNGRY = {
    "empty maps": b"\xf3",
    "empty arrays": b"\xed",
    "maps of one": b"\xf4\xfb\xf3",
    "nested maps": b"\xf4\xfb" * 510 + b"\xf3",
    "doubles": b"\x7f",
}


@pytest.mark.parametrize("unit", HUNGRY.values(), ids=HUNGRY)
def test_no_input_takes_more_memory_than_is_documented(unit: bytes) -> None:
    raw = b"\xfc" + unit * (300_000 // len(unit))
    tracemalloc.start()
    try:
        value = unpackb(raw)
        assert tracemalloc.get_traced_memory()[1] <= 128 * len(raw)
    finally:
        tracemalloc.stop()
    assert len(value) > 0


EDGES = [
    b for k in (6, 7, 8, 15, 16, 31, 32, 63) for b in ((1 << k) - 1, -(1 << k), -(1 << k) - 1)
    if -(2**63) <= b < 2**63
] + [0, -1, -60, -61, -64, -65, 2**63 - 1]  # fmt: skip


def width(number: int) -> int:
    return len(reference_qpack.pack_int(number))


@pytest.mark.parametrize("n", [1, 31, 32, 33, 511, 512, 513, 4096])
@pytest.mark.parametrize("last", EDGES)
@pytest.mark.parametrize("start", [0, 2**31 - 1, 2**31, 2**63 - 5000])
def test_every_width_stays_in_its_bound_beside_every_other(n: int, last: int, start: int) -> None:
    # A block of one-byte integers whose last is wide, and the reverse: both kernels, both widths.
    for rest in (0, -1, 2**63 - 1):
        values = np.full(n, rest)
        values[-1] = last
        raw = bytes(encode_insert({"s": (np.arange(n) + start, values)}))
        assert len(raw) <= 6 + 19 * n
        assert unpackb(raw)[b"s"] == [[start + i, int(v)] for i, v in enumerate(values)]
        least = (n - 1) * width(rest) + width(last)
        assert len(raw) >= 6 + 6 * n + least


@pytest.mark.parametrize("n", [1, 33, 512, 513, 4097])
def test_full_records_fill_the_bound_to_the_last_byte(n: int) -> None:
    times = np.arange(n) + 2**62
    for values in (np.full(n, 2.5), np.full(n, -(2**63)), np.full(n, np.nan)):
        assert len(encode_insert({"s": (times, values)})) == 6 + 19 * n
