"""The orders in which the points of a run may come, seeded."""

from __future__ import annotations

import numpy as np

from benchmarks.data.data import SEED, Array

__all__ = ["ORDERS", "order"]

ORDERS = ("sorted", "pairs swapped", "1 % late", "4 interleaved", "shuffled", "reversed")
LATE_BY = 100.5  # positions, so that a late point comes between two others
INTERLEAVED = 4


def order(kind: str, points: int) -> Array:
    """Return the indices of points in the order they come; their number is a multiple of 4."""
    random, indices = np.random.default_rng(SEED), np.arange(points)
    if kind == "pairs swapped":
        return indices.reshape(-1, 2)[:, ::-1].ravel()
    if kind == "1 % late":
        is_late = random.random(points) < 0.01
        return np.argsort(indices + is_late * LATE_BY)
    if kind == "4 interleaved":
        return indices.reshape(INTERLEAVED, -1).T.ravel()
    if kind == "shuffled":
        return random.permutation(points)
    return indices[::-1] if kind == "reversed" else indices
