"""The text of a file: decompressed if its name says so, and of a spreadsheet the sheet as CSV.

This module needs pyarrow, for its decompression (see `siridb_fast.files.open`).
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from siridb_fast.errors import FileError
from siridb_fast.files.arrow_schema import reading
from siridb_fast.files.paths import compression, is_spreadsheet
from siridb_fast.files.zipped import ZIP_ERRORS, the_member

__all__ = ["TextFile"]


class TextFile:
    """One file, read once from its beginning.

    Args:
        path: The file.
        what: What it is to be, for messages.
        sheet: Of a spreadsheet; None: the only one.

    Raises:
        FileError: It cannot be opened.
    """

    def __init__(self, path: Path, what: str, sheet: str | None = None) -> None:
        codec = "excel" if is_spreadsheet(path) else compression(path)
        self._sheet = sheet
        self._path = path
        self.what = {None: what, "excel": "a spreadsheet"}.get(
            codec, f"{what} compressed with {codec}"
        )
        self.is_compressed = codec is not None
        with self._reading():
            self._file = pa.OSFile(str(path))
            self.stream = self._file if codec is None else self._decompressed(codec)
        self._end = 0  # when it was closed

    @property
    def offset(self) -> int:
        """How many bytes on disk were read; compressed ones, where they are."""
        return self._end if self._file.closed else int(self._file.tell())

    @property
    def size(self) -> int:
        """How many bytes it has on disk now."""
        with self._reading():
            return int(self._file.size())

    def read(self, size: int | None = None) -> bytes:
        """Return the next bytes, so many at most; none at the end."""
        with self._reading():
            data: bytes = self.stream.read(size)
        return data

    def close(self) -> None:
        """Close it."""
        self._end = self.offset
        self.stream.close()
        self._file.close()

    def _decompressed(self, codec: str) -> pa.NativeFile:
        if codec == "excel":
            from siridb_fast.files.excel import sheet_text  # it is rarely wanted

            text = sheet_text(self._path, self._sheet)
            self._file.seek(self._file.size())
            return pa.BufferReader(text)
        if codec != "zip":
            return pa.CompressedInputStream(self._file, codec)
        archive = zipfile.ZipFile(self._file)
        return pa.PythonFile(archive.open(the_member(archive, self._path)), "r")

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with reading(self._path, self.what):
            try:
                yield
            except (*ZIP_ERRORS, zlib.error) as exc:
                text = f"not {self.what} that can be read: {exc}"
                raise FileError(text, file=str(self._path)) from exc
