"""Archives of zip that hold one file: which one it is."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from siridb_fast.errors import FileError

__all__ = ["ZIP_ERRORS", "in_archive", "the_member"]

SHOWN = 3
# What zipfile raises: of a broken archive, of a password, and of a method that it does not know.
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError)


@contextmanager
def in_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive.

    Raises:
        FileError: It is none.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (*ZIP_ERRORS, OSError) as exc:
        text = f"not an archive of zip that can be read: {exc}"
        raise FileError(text, file=str(path)) from exc


def the_member(archive: zipfile.ZipFile, path: Path) -> zipfile.ZipInfo:
    """Return the only file of an archive, without those that macOS and editors add.

    Raises:
        FileError: It has none, or several.
    """
    members = [member for member in archive.infolist() if not _is_beside(member)]
    if len(members) == 1:
        return members[0]
    names = ", ".join(member.filename for member in members[:SHOWN])
    names += ", …" if len(members) > SHOWN else ""
    found = "no file" if not members else f"{len(members)} files ({names}); unpack it"
    raise FileError(f"expected an archive of one file, it holds {found}", file=str(path))


def _is_beside(member: zipfile.ZipInfo) -> bool:
    # A member without a name, of which `is_dir` fails, is no file either.
    parts = Path(member.filename).parts
    if not parts or member.is_dir():
        return True
    return parts[0] == "__MACOSX" or parts[-1].startswith(".")
