"""What pyarrow does not tell of an Arrow IPC file: whether its batches are compressed.

A file is a stream of messages behind eight bytes. The head of a message is a flatbuffer: a table
begins with the distance back to its vtable, which has two bytes of size, two more, and then for
each field its place in the table, or 0 if it is not there.

This module needs pyarrow (see `siridb_fast.files.open`).
"""

from __future__ import annotations

import struct

import pyarrow as pa

__all__ = ["is_compressed"]

FILE_HEAD = 8
HEADER = 2  # the field of a message that is the table of the record batch
COMPRESSION = 3  # its field


def is_compressed(file: pa.Buffer) -> bool:
    """Tell whether the first record batch of a file is compressed, or cannot be looked at."""
    try:
        messages = pa.ipc.MessageReader.open_stream(pa.BufferReader(file.slice(FILE_HEAD)))
        message = next(one for one in messages if one.type == "record batch")
        head = message.metadata.to_pybytes()
        (table,) = struct.unpack_from("<I", head)
        place = _field(head, table, HEADER)
        (distance,) = struct.unpack_from("<I", head, place)
        return _field(head, place + distance, COMPRESSION) > 0
    except (pa.ArrowException, StopIteration, EOFError, OSError, struct.error):
        return True


def _field(head: bytes, table: int, number: int) -> int:
    # where it is; 0: not there
    vtable = table - struct.unpack_from("<i", head, table)[0]
    slot = 4 + 2 * number
    if slot >= struct.unpack_from("<H", head, vtable)[0]:
        return 0
    offset: int = struct.unpack_from("<H", head, vtable + slot)[0]
    return table + offset if offset else 0
