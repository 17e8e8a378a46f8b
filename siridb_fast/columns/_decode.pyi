from typing import Any

import numpy as np

from siridb_fast.protocol._wire import PayloadBytes

def decode_points(
    payload: PayloadBytes,
) -> dict[str, tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[Any]]]]: ...
