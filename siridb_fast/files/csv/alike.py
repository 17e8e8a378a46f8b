"""Short CSV files that are written as one before them: opened without guessing anew how.

A folder of many files has them from one program. A file is taken for one of those if its header is
the same to the byte, and each of its rows fits. What can be read in one way only is taken over:
numbers with a decimal point, times as ISO 8601. Anything else is guessed from each file itself.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from siridb_fast.errors import FileError
from siridb_fast.files.base import ReadOptions
from siridb_fast.files.csv.guess_numbers import is_number
from siridb_fast.files.csv.reader import CsvTable
from siridb_fast.files.text_file import TextFile

__all__ = ["AlikeFiles"]

SHORT = 64 * 1024  # bytes of text: all of it is looked at


class AlikeFiles:
    """Opens the CSV files of one load."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, str], tuple[CsvTable, ReadOptions]] = {}

    def opened(self, path: Path, options: ReadOptions) -> CsvTable:
        """Return a file, by what is known of one with the same header, or guessed.

        Raises:
            FileError: It cannot be read, or can be read in several ways.
        """
        if options.dialect is not None or not (text := _text(path)):
            return CsvTable(path, options)
        key = text[: text.find(b"\n") + 1], "".join(path.suffixes[-2:]).lower()
        known, its_options = self._known.get(key, (None, None))
        if known is not None and options == its_options and text.startswith(known.header):
            table = CsvTable(path, options, like=known)
            if _fits(table):
                return table
        table = CsvTable(path, options)
        if table.dialect.is_plain:
            table.header = _lines(text, table.first_line - 1)
            self._known[key] = table, options
        return table


def _text(path: Path) -> bytes:
    # Nothing of a file that is not short, or cannot be read; the latter is said elsewhere.
    try:
        with closing(TextFile(path, "a CSV file")) as file:
            text = file.read(SHORT + 1)
    except FileError:
        return b""
    return text if len(text) <= SHORT else b""


def _lines(text: bytes, count: int) -> bytes:
    end = 0
    for _ in range(count):
        end = text.find(b"\n", end) + 1
    return text[:end]


def _fits(table: CsvTable) -> bool:
    try:
        table.keep_rows()
    except FileError:
        return False
    return not table.bad_lines and not any(map(_is_of_numbers, _texts_of(table)))


def _texts_of(table: CsvTable) -> list[list[str]]:
    # The columns of texts that nobody has called so.
    options, kinds = table.options, table.dialect.kinds
    said = {*options.names, *options.types}
    names = [n for n in table.schema.names if kinds.get(n) == "string" and n not in said]
    return [[t for batch in table.batches() for t in batch[n].to_pylist() if t] for n in names]


def _is_of_numbers(texts: list[str]) -> bool:
    return bool(texts) and all(is_number(text.strip()) for text in texts)
