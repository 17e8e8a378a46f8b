from typing import Any

import numpy as np

from siridb_fast.batching._coalescer import Coalescer
from siridb_fast.batching._series import Series

NumpyArray = np.ndarray[Any, np.dtype[Any]]

def room_for(points: int, series: int = 1, text_bytes: int = 0) -> int: ...
def append_column(
    coalescer: Coalescer,
    series: Series,
    timestamps: NumpyArray,
    values: NumpyArray,
    delivery: object = None,
) -> None: ...
def append_rows(
    coalescer: Coalescer,
    all_series: list[Series],
    stops: NumpyArray,
    timestamps: NumpyArray,
    values: NumpyArray,
    delivery: object = None,
) -> None: ...
def append_texts(
    coalescer: Coalescer,
    series: Series,
    timestamps: NumpyArray,
    texts: list[bytes],
    delivery: object = None,
) -> None: ...
