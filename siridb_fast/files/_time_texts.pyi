from enum import IntEnum
from typing import Any

import numpy as np

Offsets = np.ndarray[Any, np.dtype[np.int32]]
Integers = np.ndarray[Any, np.dtype[np.int64]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]

class Status(IntEnum):
    ZONED = 0
    LOCAL = 1
    MISSING = 2
    NO_MATCH = 3
    NO_SUCH_DATE = 4
    NO_SUCH_CLOCK = 5
    BEFORE_1970 = 6
    TOO_LATE = 7
    TOO_FINE = 8
    NO_SUCH_ZONE = 9
    DOUBLED = 10
    SKIPPED = 11

class Directive(IntEnum):
    LITERAL = 0
    BLANKS = 1

def read_iso(
    offsets: Offsets,
    data: Bytes,
    per_second: int,
    first_second: int,
    times: Integers,
    statuses: Bytes,
) -> None: ...
def read_form(
    directives: Bytes,
    arguments: Bytes,
    offsets: Offsets,
    data: Bytes,
    per_second: int,
    first_second: int,
    times: Integers,
    statuses: Bytes,
) -> None: ...
