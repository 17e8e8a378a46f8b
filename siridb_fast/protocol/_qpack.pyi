from typing import Any

from siridb_fast.protocol._wire import Payload

def packb(value: object) -> bytes: ...
def unpackb(
    data: Payload,
    decode: str | None = None,
    ignore_decode_errors: bool = False,
    use_tuples: bool = False,
) -> Any: ...
