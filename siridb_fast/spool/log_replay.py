"""The write-ahead log of a spool, read without SQLite: what was committed, and is it damaged.

Knows the format of the log (https://www.sqlite.org/fileformat2.html) and nothing of what is in its
pages, nor of packages.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["PAGE_SIZE", "Log", "is_log_damaged", "read_at", "read_log"]

PAGE_SIZE = 32768
LOG_HEADER, FRAME_HEADER = 32, 24
FRAME_BYTES = FRAME_HEADER + PAGE_SIZE
LOG_MAGIC = {0x377F0682: "<", 0x377F0683: ">"}  # the byte order of the checksums


@dataclass(frozen=True, slots=True)
class Log:
    """What a write-ahead log holds.

    ``offsets`` has that of the newest image of each page, ``frames`` how many frames were
    committed, ``earlier`` how many before the last transaction, ``pages`` how many pages the file
    has with them; ``is_there``: the log is not empty.
    """

    offsets: dict[int, int] = field(default_factory=dict)
    frames: int = 0
    earlier: int = 0
    pages: int = 0
    is_there: bool = False


def read_log(path: Path) -> Log:
    """Return what was committed to a write-ahead log, whatever its checksums say."""
    if not path.exists() or path.stat().st_size < LOG_HEADER + FRAME_HEADER:
        return Log(is_there=path.exists() and path.stat().st_size > 0)
    with path.open("rb") as file:
        header = file.read(LOG_HEADER + FRAME_HEADER)
        salts = header[16:24] if _is_sound(header) else header[LOG_HEADER + 8 : LOG_HEADER + 16]
        offsets: dict[int, int] = {}
        uncommitted: dict[int, int] = {}
        frames = earlier = pages = 0
        size = path.stat().st_size
        frame_offsets = range(LOG_HEADER, size - FRAME_BYTES + 1, FRAME_BYTES)
        for number, offset in enumerate(frame_offsets, 1):
            head = read_at(file.fileno(), offset, FRAME_HEADER).ljust(FRAME_HEADER, b"\0")
            if head[8:16] == salts:
                page, is_commit = struct.unpack_from(">II", head)
                uncommitted[page] = offset + FRAME_HEADER
                if is_commit:
                    offsets |= uncommitted
                    uncommitted.clear()
                    earlier, frames, pages = frames, number, is_commit
    return Log(offsets, frames, earlier, pages, is_there=True)


def is_log_damaged(path: Path, log: Log, sound: int) -> bool:
    """Return whether a log of which SQLite takes so many frames has lost what was complete.

    It has not if all of its last transaction is there but for the last frame.

    SQLite writes the head of a frame, which says that the transaction is complete, before the page
    in it: so that is what a process leaves that is killed in between. `Spool.put` has
    not returned then.
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
            sums = read_at(file.fileno(), end - FRAME_BYTES + 16, 8)
        for number in range(log.earlier, log.frames - 1):
            frame = read_at(file.fileno(), LOG_HEADER + number * FRAME_BYTES, FRAME_BYTES)
            sums = _summed(frame[:8] + frame[FRAME_HEADER:], LOG_MAGIC[magic], sums)
            if frame[16:24] != sums:
                return False
    return True


def read_at(file: int, offset: int, size: int) -> bytes:
    """Return bytes of a file, fewer of them where it ends, none where it cannot be read."""
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
