"""What the path of a file says of its points: the name of the file, its folder, partitions.

This module knows names alone; it opens no file.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from siridb_fast.files.paths import compression

__all__ = ["path_labels"]

NO_VALUE = "__HIVE_DEFAULT_PARTITION__"  # what Hive and Spark call the folder of missing values


def path_labels(path: Path) -> dict[str, str | None]:
    """Return what a template may say of a file, beside its columns.

    ``file`` is its name, ``stem`` the same without suffixes, ``folder`` the name of the folder it
    is in; and each folder above it that is called ``key=value`` gives a label, as partitions of
    Hive, Spark and pyarrow are laid out. The value of a partition may be missing: None.
    """
    path = path.absolute()
    inner = path if compression(path) is None else path.with_suffix("")
    labels: dict[str, str | None] = {
        "file": path.name,
        "stem": inner.stem,
        "folder": path.parent.name,
    }
    for part in path.parent.parts:
        key, equals, value = part.partition("=")
        if equals and key:
            labels[unquote(key)] = None if value == NO_VALUE else unquote(value)
    return labels
