"""The text of a CSV file → the same lines in UTF-8, without what is no part of the table.

Lines stay where they are: a title, a comment, the header and a line of units become blank lines,
which are no records. Runs of blanks that separate fields become one each. Knows nothing of values.
"""

from __future__ import annotations

import re

from siridb_fast.files.csv.dialect import Dialect
from siridb_fast.files.csv.lines import record_lines, whole_records

__all__ = ["TextCleaner", "blank_lines", "drop_records"]


class TextCleaner:
    """What becomes of the blocks of one file."""

    def __init__(self, dialect: Dialect) -> None:
        self._delimiter = dialect.delimiter
        comment = (dialect.comment or "").encode()
        self._comment = re.compile(rb"^" + re.escape(comment) + rb"[^\n]*", re.MULTILINE)
        self._has_comments = bool(comment)

    def clean(self, text: bytes | memoryview) -> bytes | memoryview:
        """Return a block of whole records, with as many lines."""
        if not self._has_comments and self._delimiter != " ":
            return text
        text = bytes(text)
        if self._has_comments:
            is_plain = b'"' not in text
            text = self._comment.sub(b"", text) if is_plain else self._without_comments(text)
        if self._delimiter == " ":
            text = re.sub(rb"[ \t]+", b" ", text)
            text = re.sub(rb"^ | (?=\r?$)", b"", text, flags=re.MULTILINE)
        return text

    def _without_comments(self, text: bytes) -> bytes:
        # Lines within quotes are of a value, whatever they begin with.
        lines = text.split(b"\n")
        for number in record_lines(text, self._delimiter, 0)[0].tolist():
            if self._comment.match(lines[number]):
                lines[number] = b""
        return b"\n".join(lines)


def blank_lines(text: bytes, count: int) -> bytes:
    """Return text whose first lines are blank."""
    end = 0
    for _ in range(count):
        end = text.find(b"\n", end) + 1 or len(text)
    return b"\n" * text.count(b"\n", 0, end) + text[end:]


def drop_records(text: bytes, count: int, delimiter: str) -> tuple[bytes, bytes]:
    """Return the first records, with the blank lines above them, and the rest."""
    end = 0
    for _ in range(count):
        while text[end : end + 1] in (b"\r", b"\n") and text[end:]:
            end += 1
        start = end
        end = text.find(b"\n", start) + 1 or len(text)
        while end < len(text) and whole_records(text[start:end], delimiter)[0] != end - start:
            end = text.find(b"\n", end) + 1 or len(text)
    return text[:end], text[end:]
