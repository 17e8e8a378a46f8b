"""Arrow's bits as arrays of bool, without pandas, which ``to_numpy`` imports for them.

Does not import pyarrow: whoever has an array has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["are_missing", "are_true"]


def are_missing(array: pa.Array) -> npt.NDArray[np.bool_]:
    """Return where an array is null, shape (n,)."""
    return ~_bits(array.buffers()[0], array, default=True)


def are_true(array: pa.Array) -> npt.NDArray[np.bool_]:
    """Return where an array of bool is true, shape (n,); null is not."""
    values = _bits(array.buffers()[1], array, default=False)
    return values & ~are_missing(array) if array.null_count else values


def _bits(buffer: pa.Buffer | None, array: pa.Array, *, default: bool) -> npt.NDArray[np.bool_]:
    if buffer is None or not len(array):
        return np.full(len(array), default)
    first, stop = array.offset, array.offset + len(array)
    bits = np.unpackbits(np.frombuffer(buffer, np.uint8), count=stop, bitorder="little")
    return bits[first:].view(np.bool_)
