"""The notes of all loads of one job in a database: each load has a series of its own there.

One more series is the register of the job. A load writes its number into it behind the first note
about each file. So whoever looks at the register after that finds every other load that has begun
with the file before; of two that begin at the same time, at least one finds the other. Series are
asked for by name alone: a regular expression would have the server go through all series it has.

Knows nothing of what notes say.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Protocol

from siridb_fast.loading.note_words import texts_in, words_of

__all__ = ["PREFIX", "NoteJournal", "NoteStore"]

PREFIX = "siridb_fast.loads"


class NoteStore(Protocol):
    """Series of integers to which points are appended, each behind those before it."""

    def read(self, names: Sequence[str]) -> Mapping[str, Sequence[int]]:
        """Return all values of those of some series that exist."""

    def counts(self, names: Sequence[str]) -> Mapping[str, int]:
        """Return how many points those of some series have that exist."""

    def append(self, name: str, values: Sequence[int], timeout: float | None) -> None:
        """Append values; they survive the end of this process and of the server's.

        Raises:
            SiriDBError: They may not, or not in time.
        """

    def close(self) -> None:
        """Let go of the database."""


class NoteJournal:
    """See above.

    Args:
        store: Of the series.
        job: What `job_key` gives.
    """

    def __init__(self, store: NoteStore, job: str) -> None:
        self._store = store
        self._register = f"{PREFIX}.{blake2b(job.encode(), digest_size=8).hexdigest()}"
        self._load = secrets.randbits(62)
        self._counts: dict[str, int] = {}  # how many points of each series are known
        self._notes_read: dict[int, int] = {}  # how many notes of each load

    def read_new(self) -> list[tuple[int, str]]:
        """Return the notes of other loads that were not read before, and the load of each."""
        register = self._store.read([self._register]).get(self._register, ())
        self._counts[self._register] = len(register)
        others = {load: self._series_of(load) for load in register if load != self._load}
        words = self._store.read([*others.values()]) if others else {}
        found = []
        for load, name in others.items():
            some = words.get(name, ())
            self._counts[name] = len(some)
            notes = [*texts_in(some)]
            found += [(load, text) for text in notes[self._notes_read.get(load, 0) :]]
            self._notes_read[load] = len(notes)
        return found

    def has_more(self, watched: Iterable[int]) -> bool:
        """Tell whether another load has begun with files, or one of those that are watched is on.

        Then `read_new` has what they have noted.
        """
        names = [self._register, *map(self._series_of, watched)]
        counts = self._store.counts(names)
        return any(counts.get(name, 0) > self._counts.get(name, 0) for name in names)

    def write(self, note: str, timeout: float | None = None) -> None:
        """Write down a note of this load."""
        self._store.append(self._series_of(self._load), words_of(note), timeout)

    def register(self) -> None:
        """Let others know that this load has noted something of files that are new to it."""
        self._store.append(self._register, [self._load], None)
        self._counts[self._register] = self._counts.get(self._register, 0) + 1

    def close(self) -> None:
        """Let go of the database."""
        self._store.close()

    def _series_of(self, load: int) -> str:
        return f"{self._register}.{load:016x}"
