"""How the CSV files of a load are read, in one line for those that are read alike."""

from __future__ import annotations

from siridb_fast.cli.errors import shown
from siridb_fast.loading.file_source import FileSource

__all__ = ["dialect_lines"]

SHOWN_DIALECTS = 3


def dialect_lines(source: FileSource) -> list[str]:
    """Return a line for each way in which files are read, but no more than a few."""
    lines = []
    for dialect, files in list(source.dialects.items())[:SHOWN_DIALECTS]:
        which = "read as" if len(source.dialects) == 1 else f"{files[0].name} read as"
        others = f" ({len(files) - 1:,} files more)" if len(files) > 1 else ""
        lines.append(shown(f"{which}: {dialect}{others}"))
    if len(source.dialects) > SHOWN_DIALECTS:
        lines.append(f"and in {len(source.dialects) - SHOWN_DIALECTS:,} ways more")
    return lines
