"""The file of a manifest, for as long as a load has it open: is it the one that has the name.

Whoever deletes it would have the next load begin anew, and store points twice. Knows SQLite;
nothing of what is in a manifest.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from siridb_fast.errors import FileError

__all__ = ["bring_back", "connect_to", "is_there", "unwritable"]

BUSY_TIMEOUT = 30.0  # seconds, for another load that writes at the same moment


def connect_to(path: Path) -> sqlite3.Connection:
    """Open it, or make it; what is committed survives the end of the machine.

    Raises:
        sqlite3.Error: It cannot be opened.
    """
    base = sqlite3.connect(path, timeout=BUSY_TIMEOUT, check_same_thread=False)
    try:
        base.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        base.close()
        raise
    return base


def is_there(path: Path, opened: os.stat_result) -> bool:
    """Tell whether a file that was opened has its name, or nothing has.

    Raises:
        FileError: Another file has its name.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise unwritable(path, exc) from None
    if not os.path.samestat(found, opened):
        raise FileError("another file has taken the place of the manifest", file=str(path))
    return True


def bring_back(path: Path, base: sqlite3.Connection) -> None:
    """Write a file anew that was deleted while it was open; all of it can still be read.

    Raises:
        FileError: It cannot be written.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        draft.unlink(missing_ok=True)
        with closing(sqlite3.connect(draft)) as copy:
            base.backup(copy)
        os.link(draft, path)
        draft.unlink()
    except OSError as exc:
        raise unwritable(path, exc) from None


def unwritable(path: Path, exc: sqlite3.Error | OSError) -> FileError:
    """Return what tells the caller that the manifest cannot be written, and why."""
    reason = exc.strerror if isinstance(exc, OSError) else exc
    return FileError(f"the manifest cannot be written: {reason}", file=str(path))
