"""Batches made of the points of others: two for one that is stored in part, one for a payload.

Knows nothing of what is found out of points, nor of packages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from siridb_fast.batching._batch import Batch
from siridb_fast.columns._decode import decode_points
from siridb_fast.columns.column import point_column
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.delivery.missing_points import Arrays

__all__ = ["Resolution", "batch_of", "split_batch"]

SENT_RULES = ColumnRules()  # what was sent is in the database's precision

NumpyArray = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Resolution:
    """What was found out of a package in doubt, as two batches; None for one without points."""

    stored: Batch | None
    missing: Batch | None


def split_batch(batch: Batch, arrays: Arrays, missing: dict[str, NumpyArray]) -> Resolution:
    """Split a package into what is stored and what is not, and the credit of deliveries with it.

    Args:
        batch: The package.
        arrays: Its points.
        missing: Of each series a bool array, shape (n,).
    """
    if not any(mask.any() for mask in missing.values()):
        return Resolution(batch, None)
    if all(mask.all() for mask in missing.values()):
        return Resolution(None, batch)
    stored, lost = Batch(oldest=batch.oldest), Batch(oldest=batch.oldest)
    indexes: dict[int, tuple[int, int, int]] = {}  # in both, and how many points are missing
    for index, name in enumerate(batch.names):
        mask = missing[name]
        indexes[index] = (
            _append(stored, name, arrays[name], ~mask),
            _append(lost, name, arrays[name], mask),
            int(mask.sum()),
        )
    for delivery, index, points in batch.credits:
        in_stored, in_lost, left = indexes[index]
        missed = min(points, left)
        indexes[index] = in_stored, in_lost, left - missed
        for half, at, count in ((stored, in_stored, points - missed), (lost, in_lost, missed)):
            if count:
                half.credit(delivery, at, count)
    stored.seal()
    lost.seal()
    return Resolution(stored, lost)


def batch_of(payload: bytes) -> Batch:
    """Return a batch of the points of an insert package, to be sealed."""
    batch = Batch()
    for name, pair in decode_points(payload).items():
        _append(batch, name, pair, np.ones(len(pair[0]), np.bool_))
    return batch


def _append(batch: Batch, name: str, pair: tuple[NumpyArray, NumpyArray], mask: NumpyArray) -> int:
    # Return the index of the series in the batch, if it has points.
    column = point_column(name, pair[0][mask], pair[1][mask], SENT_RULES)
    batch.append_column(column, 0, len(column))
    return len(batch) - 1
