"""Which files are meant: paths, folders and patterns → files, and the format of each by its name.

This module knows names alone; it opens no file.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from siridb_fast.errors import FileError
from siridb_fast.files.lake_tables import refuse_lake_tables

__all__ = ["COMPRESSIONS", "FORMATS", "compression", "file_format", "find_files"]

FORMATS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".feather": "ipc",
    ".arrow": "ipc",
    ".ipc": "ipc",
    ".arrows": "ipc",
    ".csv": "csv",
    ".tsv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "json",
}
TEXTS = {"csv", "ndjson", "json"}  # which may be compressed as a whole
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd", ".bz2": "bz2"}


def find_files(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Return the files that are meant by files, folders and glob patterns, none of them twice.

    A folder stands for the files of known formats in it and below, hidden ones left out, and
    ``.json`` where there are others; ``**`` and ``~`` are understood. The order is that of
    ``paths``, sorted within each. Raises `FileError` for what does not exist, holds no such file,
    has no known suffix, or is of a table of Delta Lake or Iceberg.
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    found: dict[Path, Path] = {}
    for path in paths:
        for file in _expand(path):
            found.setdefault(file.resolve(), file)
    refuse_lake_tables({file.parent: None for file in found.values()})
    return [*found.values()]


def file_format(path: Path) -> str | None:
    """Return "parquet", "ipc", "csv", "ndjson" or "json", by the suffix; None: it is unknown."""
    inner = path if compression(path) is None else path.with_suffix("")
    kind = FORMATS.get(inner.suffix.lower())
    return kind if kind in TEXTS or inner is path else None


def compression(path: Path) -> str | None:
    """Return the codec that the last suffix names, or None."""
    return COMPRESSIONS.get(path.suffix.lower())


def _expand(given: str | os.PathLike[str]) -> list[Path]:
    path = Path(given).expanduser()
    if path.is_dir():
        return _in_folder(path)
    if path.exists():
        return [_known(path)]
    if not glob.has_magic(str(path)):
        raise FileError("no such file or folder", file=str(given))
    return _matching(path)


def _in_folder(folder: Path) -> list[Path]:
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(root, name) for name in names if not name.startswith(".")]
    found = sorted(path for path in found if file_format(path) is not None)
    if not found:
        raise FileError(f"the folder holds no file with one of {_suffixes()}", file=str(folder))
    tables = [path for path in found if file_format(path) != "json"]
    return tables or found  # beside tables, a file of JSON tells something of them


def _matching(pattern: Path) -> list[Path]:
    names = glob.glob(str(pattern), recursive=True)  # noqa: PTH207 - the root may be any
    files = sorted(path for path in map(Path, names) if path.is_file())
    if not files:
        raise FileError("the pattern matches no file", file=str(pattern))
    return [_known(path) for path in files]


def _known(path: Path) -> Path:
    if file_format(path) is None:
        raise FileError(f"the suffix is not known; known are {_suffixes()}", file=str(path))
    return path


def _suffixes() -> str:
    compressions = " ".join(COMPRESSIONS)
    return f"{' '.join(FORMATS)} (and behind those of text: {compressions})"
