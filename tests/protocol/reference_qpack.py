"""A second encoder of qpack, in plain Python: slow, short, and written from the format.

It shares nothing with the Cython code. The ``qpack`` package is the other oracle.
"""

import struct

WIDTHS = ((1, "<b", 0xE8), (2, "<h", 0xE9), (4, "<i", 0xEA), (8, "<q", 0xEB))
LENGTHS = ((1, 0xE4), (2, 0xE5), (4, 0xE6), (8, 0xE7))


def pack(value: object) -> bytes:
    if value is None or isinstance(value, bool):
        return {None: b"\xfb", True: b"\xf9", False: b"\xfa"}[value]
    if isinstance(value, int):
        return pack_int(value)
    if isinstance(value, float):
        return pack_double(value)
    if isinstance(value, str):
        return pack_raw(value.encode())
    if isinstance(value, bytes):
        return pack_raw(value)
    if isinstance(value, (list, tuple)):
        items = [pack(item) for item in value]
        return _container(items, len(items), 0xED, b"\xfc", b"\xfe")
    assert isinstance(value, dict)
    items = [pack(part) for pair in value.items() for part in pair]
    return _container(items, len(value), 0xF3, b"\xfd", b"\xff")


def pack_int(value: int) -> bytes:
    if 0 <= value < 64:
        return bytes([value])
    if -60 <= value < 0:
        return bytes([63 - value])
    for size, form, code in WIDTHS:
        if -(1 << (8 * size - 1)) <= value < 1 << (8 * size - 1):
            return bytes([code]) + struct.pack(form, value)
    raise OverflowError(value)


def pack_double(value: float) -> bytes:
    if value in (-1.0, 0.0, 1.0):
        return bytes([126 + int(value)])
    return b"\xec" + struct.pack("<d", value)


def pack_raw(raw: bytes) -> bytes:
    if len(raw) < 100:
        return bytes([128 + len(raw)]) + raw
    for size, code in LENGTHS:
        if len(raw) < 1 << (8 * size):
            return bytes([code]) + len(raw).to_bytes(size, "little") + raw
    raise OverflowError(len(raw))


def _container(items: list[bytes], length: int, first: int, begin: bytes, end: bytes) -> bytes:
    if length < 6:
        return bytes([first + length]) + b"".join(items)
    return begin + b"".join(items) + end
