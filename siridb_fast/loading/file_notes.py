"""What one note says of files, as JSON, and what several of them say together.

Nothing that was noted is ever changed, so notes are joined: of two attempts to load a file the
higher number counts, and in one attempt whatever is further. So their order does not matter, nor
whether one comes twice. Knows nothing of where notes are kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from siridb_fast.errors import ConfigError

__all__ = ["Beginning", "FileNote", "note_of", "notes_in"]

VERSION = 1


@dataclass(frozen=True, slots=True)
class Beginning:
    """A file as it was when an attempt began.

    Attributes:
        size: In bytes.
        mtime_ns: When it was changed.
        passes: Tells how its rows are counted.
        dialect: How it is read, as JSON.
        checksum: Of all of it; None: nobody needs it.
    """

    size: int
    mtime_ns: int
    passes: str = ""
    dialect: str = ""
    checksum: int | None = None


NO_FILE = Beginning(-1, -1)  # two loads have begun one attempt, with the file otherwise


@dataclass(frozen=True, slots=True)
class FileNote:
    """What is noted of one file.

    Attributes:
        attempt: To load it; they count from 1.
        started: Rows up to this one may be stored.
        delivered: Rows up to this one are.
        is_done: All of it is.
        begun: The file; None if that is in another note.
    """

    attempt: int
    started: int = 0
    delivered: int = 0
    is_done: bool = False
    begun: Beginning | None = None

    def joined(self, other: FileNote) -> FileNote:
        """Return what both say together."""
        if self.attempt != other.attempt:
            return max(self, other, key=lambda note: note.attempt)
        begun = self.begun or other.begun
        if None not in (self.begun, other.begun) and self.begun != other.begun:
            begun = NO_FILE
        return FileNote(
            self.attempt,
            max(self.started, other.started),
            max(self.delivered, other.delivered),
            self.is_done or other.is_done,
            begun,
        )


def note_of(files: Mapping[str, FileNote], by: str) -> str:
    """Return a note, as text.

    Args:
        files: What it says of files, by their keys.
        by: Who has written it.
    """
    rows = [_row(key, note) for key, note in files.items()]
    return json.dumps({"version": VERSION, "by": by, "files": rows}, separators=(",", ":"))


def notes_in(text: str) -> tuple[str, dict[str, FileNote]]:
    """Return who has written a note, and what it says of files.

    Raises:
        ConfigError: It has another form.
    """
    note = json.loads(text)
    if note.get("version") != VERSION:
        raise ConfigError(
            f"the manifest in the database is of version {note.get('version')}, expected "
            f"{VERSION}: it was written by another siridb-fast, and only that one can go on with "
            "its loads"
        )
    return str(note["by"]), {str(row[0]): _note(*row[1:]) for row in note["files"]}


def _row(key: str, note: FileNote) -> list[Any]:
    row = [key, note.attempt, note.started, note.delivered, int(note.is_done)]
    begun = note.begun
    if begun is not None:
        row += [begun.size, begun.mtime_ns, begun.passes, begun.dialect, begun.checksum]
    return row


def _note(attempt: int, started: int, delivered: int, is_done: int, *begun: Any) -> FileNote:
    beginning = Beginning(*begun) if begun else None
    return FileNote(attempt, started, delivered, bool(is_done), beginning)
