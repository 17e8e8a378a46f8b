"""Many short columns of floats → rows of many series, which are checked and taken all at once.

A column by itself costs as much as some hundred points do. Knows nothing of how columns are
called, nor of what is to become of those that are not whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from siridb_fast.loading.frames.base import Frame

__all__ = ["whole_columns"]

MOST_ROWS = 2_048
FEWEST_COLUMNS = 16

NumpyArray = np.ndarray[Any, np.dtype[Any]]


def whole_columns(frame: Frame, names: Sequence[str]) -> tuple[NumpyArray, NumpyArray] | None:
    """Return the columns that are floats without a missing one.

    Args:
        frame: Has the columns.
        names: Of the columns.

    Returns:
        Which of the names are whole, as bool of shape (k,); and the floats of those, a row for
        each. None where columns are few or long, or there may be others than floats.
    """
    if not 0 < len(frame) <= MOST_ROWS or len(names) < FEWEST_COLUMNS:
        return None
    floats = frame.floats(names)
    if floats is None:
        return None
    are_whole = ~np.isnan(floats.min(axis=1))
    return are_whole, floats if are_whole.all() else floats[are_whole]
