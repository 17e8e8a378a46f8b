from enum import IntEnum

class OnMissing(IntEnum):
    KEEP = 0
    DROP = 1
    ERROR = 2
