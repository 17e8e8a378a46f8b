"""The bytes of a file of text, decompressed where its name says that it is compressed.

This module needs pyarrow, for its decompression (see `siridb_fast.files.open`).
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from siridb_fast.errors import FileError
from siridb_fast.files.arrow_schema import reading
from siridb_fast.files.paths import compression
from siridb_fast.files.zipped import ZIP_ERRORS, the_member

__all__ = ["TextFile"]


class TextFile:
    """One file, read once from its beginning.

    Args:
        path: The file.
        what: What it is to be, for messages.

    Raises:
        FileError: It cannot be opened.
    """

    def __init__(self, path: Path, what: str) -> None:
        codec = compression(path)
        self._path = path
        self.what = what if codec is None else f"{what} compressed with {codec}"
        self.is_compressed = codec is not None
        # Of an archive alone: elsewhere a RuntimeError is a fault of ours.
        self._faults: tuple[type[Exception], ...] = ZIP_ERRORS if codec == "zip" else ()
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

    def read_into(self, room: memoryview) -> int:
        """Write the next bytes into some memory; return how many, 0 at the end."""
        with self._reading():
            return int(self.stream.readinto(room)) if len(room) else 0

    def close(self) -> None:
        """Close it."""
        self._end = self.offset
        self.stream.close()
        self._file.close()

    def _decompressed(self, codec: str) -> pa.NativeFile:
        if codec != "zip":
            return pa.CompressedInputStream(self._file, codec)
        archive = zipfile.ZipFile(self._file)
        return pa.PythonFile(archive.open(the_member(archive, self._path)), "r")

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with reading(self._path, self.what):
            try:
                yield
            except self._faults as exc:
                text = f"not {self.what} that can be read: {exc}"
                raise FileError(text, file=str(self._path)) from exc
