"""Sheets of spreadsheets as CSV text: then all that is known of CSV files is known of them.

A row of the sheet is a line of the text, if it has no end of line in a cell. Dates are ISO 8601,
numbers with a decimal point, durations seconds. This module needs python-calamine, from the
``excel`` extra.
"""

from __future__ import annotations

import csv
import io
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from siridb_fast.errors import FileError

__all__ = ["sheet_text"]

SHOWN = 8


def sheet_text(path: Path, sheet: str | None) -> bytes:
    """Return a sheet as CSV text in UTF-8.

    Args:
        path: The file.
        sheet: Its name; None: the only one that has something.

    Raises:
        FileError: The file cannot be read, or the sheet is not there, or has to be chosen.
        ImportError: python-calamine is missing.
    """
    status = path.stat()
    return _text(path, sheet, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1)  # it is read for what it looks like, and then for its rows
def _text(path: Path, sheet: str | None, *_: int) -> bytes:
    try:
        import python_calamine as calamine  # of the extra
    except ImportError as error:
        text = "spreadsheets are read by python-calamine: pip install siridb_fast[excel]"
        raise ImportError(text, name="python_calamine") from error
    try:
        with calamine.load_workbook(str(path)) as workbook:
            return _written(_chosen(workbook, sheet, path))
    except calamine.PasswordError as error:
        raise FileError("it has a password; save it without one", file=str(path)) from error
    except (calamine.CalamineError, OSError) as error:
        text = f"not a spreadsheet that can be read: {error}"
        raise FileError(text, file=str(path)) from error


def _chosen(workbook: Any, name: str | None, path: Path) -> Any:
    names = workbook.sheet_names
    listed = ", ".join(map(repr, names[:SHOWN])) + (", …" if len(names) > SHOWN else "")
    if name is not None:
        if name not in names:
            raise FileError(f"there is no sheet {name!r}; there are {listed}", file=str(path))
        return workbook.get_sheet_by_name(name)
    found = [workbook.get_sheet_by_name(one) for one in names]
    filled = [sheet for sheet in found if sheet.height]
    if len(filled) > 1:
        text = f"it has several sheets: {listed}; sheet= (--sheet) says which is meant"
        raise FileError(text, file=str(path))
    return (filled or found)[0]


def _written(sheet: Any) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in sheet.iter_rows():
        cells = [_cell(value) for value in row]
        writer.writerow(cells if any(cell != "" for cell in cells) else [])
    return text.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value.isoformat() if isinstance(value, (datetime, date)) else value
