"""Which pool owns a series: the server's own rule (`lookup.c`, server-facts 5)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

__all__ = ["MAX_POOLS", "name_in_pool", "pool_of"]

SLOTS = 8192
MAX_POOLS = 1000  # a table of more takes seconds, and nobody has so many servers
MAX_NUMBER = 99  # behind a name
STEP, LEAST, GREATEST = 75, 48, 122  # bytes: "K" as often as need be, then one of "0" to "z"


def pool_of(name: str, pools: int) -> int:
    """Return the number of the pool that owns a series, in a cluster of so many pools.

    The server adds up the bytes of the name as signed ones, as they are on x86-64.

    Raises:
        ValueError: No cluster has so many pools, or so few.
    """
    if not 1 <= pools <= MAX_POOLS:
        raise ValueError(f"a cluster has 1 to {MAX_POOLS} pools, got {pools}")
    signed = sum(byte - 256 if byte > 127 else byte for byte in name.encode())
    return _owners(pools)[(signed & 0xFFFFFFFF) % SLOTS]


def name_in_pool(stem: str, pool: int, pools: int) -> str:
    """Return a name that a pool owns: the stem, with something behind it if need be.

    Raises:
        ValueError: There is no such pool among so many, or no cluster has so many.
    """
    if not 0 <= pool < pools:
        raise ValueError(f"pool {pool} is none of {pools}")
    for name in _names(stem):
        if pool_of(name, pools) == pool:
            return name
    raise ValueError(f"pool {pool} of {pools} owns no series")


def _names(stem: str) -> Iterator[str]:
    # The readable ones first; the others have one for each slot of the table.
    yield stem
    for number in range(1, MAX_NUMBER + 1):
        yield f"{stem}-{number}"
    for length in range(SLOTS // STEP + 1):
        for last in range(LEAST, GREATEST + 1):
            yield f"{stem}-{chr(STEP) * length}{chr(last)}"


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
