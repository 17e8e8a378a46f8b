"""The points of a `Failure`, kept as what they were: a part of a package, or arrays.

Bytes of a package are decoded when somebody asks, so that a failure that nobody looks at costs a
copy of its own bytes and no more. Knows nothing of why points were not delivered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from siridb_fast.columns._decode import decode_points
from siridb_fast.delivery.report import Failure

__all__ = ["GivenPoints", "SentPoints", "failure_of"]

OF_A_TEXT = 40  # bytes of memory that a text takes beside its own

NumpyArray = np.ndarray[Any, np.dtype[Any]]
Arrays = tuple[np.ndarray[Any, np.dtype[np.int64]], NumpyArray]


class SentPoints:
    """Points as they were sealed in a package.

    Args:
        payload: A package with this series alone, of memory that nobody uses again.
    """

    __slots__ = ("_payload",)

    def __init__(self, payload: bytes) -> None:
        self._payload = payload

    @property
    def size(self) -> int:
        """How many bytes of memory they take."""
        return len(self._payload)

    def arrays(self) -> Arrays:
        """Decode them."""
        (pair,) = decode_points(self._payload).values()
        return pair


class GivenPoints:
    """Points that were never sealed.

    Args:
        timestamps: Shape (n,), int64, in the database's precision.
        values: Shape (n,), int64, float64 or objects; or n texts as bytes.
    """

    __slots__ = ("_timestamps", "_values", "size")

    def __init__(self, timestamps: NumpyArray, values: NumpyArray | Sequence[bytes]) -> None:
        self._timestamps = timestamps
        self._values = values
        self.size = timestamps.nbytes + _bytes_of(values)

    def arrays(self) -> Arrays:
        """Return them; texts as what they say."""
        if isinstance(self._values, np.ndarray):
            return self._timestamps, self._values
        texts = np.empty(len(self._values), object)
        texts[:] = [_text(raw) for raw in self._values]
        return self._timestamps, texts


def failure_of(
    series: str,
    timestamps: NumpyArray,
    values: NumpyArray | Sequence[bytes],
    error: BaseException,
) -> Failure:
    """Return the failure of points that were never sealed; see `GivenPoints`."""
    return Failure(series, len(timestamps), error, GivenPoints(timestamps, values))


def _bytes_of(values: NumpyArray | Sequence[bytes]) -> int:
    if isinstance(values, np.ndarray) and values.dtype.kind != "O":
        return values.nbytes
    return sum(len(text) + OF_A_TEXT for text in values)


def _text(raw: bytes) -> str | bytes:
    # Bytes where it is not UTF-8, as in an answer of the server.
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw
