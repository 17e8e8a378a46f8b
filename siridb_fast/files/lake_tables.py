"""Folders that are tables of Delta Lake or Iceberg: what lies in them is not what they hold.

Removed rows, and older versions of changed ones, stay in their files, and only the log says which
of the files are the table. This module knows names alone; it opens no file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from siridb_fast.errors import FileError

__all__ = ["refuse_lake_tables"]


def refuse_lake_tables(folders: Iterable[Path]) -> None:
    """Refuse folders that are such tables, or are within one.

    Raises:
        FileError: Has the line that reads the table.
    """
    seen: set[Path] = set()
    for folder in folders:
        path = folder.absolute()
        for each in (path, *path.parents):
            if each in seen:
                break
            seen.add(each)
            _refuse(each)


def _refuse(folder: Path) -> None:
    if (folder / "_delta_log").is_dir():
        reader = f"deltalake.DeltaTable({str(folder)!r}).to_pyarrow_dataset()"
        raise _error(folder, "Delta Lake", "_delta_log", reader)
    metadata = list((folder / "metadata").glob("*.metadata.json"))
    if metadata:
        newest = str(max(metadata, key=_version))
        table = f"pyiceberg.table.StaticTable.from_metadata({newest!r})"
        raise _error(folder, "Iceberg", "metadata", f"{table}.scan().to_arrow_batch_reader()")


def _error(folder: Path, kind: str, log: str, reader: str) -> FileError:
    text = (
        f"a table of {kind}, in whose folder old and removed rows lie too: only {log} says what "
        f"it holds. This reads it right: siridb_fast.load({reader}, …)"
    )
    return FileError(text, file=str(folder))


def _version(metadata: Path) -> tuple[int, str]:
    # v3.metadata.json, 00003-….metadata.json
    number = re.match(r"v?(\d+)", metadata.name)
    return int(number[1]) if number else -1, metadata.name
