"""The first bytes of a spool's file: whether it is one, of which version, and whether it is whole.

Knows the header of SQLite's files; nothing of what is in tables.
"""

from __future__ import annotations

import struct
from pathlib import Path

from siridb_fast.errors import SpoolError
from siridb_fast.spool.lock import holder_of
from siridb_fast.spool.log_replay import PAGE_SIZE, read_log
from siridb_fast.spool.salvage import Salvage
from siridb_fast.spool.schema import APPLICATION_ID, VERSION, VERSIONS, log_path

__all__ = ["fault_of", "refuse_others"]

# What never changes in the first 100 bytes of a spool: offset and bytes.
HEADER = {
    0: b"SQLite format 3\0",
    16: struct.pack(">HBBBBBB", PAGE_SIZE, 2, 2, 0, 64, 32, 32),
    44: struct.pack(">I", 4),
    56: struct.pack(">I", 1),
    64: struct.pack(">II", 1, APPLICATION_ID),
    72: bytes(20),
}
MAGIC = HEADER[0]
VERSION_OFFSET = 60  # where it stands twice
OWN_TABLE = b"CREATE TABLE packages (\n    id INTEGER PRIMARY KEY, points"


def refuse_others(path: Path) -> None:
    """Refuse a file that was never a spool, before anything is done to it, or beside it.

    Of a spool whose head is damaged, a package or the settings are left, with their checksum.

    Raises:
        SpoolError: It is none.
    """
    if holder_of(path) is not None:  # maybe by this process: SQLite's locks end with any close
        return
    with path.open("rb") as file:
        head = file.read(PAGE_SIZE)
    is_own = not head or not _wrong_in(head) or (head.startswith(MAGIC) and OWN_TABLE in head)
    if is_own or Salvage(path).has_any():
        return
    if head.startswith(MAGIC):
        raise SpoolError(f"{path} is no spool: it is a database of another program")
    raise SpoolError(f"{path} is no spool: it is another file, and was left as it is")


def fault_of(path: Path) -> str | None:
    """Return what is wrong with a file that is not open, as far as its ends show.

    Raises:
        SpoolError: It is a newer version's.
    """
    log = read_log(log_path(path))
    with path.open("rb") as file:
        head = file.read(PAGE_SIZE)
    if 1 in log.offsets:
        with log_path(path).open("rb") as file:
            file.seek(log.offsets[1])
            head = file.read(PAGE_SIZE)
    if not head:
        return "it is empty"
    wrong = _wrong_in(head)
    if wrong or _version_of(head) not in VERSIONS:
        _refuse_newer(path, head)
        return "it has no header of a spool" if 0 in wrong else "its header is damaged"
    pages = log.pages or int.from_bytes(head[28:32], "big")
    present = path.stat().st_size // PAGE_SIZE
    if any(number not in log.offsets for number in range(present + 1, pages + 1)):
        return f"it is cut: {present} pages are there, of {pages}"
    return None


def _wrong_in(head: bytes) -> list[int]:
    # Where it is not the head of a spool.
    return [offset for offset, right in HEADER.items() if not head.startswith(right, offset)]


def _refuse_newer(path: Path, head: bytes) -> None:
    if not (head.startswith(MAGIC) and OWN_TABLE in head):
        return
    version = _version_of(head)
    if version is not None and version > VERSION:
        raise SpoolError(
            f"{path}: expected a spool of version {VERSION}, this has {version}: a newer "
            "siridb-fast reads it"
        )


def _version_of(head: bytes) -> int | None:
    # By the header of the file; None if that is damaged.
    low, high = struct.unpack_from(">HH", head.ljust(VERSION_OFFSET + 4, b"\0"), VERSION_OFFSET)
    return low if low == high else None
