from enum import IntEnum

NO_TIME: int

class ValueKind(IntEnum):
    FLOAT = 0
    INTEGER = 1
    TEXT = 2
