from collections.abc import Iterable
from typing import Any

import numpy as np

NumpyArray = np.ndarray[Any, np.dtype[Any]]

class PointReader:
    series: list[tuple[str, str]]
    texts: dict[int, tuple[list[int], list[bytes]]]
    payloads: list[bytes]
    lost: int
    def read_names(self, segment: int, records: bytes) -> None: ...
    def read(
        self, frames: Iterable[tuple[int, bytes]]
    ) -> tuple[NumpyArray, NumpyArray, NumpyArray]: ...
