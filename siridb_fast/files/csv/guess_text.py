"""The text of the head of a CSV file: its encoding, and its rows by one delimiter or another.

Knows nothing of columns and their values.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from siridb_fast.errors import FileError
from siridb_fast.files.csv.given import CsvGiven
from siridb_fast.files.csv.guess_numbers import are_plain

__all__ = ["Row", "columns_of", "decoded", "guess_comment", "guess_delimiter", "rows_of"]

BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
NOT_IN_WINDOWS = set(b"\x81\x8d\x8f\x90\x9d")  # bytes that Windows-1252 does not have
DELIMITERS = (",", ";", "\t", "|", " ")
SAMPLE_CHARACTERS = 64 * 1024  # for the delimiter
SAMPLE_ROWS = 200
VALUE = re.compile(
    r"[+-]?(\d+([.,' \u00a0]?\d+)*[.,]?|[.,]\d+)([eE][+-]?\d+)?"  # numbers of any dress
    r"|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ]\d[\w:.+ -]*)?"
    r"|\d{1,2}:\d\d(:\d\d(\.\d+)?)?( ?[aApP]\.?[mM]\.?)?"
)


@dataclass(frozen=True, slots=True)
class Row:
    """The fields of one record; the first line of a file is 1."""

    line: int
    fields: list[str]


def decoded(head: bytes, given: CsvGiven, file: str, *, is_whole: bool) -> tuple[str, str]:
    """Return the encoding, and the text of the whole lines of the head.

    Raises:
        FileError: The head is not of the encoding that is said.
    """
    encoding = given.encoding or guess_encoding(head)
    decoder = codecs.getincrementaldecoder(encoding)(
        "replace" if given.encoding is None else "strict"
    )
    try:
        text = decoder.decode(head, final=is_whole)
    except UnicodeDecodeError as exc:
        line = 1 + head.count(b"\n", 0, exc.start)
        reason = (
            f"the text is not {encoding}: {exc.reason}; encoding= (--encoding) says what it is"
        )
        raise FileError(reason, file=file, line=line) from None
    text = text.removeprefix("\ufeff")
    if not is_whole:
        text = text[: text.rfind("\n") + 1] or text
    return encoding, text


def guess_encoding(head: bytes) -> str:
    """Return the encoding that bytes are in; UTF-8 unless they show another."""
    for mark, name in BOMS:
        if head.startswith(mark):
            return name
    if zeros := head.count(0):
        is_little = head[1::2].count(0) > zeros // 2
        if 4 * zeros > len(head):
            return "utf-16-le" if is_little else "utf-16-be"
    if _is_utf_8(head):
        return "utf-8"
    text = head.decode("utf-8", "surrogateescape")
    bad = {ord(character) - 0xDC00 for character in text if "\udc80" <= character <= "\udcff"}
    is_cut = text[-1:] >= "\udc80" and len(text) > 4 and not bad - {*head[-4:]}
    has_utf_8 = any("\x80" <= character < "\udc80" for character in text)
    if not bad or is_cut or has_utf_8:
        return "utf-8"  # if a few lines are not, they are named
    return "latin-1" if bad & NOT_IN_WINDOWS else "cp1252"


def _is_utf_8(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError:
        return False
    return True


def guess_comment(text: str, given: CsvGiven) -> str | None:
    """Return what lines begin with that are passed over."""
    if given.comment is not None:
        return given.comment or None
    if text.startswith("#"):
        return "#"
    marked = text.count("\n#")
    return "#" if 0 < 3 * marked < text.count("\n") else None  # where most have it, it is data


def rows_of(text: str, delimiter: str, comment: str | None, skip: int = 0) -> Iterator[Row]:
    """Yield the rows below some lines of the file; blank lines and comments are none."""
    lines = enumerate(io.StringIO(text, newline=""), 1)
    wanted = ((number, line) for number, line in lines if number > skip)
    if comment is not None:
        wanted = ((number, line) for number, line in wanted if not line.startswith(comment))
    if delimiter == " ":
        yield from (Row(number, line.split()) for number, line in wanted if line.strip())
        return
    yield from _parsed(wanted, delimiter)


def _parsed(wanted: Iterable[tuple[int, str]], delimiter: str) -> Iterator[Row]:
    numbers: list[int] = []  # of the lines that were taken

    def taken() -> Iterator[str]:
        for number, line in wanted:
            numbers.append(number)
            yield line

    reader = csv.reader(taken(), delimiter=delimiter)
    while True:
        before = reader.line_num
        try:
            fields = next(reader, None)
        except csv.Error:  # a field without an end, which the reader of the file names
            return
        if fields is None:
            return
        if len(fields) > 1 or any(field.strip() for field in fields):
            yield Row(numbers[before], [field.strip() for field in fields])


def columns_of(rows: Iterable[Row]) -> int:
    """Return how many fields most rows have; the more of two that are as frequent."""
    counts = Counter(len(row.fields) for row in rows)
    return max(counts, key=lambda count: (counts[count], count), default=0)


def guess_delimiter(text: str, comment: str | None, first: str | None = None) -> str:
    """Return what separates the fields: what gives columns whose fields are values.

    Args:
        text: Whole lines.
        comment: What lines begin with that are passed over.
        first: Wins where several do as well.
    """
    sample = text[:SAMPLE_CHARACTERS]
    if len(sample) < len(text):
        sample = sample[: sample.rfind("\n") + 1] or text
    candidates = [first] if first else []
    candidates += [one for one in DELIMITERS if one != first and one in sample]
    scores = {one: _score(sample, one, comment) for one in candidates}
    best = max(scores, key=lambda one: scores[one], default=",")
    return best if scores.get(best, 0.0) > 0 else first or ","


def _score(text: str, delimiter: str, comment: str | None) -> float:
    rows = [
        row for row, _ in zip(rows_of(text, delimiter, comment), range(SAMPLE_ROWS), strict=False)
    ]
    count = columns_of(rows)
    if count < 2:
        return 0.0
    alike = [row for row in rows if len(row.fields) == count]
    body = alike[1:] or alike
    fields = [field for row in body for field in row.fields if field]
    are_values = are_plain(fields)
    values = len(fields) if are_values else sum(map(bool, map(VALUE.fullmatch, fields)))
    share = values / len(fields) if fields else 0.0
    has_header = len(rows[0].fields) == count
    score = len(alike) / len(rows) + share + 0.5 * has_header
    return score - 0.3 if delimiter == " " else score
