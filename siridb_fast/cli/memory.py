"""Settings of the process that keep its memory small while it reads files.

Each is left as it is where the platform has no such thing.
"""

from __future__ import annotations

import contextlib
import ctypes
import os

__all__ = ["keep_memory_small"]

M_MMAP_THRESHOLD = -3  # of glibc's mallopt()
LARGE = 4_194_304  # bytes; from here on an array that is freed goes back to the system at once


def keep_memory_small() -> None:
    """Give freed memory back to the system, in Arrow and in the C library.

    Otherwise both keep what they once had for later, and a load of a large file takes up to twice
    the memory that it ever uses at one time.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # for what no pool is passed to
    import pyarrow as pa  # of the extra

    pa.set_memory_pool(pa.system_memory_pool())
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE)
