"""Every package of one writer whose fate is not known, by state.

`Packages.move` is the only writer of a package's state: it asks the table in `states` what
follows. The queue, the look-up, the sentinels and the disk ask for the packages of their state and
report events. Each fate is booked once: with the accounts, with the memory of the writer, and with
those who wait for a number. Knows nothing of event loops or disks.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import takewhile
from math import inf
from typing import Protocol

from siridb_fast.batching._batch import Batch
from siridb_fast.delivery.package import Package
from siridb_fast.delivery.repeats import Repeats
from siridb_fast.delivery.states import (
    FATES,
    PackageEvent,
    PackageState,
    Policy,
    may_be_stored,
    next_state,
)
from siridb_fast.errors import SiriDBError
from siridb_fast.protocol._buffer import PayloadBuffer
from siridb_fast.spool.on_full import Store

__all__ = ["Packages"]

MAX_FREE_BUFFERS = 4  # of finished packages, for the next ones

S, E = PackageState, PackageEvent

LIVE_STATES = [state for state in PackageState if state not in FATES]
ARRIVALS = frozenset({S.ACKNOWLEDGED, S.IN_DOUBT})  # states that tell who is new in them
ERASED = frozenset({S.DELIVERED, S.REJECTED, S.UNKNOWN, S.DROPPED})  # its row has no use then
FIRST_TRIES = frozenset({E.DISK_FAILED, E.RECALLED})  # what makes ready, else a retry
UNCERTAIN = frozenset({E.NO_ANSWER, E.PROCESS_ENDED, E.LATE, E.NO_SERVER, E.CLOSED})


class Books(Protocol):
    """Where fates are booked: `Accounts`, or what stands before them."""

    def book_delivered(self, batch: Batch, host: str, seconds: float) -> None:
        """Book an acknowledged package, which the server took ``seconds`` to answer."""

    def book_spooled(self, batch: Batch) -> None:
        """Book a package that left memory for the spool."""

    def book_failed(self, batch: Batch, error: BaseException, *, in_doubt: bool) -> None:
        """Book a package that was not delivered, or may not have been."""

    def book_conflicts(self, batch: Batch, errors: Mapping[str, BaseException]) -> None:
        """Book a package that is refused, for a reason of each series."""


class Packages:
    """The packages of one writer.

    Args:
        policy: What of the writer's options decides; replaced when more of it is known.
        accounts: Where fates are booked.
        count_memory: Called with the bytes and the points that a package takes from memory;
            negative ones are given back.
        repeats: Knows what several packages have points of.
        compares_late: A point that may be stored is compared with the database before it is sent.
        refuses_conflicts: One at whose time the database has another value is not sent.
    """

    def __init__(
        self,
        policy: Policy,
        accounts: Books,
        count_memory: Callable[[int, int], None],
        repeats: Repeats | None = None,
        *,
        compares_late: bool = False,
        refuses_conflicts: bool = False,
    ) -> None:
        self.policy = policy
        self.compares_late = compares_late
        self.refuses_conflicts = refuses_conflicts
        self._accounts = accounts
        self._count_memory = count_memory
        self.repeats = Repeats() if repeats is None else repeats
        self._by_state: dict[PackageState, OrderedDict[Package, None]] = {
            state: OrderedDict() for state in LIVE_STATES
        }
        self._recalled: OrderedDict[Package, None] = OrderedDict()  # ready, read from disk
        self._arrivals: dict[PackageState, list[Package]] = {state: [] for state in ARRIVALS}
        self._points = dict.fromkeys(LIVE_STATES, 0)
        self._memory_bytes = dict.fromkeys(LIVE_STATES, 0)
        self._unfinished: dict[int, int] = {}  # number: packages of that number, in order
        self._free_buffers: list[PayloadBuffer] = []
        self._useless_rows: list[int] = []
        self._left_on_disk: list[Package] = []
        self.generation = 0  # of the types of series: how often they were forgotten, or changed
        self.last_number = 0  # of the newest package; they count up from 1
        self.recalled_bytes = 0  # in memory, of packages that were on disk only
        self.recalled_count = 0
        self.retries = 0
        self.dropped: Counter[Store] = Counter()  # points that were given up for want of room
        self.points_in_journal = 0  # that are left there only, at the end

    # ---- making packages

    def new_batch(self) -> Batch:
        """Return an empty batch, in the memory of a former one if there is any."""
        for i, buffer in enumerate(self._free_buffers):
            if buffer.is_free:
                return Batch(self._free_buffers.pop(i))
        return Batch()

    def recycle(self, buffer: PayloadBuffer) -> None:
        """Use the memory of a batch again for a next one."""
        if len(self._free_buffers) < MAX_FREE_BUFFERS:
            self._free_buffers.append(buffer)

    def add(
        self,
        batch: Batch,
        state: PackageState,
        deadline: float,
        *,
        spool_id: int | None = None,
        generation: int | None = None,
        since: float = inf,
    ) -> Package:
        """Seal a batch; its package begins ready, spooling, or on disk: read from there.

        One of late points begins in doubt. ``generation`` is that of the types that its points
        have; by default the newest. ``since`` is when its oldest point was written.
        """
        self.last_number += 1
        package = Package(
            batch,
            self.last_number,
            deadline,
            len(batch.seal()),
            state,
            self.generation if generation is None else generation,
            spool_id=spool_id,
            was_on_disk=spool_id is not None,
            since=since,
        )
        if spool_id is None:
            self.repeats.begin(batch, package.number, self.is_finished)
        else:
            self.repeats.begin_recalled(batch, package.number, spool_id)
        self._begin(package)
        return package

    # ---- asking

    def in_state(self, state: PackageState) -> list[Package]:
        """Return the packages of a state, in order."""
        found = list(self._by_state[state])
        return [*found, *self._recalled] if state is S.READY else found

    def unfinished(self) -> Iterator[Package]:
        """Yield the packages that have no fate yet, and are in memory."""
        for state in LIVE_STATES:
            yield from self.in_state(state)

    def count(self, *states: PackageState) -> int:
        """Return how many packages are in these states, without those that came from disk."""
        return sum(len(self._by_state[state]) for state in states)

    def points(self, state: PackageState) -> int:
        """Return how many points the packages of a state have."""
        return self._points[state]

    def memory_bytes(self, state: PackageState) -> int:
        """Return how many bytes the packages of a state have."""
        return self._memory_bytes[state]

    def first_ready(self, *, recalled: bool) -> Package | None:
        """Return the first ready package, of those that came from disk or of the others."""
        return next(iter(self._recalled if recalled else self._by_state[S.READY]), None)

    @property
    def oldest_since(self) -> float:
        """When the oldest point was written that did not come from disk; or infinity."""
        packages = (package for state in LIVE_STATES for package in list(self._by_state[state]))
        return min((package.since for package in packages), default=inf)

    def late(self, state: PackageState, now: float) -> list[Package]:
        """Return the packages of a state whose time is over; those that came from disk wait.

        Those that are acknowledged are in the order of their deadlines.
        """
        packages = self._by_state[state]
        if state is S.ACKNOWLEDGED:
            return list(takewhile(lambda package: package.deadline <= now, packages))
        return [package for package in packages if package.deadline <= now]

    def first_deadline(self) -> float:
        """Return when the time of a package is over that is ready or acknowledged; or infinity."""
        deadlines = [package.deadline for package in self._by_state[S.READY]]
        acknowledged = next(iter(self._by_state[S.ACKNOWLEDGED]), None)
        if acknowledged is not None:
            deadlines.append(acknowledged.deadline)
        return min(deadlines, default=inf)

    def take_arrivals(self, state: PackageState) -> list[Package]:
        """Return the packages that came into a state since this was last asked, and are in it."""
        arrivals, self._arrivals[state] = self._arrivals[state], []
        return [package for package in arrivals if package.state is state]

    def take_useless_rows(self) -> list[int]:
        """Return the ids of rows on disk that have no use since this was last asked."""
        rows, self._useless_rows = self._useless_rows, []
        return rows

    def take_left_on_disk(self) -> list[Package]:
        """Return the packages that are on disk only since this was last asked."""
        packages, self._left_on_disk = self._left_on_disk, []
        return packages

    def rows_in_memory(self) -> set[int]:
        """Return the ids of the rows on disk whose packages are in memory too."""
        packages = (package for state in LIVE_STATES for package in self.in_state(state))
        return {package.spool_id for package in packages if package.spool_id is not None}

    def is_finished(self, number: int) -> bool:
        """Tell whether every package up to this number has its fate, or is on disk."""
        return not self._unfinished or next(iter(self._unfinished)) > number

    # ---- moving

    def move(
        self, package: Package, event: PackageEvent, error: SiriDBError | None = None
    ) -> PackageState:
        """Report what happened to a package; return the state that follows.

        Raises:
            ImpossibleTransition: It cannot happen in the package's state.
        """
        if error is not None:
            package.error = error
        state = next_state(package, event, self.policy)
        if event is E.MISSING:
            package.maybe_stored = package.is_late = False
        elif event is E.RECALLED:
            package.is_late = self.compares_late and package.maybe_stored
        elif event in UNCERTAIN:
            package.maybe_stored = may_be_stored(package)
        self._leave(package)
        package.state = state
        if state in FATES or state is S.ON_DISK:
            self._finish(package)
        else:
            is_retry = state is S.READY and event not in FIRST_TRIES
            self.retries += is_retry
            self._enter(package, at_front=is_retry)
        return state

    def split(
        self, package: Package, row_ids: Iterable[int | None] = (None, None)
    ) -> list[Package]:
        """Put two packages in the place of one that is splitting; return them.

        ``row_ids`` are theirs on disk, if they are there.
        """
        assert package.parts is not None  # noqa: S101 - it is splitting
        one, other = package.parts
        self.repeats.begin_parts(one.batch, other.batch, package.number)
        size = max(1, sum(part.batch.size for part in package.parts))
        first = package.memory_bytes * package.parts[0].batch.size // size
        children = [
            replace(
                package,
                batch=part.batch,
                state=part.state,
                memory_bytes=memory_bytes,
                spool_id=row_id,
                conflicts=part.conflicts,
                parts=None,
            )
            for part, row_id, memory_bytes in zip(
                package.parts, row_ids, (first, package.memory_bytes - first), strict=True
            )
        ]
        for child in reversed(children):  # so that the first of them goes first
            self._begin(child, at_front=True)
        self.move(package, E.PARTED)
        return children

    def refit(self, package: Package, batch: Batch, generation: int) -> None:
        """Give a package that is ready a batch of the types of a generation; it may be its own.

        Points that these types cannot take are left out, and booked by whoever calls.
        """
        dropped = package.batch.points - batch.points
        self._points[package.state] -= dropped
        self._count_memory(0, -dropped)
        package.batch, package.generation = batch, generation

    def _begin(self, package: Package, *, at_front: bool = False) -> None:
        self._unfinished[package.number] = self._unfinished.get(package.number, 0) + 1
        self._count_memory(package.memory_bytes, package.batch.points)
        if package.was_on_disk:
            self.recalled_bytes += package.memory_bytes
            self.recalled_count += 1
        self._enter(package, at_front=at_front)

    def _enter(self, package: Package, *, at_front: bool = False) -> None:
        state = package.state
        is_recalled = state is S.READY and package.was_on_disk and not at_front
        packages = self._recalled if is_recalled else self._by_state[state]
        packages[package] = None
        if at_front:
            packages.move_to_end(package, last=False)
        self._points[state] += package.batch.points
        self._memory_bytes[state] += package.memory_bytes
        if state in ARRIVALS:
            self._arrivals[state].append(package)

    def _leave(self, package: Package) -> None:
        packages = self._by_state[package.state]
        del (packages if package in packages else self._recalled)[package]
        self._points[package.state] -= package.batch.points
        self._memory_bytes[package.state] -= package.memory_bytes

    # ---- fates

    def _finish(self, package: Package) -> None:
        self._unfinished[package.number] -= 1
        if not self._unfinished[package.number]:
            del self._unfinished[package.number]
        if package.was_on_disk:
            self.recalled_bytes -= package.memory_bytes
            self.recalled_count -= 1
        if package.state is S.ON_DISK:
            self._left_on_disk.append(package)
            self.points_in_journal += 0 if package.is_on_disk else package.batch.points
            if package.spool_id is not None:
                self.repeats.leave_on_disk(package.spool_id)
        elif package.spool_id is not None and package.state in ERASED:
            self._useless_rows.append(package.spool_id)
        try:
            self._book(package)
        finally:
            self.recycle(package.batch.buffer)
            self._count_memory(-package.memory_bytes, -package.batch.points)

    def _book(self, package: Package) -> None:
        state = package.state
        if state is S.DELIVERED:
            self.repeats.count_delivered(package.batch, package.number)
            self._accounts.book_delivered(package.batch, package.host, package.seconds)
        elif state is S.ON_DISK:
            if not package.was_on_disk:
                self._accounts.book_spooled(package.batch)
        elif state is S.REJECTED and package.conflicts is not None:
            self._accounts.book_conflicts(package.batch, package.conflicts)
        elif state is not S.SPLIT:
            assert package.error is not None  # noqa: S101 - it is why it was given up
            if state is S.DROPPED:
                self.dropped[package.full_store] += package.batch.points
            in_doubt = state is S.UNKNOWN or (state is S.DROPPED and package.maybe_stored)
            self._accounts.book_failed(package.batch, package.error, in_doubt=in_doubt)
