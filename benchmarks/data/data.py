"""The data that everything here is measured with: seeded, so that every run sees the same.

Arrays of one argument are n points; nothing here knows what is measured.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = [
    "IN_CACHE",
    "MANY",
    "SEED",
    "SOME",
    "Array",
    "as_lists",
    "digits",
    "doubles",
    "flags",
    "mixed_integers",
    "nanoseconds",
    "seconds",
    "singles",
    "stamps",
    "strided",
    "texts",
]

IN_CACHE = 30_000  # points: 570 kB of package, which the second level cache holds
SOME = 500_000
MANY = 4_000_000  # 76 MB of package
SEED = 20_260_923
FIRST_SECOND = 1_600_000_000

Array = np.ndarray[Any, np.dtype[Any]]


def seconds(n: int) -> Array:
    """Return timestamps of a database in seconds, one second apart."""
    return np.arange(FIRST_SECOND, FIRST_SECOND + n, dtype=np.int64)


def nanoseconds(n: int) -> Array:
    """Return timestamps of a database in nanoseconds, about one second apart."""
    return seconds(n) * 1_000_000_000 + _random().integers(0, 1_000_000_000, n)


def stamps(n: int) -> Array:
    """Return datetime64[us], one second apart."""
    return (seconds(n) * 1_000_000).view("datetime64[us]")


def doubles(n: int) -> Array:
    """Return measurements: 9 bytes each on the wire."""
    return _random().normal(20.0, 5.0, n)


def singles(n: int) -> Array:
    """Return the same as float32."""
    return doubles(n).astype(np.float32)


def flags(n: int) -> Array:
    """Return 0.0 and 1.0: one byte each on the wire."""
    return _random().integers(0, 2, n).astype(np.float64)


def strided(n: int) -> Array:
    """Return a column of a table of four columns."""
    return _random().normal(20.0, 5.0, (n, 4))[:, 1]


def digits(n: int) -> Array:
    """Return 0..59: one byte each on the wire."""
    return _random().integers(0, 60, n)


def mixed_integers(n: int) -> Array:
    """Return integers of all widths and both signs, each width as common as any other."""
    random = _random()
    widths = random.integers(0, 63, n)
    signs = random.choice(np.array([-1, 1]), n)
    integers: Array = signs * (random.integers(0, 2**63 - 1, n) >> (62 - widths))
    return integers


def texts(n: int) -> Array:
    """Return words of 6 bytes."""
    return _random().choice(np.array(["closed", "opened", "locked"], dtype=object), n)


def as_lists(timestamps: Array, values: Array) -> list[list[object]]:
    """Convert arrays as a user of the reference driver has to."""
    return [[t, v] for t, v in zip(timestamps.tolist(), values.tolist(), strict=True)]


def _random() -> np.random.Generator:
    return np.random.default_rng(SEED)
