"""What every door does with a text: have it read, have its good lines taken, note the others.

Knows nothing of connections, and of how a sender is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from siridb_fast.formats._graphite import Graphite
from siridb_fast.formats._line_protocol import LineProtocol
from siridb_fast.formats._remote_write import RemoteWrite
from siridb_fast.formats.json_lines import JsonLines
from siridb_fast.formats.points import BadLine
from siridb_fast.gateway.config import DoorConfig, GatewayConfig
from siridb_fast.gateway.errors import OverloadedError
from siridb_fast.gateway.figures import DoorFigures, Refusal
from siridb_fast.gateway.intake import Intake, Taken
from siridb_fast.gateway.naming import SeriesTemplate
from siridb_fast.gateway.refusals import BadLineFile, line_texts
from siridb_fast.gateway.rows import Rows
from siridb_fast.gateway.series_table import Parser, SeriesTable, SeriesTables
from siridb_fast.gateway.times import UNITS

__all__ = ["Desk", "Kiosk", "Text"]

BLOCK = 4 * 1024 * 1024  # bytes that are parsed at once
SHOWN = 200  # bytes of a refused line on the page for people
BOM = b"\xef\xbb\xbf"


class Text:
    """A text that comes in blocks, of one sender, with its lines counted."""

    def __init__(self, table: SeriesTable, nanoseconds: int) -> None:
        self.table = table
        self.nanoseconds = nanoseconds
        self.line = 1


class Kiosk:
    """What all doors share that write into one database.

    Args:
        config: Of the gateway.
        intake: Takes points.
        precision_ns: Returns the nanoseconds of the database's precision.
        bad_lines: Where lines go that are refused.
    """

    def __init__(
        self,
        config: GatewayConfig,
        intake: Intake,
        precision_ns: Callable[[], int],
        bad_lines: BadLineFile,
    ) -> None:
        self.config = config
        self.intake = intake
        self.limits = config.limits
        self.precision_ns = precision_ns
        self.bad_lines = bad_lines
        self._tables: dict[tuple[str, str, str], SeriesTables] = {}

    def tables(self, protocol: str, series: str, dialect: str) -> SeriesTables:
        """Return the series of lines of one kind, the same for all doors that take these."""
        key = (protocol, series, dialect)
        if key not in self._tables:
            template = SeriesTemplate(series, protocol)
            make = partial(
                _new_table, protocol, dialect, template, self.config, protocol != "influx"
            )
            self._tables[key] = SeriesTables(make)
        return self._tables[key]


class Desk:
    """That of one door.

    Args:
        config: Of the door.
        kiosk: Of the gateway.
        figures: Of the door; those of another protocol at the same door count there too.
    """

    def __init__(
        self, config: DoorConfig, kiosk: Kiosk, figures: DoorFigures | None = None
    ) -> None:
        self.config = config
        self.kiosk = kiosk
        self.intake = kiosk.intake
        self.figures = figures or DoorFigures(config.name, config.place)

    def open(self, *, unit: str | None = None, dialect: str | None = None) -> Text:
        """Begin a text; its sender may say the unit of timestamps, and what its lines are."""
        config = self.config
        tables = self.kiosk.tables(config.protocol, config.series, dialect or config.dialect)
        return Text(tables.current, self._nanoseconds(unit or config.unit))

    def read(self, text: Text, block: bytes, *, is_last: bool) -> tuple[Rows, int]:
        """Read the whole lines of a block; return their points, and how many bytes they are."""
        first = text.line
        points = text.table.parse(block, line=first, is_last=is_last)
        text.line = text.table.line
        if (
            is_last and self.config.protocol != "prometheus"
        ):  # what has no closing quote may have many lines
            text.line = first + block.count(b"\n") + (block[-1:] not in (b"", b"\n"))
        self.figures.lines += text.line - first
        return self.intake.rows(points, text.table, text.nanoseconds), points.size

    async def take(self, rows: Rows, block: bytes, first: int, *, waits: bool = False) -> Taken:
        """Take the good lines, and note the others; ``first`` is the number of the first line.

        Raises:
            OverloadedError: Nothing was taken.
        """
        taken = await self.take_rows(rows, waits=waits)
        if taken.bad:
            self.refuse([*taken.bad], block, first)
        return taken

    async def take_rows(self, rows: Rows, *, waits: bool = False) -> Taken:
        """Take the good lines; whoever has the others notes them.

        Raises:
            OverloadedError: Nothing was taken.
        """
        try:
            taken = await self.intake.take(rows, waits=waits)
        except OverloadedError as exc:
            self.figures.overloads += 1
            self.note(str(exc))
            raise
        self.figures.points += taken.points
        self.figures.left_out += taken.left_out
        return taken

    def refuse(self, bad: list[BadLine], block: bytes, first: int) -> None:
        """Note lines that are refused."""
        self.refuse_lines(line_texts(bad, block, first))

    def refuse_lines(self, lines: list[tuple[BadLine, bytes]]) -> None:
        """Note lines that are refused, with their texts."""
        self.figures.bad_lines += len(lines)
        last, line = lines[-1]
        self.note(last.reason, line)
        self.kiosk.bad_lines.write(self.config.name, lines)

    def note(self, reason: str, line: bytes = b"") -> None:
        """Note why something was refused, for people."""
        shown = line[:SHOWN].decode("utf-8", "backslashreplace")
        self.figures.last_refusal = Refusal(time.time(), reason, shown)

    def _nanoseconds(self, unit: str | None) -> int:
        # Of one of a timestamp; Graphite's parser gives nanoseconds, whatever its unit.
        if self.config.protocol == "graphite":
            return 1
        if self.config.protocol == "prometheus":
            return UNITS["ms"]
        if unit is not None:
            return UNITS[unit]
        return self.kiosk.precision_ns() if self.config.protocol == "ndjson" else 1


def _new_table(
    protocol: str, dialect: str, template: SeriesTemplate, config: GatewayConfig, are_floats: bool
) -> SeriesTable:
    parser: Parser
    if protocol == "influx":
        parser = LineProtocol(keeps_types=True, is_questdb=dialect == "questdb")
    elif protocol == "graphite":
        parser = Graphite()
    elif protocol == "prometheus":
        parser = RemoteWrite()
    else:
        parser = JsonLines()
    return SeriesTable(parser, template, config.rules, numbers_are_floats=are_floats)
