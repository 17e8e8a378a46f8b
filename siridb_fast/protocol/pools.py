"""Which pool owns a series: the server's own rule (`lookup.c`, server-facts 5)."""

from __future__ import annotations

from functools import lru_cache
from itertools import count

__all__ = ["name_in_pool", "pool_of"]

SLOTS = 8192


def pool_of(name: str, pools: int) -> int:
    """Return the number of the pool that owns a series, in a cluster of so many pools.

    The server adds up the bytes of the name as signed ones, as they are on x86-64.
    """
    signed = sum(byte - 256 if byte > 127 else byte for byte in name.encode())
    return _owners(pools)[(signed & 0xFFFFFFFF) % SLOTS]


def name_in_pool(stem: str, pool: int, pools: int) -> str:
    """Return a name that a pool owns: the stem, with a number behind it if need be."""
    if pool_of(stem, pools) == pool:
        return stem
    names = (f"{stem}-{number}" for number in count(1))
    return next(name for name in names if pool_of(name, pools) == pool)


@lru_cache(maxsize=4)
def _owners(pools: int) -> tuple[int, ...]:
    # Each new pool takes over as many slots from each that was there before.
    owners = [0] * SLOTS
    for newest in range(1, pools):
        counts = list(range(newest))
        for slot, owner in enumerate(owners):
            counts[owner] += 1
            if counts[owner] % (newest + 1) == 0:
                owners[slot] = newest
    return tuple(owners)
