from typing import Any

import numpy as np

from siridb_fast.batching._batch import Batch
from siridb_fast.batching._series import Series
from siridb_fast.columns._points import PointColumn

NumpyArray = np.ndarray[Any, np.dtype[Any]]

def note_newest(series: Series, end: int | None) -> None: ...
def append_compared(
    fresh: Batch, late: Batch, series: Series, column: PointColumn, start: int, stop: int
) -> tuple[int, int]: ...
def late_points(newest: int, timestamps: NumpyArray) -> NumpyArray: ...
