"""Sheets of spreadsheets → record batches, by way of a CSV file: all is known of those.

A row of the sheet is a line of that file, if it has no end of line in a cell. Dates are ISO 8601,
numbers have a decimal point, durations are seconds. The file is a temporary one. This module needs
pyarrow, and python-calamine from the ``excel`` extra.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from siridb_fast.errors import FileError
from siridb_fast.files.base import ReadOptions, TableFile
from siridb_fast.files.csv.reader import CsvTable
from siridb_fast.files.paths import Format

__all__ = ["ExcelTable"]

SHOWN = 8  # names of sheets


class ExcelTable(TableFile):
    """A sheet, as `siridb_fast.files.base.TableFile` says.

    Args:
        path: Of the spreadsheet.
        options: What to read of it; ``csv.sheet`` is the name of the sheet, None: the only one
            that has something.
    """

    def __init__(self, path: Path, options: ReadOptions) -> None:
        super().__init__(path, options)
        self._folder = TemporaryDirectory(prefix="siridb_fast-")
        try:
            text = Path(self._folder.name, "sheet.csv")
            _write_sheet(path, options, text)
            with self._named():
                self._table = CsvTable(text, replace(options, delimiter=","))
        except BaseException:
            self._folder.cleanup()
            raise
        self.size = path.stat().st_size
        self.schema, self.dialect = self._table.schema, self._table.dialect

    @property
    def bytes_read(self) -> int:
        """How far it is, in bytes of the spreadsheet."""
        return self.size * self._table.bytes_read // max(1, self._table.size)

    @property
    def bad_lines(self) -> int:  # type: ignore[override]
        """How many rows were left out so far."""
        return self._table.bad_lines

    @property
    def first_bad(self) -> list[FileError]:  # type: ignore[override]
        """What was wrong with the first few of them."""
        return [self._of_sheet(error) for error in self._table.first_bad]

    def batches(
        self, start: int = 0, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the batches from row ``start`` on; the rows before it are read as well."""
        with self._named():
            yield from self._table.batches(start, columns)

    def row_label(self, row: int) -> str:
        """Return the row of the sheet, as "line 7"; from 1."""
        return self._table.row_label(row)

    def close(self) -> None:
        """Close it, and remove the temporary file."""
        self._table.close()
        self._folder.cleanup()

    @contextmanager
    def _named(self) -> Iterator[None]:
        # What is said of the temporary file is of the spreadsheet.
        try:
            yield
        except FileError as exc:
            raise self._of_sheet(exc) from None

    def _of_sheet(self, exc: FileError) -> FileError:
        return FileError(exc.text, file=str(self.path), line=exc.line, column=exc.column)


def _write_sheet(path: Path, options: ReadOptions, target: Path) -> None:
    calamine = _calamine()
    try:
        with (
            _workbook(path, options.format) as workbook,
            target.open("w", encoding="utf-8", errors="replace", newline="") as file,
        ):
            writer = csv.writer(file, lineterminator="\n")
            for row in _chosen(workbook, options.csv.sheet, path).iter_rows():
                cells = [_cell(value) for value in row]
                writer.writerow(cells if any(cell != "" for cell in cells) else [])
    except calamine.PasswordError as error:
        raise FileError("it has a password; save it without one", file=str(path)) from error
    except (calamine.CalamineError, OSError) as error:
        text = f"not a spreadsheet that can be read: {error}"
        raise FileError(text, file=str(path)) from error


def _workbook(path: Path, said: Format | None) -> Any:
    # calamine goes by the suffix of a path, and tells less of what is wrong by the content alone.
    if said is None or path.suffix == f".{said}":
        return _calamine().load_workbook(str(path))
    with path.open("rb") as file:
        return _calamine().load_workbook(file)


def _calamine() -> Any:
    try:
        import python_calamine  # of the extra
    except ImportError as error:
        text = "spreadsheets are read by python-calamine: pip install siridb_fast[excel]"
        raise ImportError(text, name="python_calamine") from error
    return python_calamine


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


def _cell(value: Any) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value.isoformat() if isinstance(value, (datetime, date)) else value
