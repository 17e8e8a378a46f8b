"""A spool's file page by page, without SQLite: what is left of it when SQLite refuses to read.

The pages of the write-ahead log stand before those of the file. Rows are found by way of the tree
of their table; where that is broken, by reading every page. Knows the file format of SQLite
(https://www.sqlite.org/fileformat2.html) and nothing of packages: whether a row is what was once
written, its checksum shows.

SQLite cannot do the same, not even with a sound first page and the log replayed into a copy: it
finds a row by way of the pages above it alone. Where one of these is hit, it loses all rows below
(3,088 of 9,000 packages), and a flipped bit in a key there hides packages that are sound.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from siridb_fast.spool.log_replay import PAGE_SIZE, read_at, read_log

__all__ = ["Pages", "Row"]

INTERIOR, LEAF = 0x05, 0x0D
MOST_LOCAL = PAGE_SIZE - 35
LEAST_LOCAL = (PAGE_SIZE - 12) * 32 // 255 - 23
LONGEST_ROW = 1 << 29
INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}  # bytes of a serial type

Value = int | float | bytes | None


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it lies in the file; ``values`` are those of its columns, the first one None."""

    id: int
    values: tuple[Value, ...]


class BrokenPageError(Exception):
    """A page, or a row, makes no sense."""


class Pages:
    """The pages of a file and its log; a context manager.

    ``broken`` counts the pages and rows that make no sense among those that were read.
    """

    def __init__(self, path: Path, log: Path) -> None:
        self._log = read_log(log)
        self._file = path.open("rb")
        self._log_file = log.open("rb") if log.exists() else None
        in_file = -(-path.stat().st_size // PAGE_SIZE)
        self.count = max(in_file, *self._log.offsets, 0) if self._log.offsets else in_file
        self.broken = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._file.close()
        if self._log_file is not None:
            self._log_file.close()

    def page(self, number: int) -> bytes:
        """Return a page, filled up with zeros where the file ends or cannot be read."""
        offset = self._log.offsets.get(number)
        if offset is not None and self._log_file is not None:
            found = read_at(self._log_file.fileno(), offset, PAGE_SIZE)
        else:
            found = read_at(self._file.fileno(), (number - 1) * PAGE_SIZE, PAGE_SIZE)
        return found.ljust(PAGE_SIZE, b"\0")

    def rows(self, root: int) -> Iterator[Row]:
        """Yield the rows of a table, those of other tables too if its tree is broken.

        Then a row may come that was removed before.
        """
        seen: set[int] = set()
        is_whole = yield from self._rows_of_tree(root, seen)
        if is_whole:
            return
        for number in range(1, self.count + 1):
            if number not in seen:
                data = self.page(number)
                cells = _cells(data)
                if cells is not None and data[0] == LEAF:
                    yield from self._rows_of(data, cells)

    def _rows_of_tree(self, root: int, seen: set[int]) -> Generator[Row, None, bool]:
        # Returns whether all pages of the tree were there.
        ahead = [root]
        is_whole = True
        while ahead:
            number = ahead.pop()
            data = self.page(number) if 0 < number <= self.count else b"\0"
            cells = None if number in seen else _cells(data)
            if cells is None:
                self.broken += 1
                is_whole = False
                continue
            seen.add(number)
            if data[0] == INTERIOR:
                ahead += reversed(_children(data, cells))
            else:
                yield from self._rows_of(data, cells)
        return is_whole

    def _rows_of(self, data: bytes, cells: tuple[int, ...]) -> Iterator[Row]:
        for offset in cells:
            try:
                yield self._row(data, offset)
            except (BrokenPageError, IndexError, struct.error):
                self.broken += 1

    def _row(self, data: bytes, offset: int) -> Row:
        size, offset = _varint(data, offset)
        number, offset = _varint(data, offset)
        if not 0 < size <= min(LONGEST_ROW, self.count * PAGE_SIZE):
            raise BrokenPageError
        local = _local(size)
        content = bytearray(data[offset : offset + local])
        if local < size:
            (following,) = struct.unpack_from(">I", data, offset + local)
            self._follow(following, content, size)
        if len(content) != size:
            raise BrokenPageError
        return Row(_signed(number), _record(bytes(content)))

    def _follow(self, number: int, content: bytearray, size: int) -> None:
        while len(content) < size:
            if not 0 < number <= self.count:
                raise BrokenPageError
            data = self.page(number)
            (number,) = struct.unpack_from(">I", data)
            content += data[4 : 4 + size - len(content)]


def _cells(data: bytes) -> tuple[int, ...] | None:
    # Where the cells of a page begin; None if it is no page of a table.
    if data[0] not in (INTERIOR, LEAF):
        return None
    start = 12 if data[0] == INTERIOR else 8
    (count,) = struct.unpack_from(">H", data, 3)
    if start + 2 * count > PAGE_SIZE:
        return None
    return struct.unpack_from(f">{count}H", data, start)


def _children(data: bytes, cells: tuple[int, ...]) -> list[int]:
    return [
        struct.unpack_from(">I", data, offset)[0] if offset <= PAGE_SIZE - 4 else 0
        for offset in (*cells, 8)
    ]


def _local(size: int) -> int:
    # How much of a row stands in its page, the remainder being elsewhere.
    if size <= MOST_LOCAL:
        return size
    wanted = LEAST_LOCAL + (size - LEAST_LOCAL) % (PAGE_SIZE - 4)
    return wanted if wanted <= MOST_LOCAL else LEAST_LOCAL


def _varint(data: bytes, offset: int) -> tuple[int, int]:
    value = 0
    for count in range(8):
        byte = data[offset + count]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, offset + count + 1
    return value << 8 | data[offset + 8], offset + 9


def _signed(number: int) -> int:
    # The number of a row has 64 bits, the first of which is its sign.
    return number - (1 << 64) if number >> 63 else number


def _record(content: bytes) -> tuple[Value, ...]:
    end, offset = _varint(content, 0)
    values = []
    value_offset = end
    while offset < end:
        kind, offset = _varint(content, offset)
        value, value_offset = _value(content, kind, value_offset)
        values.append(value)
    if offset != end or value_offset != len(content):
        raise BrokenPageError
    return tuple(values)


def _value(content: bytes, kind: int, offset: int) -> tuple[Value, int]:
    if kind == 0:
        return None, offset
    if kind in INTEGERS:
        size = INTEGERS[kind]
        return int.from_bytes(_part(content, offset, size), "big", signed=True), offset + size
    if kind == 7:
        return struct.unpack(">d", _part(content, offset, 8))[0], offset + 8
    if kind in (8, 9):
        return kind - 8, offset
    if kind < 12:
        raise BrokenPageError
    size = (kind - 12) // 2
    return _part(content, offset, size), offset + size


def _part(content: bytes, offset: int, size: int) -> bytes:
    # A size may be any number of 64 bits, which not all of Python takes as an offset.
    if offset + size > len(content):
        raise BrokenPageError
    return content[offset : offset + size]
