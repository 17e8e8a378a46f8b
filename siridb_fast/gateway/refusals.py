"""The lines that doors refuse, with their reasons, in a file of lines of JSON.

Points that are refused later, by the database say, are dead letters of the writer, in a file
beside. Knows nothing of doors.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from siridb_fast.concurrency.quiet_log import QuietLog
from siridb_fast.formats.points import BadLine

__all__ = ["BadLineFile", "line_texts"]

LONGEST = 65_536  # bytes of a line that are kept


class BadLineFile:
    """One file; it may be renamed or deleted by others at any time.

    Args:
        path: Of the file; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._log = QuietLog(time.monotonic)
        self.lost = 0  # lines that the disk did not take

    def write(self, door: str, lines: Iterable[tuple[BadLine, bytes]]) -> None:
        """Append lines; never raises."""
        if self._path is None:
            return
        now = datetime.now(UTC).isoformat()
        found = [
            json.dumps(
                {
                    "door": door,
                    "number": bad.line,
                    "line": line[:LONGEST].decode("utf-8", "backslashreplace"),
                    "reason": bad.reason,
                    "refused_at": now,
                },
                ensure_ascii=False,
            )
            for bad, line in lines
        ]
        text = "".join(f"{one}\n" for one in found).encode("utf-8", "backslashreplace")
        try:
            with self._path.open("ab") as file:
                before = file.tell()
                try:
                    file.write(text)
                    file.flush()
                except OSError:
                    with suppress(OSError):
                        file.truncate(before)
                    raise
        except OSError as exc:
            self.lost += len(found)
            self._log.log(
                logging.ERROR, "lines refused are not written to %s: %s", self._path, exc
            )


def line_texts(bad: Iterable[BadLine], text: bytes, first: int) -> list[tuple[BadLine, bytes]]:
    """Return bad lines with their text, whose first line has that number."""
    bad = list(bad)
    if not bad:
        return []
    lines = text.split(b"\n")
    return [
        (one, lines[one.line - first].rstrip(b"\r") if one.line - first < len(lines) else b"")
        for one in bad
    ]
