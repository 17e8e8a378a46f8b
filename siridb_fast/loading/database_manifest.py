"""A manifest that is kept in the database itself: for containers, and for several users.

What is noted, and when, is said in `notes`. Nothing in SiriDB can be changed, so each note says
what is new, and all of them are read when a load begins (`file_notes`, `note_journal`).

Nobody has a lock that reaches other machines. So each note is followed by a look at whether
somebody else has begun with the files of this load, or goes on with one that it took for ended:
then the load ends with an error before the rows leave. What cannot be seen is whether a load that
has noted something is still alive: if another one goes on with its file, it ends with its next
note, and what it has on its way then may be stored twice.

Knows nothing of formats, servers or event loops.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

from siridb_fast.errors import FileError
from siridb_fast.loading.file_notes import Beginning, FileNote, note_of, notes_in
from siridb_fast.loading.file_versions import name_of, version_of
from siridb_fast.loading.note_journal import NoteJournal, NoteStore
from siridb_fast.loading.notes import EVERY_ROW, Entry, FileVersion, entry_of

__all__ = ["DatabaseManifest"]

NEW = Entry(0, 0, is_done=False)
CLOSE_TIMEOUT = 10.0  # what was delivered last is compared if it cannot be noted any more


class DatabaseManifest:
    """What is noted of loads with the same roles of columns, in the database that has the points.

    Args:
        store: Of the database; it is closed with this.
        job: What `job_key` gives.
        by: Who loads: somebody else is told.

    Raises:
        SiriDBError: It cannot be read.
    """

    def __init__(self, store: NoteStore, job: str, by: str) -> None:
        self._journal = NoteJournal(store, job)
        self._by = by
        self._noted: dict[str, FileNote] = {}  # what all notes say, by key of the file
        self._writers: dict[str, tuple[int, str]] = {}  # by key: who else noted it last
        self._begun_by_others: set[str] = set()  # files of this load, since it began with them
        self._ours: dict[str, Path] = {}  # that this load has begun with and not finished
        self._attempts: dict[str, int] = {}  # of this load, whatever others begin meanwhile
        self._registered: set[str] = set()  # those of them that others can find
        self._versions: dict[str, FileVersion] = {}  # of files, before they are opened
        self._claimed: dict[str, Beginning] = {}  # what is not written down yet
        self._known_before: dict[str, Entry] = {}  # of those of them that have grown
        self._announced: set[str] = set()  # all rows of them may leave, as is written down
        self._delivered: dict[str, int] = {}  # the same
        self._finished: set[str] = set()  # the same
        self._asked_anew: dict[str, FileNote | None] = {}  # what was known of what is loaded anew
        self._is_begun_anew = False
        self._lock = threading.Lock()  # one thread reads, another one hears of deliveries
        try:
            self._take_in()
        except BaseException:
            store.close()
            raise

    def close(self) -> None:
        """Write down what is not yet, and close."""
        is_free = self._lock.acquire(timeout=CLOSE_TIMEOUT)  # else a note is on its way in vain
        try:
            if is_free:
                self._write({}, CLOSE_TIMEOUT)
        finally:
            self._journal.close()
            if is_free:
                self._lock.release()

    def take_versions(self, files: Sequence[Path]) -> None:
        """Remember files as they are now, before one is opened; so they are noted."""
        self._versions |= {_key(file): FileVersion(*version_of(file)) for file in files}

    def look_up(self, files: Sequence[Path]) -> list[Entry | None]:
        """Return what is known of files; None of those of which nothing was ever loaded so."""
        return [self._found(file) for file in files]

    def restart(self, files: Sequence[Path]) -> None:
        """Ask for files to be loaded anew, together; what is known of them stays for now."""
        self._ours |= {_key(file): file for file in files}
        self._asked_anew = {key: self._noted.get(key) for key in self._ours}

    def begin_restart(self) -> None:
        """Note that the first point is about to leave of what is loaded anew."""
        with self._lock:
            notes = {
                key: FileNote(self._next_attempt(key), begun=_begun(self._versions[key]))
                for key in self._asked_anew
            }
            self._write(notes)
            self._is_begun_anew = True

    def keep_restart(self) -> None:
        """Let what is loaded anew, which has stored points, take the place of what was known."""
        self._asked_anew = {}

    def withdraw_restart(self) -> None:
        """Note what was known before as an attempt of its own: what was loaded anew is nothing."""
        if self._is_begun_anew:
            with self._lock:
                notes = {key: self._restored(key) for key in self._asked_anew}
                self._write(notes, CLOSE_TIMEOUT)
        self._asked_anew = {}

    def dialect_of(self, file: Path) -> str:
        """Return how a file is read of which something is loaded, as it was noted; else ''."""
        note = self._current(_key(file))
        return "" if note is None or note.begun is None else note.begun.dialect

    def claim(
        self,
        file: Path,
        passes: str = "",
        dialect: str = "",
        *,
        is_anew: bool = False,
        may_grow: bool = False,
    ) -> Entry:
        """Begin or go on with a file; return what was known of it."""
        key = _key(file)
        if key in self._announced:
            return Entry(0, 0, is_done=False)
        with self._lock:
            if self._journal.has_more(()):
                self._take_in()
            self._ours[key] = file
        entry = self._found(file, passes)
        has_grown = entry is not None and entry.has_grown
        if entry is not None and not (is_anew or entry.is_changed or has_grown):
            self._attempts[key] = self._noted[key].attempt
            return entry
        self._claimed[key] = self._beginning(file, passes, dialect, may_grow=may_grow)
        if entry is None:
            return Entry(0, 0, is_done=False)
        if has_grown and not is_anew:
            self._known_before[key] = entry
            return entry
        return Entry(0, EVERY_ROW, is_done=False, is_changed=True)

    def announce(self, files: Sequence[Path]) -> None:
        """Note with the next row that leaves that any row of some files may; of new ones alone."""
        by_key = {_key(file): file for file in files}
        self._ours |= by_key
        self._claimed |= {key: self._beginning(file, "", "") for key, file in by_key.items()}
        self._announced |= by_key.keys()

    def start(self, file: Path, rows: int) -> None:
        """Note that rows up to this one are about to leave.

        Raises:
            FileError: Another load has begun with a file of this one.
        """
        key = _key(file)
        if key in self._announced and key not in self._claimed:
            return
        with self._lock:
            claims = self._claims(key)
            self._attempts |= {each: note.attempt for each, note in claims.items()}
            note = claims.get(key) or FileNote(self._attempts[key])
            self._write({**claims, key: replace(note, started=max(note.started, rows))})
            for each in claims:
                del self._claimed[each]
                self._known_before.pop(each, None)
            self._require_alone()

    def deliver(self, file: Path, rows: int) -> None:
        """Note that rows up to this one are stored; written down with what comes next."""
        self._delivered[_key(file)] = rows

    def finish(self, file: Path) -> None:
        """Note that all of a file is stored; written down with what comes next."""
        self._finished.add(_key(file))

    # ---- inside

    def _claims(self, key: str) -> dict[str, FileNote]:
        # Of the file, and of all that were announced.
        notes = {}
        for each, begun in list(self._claimed.items()):
            is_announced = each in self._announced
            if each == key or is_announced:
                known = self._known_before.get(each, NEW)
                started = EVERY_ROW if is_announced else known.started
                attempt = self._next_attempt(each)
                notes[each] = FileNote(attempt, started, known.delivered, begun=begun)
        return notes

    def _write(self, notes: dict[str, FileNote], timeout: float | None = None) -> None:
        # And all that is not written down yet.
        delivered, finished = dict(self._delivered), set(self._finished)
        for key in delivered.keys() | finished:
            if key in self._attempts:
                note = notes.get(key) or FileNote(self._attempts[key])
                rows = delivered.get(key, 0)
                notes[key] = replace(note, delivered=rows, is_done=key in finished)
        if not notes:
            return
        self._journal.write(note_of(notes, self._by), timeout)
        self._join(notes)
        self._finished -= finished
        for key, rows in delivered.items():
            if self._delivered.get(key) == rows:
                del self._delivered[key]
        if not notes.keys() <= self._registered:
            self._journal.register()
            self._registered |= notes.keys()
        for key in finished:
            self._ours.pop(key, None)

    def _require_alone(self) -> None:
        shared = self._ours.keys() & self._writers.keys()
        if self._journal.has_more({self._writers[key][0] for key in shared}):
            self._take_in()
        for key in self._begun_by_others & self._ours.keys():
            _, by = self._writers[key]
            raise FileError(
                f"another load of it into this database is under way, or was meanwhile: {by}; "
                "--resume goes on when it has ended",
                file=str(self._ours[key]),
            )

    def _take_in(self) -> None:
        # What other loads have noted since the last time.
        for load, text in self._journal.read_new():
            by, notes = notes_in(text)
            self._join(notes)
            self._writers |= dict.fromkeys(notes, (load, by))
            self._begun_by_others |= notes.keys() & self._ours.keys()

    def _join(self, notes: dict[str, FileNote]) -> None:
        for key, note in notes.items():
            known = self._noted.get(key)
            self._noted[key] = note if known is None else known.joined(note)

    def _restored(self, key: str) -> FileNote:
        # What was known of a file before it was loaded anew.
        attempt, before = self._next_attempt(key), self._asked_anew[key]
        return FileNote(attempt) if before is None else replace(before, attempt=attempt)

    def _next_attempt(self, key: str) -> int:
        note = self._noted.get(key)
        return 1 if note is None else note.attempt + 1

    def _current(self, key: str) -> FileNote | None:
        is_asked_anew = key in self._asked_anew and not self._is_begun_anew
        note = None if is_asked_anew else self._noted.get(key)
        return note if note is not None and (note.started or note.is_done) else None

    def _found(self, file: Path, passes: str | None = None) -> Entry | None:
        note = self._current(_key(file))
        if note is None:
            return None
        known, begun = Entry(note.delivered, note.started, note.is_done), note.begun
        if begun is None or passes not in (None, begun.passes):
            return replace(known, is_changed=True)
        return entry_of(known, FileVersion(begun.size, begun.mtime_ns, begun.checksum), file)

    def _beginning(
        self, file: Path, passes: str, dialect: str, *, may_grow: bool = False
    ) -> Beginning:
        version = self._versions.get(_key(file)) or FileVersion(*version_of(file))
        return _begun(version.summed(file) if may_grow else version, passes, dialect)


def _begun(version: FileVersion, passes: str = "", dialect: str = "") -> Beginning:
    return Beginning(version.size, version.mtime_ns, passes, dialect, version.checksum)


def _key(file: Path) -> str:
    # Its path is no business of whoever may read the database.
    return blake2b(name_of(file).encode(), digest_size=8).hexdigest()
