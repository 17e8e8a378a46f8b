"""The file of a journal: its lock, its header, and what a writer that was killed has left in it.

The first unit of the file is a page with a header that a person can read, and nothing else;
frames follow. Rules: a file that is no journal is not touched; whatever is damaged costs the frame
that it hits, and never stops whoever opens it.
"""

from __future__ import annotations

import json
import logging
import mmap
import os
import secrets
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from siridb_fast.errors import SpoolError
from siridb_fast.journal._frames import Layout, find_frames
from siridb_fast.journal.remains import Frame, live_frames
from siridb_fast.spool.lock import SpoolLock

__all__ = ["Header", "JournalFile", "is_journal"]

PRIVATE = 0o600
MAGIC = b"siridb_fast journal "
VERSION = 1
FIRST_UNITS = 4
WORD = 2**63
PAGE_BYTES, UNIT_BYTES = int(Layout.PAGE_BYTES), int(Layout.UNIT_BYTES)

logger = logging.getLogger("siridb_fast")


@dataclass(frozen=True, slots=True)
class Header:
    """What the first page says; ``opening`` counts how often the file was opened.

    ``next_segment`` is that of the first records to come, if nothing is left in the file.
    """

    journal: int
    database: str | None
    time_precision: str | int | None
    opening: int = 0
    is_empty: bool = True
    next_segment: int = 1


class JournalFile:
    """The open file of a journal, which one writer at a time has.

    Args:
        path: It is made if there is none; its folder is not.
        database: That its points are for.
        time_precision: Of the database.

    Raises:
        SpoolLockedError: Another writer has it.
        SpoolError: It is no journal, or is for another database, or cannot be used.
    """

    def __init__(self, path: Path, database: str | None, time_precision: str | int | None) -> None:
        self.path = path
        _check_path(path)
        self._lock = SpoolLock(path)
        self.file = -1
        try:
            self._open(database, time_precision)
        except BaseException as exc:
            self._release()
            if isinstance(exc, OSError) and not isinstance(exc, SpoolError):
                text = f"{path}: the journal cannot be opened: {exc.strerror}"
                raise SpoolError(text) from exc
            raise

    @property
    def units(self) -> int:
        """How many units there are behind the first one."""
        return max(0, os.fstat(self.file).st_size // UNIT_BYTES - 1)

    def frames(self) -> list[Frame]:
        """Return the frames whose points may not have a fate, in order; none if it was closed."""
        if self.header.is_empty or not self.units:
            return []
        with self._mapped() as data:
            return live_frames(find_frames(data, self.header.journal))

    def records(self, frames: list[Frame]) -> Iterator[tuple[int, bytes]]:
        """Yield the segment and the records of each frame."""
        for frame in frames:
            yield frame.segment, os.pread(self.file, frame.length, frame.offset)

    def begin(self, frames: list[Frame]) -> None:
        """Forget these frames; from now on others come, which begin with `Header.next_segment`.

        Raises:
            OSError: The disk does not take that.
        """
        newest = max((frame.segment for frame in frames), default=0)
        following = max(self.header.next_segment, newest + 1)
        self._write_header(replace(self.header, is_empty=False, next_segment=following))

    def close(self, *, next_segment: int | None) -> None:
        """Close it; with ``next_segment``, nothing in it has any use."""
        try:
            if next_segment is not None:
                header = replace(self.header, is_empty=True, next_segment=next_segment)
                self._write_header(header)
                if self.units > FIRST_UNITS:
                    os.ftruncate(self.file, (1 + FIRST_UNITS) * UNIT_BYTES)
        except OSError as exc:
            logger.warning("%s: the journal was not closed in order: %s", self.path, exc)
        finally:
            self._release()

    def disown(self) -> None:
        """Close the descriptor, in a child of a fork."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1

    def is_there(self) -> bool:
        """Tell whether the file still has its name."""
        try:
            return os.path.samestat(os.fstat(self.file), self.path.stat())
        except OSError:
            return False

    def bring_back(self) -> bool:
        """Give a file that was deleted its name again, with all that is in it; tell whether.

        Raises:
            OSError: The disk does not take it.
        """
        if os.fstat(self.file).st_nlink or self.path.exists():
            return False
        aside = self.path.with_name(f"{self.path.name}.new")
        copy = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, PRIVATE)
        try:
            at, size = 0, os.fstat(self.file).st_size
            while at < size:
                at += os.pwrite(copy, os.pread(self.file, UNIT_BYTES, at), at)
            os.fsync(copy)
            aside.rename(self.path)
            os.dup2(copy, self.file, inheritable=False)
        finally:
            os.close(copy)
        return True

    # ---- inside

    def _open(self, database: str | None, time_precision: str | int | None) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self.file = os.open(self.path, flags, PRIVATE)
        os.fchmod(self.file, PRIVATE)
        found = self._read_header()
        if found is None:
            number = secrets.randbelow(WORD - 1) + 1
            found = Header(number, database, time_precision)
        self._refuse_other(found, database, time_precision)
        self.header = replace(
            found,
            database=found.database or database,
            time_precision=found.time_precision or time_precision,
            opening=found.opening + 1,
        )
        if not self.units:
            self._write_header(self.header)
            self._fill()

    def _fill(self) -> None:
        # All of it, so that later a sync need not write where the file is.
        zeros = bytes(UNIT_BYTES)
        for unit in range(1, 1 + FIRST_UNITS):
            if os.pwrite(self.file, zeros, unit * UNIT_BYTES) < UNIT_BYTES:
                raise SpoolError(f"{self.path}: the disk has no room for a journal")
        os.fsync(self.file)

    def _read_header(self) -> Header | None:
        # None for a new file. One without a sound header is believed for its frames.
        page = os.pread(self.file, PAGE_BYTES, 0)
        if not page.strip(b"\0"):
            if not self.units:
                return None
            return self._header_of_frames()
        header = header_of(page)
        if header is not None:
            return header
        if not page.startswith(MAGIC) and not self._has_frames():
            raise SpoolError(f"{self.path} is no journal")
        return self._header_of_frames()

    def _has_frames(self) -> bool:
        if not self.units:
            return False
        with self._mapped() as data:
            return bool(find_frames(data, 0))

    def _header_of_frames(self) -> Header:
        logger.warning("%s: the header of the journal is damaged; its points are read", self.path)
        return Header(0, None, None, is_empty=False)

    def _refuse_other(
        self, found: Header, database: str | None, time_precision: str | int | None
    ) -> None:
        for name, was, now in (
            ("database", found.database, database),
            ("time precision", found.time_precision, time_precision),
        ):
            if was is not None and now is not None and was != now:
                raise SpoolError(
                    f"{self.path}: this journal is for the {name} {was!r}, and was opened for "
                    f"{now!r}"
                )

    def _write_header(self, header: Header) -> None:
        if not header.journal:
            header = replace(header, journal=secrets.randbelow(WORD - 1) + 1)
        os.pwrite(self.file, _page_of(header), 0)
        os.fsync(self.file)
        self.header = header

    def _mapped(self) -> mmap.mmap:
        return mmap.mmap(self.file, 0, access=mmap.ACCESS_READ)

    def _release(self) -> None:
        if self.file >= 0:
            os.close(self.file)
            self.file = -1
        self._lock.release()


def is_journal(path: Path) -> bool:
    """Tell whether a file is a journal, by how it begins.

    Raises:
        SpoolError: It cannot be read.
    """
    _check_path(path)
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError as exc:
        raise SpoolError(f"{path}: cannot be read: {exc.strerror}") from exc


def header_of(page: bytes) -> Header | None:
    """Return what a first page says; None if it is damaged, or none.

    Raises:
        SpoolError: It is of a newer version.
    """
    if not page.startswith(MAGIC):
        return None
    line, _, rest = page[len(MAGIC) :].partition(b"\n")
    text, _, rest = rest.partition(b"\n")
    if rest[:8] != _sum(line + text):
        return None
    if int(line) > VERSION:
        raise SpoolError(f"the journal is of version {int(line)}, this release reads {VERSION}")
    return Header(**json.loads(text))


def _page_of(header: Header) -> bytes:
    line, text = str(VERSION).encode(), json.dumps(asdict(header)).encode()
    page = MAGIC + line + b"\n" + text + b"\n" + _sum(line + text) + b"\n"
    return page.ljust(PAGE_BYTES, b"\0")


def _sum(text: bytes) -> bytes:
    return b"%08x" % zlib.crc32(text)


def _check_path(path: Path) -> None:
    if path.exists() and not path.is_file():
        raise SpoolError(f"{path}: expected the file of a journal, this is no file")
    if not path.parent.is_dir():
        raise SpoolError(f"{path}: there is no folder {path.parent}")
