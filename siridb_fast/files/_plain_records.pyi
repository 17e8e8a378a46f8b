import numpy as np
import numpy.typing as npt

def read_plain(
    text: bytes | memoryview,
    delimiter: int,
    point: int,
    kinds: npt.NDArray[np.uint8],
    numbers: npt.NDArray[np.int64],
    missing: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int32],
    stops: npt.NDArray[np.int32],
) -> bool: ...
def numbered_texts(
    text: bytes | memoryview, starts: npt.NDArray[np.int32], stops: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.int32], list[bytes]]: ...
def joined_texts(
    text: bytes | memoryview, starts: npt.NDArray[np.int32], stops: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8], npt.NDArray[np.bool_]]: ...
