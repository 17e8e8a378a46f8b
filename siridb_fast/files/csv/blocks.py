"""The text of a CSV file, in blocks of whole records, decompressed and in UTF-8; and its header.

A block is about as large as asked for, more only if a record is. This module needs pyarrow, for
its decompression (see `siridb_fast.files.open`). It knows nothing of values.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from siridb_fast.errors import FileError
from siridb_fast.files._records import count_ends
from siridb_fast.files.arrow_schema import reading
from siridb_fast.files.csv.dialect import Dialect
from siridb_fast.files.csv.lines import has_open_quote, whole_records
from siridb_fast.files.csv.plain_text import TextCleaner, blank_lines, drop_records
from siridb_fast.files.text_file import TextFile

__all__ = ["Block", "CsvBlocks", "split_header"]

MAX_RECORD = 64 * 1024 * 1024
BOM = b"\xef\xbb\xbf"
UTF_8 = ("utf-8", "utf-8-sig", "ascii")


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records, of which the first begins at ``line``; ``ends`` is how many lines end.

    ``data`` is the text where it lies.
    """

    data: bytes | memoryview
    line: int
    ends: int

    @property
    def text(self) -> bytes:
        """The text; a copy, if it lies elsewhere."""
        return bytes(self.data)

    @property
    def is_ended(self) -> bool:
        """Tell whether the last line has its end."""
        return self.data[-1:] == b"\n"

    @property
    def rows(self) -> int:
        """How many lines there are; as many as there are rows, where each is one."""
        return self.ends + (not self.is_ended)


class CsvBlocks:
    """The blocks of one file, from its beginning; read once.

    Args:
        path: The file.
        dialect: How it is read.
        block_bytes: How large blocks are.
        size: How many bytes the file had when its load began, what comes behind them is not read;
            None: nobody knows, it is a pipe.
        first_bytes: How large the first block is; each has twice the size of the one before, up
            to ``block_bytes``. None: all are of one size.
    """

    def __init__(
        self,
        path: Path,
        dialect: Dialect,
        block_bytes: int,
        size: int | None = None,
        first_bytes: int | None = None,
    ) -> None:
        self.path = path
        self._size = size
        self._dialect = dialect
        self._delimiter = dialect.delimiter
        self._cleaner = TextCleaner(dialect)
        self._most_bytes = block_bytes
        self._block_bytes = block_bytes if first_bytes is None else first_bytes
        self._file = TextFile(path, "a CSV file")
        self._utf_8: pa.NativeFile | None = None  # of a file in another encoding
        if dialect.encoding not in UTF_8:
            raw = pa.PythonFile(_UpTo(self._file, size), "r")
            self._utf_8 = pa.transcoding_input_stream(raw, dialect.encoding, "utf-8")

    @property
    def bytes_read(self) -> int:
        """The offset in the file, of the compressed bytes if it is compressed."""
        return self._file.offset

    def __iter__(self) -> Iterator[Block]:
        """Yield the blocks.

        Raises:
            FileError: A quote or a line has no end, or the file became shorter meanwhile.
        """
        line = 1
        text: bytes | memoryview = self._first_bytes()
        while (found := self._with_more(text)) is not None:
            end, ends = whole_records(found, self._delimiter)
            if end:
                yield Block(self._cleaner.clean(found[:end]), line, ends)
                line += ends
                self._block_bytes = min(2 * self._block_bytes, self._most_bytes)
            elif len(found) > MAX_RECORD:
                raise FileError(self._endless(found), file=str(self.path), line=line)
            text = bytes(found[end:]) if end else found
            del found  # it may be as large as all else
        if self._was_changed():
            return  # what has no end is a part of a line
        if text:
            if has_open_quote(text, self._delimiter):
                raise FileError(self._endless(text), file=str(self.path), line=line)
            yield Block(self._cleaner.clean(text), line, count_ends(text))

    def close(self) -> None:
        """Close the file."""
        if self._utf_8 is not None:
            self._utf_8.close()
        self._file.close()

    def _was_changed(self) -> bool:
        # Return whether it is longer than it was; raise where it is shorter.
        if self._size is None:
            return False
        size = self._file.size
        found = size if self._file.is_compressed else min(size, self._file.offset)
        if found < self._size:
            reason = (
                f"the file became shorter while it was read: it had {self._size:,} bytes, "
                f"and ends after {found:,}; only its whole lines were read"
            )
            raise FileError(reason, file=str(self.path))
        return size > self._size and not self._file.is_compressed

    def _with_more(self, text: bytes | memoryview) -> memoryview | None:
        # A text and what comes behind it, in memory that Arrow uses again; None at the end.
        size = len(text)
        room = memoryview(pa.allocate_buffer(size + max(self._block_bytes, size))).cast("B")
        count = self._read_into(room[size:])
        if not count:
            return None
        room[:size] = text
        return room[: size + count]

    def _read_into(self, room: memoryview) -> int:
        if self._utf_8 is not None:
            data = self._read(len(room))
            room[: len(data)] = data
            return len(data)
        return self._file.read_into(room[: _allowed(self._file, self._size, len(room))])

    def _first_bytes(self) -> bytes:
        text = self._read(len(BOM)).removeprefix(BOM)
        skipped = self._dialect.skip_rows
        while text.count(b"\n") < skipped and (data := self._read(self._block_bytes)):
            text += data
        return blank_lines(text, skipped)

    def _read(self, size: int) -> bytes:
        if self._utf_8 is None:
            return _read_up_to(self._file, self._size, size)
        try:
            with reading(self.path, self._file.what):
                data: bytes = self._utf_8.read(size)
        except UnicodeError as exc:
            encoding = self._dialect.encoding
            reason = f"the text is not {encoding}: {exc}; say what it is: encoding= (--encoding)"
            raise FileError(reason, file=str(self.path)) from None
        return data

    def _endless(self, text: bytes | memoryview) -> str:
        if has_open_quote(text, self._delimiter):
            return 'a quoted field that begins here or soon after has no closing "'
        return f"the line is longer than {MAX_RECORD:,} bytes"


def _read_up_to(file: TextFile, end: int | None, size: int) -> bytes:
    return file.read(_allowed(file, end, size))


def _allowed(file: TextFile, end: int | None, size: int) -> int:
    # What is behind the end that a file had at first is left for the next load.
    if end is not None and not file.is_compressed:
        return min(size, end - file.offset)
    return size


class _UpTo:
    """A file that ends where it ended at first."""

    def __init__(self, file: TextFile, end: int | None) -> None:
        self._file = file
        self._end = end
        self.closed = False

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        return _read_up_to(self._file, self._end, size)

    def close(self) -> None:
        """Leave the file to who opened it."""
        self.closed = True


def split_header(block: Block, dialect: Dialect, path: Path) -> Block | None:
    """Return what of a block is below the header and the units; None if all lines are blank."""
    given = block.text
    text = given.lstrip(b"\r\n")
    above = given.count(b"\n", 0, len(given) - len(text))
    line = block.line + above
    if not text:
        return None
    header, body = drop_records(
        text, dialect.has_header + dialect.has_units_row, dialect.delimiter
    )
    _check(header, dialect.delimiter, path, line)
    ends = header.count(b"\n")
    return Block(body, line + ends, block.ends - above - ends)


def _check(header: bytes, delimiter: str, path: Path, line: int) -> None:
    try:
        lines = (line + "\n" for line in header.decode().split("\n"))
        list(csv.reader(lines, delimiter=delimiter))
    except (UnicodeDecodeError, csv.Error) as error:
        reason = "UTF-8 text" if isinstance(error, UnicodeDecodeError) else "a line of CSV"
        text = f"the header is not {reason}: {error}"
        raise FileError(text, file=str(path), line=line) from error
