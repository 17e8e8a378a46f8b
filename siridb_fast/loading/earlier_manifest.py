"""What earlier versions of this package noted of loads, in a file beside those that were loaded.

It is read, and never written. Its file may be deleted once loads have gone on with what is in it.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siridb_fast.errors import FileError

__all__ = ["EARLIER_NAME", "EarlierEntry", "entries_beside"]

EARLIER_NAME = "siridb-load.sqlite"
VERSIONS = {2: "'', ''", 3: "servers, ''", 4: "servers, dialect"}  # and what each has beside
ASKED, BEGUN = " anew, asked for", " anew, begun"  # behind a job: an attempt that was killed


@dataclass(frozen=True, slots=True)
class EarlierEntry:
    """What was noted of one file."""

    size: int
    mtime_ns: int
    passes: str
    delivered: int
    started: int
    is_done: bool
    hosts: str
    servers: frozenset[str]
    dialect: str


def entries_beside(folder: Path) -> dict[tuple[str, str], EarlierEntry]:
    """Return what is noted in a folder, by job and name of the file.

    Raises:
        FileError: It cannot be read.
    """
    path = folder / EARLIER_NAME
    if not path.is_file():
        return {}
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as base:
            rows = _rows(base, path)
    except sqlite3.Error as exc:
        text = f"what an earlier version noted of loads cannot be read: {exc}"
        raise FileError(text, file=str(path)) from None
    found: dict[tuple[str, str], EarlierEntry] = {}
    for (
        job,
        file,
        size,
        mtime_ns,
        passes,
        delivered,
        started,
        is_done,
        hosts,
        servers,
        how,
    ) in rows:
        found[job, file] = EarlierEntry(
            *(size, mtime_ns, passes, delivered, started, bool(is_done)),
            *(hosts, frozenset(servers.split()), how),
        )
    begun = {key: entry for key, entry in found.items() if key[0].endswith(BEGUN)}
    kept = {key: entry for key, entry in found.items() if not key[0].endswith((BEGUN, ASKED))}
    return kept | {(job.removesuffix(BEGUN), file): entry for (job, file), entry in begun.items()}


def _rows(base: sqlite3.Connection, path: Path) -> list[tuple[Any, ...]]:
    (version,) = base.execute("PRAGMA user_version").fetchone()
    if version not in VERSIONS:
        raise FileError(
            f"it is a manifest of version {version}, and only the siridb-fast that wrote it can "
            "go on with the load; if it is deleted, --resume compares all with the database",
            file=str(path),
        )
    query = (
        "SELECT job, file, size, mtime_ns, passes, delivered, started, is_done, hosts, "  # noqa: S608
        f"{VERSIONS[version]} FROM files WHERE started OR is_done"
    )
    return base.execute(query).fetchall()
