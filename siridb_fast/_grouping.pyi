from collections.abc import Callable
from typing import Any

import numpy as np

Codes = np.ndarray[Any, np.dtype[np.int32]]
Integers = np.ndarray[Any, np.dtype[np.int64]]

def encode_objects(
    objects: np.ndarray[Any, np.dtype[np.object_]], is_missing: Callable[[object], bool]
) -> tuple[Codes, list[object]]: ...
def count(codes: Codes, labels: int) -> tuple[Integers, bool]: ...
def group(codes: Codes, labels: int) -> tuple[Integers, Integers, Codes | None]: ...
def scatter(values: Integers, places: Codes) -> Integers: ...
