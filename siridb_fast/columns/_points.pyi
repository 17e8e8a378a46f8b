from typing import Any

import numpy as np

from siridb_fast.columns._arrays import Kind
from siridb_fast.columns._blocks import OnMissing
from siridb_fast.protocol._buffer import PayloadBuffer

NumpyArray = np.ndarray[Any, np.dtype[Any]]

class PointColumn:
    name: str
    raw_name: bytes
    size: int
    type: str
    shown_timestamps: NumpyArray
    first_sent: int
    last_sent: int
    shown_values: NumpyArray
    def __init__(
        self,
        name: str,
        raw_name: bytes,
        timestamps: NumpyArray,
        values: NumpyArray | list[bytes | None],
        timestamp_kind: Kind,
        value_kind: Kind,
        timestamps_swapped: bool = False,
        values_swapped: bool = False,
        *,
        shown_timestamps: NumpyArray,
        shown_values: NumpyArray,
        numerator: int = 1,
        denominator: int = 1,
        timestamp_bits: int = 63,
        is_datetime: bool = False,
        floors: bool = False,
        on_missing: OnMissing = ...,
    ) -> None: ...
    def __len__(self) -> int: ...
    def check(self) -> int: ...
    def plain(self) -> tuple[NumpyArray, NumpyArray | list[bytes]]: ...
    def fit(self, start: int, budget: int) -> int: ...
    @property
    def max_bytes(self) -> int: ...
    def append_to(self, buffer: PayloadBuffer, start: int, stop: int) -> int: ...
    def newest_sent(self, start: int, stop: int) -> NumpyArray | list[bytes]: ...
