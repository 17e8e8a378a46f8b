"""The text of a CSV file, in blocks of whole records, decompressed; and its header.

A block is about as large as asked for, more only if a record is. This module needs pyarrow, for
its decompression (see `siridb_fast.files.open`). It knows nothing of values.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from siridb_fast.errors import FileError
from siridb_fast.files.arrow_schema import reading
from siridb_fast.files.csv.lines import has_open_quote, records_end
from siridb_fast.files.paths import compression

__all__ = ["Block", "CsvBlocks", "split_header"]

MAX_RECORD = 64 * 1024 * 1024
BOM = b"\xef\xbb\xbf"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
NUMBER = re.compile(r"[+-]?\d[\d.eE+-]*")


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records, of which the first begins at ``line``."""

    text: bytes
    line: int


class CsvBlocks:
    """The blocks of one file, from its beginning; read once."""

    def __init__(self, path: Path, delimiter: str, block_bytes: int) -> None:
        self.path = path
        self._delimiter = delimiter
        self._block_bytes = block_bytes
        codec = compression(path)
        self._what = "a CSV file" if codec is None else f"a CSV file compressed with {codec}"
        with reading(path, self._what):
            self._file = pa.OSFile(str(path))
            self._stream = (
                self._file if codec is None else pa.CompressedInputStream(self._file, codec)
            )
        self._offset = 0

    @property
    def bytes_read(self) -> int:
        """The offset in the file, of the compressed bytes if it is compressed."""
        return self._offset

    def __iter__(self) -> Iterator[Block]:
        """Yield the blocks; raises `FileError` for a quote or a line without an end."""
        line = 1
        text = self._first_bytes()
        while data := self._read(max(self._block_bytes, len(text))):
            text += data
            end = records_end(text, self._delimiter)
            if end:
                yield Block(text[:end], line)
                line += text.count(b"\n", 0, end)
                text = text[end:]
            elif len(text) > MAX_RECORD:
                raise FileError(self._endless(text), file=str(self.path), line=line)
        if text:
            if has_open_quote(text, self._delimiter):
                raise FileError(self._endless(text), file=str(self.path), line=line)
            yield Block(text, line)

    def close(self) -> None:
        """Close the file."""
        if not self._file.closed:
            self._offset = self._file.tell()
        self._stream.close()
        self._file.close()

    def _first_bytes(self) -> bytes:
        text = self._read(len(BOM))
        if text.startswith(UTF_16):
            raise FileError("the text is UTF-16, expected UTF-8", file=str(self.path))
        return text.removeprefix(BOM)

    def _read(self, size: int) -> bytes:
        with reading(self.path, self._what):
            data: bytes = self._stream.read(size)
            self._offset = self._file.tell()
        return data

    def _endless(self, text: bytes) -> str:
        if has_open_quote(text, self._delimiter):
            return 'a quoted field that begins here or soon after has no closing "'
        return f"the line is longer than {MAX_RECORD:,} bytes"


def split_header(block: Block, delimiter: str, path: Path) -> tuple[list[str], Block] | None:
    """Return the column names, and the remainder of the block; None if all lines are blank."""
    text = block.text.lstrip(b"\r\n")
    line = block.line + block.text.count(b"\n", 0, len(block.text) - len(text))
    if not text:
        return None
    end = text.find(b"\n") + 1 or len(text)
    while end < len(text) and records_end(text[:end], delimiter) != end:
        end = text.find(b"\n", end) + 1 or len(text)
    names = _names(text[:end], delimiter, path, line)
    return names, Block(text[end:], line + text.count(b"\n", 0, end))


def _names(header: bytes, delimiter: str, path: Path, line: int) -> list[str]:
    """Return the names, without blanks around them."""
    try:
        fields = next(csv.reader([header.decode()], delimiter=delimiter))
    except (UnicodeDecodeError, csv.Error) as error:
        reason = "UTF-8 text" if isinstance(error, UnicodeDecodeError) else "a line of CSV"
        text = f"the header is not {reason}: {error}"
        raise FileError(text, file=str(path), line=line) from error
    names = [name.strip() for name in fields]
    if all(NUMBER.fullmatch(name) for name in names):
        text = f"expected a header with column names, got the numbers {', '.join(names[:5])}"
        raise FileError(text, file=str(path), line=line)
    for number, name in enumerate(names, 1):
        if not name:
            text = f"column {number} of the header has no name"
            raise FileError(text, file=str(path), line=line)
        if name in names[: number - 1]:
            text = f"the header has column {name!r} more than once"
            raise FileError(text, file=str(path), line=line)
    return names
