"""Numbers with their unit behind them, as Grafana and spreadsheets export what they show.

They are read as texts, for units of one column differ (``900 MiB``, ``1.2 GiB``); so it is said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from siridb_fast.files.csv.guess_numbers import Cell

__all__ = ["are_with_units"]

PREFIXES = "[numµkKMGTP]?i?"
UNITS = (
    "%|°|° ?C|° ?F|°K|K|ppm|ppb|dB|dBm|rpm|pH|lx|cd|"
    f"{PREFIXES}(s|m|g|l|L|B|b|bps|Bps|b/s|B/s|V|A|W|Wh|VA|VAh|VAr|Ah|Hz|Pa|bar|J|N|Ω|F|mol)|"
    "min|h|d|hPa|ha|m²|m³|m3|m3/h|m³/h|l/h|l/min|km/h|m/s|mph|kn|psi|cm|c/s|ops/s|req/s|"
    "reqps|ops|rps|wps|iops|mb|€|\\$|£"
)
WITH_UNIT = re.compile(rf"[+-]?\d[\d.,' ]*([eE][+-]?\d+)?[ \u00a0]?({UNITS})")


def are_with_units(cells: Sequence[Cell]) -> bool:
    """Tell whether all cells of a column are numbers with a unit."""
    return bool(cells) and all(WITH_UNIT.fullmatch(cell.text) for cell in cells)
