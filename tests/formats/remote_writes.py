"""Requests of remote write, encoded by the book: protobuf, and Snappy's block format."""

import struct
from collections.abc import Mapping, Sequence

__all__ = ["compressed", "request", "time_series", "varint"]


def varint(number: int) -> bytes:
    number &= 2**64 - 1
    found = b""
    while number > 127:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])


def part(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def time_series(labels: Mapping[str, str], samples: Sequence[tuple[float, int]]) -> bytes:
    """Encode one series with its samples."""
    found = b"".join(
        part(1, part(1, name.encode()) + part(2, value.encode())) for name, value in labels.items()
    )
    for value, time in samples:
        found += part(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(time))
    return found


def request(*series: bytes) -> bytes:
    """Encode a request of some series."""
    return b"".join(part(1, one) for one in series)


def compressed(data: bytes) -> bytes:
    """Compress as Snappy may: literals, and copies of what was there four bytes before."""
    found, at = varint(len(data)), 0
    while at < len(data):
        run = 0
        while 4 <= at < len(data) - run and run < 64 and data[at + run] == data[at + run - 4]:
            run += 1
        if run >= 4:
            found += bytes([(run - 1) << 2 | 2]) + (4).to_bytes(2, "little")
            at += run
            continue
        literal = data[at : at + 100]
        if at >= 4 and run < 4:
            literal = data[at : at + max(1, run)]
        length = len(literal) - 1
        head = bytes([length << 2]) if length < 60 else bytes([60 << 2, length])
        found += head + literal
        at += len(literal)
    return found
