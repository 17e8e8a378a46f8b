from siridb_fast.files._time_texts import Bytes, Integers, Offsets

def read_epoch(
    offsets: Offsets, data: Bytes, shift: int, times: Integers, statuses: Bytes
) -> None: ...
