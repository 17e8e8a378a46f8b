"""What a reader of a Parquet file keeps in memory of each column, told by the first pages.

That is the dictionary and one page, each as it is in the file and unpacked: the metadata tells the
size of neither. A page begins with a header in Thrift's compact form, whose first three fields are
the type and both sizes, each written as a byte 0x15 (the next field, an i32) and a zigzag varint.

This module needs pyarrow (see `siridb_fast.files.open`).
"""

from __future__ import annotations

from typing import BinaryIO

import pyarrow.parquet as pq

__all__ = ["held_bytes"]

NEXT_I32 = 0x15
HEADER_BYTES = 32  # more than three such fields take
OTHER_BYTES = 64 * 1024  # of a column: the buffer of its part of the file, and the reader as such


def held_bytes(file: BinaryIO, metadata: pq.FileMetaData) -> dict[str, int]:
    """Return for each column how much of it is in memory while it is read.

    The largest row group stands for all of them.
    """
    groups = range(metadata.num_row_groups)
    sizes = [metadata.row_group(number).total_byte_size for number in groups]
    if not sizes:
        return {metadata.schema.column(n).path: 0 for n in range(metadata.num_columns)}
    group = metadata.row_group(sizes.index(max(sizes)))
    chunks = [group.column(number) for number in range(group.num_columns)]
    return {chunk.path_in_schema: _held(file, chunk) for chunk in chunks}


def _held(file: BinaryIO, chunk: pq.ColumnChunkMetaData) -> int:
    # A dictionary is there decoded as well. Pages behind it that are larger than the first take
    # the buffers that it came through.
    dictionary = 0
    if chunk.has_dictionary_page:
        dictionary = _page_bytes(file, chunk, chunk.dictionary_page_offset)
    return 3 * dictionary + 2 * _page_bytes(file, chunk, chunk.data_page_offset) + OTHER_BYTES


def _page_bytes(file: BinaryIO, chunk: pq.ColumnChunkMetaData, offset: int) -> int:
    # The larger of both sizes; all of the chunk if there is no such header.
    file.seek(offset)
    sizes = _i32_fields(file.read(HEADER_BYTES), 3)[1:]
    whole = max(chunk.total_uncompressed_size, chunk.total_compressed_size)
    return min(whole, max(sizes)) if len(sizes) == 2 and min(sizes) >= 0 else int(whole)


def _i32_fields(data: bytes, count: int) -> list[int]:
    # the first ones, as many as there are
    fields: list[int] = []
    place = 0
    while len(fields) < count and data[place : place + 1] == bytes([NEXT_I32]):
        number = shift = 0
        is_complete = False
        while not is_complete and place + 1 < len(data):
            place += 1
            number |= (data[place] & 0x7F) << shift
            shift += 7
            is_complete = data[place] < 0x80
        if not is_complete:
            break
        fields.append(number >> 1 ^ -(number & 1))
        place += 1
    return fields
