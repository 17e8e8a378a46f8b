from typing import Any

import numpy as np

from siridb_fast.protocol._wire import Payload

def decode_points(
    payload: Payload,
) -> dict[str, tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[Any]]]]: ...
