"""Which CSV files are annotated ones of InfluxDB. Imports little: each CSV file is asked."""

from __future__ import annotations

from pathlib import Path

from siridb_fast.errors import FileError
from siridb_fast.files.text_file import TextFile
from siridb_fast.formats.annotated_start import LOOKED_AT, is_annotated

__all__ = ["is_annotated_csv"]


def is_annotated_csv(path: Path) -> bool:
    """Tell whether a CSV file is one of InfluxDB, which says so in its first line."""
    try:
        file = TextFile(path, "a CSV file")
    except FileError:
        return False  # whoever reads it says so
    try:
        return is_annotated(file.read(LOOKED_AT))
    except FileError:
        return False
    finally:
        file.close()
