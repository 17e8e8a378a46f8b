"""Numbers with their unit behind them, as Grafana and spreadsheets export what they show.

They are no numbers that could be read, for units of one column differ (``900 MiB``, ``1.2 GiB``);
and stored as texts, their series is one of texts for good.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from siridb_fast.errors import FileError
from siridb_fast.files.csv.guess_numbers import Cell

__all__ = ["refuse_units"]

PREFIXES = "[numµkKMGTP]?i?"
UNITS = (
    "%|°|° ?C|° ?F|°K|K|ppm|ppb|dB|dBm|rpm|pH|lx|cd|"
    f"{PREFIXES}(s|m|g|l|L|B|b|bps|Bps|b/s|B/s|V|A|W|Wh|VA|VAh|VAr|Ah|Hz|Pa|bar|J|N|Ω|F|mol)|"
    "min|h|d|hPa|ha|m²|m³|m3|m3/h|m³/h|l/h|l/min|km/h|m/s|mph|kn|psi|cm|c/s|ops/s|req/s|"
    "reqps|ops|rps|wps|iops|mb|€|\\$|£"
)
WITH_UNIT = re.compile(rf"[+-]?\d[\d.,' ]*([eE][+-]?\d+)?[ \u00a0]?({UNITS})")


def refuse_units(name: str, cells: Sequence[Cell], file: str) -> None:
    """Refuse a column of texts all of which are numbers with a unit.

    Raises:
        FileError: Names the first of them, and what to do.
    """
    if not cells or not all(WITH_UNIT.fullmatch(cell.text) for cell in cells):
        return
    first = cells[0]
    raise FileError(
        f"{first.text!r} is a number with a unit, which is not read as a number: export numbers "
        "alone (in Grafana without 'Formatted data'); "
        f"types={{{name!r}: 'string'}} (--type {name!r}=string) stores texts, ignore={name!r} "
        f"(--ignore {name!r}) leaves the column out",
        file=file,
        line=first.line,
        column=name,
    )
