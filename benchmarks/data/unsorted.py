"""Insert packages whose points stay in the order they are given, as who sorts nothing sends.

Records of 19 bytes, as `siridb_fast` makes them: an array of two, its timestamp and its value,
each in full width. Only the order is different.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from benchmarks.data.data import Array
from siridb_fast import packb

__all__ = ["package", "records"]

RECORD = np.dtype(
    [("point", "u1"), ("time", "u1"), ("timestamp", "<i8"), ("type", "u1"), ("value", "<i8")]
)
ARRAY_OF_TWO, INT64, DOUBLE = 0xEF, 0xEB, 0xEC
MAP_OPEN, MAP_CLOSE, ARRAY_OPEN, ARRAY_CLOSE = b"\xfd", b"\xff", b"\xfc", b"\xfe"


def records(timestamps: Array, values: Array, is_integer: Array | bool = False) -> Array:
    """Return points as bytes, shape (n,).

    Args:
        timestamps: Shape (n,), int64.
        values: Shape (n,), float64 or int64.
        is_integer: Shape (n,): those of float64 that are stored as integers.
    """
    made = np.empty(len(timestamps), RECORD)
    made["point"], made["time"], made["timestamp"] = ARRAY_OF_TWO, INT64, timestamps
    integers = np.broadcast_to(is_integer | (values.dtype.kind == "i"), values.shape)
    made["type"] = np.where(integers, INT64, DOUBLE)
    made["value"] = values.view(np.int64)
    made["value"][integers] = values[integers].astype(np.int64)
    return made


def package(series: Iterable[tuple[str, Array]]) -> memoryview:
    """Return the payload of an insert of these series' `records`."""
    parts = [MAP_OPEN]
    for name, points in series:
        parts += (packb(name), ARRAY_OPEN, points.tobytes(), ARRAY_CLOSE)
    return memoryview(b"".join([*parts, MAP_CLOSE]))
