"""What a writer does where there is no room: in memory, in its journal, in its spool.

The words are those of `siridb_fast.spool.on_full`. Who is refused is told so here, in any thread.
Points of a plain call that are given up are booked in the event loop, later: so a callback of the
user that writes points, of which there is no room for either, has an end. Knows nothing of how
points come in or leave.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from siridb_fast.batching._coalescer import Coalescer
from siridb_fast.batching.no_room import NoRoom
from siridb_fast.concurrency.quiet_log import QuietLog
from siridb_fast.concurrency.waiting import Waiters
from siridb_fast.delivery.accounts import Accounts
from siridb_fast.delivery.kept_points import failure_of
from siridb_fast.delivery.oldest_points import OldestPoints
from siridb_fast.delivery.packages import Packages
from siridb_fast.delivery.report import Failure
from siridb_fast.errors import BufferFullError, SiriDBError, SpoolFullError
from siridb_fast.spool.on_full import OnFull, Store
from siridb_fast.writer.wakeup import Wakeup

__all__ = ["FullStores", "Refusal"]

KEPT_POINTS = 65_536  # that are given up and not booked yet; of others the number is known


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the points of a call are not taken, or are given up."""

    store: Store
    word: OnFull
    text: str

    def error(self) -> SiriDBError:
        """Return what to raise, or to report."""
        return (BufferFullError if self.store == "memory" else SpoolFullError)(self.text)


@dataclass(slots=True)
class _GivenUp:
    """Points of one series that were given up and are not booked yet."""

    timestamps: list[int] = field(default_factory=list)
    values: list[object] = field(default_factory=list)
    more: int = 0


class FullStores:
    """Those of one writer; `on_blocked` may be called in any thread, all others in its own.

    Args:
        on_full: The word for memory.
        coalescer: Tells whether there is room in memory.
        packages: Counts what is given up.
        waiters: Where to wait.
        wakeup: Has `check` called soon.
        accounts: Where points that are given up are booked.
        unresolved_since: Returns when the oldest point was written whose type is asked for.
    """

    def __init__(
        self,
        on_full: OnFull,
        coalescer: Coalescer,
        packages: Packages,
        waiters: Waiters,
        wakeup: Wakeup,
        accounts: Accounts,
        *,
        unresolved_since: Callable[[], float],
    ) -> None:
        self._on_full = on_full
        self._coalescer = coalescer
        self._packages = packages
        self._oldest_points = OldestPoints(coalescer, packages, unresolved_since)
        self._waiters = waiters
        self._wakeup = wakeup
        self._accounts = accounts
        self._log = QuietLog(time.monotonic)
        self._refusals: dict[Store, Refusal] = {}
        self._refusal: Refusal | None = None  # of a disk that is full, for calls to come
        self._wanted = 0  # bytes for which a thread waits that the oldest points make room
        self._has_dropped_all = False  # and there was still no room
        self._lock = threading.Lock()
        self._given_up: dict[tuple[Refusal, str], _GivenUp] = {}
        self._kept_points = 0
        self.refused_points = 0  # that were given up and never were in the coalescer

    # ---- plain calls, in any thread

    def on_blocked(self, need: int) -> None:
        """Make room for so many bytes, or wait for it; 0 if there is room, but a call is refused.

        Returns if it is worth a try.

        Raises:
            BufferFullError, SpoolFullError: The points are refused.
            NoRoom: They are given up.
        """
        if (refusal := self._refusal) is not None:
            self._refuse(refusal)
        if not need:
            return
        if self._on_full == "drop_newest":
            self._refuse(self._refusal_of_memory("drop_newest"))
        elif self._on_full == "drop_oldest":
            self._drop_for(need)
        elif self._on_full == "raise" or self._wakeup.is_this_thread:
            raise self._too_full(need)
        else:
            self._wait_in_thread(need)

    def _refuse(self, refusal: Refusal) -> None:
        if refusal.word == "drop_newest":
            raise NoRoom(partial(self._give_up, refusal))
        raise refusal.error()

    def _drop_for(self, need: int) -> None:
        if self._wakeup.is_this_thread:
            has_room = not self._accounts.is_calling and self.drop_oldest(need)
        else:
            self._has_dropped_all = False
            self._wanted = max(self._wanted, need)
            self._wait_in_thread(need)
            has_room = not self._has_dropped_all
        if not has_room and not self._coalescer.is_closed:
            self._refuse(self._refusal_of_memory("drop_newest"))

    def _wait_in_thread(self, need: int) -> None:
        self._waiters.wait_in_thread(
            lambda: self._coalescer.is_closed or self._coalescer.may_take(need)
        )

    def _too_full(self, need: int) -> BufferFullError:
        return BufferFullError(
            f"no room for {need:,} bytes more, max_buffered is {self._coalescer.max_buffered:,}; "
            "await writer.drain() before you go on"
        )

    def _refusal_of_memory(self, word: OnFull) -> Refusal:
        newer = "" if word == "drop_newest" else " for newer ones"
        return Refusal(
            "memory",
            word,
            f"given up{newer}, as there was no room: max_buffered is "
            f"{self._coalescer.max_buffered:,}, on_full is {self._on_full!r}",
        )

    def _give_up(
        self,
        refusal: Refusal,
        series: Sequence[str],
        timestamps: Sequence[int],
        values: Sequence[object],
    ) -> None:
        with self._lock:
            for name, timestamp, value in zip(series, timestamps, values, strict=True):
                given_up = self._given_up.setdefault((refusal, name), _GivenUp())
                if self._kept_points < KEPT_POINTS:
                    given_up.timestamps.append(timestamp)
                    given_up.values.append(value)
                    self._kept_points += 1
                else:
                    given_up.more += 1
        self._wakeup.soon()

    # ---- calls that are awaited

    def require(self, need: int) -> None:
        """Refuse a call that is to raise where it finds no room for so many bytes.

        Raises:
            BufferFullError, SpoolFullError: There is none, or a disk is full.
        """
        refusal = self._refusal
        if refusal is not None and refusal.word == "raise":
            raise refusal.error()
        if self._on_full == "raise" and not self._coalescer.may_take(need):
            raise self._too_full(need)

    async def room_for(self, need: int) -> Refusal | None:
        """Wait for room, or make it; return why points are to be given up instead, if they are."""
        while not self._coalescer.is_closed:
            refusal = self._refusal
            if refusal is not None and refusal.word == "drop_newest":
                return refusal
            if self._coalescer.may_take(need):
                return None
            if self.drops:
                if self._on_full == "drop_newest" or not self.drop_oldest(need):
                    return self._refusal_of_memory("drop_newest")
                continue
            await self._waiters.wait_until(lambda: self._is_decided(need))
        return None

    @property
    def drops(self) -> bool:
        """Tell whether points are given up where memory has no room."""
        return self._on_full in ("drop_oldest", "drop_newest")

    def _is_decided(self, need: int) -> bool:
        is_given_up = self._refusal is not None and self._refusal.word == "drop_newest"
        return is_given_up or self._coalescer.may_take(need)

    # ---- in the event loop

    def check(self) -> None:
        """Make room for those who wait in threads, and book what was given up there."""
        need, self._wanted = self._wanted, 0
        if need and not self.drop_oldest(need):
            self._has_dropped_all = True
        self.book()

    def book(self) -> None:
        """Report what plain calls have given up."""
        if not self._given_up:
            return
        with self._lock:
            taken, self._given_up, self._kept_points = self._given_up, {}, 0
        for (refusal, series), given_up in taken.items():
            for failure in _failures(series, given_up, refusal.error()):
                self.refused_points += failure.points
                self.count(refusal, failure.points)
                self._accounts.book_failure(failure, [])

    def count(self, refusal: Refusal, points: int) -> None:
        """Count points that are given up for want of room, and say so now and then."""
        self._packages.dropped[refusal.store] += points
        self._say(refusal.store, refusal.word)

    def drop_oldest(self, need: int) -> bool:
        """Give up the oldest points until there are so many bytes; tell whether there are."""
        error = self._refusal_of_memory("drop_oldest").error()
        while not self._coalescer.may_take(need):
            if not self._oldest_points.drop("memory", error):
                return False
            self._say("memory", "drop_oldest")
        return True

    def drop_until(self, store: Store, until: float, text: str) -> bool:
        """Give up the next points if they are as old as that; tell whether there were any."""
        if self._oldest_points.since > until:
            return False
        is_dropped = self._oldest_points.drop(store, SpoolFullError(text))
        self._say(store, "drop_oldest")
        return is_dropped

    def note_full(self, store: Store, word: OnFull, text: str | None) -> None:
        """Refuse calls to come, as the word says, while a disk is full; None: it is not.

        Those of a spool give up packages by themselves.
        """
        refuses = word == "raise" or (word, store) == ("drop_newest", "journal")
        if not refuses or (text is None and store not in self._refusals):
            return
        if text is None:
            del self._refusals[store]
        else:
            self._refusals[store] = Refusal(store, word, text)
        self._refusal = next(iter(self._refusals.values()), None)
        self._coalescer.bar(self._refusal is not None)
        self._wakeup.soon()

    def _say(self, store: Store, word: OnFull) -> None:
        text = "no room in the %s: points are given up, and reported (%s)"
        self._log.log(logging.WARNING, text, store, word)


def _failures(series: str, given_up: _GivenUp, error: SiriDBError) -> list[Failure]:
    failures = []
    if given_up.timestamps:
        timestamps = np.array(given_up.timestamps, np.int64)
        values = _array_of(given_up.values)
        failures.append(failure_of(series, timestamps, values, error))
    if given_up.more:
        failures.append(Failure(series, given_up.more, error))
    return failures


def _array_of(values: list[object]) -> np.ndarray | list[bytes]:
    # As a series of one type would have them.
    kinds = set(map(type, values))
    if kinds == {bytes}:
        return values  # type: ignore[return-value]
    if kinds <= {int, float}:
        return np.array(values, np.int64 if kinds == {int} else np.float64)
    mixed = np.empty(len(values), object)
    mixed[:] = [one.decode() if isinstance(one, bytes) else one for one in values]
    return mixed
