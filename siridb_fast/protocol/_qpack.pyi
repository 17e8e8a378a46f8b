from typing import Any

from siridb_fast.protocol._wire import PayloadBytes

def packb(value: object) -> bytes: ...
def unpackb(
    data: PayloadBytes,
    decode: str | None = None,
    ignore_decode_errors: bool = False,
    use_tuples: bool = False,
) -> Any: ...
