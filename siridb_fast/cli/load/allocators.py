"""Settings of the process that keep its memory small while it reads files.

Each is left as it is where the platform has no such thing.
"""

from __future__ import annotations

import contextlib
import ctypes
import os

__all__ = ["keep_memory_small"]

KEPT = (
    50  # milliseconds that Arrow keeps what is freed: until the next portion, which takes as much
)
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt()
LARGE = 33_554_432  # bytes; from here on an array that is freed goes back to the system at once
RETAINED = 67_108_864  # bytes at most that a thread retains; without, each portion has new pages


def keep_memory_small() -> None:
    """Give most of what is freed back to the system, in Arrow and in the C library.

    Otherwise both keep all that they once had, and a load of a large file takes up to twice the
    memory that it ever uses at one time. What is given back at once costs a fifth of the load:
    the next portion needs as much, and the system clears each page of it.
    """
    os.environ.setdefault("MIMALLOC_PURGE_DELAY", str(KEPT))
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "mimalloc")  # if no pool is passed to it
    import pyarrow as pa  # of the extra

    try:
        pool = pa.mimalloc_memory_pool()
    except NotImplementedError:  # it was built without
        pool = pa.system_memory_pool()
    pa.set_memory_pool(pool)
    with contextlib.suppress(AttributeError, OSError, TypeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, LARGE)
        libc.mallopt(M_TRIM_THRESHOLD, RETAINED)
