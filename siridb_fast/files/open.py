"""Files → Arrow record batches: Parquet, Arrow IPC (Feather), CSV, JSON, line protocol, Graphite.

Here is only what a caller needs; each format has a module of its own, which imports pyarrow and
is imported when the first file is opened. Memory is bounded by ``batch_bytes``, not by the file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from siridb_fast.errors import FileError
from siridb_fast.files.base import ReadOptions, TableFile
from siridb_fast.files.paths import FORMATS, file_format, find_files

if TYPE_CHECKING:
    from siridb_fast.files.csv.alike import AlikeFiles

__all__ = ["ReadOptions", "TableFile", "alike_files", "find_files", "open_file"]

DEFAULTS = ReadOptions()


def open_file(
    path: str | os.PathLike[str],
    options: ReadOptions = DEFAULTS,
    alike: AlikeFiles | None = None,
) -> TableFile:
    """Open a table file, by its suffix or as the options say; close it, or use it in ``with``.

    Of many short CSV files, those that are ``alike`` are opened faster.

    Raises `FileError` if the file is not what its suffix says, lacks a column that the options
    name, or is no spreadsheet and a sheet is named, and `ImportError` without pyarrow.
    """
    path = Path(path)
    kind = file_format(path, options.format)
    if kind is None:
        known = " ".join(FORMATS)
        text = f"the suffix is not known; known are {known}; format= (--format) says it"
        raise FileError(text, file=str(path))
    if path.is_dir():
        raise FileError("a folder, where a file was expected", file=str(path))
    if options.csv.sheet is not None and kind != "excel":
        text = (
            "sheet= (--sheet) is of spreadsheets; "
            "if the file is one, format='xlsx' (--format xlsx) says it"
        )
        raise FileError(text, file=str(path))
    return _open(path, kind, options, alike)


def alike_files() -> AlikeFiles:
    """Return what is known of the files of one load, which is nothing yet.

    Raises:
        ImportError: pyarrow is missing.
    """
    _require_pyarrow()
    from siridb_fast.files.csv.alike import AlikeFiles

    return AlikeFiles()


def _open(path: Path, kind: str, options: ReadOptions, alike: AlikeFiles | None) -> TableFile:
    _require_pyarrow()
    if kind == "parquet":
        from siridb_fast.files.parquet import ParquetTable

        return ParquetTable(path, options)
    if kind == "ipc":
        from siridb_fast.files.ipc import IpcTable

        return IpcTable(path, options)
    if kind == "excel":
        from siridb_fast.files.excel import ExcelTable

        return ExcelTable(path, options)
    if kind in ("ndjson", "json"):
        from siridb_fast.files.json.reader import JsonTable

        return JsonTable(path, options, is_array=kind == "json")
    if kind in ("influx", "graphite"):
        from siridb_fast.files.points.kinds import points_table

        return points_table(path, options, kind)
    from siridb_fast.files.csv.reader import CsvTable
    from siridb_fast.files.points.annotated import is_annotated_csv

    if not options.time_columns and is_annotated_csv(path):
        from siridb_fast.files.points.kinds import points_table

        return points_table(path, options, "annotated")

    return CsvTable(path, options) if alike is None else alike.opened(path, options)


def _require_pyarrow() -> None:
    try:
        import pyarrow  # noqa: F401 - of the extra
    except ImportError as error:
        text = "files are read by pyarrow: pip install siridb_fast[arrow]"
        raise ImportError(text, name="pyarrow") from error
