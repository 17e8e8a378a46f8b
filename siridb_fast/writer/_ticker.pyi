from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from siridb_fast.writer._point_intake import PointIntake, Timestamp, Value

NumpyArray = np.ndarray[Any, np.dtype[Any]]

class Ticker:
    names: tuple[str, ...]
    def __init__(self, intake: PointIntake, names: Iterable[str]) -> None: ...
    def __len__(self) -> int: ...
    def write(self, timestamp: Timestamp, values: Sequence[Value] | NumpyArray) -> None: ...
    def write_block(self, timestamps: Any, values: Any) -> None: ...
