"""Records and lines of CSV text: where a block of it may be cut, and the line of each record.

A record is what becomes a row: one line, or more of them if a quoted field has ends of line in it.
Blank lines are no records. A quote is one only where a field begins, as in pyarrow's parser;
elsewhere it is a character like others. Lines are counted from 1.

This module knows nothing of columns and values, nor of files.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
import numpy.typing as npt

from siridb_fast.files._records import count_ends, has_byte, scan_records

__all__ = ["LineMap", "has_open_quote", "record_lines", "whole_records"]

QUOTE, NEWLINE, RETURN = b'"\n\r'
MAX_BREAKS = 1 << 20

Offsets = npt.NDArray[np.int64]


def whole_records(text: bytes | memoryview, delimiter: str) -> tuple[int, int]:
    """Return the bytes up to the end of the last whole record, and how many lines they have.

    Without a whole record that is (0, 0).
    """
    end, _ = scan_records(text, ord(delimiter) if has_byte(text, QUOTE) else 0)
    return end, count_ends(memoryview(text)[:end])


def record_lines(text: bytes, delimiter: str, first_line: int) -> tuple[Offsets, int]:
    """Return the line where each record of a whole block begins, and that of the next block.

    The last record may lack its end of line.
    """
    count = count_ends(text) + (text[-1:] not in (b"", b"\n"))
    if not _is_irregular(text):
        return np.arange(first_line, first_line + count), first_line + count
    data = np.frombuffer(text, np.uint8)
    ends = _record_ends(data, delimiter)
    if not len(ends) or ends[-1] != len(data) - 1:
        ends = np.append(ends, len(data))
    starts = np.concatenate(([0], ends[:-1] + 1))
    first = data[np.minimum(starts, len(data) - 1)]
    is_blank = (ends == starts) | ((ends == starts + 1) & (first == RETURN))
    lines = first_line + np.searchsorted(np.flatnonzero(data == NEWLINE), starts)
    return lines[~is_blank], first_line + count


def has_open_quote(text: bytes | memoryview, delimiter: str) -> bool:
    """Return whether the text, from the beginning of a record, ends within quotes."""
    return has_byte(text, QUOTE) and scan_records(text, ord(delimiter))[1]


class LineMap:
    """The line of each row, stored only where it is not the line after that of the row before.

    At most ``max_breaks`` such rows are stored; what was read first is forgotten first.
    """

    def __init__(self, max_breaks: int = MAX_BREAKS) -> None:
        self._max_breaks = max_breaks
        self._firsts: list[int] = []  # the first row of each block
        self._blocks: list[tuple[Offsets, Offsets]] = []  # rows, and their lines
        self._breaks = 0
        self._rows = 0

    def add(self, lines: Offsets | range) -> None:
        """Append the lines of the next rows; a range, where one follows the other."""
        if not len(lines):
            return
        if isinstance(lines, range):
            breaks, firsts = np.zeros(1, np.int64), np.array(lines[:1], np.int64)
        else:
            breaks = np.flatnonzero(np.diff(lines, prepend=lines[0] - 2) != 1)
            firsts = lines[breaks].copy()
        self._firsts.append(self._rows)
        self._blocks.append((breaks + self._rows, firsts))
        self._rows += len(lines)
        self._breaks += len(breaks)
        while self._breaks > self._max_breaks and len(self._blocks) > 1:
            self._breaks -= len(self._blocks.pop(0)[0])
            self._firsts.pop(0)

    def line(self, row: int) -> int | None:
        """Return the line of a row; None if it was forgotten. Raises `IndexError` if not added."""
        if not 0 <= row < self._rows:
            raise IndexError(f"row {row} is not among the {self._rows} rows that were read")
        block = bisect_right(self._firsts, row) - 1
        if block < 0:
            return None
        rows, lines = self._blocks[block]
        index = int(np.searchsorted(rows, row, side="right")) - 1
        return int(lines[index]) + row - int(rows[index])


def _is_irregular(text: bytes) -> bool:
    """Return whether a line may be no record: blank, or within quotes."""
    if text.startswith((b"\n", b"\r\n")) or b'"' in text:
        return True
    return b"\n\n" in text or b"\n\r\n" in text


def _record_ends(data: npt.NDArray[np.uint8], delimiter: str) -> Offsets:
    """Return the offsets of the ends of line outside of quotes."""
    ends = np.flatnonzero(data == NEWLINE)
    quotes = _quotes(data, ord(delimiter))
    is_outside = np.searchsorted(quotes, ends) % 2 == 0
    outside: Offsets = ends[is_outside]
    return outside


def _quotes(data: npt.NDArray[np.uint8], delimiter: int) -> Offsets:
    """Return the offsets of the quotes that open and close, by turns."""
    quotes = np.flatnonzero(data == QUOTE)
    opening = quotes[::2]
    before = data[np.maximum(opening - 1, 0)]
    may_open = (opening == 0) | np.isin(before, (delimiter, NEWLINE, RETURN, QUOTE))
    if may_open.all():  # a quote before it is the closing one, and both are one of the text's
        return quotes
    return _quotes_one_by_one(data, quotes, delimiter)


def _quotes_one_by_one(data: npt.NDArray[np.uint8], quotes: Offsets, delimiter: int) -> Offsets:
    """Return the same where some are only characters of a field that is not quoted."""
    found: list[int] = []
    starts = (delimiter, NEWLINE, RETURN)
    for offset in quotes.tolist():
        is_inside = len(found) % 2 == 1
        is_doubled = bool(found) and found[-1] == offset - 1
        if is_inside or is_doubled or offset == 0 or data[offset - 1] in starts:
            found.append(offset)
    return np.array(found, np.int64)
