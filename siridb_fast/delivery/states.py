"""The states of a package, and the one table of what may follow what.

A package is in exactly one state from the moment it is sealed, and ends in exactly one fate.
Whoever learns something about it reports an event; the table says which state follows. An event
that is no row of it is an error of this library. Knows nothing of connections, disks, event loops
or reports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal, Protocol

__all__ = [
    "FATES",
    "TRANSITIONS",
    "Choice",
    "ImpossibleTransition",
    "PackageEvent",
    "PackageState",
    "Policy",
    "may_be_stored",
    "next_state",
    "targets",
]


class PackageState(Enum):
    """Where a package is. The last five are fates: nothing follows them."""

    __hash__ = object.__hash__  # there is one of each: an enum's own is slower

    READY = "ready"  # waits for a connection with room
    IN_FLIGHT = "in flight"  # was sent, and is not answered yet
    ACKNOWLEDGED = "acknowledged"  # stored; its server may still lose it with its process
    IN_DOUBT = "in doubt"  # may be stored: the database is asked
    SPOOLING = "spooling"  # is being written to disk
    ON_DISK = "on disk"  # is on disk only, until it is read again by this writer or the next
    SPLITTING = "splitting"  # two packages are about to take its place

    DELIVERED = "delivered"  # stored for good
    REJECTED = "rejected"  # not stored, and given up
    UNKNOWN = "unknown"  # may be stored, and given up
    DROPPED = "dropped"  # given up: too old, or for want of room
    SPLIT = "split"  # its points are in two other packages


class PackageEvent(Enum):
    """What can happen to a package."""

    __hash__ = object.__hash__

    SENT = "sent"
    STORED = "the server acknowledged it"
    CANNOT_SERVE = "the server cannot take it now, or a pool is missing"
    REFUSED = "the server refused it"
    NO_ANSWER = "nobody knows whether it is stored"
    SAFE = "a sentinel after it was acknowledged"
    PROCESS_ENDED = "the server's process ended before that"
    FOUND = "it is in the database"
    MISSING = "it is not in the database"
    PARTLY_FOUND = "a part of it is in the database"
    CONFLICTING = "the database has other values at its times"
    CANNOT_TELL = "it may be in the database, or points like it"
    LATE = "its time is over"
    NO_SERVER = "no server is connected, and there is a spool"
    WRITTEN = "it is on disk"
    DISK_FAILED = "the disk does not take it, a server is connected, and it is not stored"
    RECALLED = "it was read from disk"
    DISCARDED = "too old, no room, or unreadable"
    PARTED = "two packages have its points"
    CLOSED = "the writer was closed"


class Choice(Enum):
    """What follows depends on the package and on the options of the writer."""

    STORE = "delivered; acknowledged, if the writer is `safe`"
    DOUBT = "by `on_doubt`: in doubt, ready again, or unknown"
    REFUSE = "of several series splitting; else rejected, or unknown if it may be stored"
    GIVE_UP = "with a spool on disk; else rejected, or unknown if it may be stored"
    RECALL = "ready; if it may have been sent, as in doubt"
    END = "with a journal on disk, there; else rejected, or unknown if it may be stored"


S, E, C = PackageState, PackageEvent, Choice

FATES = frozenset({S.DELIVERED, S.REJECTED, S.UNKNOWN, S.DROPPED, S.SPLIT})

TRANSITIONS: Mapping[tuple[PackageState, PackageEvent], PackageState | Choice] = {
    (S.READY, E.SENT): S.IN_FLIGHT,
    (S.READY, E.LATE): C.GIVE_UP,
    (S.READY, E.NO_SERVER): C.GIVE_UP,
    (S.READY, E.CLOSED): C.GIVE_UP,
    (S.READY, E.DISCARDED): S.DROPPED,
    (S.IN_FLIGHT, E.STORED): C.STORE,
    (S.IN_FLIGHT, E.CANNOT_SERVE): S.READY,
    (S.IN_FLIGHT, E.REFUSED): C.REFUSE,
    (S.IN_FLIGHT, E.NO_ANSWER): C.DOUBT,
    (S.IN_FLIGHT, E.CLOSED): C.GIVE_UP,
    (S.ACKNOWLEDGED, E.SAFE): S.DELIVERED,
    (S.ACKNOWLEDGED, E.PROCESS_ENDED): C.DOUBT,
    (S.ACKNOWLEDGED, E.LATE): C.GIVE_UP,
    (S.ACKNOWLEDGED, E.NO_SERVER): C.GIVE_UP,
    (S.ACKNOWLEDGED, E.CLOSED): C.GIVE_UP,
    (S.IN_DOUBT, E.FOUND): C.STORE,
    (S.IN_DOUBT, E.MISSING): S.READY,
    (S.IN_DOUBT, E.PARTLY_FOUND): S.SPLITTING,
    (S.IN_DOUBT, E.CONFLICTING): S.REJECTED,
    (S.IN_DOUBT, E.CANNOT_TELL): S.UNKNOWN,
    (S.IN_DOUBT, E.LATE): C.GIVE_UP,
    (S.IN_DOUBT, E.NO_SERVER): C.GIVE_UP,
    (S.IN_DOUBT, E.CLOSED): C.GIVE_UP,
    (S.SPOOLING, E.WRITTEN): S.ON_DISK,
    (S.SPOOLING, E.DISK_FAILED): S.READY,
    (S.SPOOLING, E.CLOSED): C.END,
    (S.SPOOLING, E.DISCARDED): S.DROPPED,
    (S.ON_DISK, E.RECALLED): C.RECALL,
    (S.ON_DISK, E.DISCARDED): S.DROPPED,
    (S.SPLITTING, E.PARTED): S.SPLIT,
    (S.SPLITTING, E.CLOSED): C.GIVE_UP,
}


class ImpossibleTransition(AssertionError):
    """An event came that the state of the package has no row for: a fault of this library."""

    def __init__(self, state: PackageState, event: PackageEvent) -> None:
        super().__init__(f"no event {event.name} is expected in state {state.name}")


@dataclass(frozen=True, slots=True)
class Policy:
    """What of a writer's options decides."""

    on_doubt: Literal["verify", "resend", "report"]
    has_spool: bool
    has_journal: bool = False  # has every point that is in memory


class Facts(Protocol):
    """What of a package decides."""

    @property
    def state(self) -> PackageState:
        """Its state before the event."""

    @property
    def maybe_stored(self) -> bool:
        """Whether an earlier attempt may be stored."""

    @property
    def is_on_disk(self) -> bool:
        """Whether it is on disk, beside memory."""

    @property
    def can_be_lost(self) -> bool:
        """Whether a server's process that has points of it may still lose them."""

    @property
    def can_be_split(self) -> bool:
        """Whether the server may take a part of it."""

    @property
    def is_hopeless(self) -> bool:
        """Whether it would come to the same if it were sent again."""


def next_state(package: Facts, event: PackageEvent, policy: Policy) -> PackageState:
    """Return the state that follows.

    Raises:
        ImpossibleTransition: The table has no row for it.
    """
    rule = TRANSITIONS.get((package.state, event))
    if rule is None:
        raise ImpossibleTransition(package.state, event)
    return rule if isinstance(rule, PackageState) else CHOICES[rule][0](package, policy)


def targets(state: PackageState, event: PackageEvent) -> tuple[PackageState, ...]:
    """Return the states that an event can lead to from a state."""
    rule = TRANSITIONS[state, event]
    if isinstance(rule, PackageState):
        return (rule,)
    is_sent = rule is C.GIVE_UP and state in MAYBE_STORED
    return tuple(one for one in CHOICES[rule][1] if not (is_sent and one is S.REJECTED))


MAYBE_STORED = frozenset({S.IN_FLIGHT, S.ACKNOWLEDGED, S.IN_DOUBT})


def may_be_stored(package: Facts) -> bool:
    """Tell whether a package may be in the database, as far as is known."""
    return package.maybe_stored or package.state in MAYBE_STORED


def _store(package: Facts, _: Policy) -> PackageState:
    return S.ACKNOWLEDGED if package.can_be_lost else S.DELIVERED


def _doubt(package: Facts, policy: Policy) -> PackageState:
    if policy.on_doubt == "verify":
        return S.IN_DOUBT
    if policy.on_doubt == "resend" and not package.is_hopeless:
        return S.READY
    return S.UNKNOWN


def _refuse(package: Facts, _: Policy) -> PackageState:
    # A refusal says that this attempt is not stored; an earlier one may be.
    if package.can_be_split:
        return S.SPLITTING
    return S.UNKNOWN if package.maybe_stored else S.REJECTED


def _give_up(package: Facts, policy: Policy) -> PackageState:
    if package.is_on_disk:
        return S.ON_DISK
    return S.SPOOLING if policy.has_spool else _end(package, policy)


def _recall(package: Facts, policy: Policy) -> PackageState:
    return _doubt(package, policy) if package.maybe_stored else S.READY


def _end(package: Facts, policy: Policy) -> PackageState:
    if policy.has_journal:
        return S.ON_DISK
    return S.UNKNOWN if may_be_stored(package) else S.REJECTED


Choose = Callable[[Facts, Policy], PackageState]

CHOICES: Mapping[Choice, tuple[Choose, tuple[PackageState, ...]]] = {
    C.STORE: (_store, (S.DELIVERED, S.ACKNOWLEDGED)),
    C.DOUBT: (_doubt, (S.IN_DOUBT, S.READY, S.UNKNOWN)),
    C.REFUSE: (_refuse, (S.REJECTED, S.UNKNOWN, S.SPLITTING)),
    C.GIVE_UP: (_give_up, (S.SPOOLING, S.ON_DISK, S.REJECTED, S.UNKNOWN)),
    C.RECALL: (_recall, (S.READY, S.IN_DOUBT, S.UNKNOWN)),
    C.END: (_end, (S.REJECTED, S.UNKNOWN, S.ON_DISK)),
}
