"""Which files are meant: paths, folders and patterns → files, and the format of each by its name.

This module opens no file, but for an archive of zip whose name does not say what is in it.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from siridb_fast.errors import FileError
from siridb_fast.files.lake_tables import refuse_lake_tables

__all__ = [
    "COMPRESSIONS",
    "FORMATS",
    "Format",
    "compression",
    "file_format",
    "find_files",
]

Format = Literal[
    "csv",
    "tsv",
    "ndjson",
    "json",
    "parquet",
    "feather",
    "arrow",
    "influx",
    "graphite",
    "xlsx",
    "xls",
    "xlsb",
    "ods",
]

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
    ".lp": "influx",
    ".influx": "influx",
    ".graphite": "graphite",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".xlsb": "excel",
    ".xls": "excel",
    ".ods": "excel",
}
TEXTS = {"csv", "ndjson", "json", "influx", "graphite"}  # which may be compressed as a whole
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd", ".bz2": "bz2", ".zip": "zip"}


def find_files(paths: Iterable[str | os.PathLike[str]], said: Format | None = None) -> list[Path]:
    """Return the files that are meant by files, folders and glob patterns, none of them twice.

    A folder stands for the files of known formats in it and below, hidden ones and archives left
    out, and ``.json`` and spreadsheets where there are others; ``**`` and ``~`` are understood.
    The order is that of ``paths``, sorted within each.

    Args:
        paths: What is meant.
        said: The format of all files; then suffixes say nothing, and a folder stands for all that
            is in it.

    Raises:
        FileError: Something does not exist, holds no such file, has no known suffix, or is of a
            table of Delta Lake or Iceberg.
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    found: dict[Path, Path] = {}
    for path in paths:
        for file in _expand(path, said):
            found.setdefault(file.resolve(), file)
    refuse_lake_tables({file.parent: None for file in found.values()})
    return [*found.values()]


def file_format(path: Path, said: Format | None = None) -> str | None:
    """Return a value of `FORMATS`; None: it is unknown.

    Args:
        path: Whose suffix says it.
        said: What it is, whatever its suffix.

    Raises:
        FileError: It is an archive of zip, and not of one file.
    """
    if said is not None:
        return FORMATS[f".{said}"]
    codec = compression(path)
    inner = path if codec is None else path.with_suffix("")
    if codec == "zip" and not inner.suffix and path.is_file():
        from siridb_fast.files.zipped import in_archive, the_member  # of few files

        with in_archive(path) as archive:
            inner = Path(the_member(archive, path).filename)
    kind = FORMATS.get(inner.suffix.lower())
    return kind if kind in TEXTS or codec is None else None


def compression(path: Path) -> str | None:
    """Return the codec that the last suffix names, or None."""
    return COMPRESSIONS.get(path.suffix.lower())


def _expand(given: str | os.PathLike[str], said: Format | None) -> list[Path]:
    path = Path(given).expanduser()
    if path.is_dir():
        return _in_folder(path, said)
    if path.exists():
        return [_known(path, said)]
    if not glob.has_magic(str(path)):
        raise FileError("no such file or folder", file=str(given))
    return _matching(path, said)


def _in_folder(folder: Path, said: Format | None) -> list[Path]:
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(root, name) for name in names if not name.startswith(".")]
    kinds = {path: file_format(path, said) for path in sorted(found) if not _is_archive(path)}
    files = [path for path, kind in kinds.items() if kind is not None]
    if not files:
        what = "file" if said else f"file with one of {_suffixes()}"
        raise FileError(f"the folder holds no {what}", file=str(folder))
    # Beside tables, a file of JSON and a spreadsheet tell something of them.
    tables = [path for path in files if kinds[path] not in ("json", "excel")]
    return files if said else tables or files


def _is_archive(path: Path) -> bool:
    # It may hold the files that are beside it; and what Excel makes of a file that is open.
    return compression(path) == "zip" or path.name.startswith("~$")


def _matching(pattern: Path, said: Format | None) -> list[Path]:
    names = glob.glob(str(pattern), recursive=True)  # noqa: PTH207 - the root may be any
    files = sorted(path for path in map(Path, names) if path.is_file())
    if not files:
        raise FileError("the pattern matches no file", file=str(pattern))
    return [_known(path, said) for path in files]


def _known(path: Path, said: Format | None) -> Path:
    if file_format(path, said) is None:
        text = f"the suffix is not known; known are {_suffixes()}; format= (--format) says it"
        raise FileError(text, file=str(path))
    return path


def _suffixes() -> str:
    compressions = " ".join(COMPRESSIONS)
    return f"{' '.join(FORMATS)} (and behind those of text: {compressions})"
