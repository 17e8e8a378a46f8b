from collections.abc import Sequence
from typing import Any

import numpy as np

def value_keys(values: np.ndarray[Any, np.dtype[Any]] | Sequence[str | bytes]) -> list[int]: ...
