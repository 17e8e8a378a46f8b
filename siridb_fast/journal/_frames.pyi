from enum import IntEnum
from mmap import mmap

class Layout(IntEnum):
    PAGE_BYTES = 4096
    UNIT_BYTES = 4194304

def find_frames(
    data: bytes | mmap, journal: int
) -> list[tuple[int, int, int, int, int, int, int, int]]: ...
