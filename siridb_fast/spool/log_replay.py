"""A spool's file page by page, without SQLite: what is left of it when SQLite refuses to read.

The pages of the write-ahead log stand before those of the file. Rows are found by way of the tree
of their table; where that is broken, by looking at every page. Knows the file format of SQLite
(https://www.sqlite.org/fileformat2.html) and nothing of packages: whether a row is what was once
written, a checksum in it has to tell.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

__all__ = ["PAGE_SIZE", "Log", "Pages", "Row", "is_log_damaged", "read_log"]

PAGE_SIZE = 32768
LOG_HEADER, FRAME_HEADER = 32, 24
FRAME_BYTES = FRAME_HEADER + PAGE_SIZE
LOG_MAGIC = {0x377F0682: "<", 0x377F0683: ">"}  # the byte order of the checksums
INTERIOR, LEAF = 0x05, 0x0D
FILE_HEADER = 100
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


@dataclass(frozen=True, slots=True)
class Log:
    """What a write-ahead log holds.

    ``places`` has the offset of the newest image of each page, ``frames`` how many frames were
    committed, ``earlier`` how many before the last transaction, ``pages`` how many pages the file
    has with them; ``is_there``: the log is not empty.
    """

    places: dict[int, int] = field(default_factory=dict)
    frames: int = 0
    earlier: int = 0
    pages: int = 0
    is_there: bool = False


class BrokenPageError(Exception):
    """A page, or a row, makes no sense."""


def read_log(path: Path) -> Log:
    """Return what was committed to a write-ahead log, whatever its checksums say."""
    if not path.exists() or path.stat().st_size < LOG_HEADER + FRAME_HEADER:
        return Log(is_there=path.exists() and path.stat().st_size > 0)
    with path.open("rb") as file:
        header = file.read(LOG_HEADER + FRAME_HEADER)
        salts = header[16:24] if _is_sound(header) else header[LOG_HEADER + 8 : LOG_HEADER + 16]
        places: dict[int, int] = {}
        uncommitted: dict[int, int] = {}
        frames = earlier = pages = 0
        size = path.stat().st_size
        offsets = range(LOG_HEADER, size - FRAME_BYTES + 1, FRAME_BYTES)
        for number, offset in enumerate(offsets, 1):
            head = _read(file.fileno(), offset, FRAME_HEADER).ljust(FRAME_HEADER, b"\0")
            if head[8:16] == salts:
                page, is_commit = struct.unpack_from(">II", head)
                uncommitted[page] = offset + FRAME_HEADER
                if is_commit:
                    places |= uncommitted
                    uncommitted.clear()
                    earlier, frames, pages = frames, number, is_commit
    return Log(places, frames, earlier, pages, is_there=True)


def is_log_damaged(path: Path, log: Log, sound: int) -> bool:
    """Tell whether a log of which SQLite takes so many frames has lost what was complete.

    It has not if all of its last transaction is there but for the last frame.

    SQLite writes the head of a frame, which says that the transaction is complete, before the page
    in it: so that is what a process leaves that is killed in between. Nobody was told that the
    transaction is complete then.
    """
    return sound < log.frames and not (sound == log.earlier and _is_torn(path, log))


def _is_torn(path: Path, log: Log) -> bool:
    # Whether all frames of the last transaction but the last one are sound.
    with path.open("rb") as file:
        header = file.read(LOG_HEADER)
        if not _is_sound(header):
            return False
        (magic,) = struct.unpack_from(">I", header)
        end = LOG_HEADER + log.earlier * FRAME_BYTES
        sums = header[24:32]
        if log.earlier:
            sums = _read(file.fileno(), end - FRAME_BYTES + 16, 8)
        for number in range(log.earlier, log.frames - 1):
            frame = _read(file.fileno(), LOG_HEADER + number * FRAME_BYTES, FRAME_BYTES)
            sums = _summed(frame[:8] + frame[FRAME_HEADER:], LOG_MAGIC[magic], sums)
            if frame[16:24] != sums:
                return False
    return True


class Pages:
    """The pages of a file and its log; a context manager.

    ``broken`` counts the pages and rows that make no sense among those that were looked at.
    """

    def __init__(self, path: Path, log: Path) -> None:
        self._log = read_log(log)
        self._file = path.open("rb")
        self._log_file = log.open("rb") if log.exists() else None
        in_file = -(-path.stat().st_size // PAGE_SIZE)
        self.count = max(in_file, *self._log.places, 0) if self._log.places else in_file
        self.broken = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._file.close()
        if self._log_file is not None:
            self._log_file.close()

    def page(self, number: int) -> bytes:
        """Return a page, filled up with zeros where the file ends or cannot be read."""
        offset = self._log.places.get(number)
        if offset is not None and self._log_file is not None:
            found = _read(self._log_file.fileno(), offset, PAGE_SIZE)
        else:
            found = _read(self._file.fileno(), (number - 1) * PAGE_SIZE, PAGE_SIZE)
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
        # Tells at its end whether all pages of the tree were there.
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
        for place in cells:
            try:
                yield self._row(data, place)
            except (BrokenPageError, IndexError, struct.error):
                self.broken += 1

    def _row(self, data: bytes, place: int) -> Row:
        size, place = _varint(data, place)
        number, place = _varint(data, place)
        if not 0 < size <= min(LONGEST_ROW, self.count * PAGE_SIZE):
            raise BrokenPageError
        local = _local(size)
        content = bytearray(data[place : place + local])
        if local < size:
            (following,) = struct.unpack_from(">I", data, place + local)
            self._follow(following, content, size)
        if len(content) != size:
            raise BrokenPageError
        return Row(number, _record(bytes(content)))

    def _follow(self, number: int, content: bytearray, size: int) -> None:
        while len(content) < size:
            if not 0 < number <= self.count:
                raise BrokenPageError
            data = self.page(number)
            (number,) = struct.unpack_from(">I", data)
            content += data[4 : 4 + size - len(content)]


def _read(file: int, offset: int, size: int) -> bytes:
    try:
        return os.pread(file, size, offset)
    except OSError:  # a sector that cannot be read is a damaged page like any other
        return b""


def _is_sound(header: bytes) -> bool:
    magic, _, page_size = struct.unpack_from(">III", header)
    if magic not in LOG_MAGIC or page_size != PAGE_SIZE:
        return False
    return header[24:32] == _summed(header[:24], LOG_MAGIC[magic], bytes(8))


def _summed(data: bytes, order: str, before: bytes) -> bytes:
    # SQLite's checksum of a log, going on from that of what stands before.
    first, second = struct.unpack(">II", before)
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for x, y in zip(words[::2], words[1::2], strict=True):
        first = (first + x + second) & 0xFFFFFFFF
        second = (second + y + first) & 0xFFFFFFFF
    return struct.pack(">II", first, second)


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
        struct.unpack_from(">I", data, place)[0] if place <= PAGE_SIZE - 4 else 0
        for place in (*cells, 8)
    ]


def _local(size: int) -> int:
    # How much of a row stands in its page, the rest being elsewhere.
    if size <= MOST_LOCAL:
        return size
    wanted = LEAST_LOCAL + (size - LEAST_LOCAL) % (PAGE_SIZE - 4)
    return wanted if wanted <= MOST_LOCAL else LEAST_LOCAL


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for count in range(8):
        byte = data[place + count]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + count + 1
    return value << 8 | data[place + 8], place + 9


def _record(content: bytes) -> tuple[Value, ...]:
    end, place = _varint(content, 0)
    values = []
    at = end
    while place < end:
        kind, place = _varint(content, place)
        value, at = _value(content, kind, at)
        values.append(value)
    if place != end or at != len(content):
        raise BrokenPageError
    return tuple(values)


def _value(content: bytes, kind: int, at: int) -> tuple[Value, int]:
    if kind == 0:
        return None, at
    if kind in INTEGERS:
        size = INTEGERS[kind]
        return int.from_bytes(content[at : at + size], "big", signed=True), at + size
    if kind == 7:
        return struct.unpack_from(">d", content, at)[0], at + 8
    if kind in (8, 9):
        return kind - 8, at
    if kind < 12:
        raise BrokenPageError
    size = (kind - 12) // 2
    return content[at : at + size], at + size
