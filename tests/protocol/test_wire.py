"""Package headers, byte for byte."""

import pytest

from siridb_fast import errors
from siridb_fast.protocol._wire import MAX_PAYLOAD, pack_header, parse_header


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
