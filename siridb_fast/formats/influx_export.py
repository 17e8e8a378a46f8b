"""Line protocol in files that `influx_inspect export` writes and `influx -import` reads.

Between ``# DDL`` and ``# DML`` are statements that make databases; they are passed over. The
lines ``# CONTEXT-DATABASE:`` and ``# CONTEXT-RETENTION-POLICY:`` say what the points behind them
are of.
"""

from __future__ import annotations

import re

from siridb_fast.formats._line_protocol import LineProtocol
from siridb_fast.formats.points import LineError, ParsedPoints, PointKey

__all__ = ["InfluxExport"]

SECTION = re.compile(
    rb"^# ?(?:(DDL|DML)|(CONTEXT-DATABASE|CONTEXT-RETENTION-POLICY): *(.*?))\r?$", re.MULTILINE
)
ANY = re.compile(rb"[^\n]")


class InfluxExport:
    """Reads the lines of one text, block by block."""

    def __init__(self) -> None:
        self._lines = LineProtocol()
        self._is_in_ddl = False
        self._context: dict[bytes, bytes] = {}

    @property
    def series(self) -> list[PointKey]:
        """By their numbers."""
        return self._lines.series

    def parse(self, block: bytes, *, is_last: bool = False) -> ParsedPoints:
        """Return the points of the whole lines of a block, and how many bytes these are.

        Raises:
            LineError: There are points of several databases, or retention policies.
        """
        end = len(block) if is_last else block.rfind(b"\n") + 1
        whole = block[:end]
        if self._is_in_ddl or b"# " in whole:
            whole = self._without_statements(whole)
        return self._lines.parse(whole, is_last=is_last)

    def _without_statements(self, block: bytes) -> bytes:
        # With blanks in their place, so that lines and bytes are counted as they are.
        parts, behind = [], 0
        for match in SECTION.finditer(block):
            parts.append(self._shown(block[behind : match.start()]))
            behind = match.start()
            if match[1] is not None:
                self._is_in_ddl = match[1] == b"DDL"
            else:
                self._enter(match[2], match[3])
        return b"".join([*parts, self._shown(block[behind:])])

    def _shown(self, text: bytes) -> bytes:
        return ANY.sub(b" ", text) if self._is_in_ddl else text

    def _enter(self, name: bytes, value: bytes) -> None:
        before = self._context.setdefault(name, value)
        if before != value:
            what = name.decode().removeprefix("CONTEXT-").replace("-", " ").lower()
            first, second = (one.decode("utf-8", "replace") for one in (before, value))
            raise LineError(
                f"there are points of the {what} {second!r} beside those of {first!r}, and series "
                "of the same name would become one; export each into a file of its own"
            )
