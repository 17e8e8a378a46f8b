"""Dead letters as lines of JSON, appended to one file: what was written is there.

Each failure is one write, without a buffer of this process: it survives the death of the process,
though not that of the machine in the moments after it. A line that was begun and not ended, by a
full disk or a loss of power, is taken away before the next one. The file may be renamed or deleted
by others at any time; then the next failure begins a new one.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from io import FileIO
from json.encoder import encode_basestring
from pathlib import Path

from siridb_fast.columns.typed_values import SERIES, TIME, TYPED_VALUES, reasons_in
from siridb_fast.delivery.letter import Letter
from siridb_fast.errors import FileError

__all__ = ["LetterLines"]

NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
STEP = 65_536  # bytes, from the end, in which the last whole line is searched


class LetterLines:
    """One file of dead letters.

    Args:
        path: Of the file; it is made with the first letter.

    Raises:
        FileError: There is a file of this name that holds something else.
        OSError: It cannot be read.
    """

    waiting = 0

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: FileIO | None = None
        self.written = 0  # points
        if path.exists():
            _require_letters(path)

    def write(self, letter: Letter) -> None:
        """Append the points of a failure.

        Raises:
            OSError: The disk does not take them; none of them is in the file.
        """
        lines = _lines(letter)
        file = self._opened()
        before = os.fstat(file.fileno()).st_size
        try:
            if file.write(lines) != len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        except OSError:
            with suppress(OSError):  # else it is mended when it is opened again
                file.truncate(before)
            self.close()
            raise
        self.written += letter.points

    def flush(self) -> None:
        """Do nothing: nothing waits."""

    def close(self) -> None:
        """Close the file; another letter opens it again."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):  # it is closed all the same
                file.close()

    def _opened(self) -> FileIO:
        if self._file is None or not self._is_there(self._file):
            self.close()
            file = FileIO(self.path, "a+")
            try:
                _mend(file)
            except OSError:
                file.close()
                raise
            self._file = file
        return self._file

    def _is_there(self, file: FileIO) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), self.path.stat())
        except FileNotFoundError:
            return False


def _lines(letter: Letter) -> bytes:
    head = f'{{"{SERIES}": {encode_basestring(letter.series)}, "{TIME}": '
    before, _, behind = "".join(
        f', "{name}": {"@" if name == letter.column else "null"}' for name in TYPED_VALUES
    ).partition("@")
    at = letter.refused_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    end = f', "error": "{letter.error}", "refused_at": "{at}"}}\n'
    reasons = map(encode_basestring, letter.reason_of_each)
    rows = zip(_cells(letter.times), _cells(letter.values.tolist()), reasons, strict=True)
    return "".join(
        f'{head}{t}{before}{value}{behind}, "reason": {reason}{end}' for t, value, reason in rows
    ).encode()


def _cells(values: Sequence[str | float]) -> Iterable[str]:
    # All of one type; as JSON, and the numbers that it lacks as Python and Arrow write them.
    if values and isinstance(values[0], str):
        return map(encode_basestring, values)  # type: ignore[arg-type]
    return [NOT_FINITE.get(text, text) for text in map(repr, values)]


def _require_letters(path: Path) -> None:
    # That of the first line, if it is whole.
    if not path.is_file():
        raise FileError("dead letters go to a file, and this is none", file=str(path))
    with path.open("rb") as file:
        line = file.readline()
    if not line.endswith(b"\n"):
        return  # empty, or all that a crash left
    found = json.loads(line) if _is_json(line) else None
    if not isinstance(found, dict) or not reasons_in(found):
        raise FileError(
            "the file has something else than dead letters, and nothing is appended to that",
            file=str(path),
            line=1,
        )


def _mend(file: FileIO) -> None:
    # A crash may have left a part of a line at the end, of which no reader makes anything.
    end = file.seek(0, os.SEEK_END)
    start, tail = end, b""
    while start and b"\n" not in tail:
        start = max(0, start - STEP)
        file.seek(start)
        tail = file.read(end - start)
    whole = start + tail.rfind(b"\n") + 1
    if whole < end:
        if _is_json(tail[whole - start :]):  # it lacks nothing but its end
            file.write(b"\n")
        else:
            file.truncate(whole)


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
