"""A package on its way: a sealed batch, its state, and what is known of its past.

Knows nothing of how packages are sent, looked up or put on disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Protocol

from siridb_fast.batching._batch import Batch
from siridb_fast.connection.connection import Connection
from siridb_fast.connection.server_process import ServerProcess
from siridb_fast.delivery.states import PackageEvent, PackageState
from siridb_fast.errors import InsertError, ProtocolError, SiriDBError
from siridb_fast.spool.on_full import Store

__all__ = ["InsertResponse", "Package", "Part"]


@dataclass(frozen=True, slots=True)
class Part:
    """One of the two packages that are to take the place of one."""

    batch: Batch
    state: PackageState  # that it begins in
    event: PackageEvent | None = None  # that is to be reported of it then
    conflicts: Mapping[str, SiriDBError] | None = None  # as those of a package


@dataclass(slots=True, eq=False)
class Package:
    """A sealed batch; its deadline is on the event loop's clock, in whole ms with uvloop.

    Its state is changed by `Packages` alone.
    """

    batch: Batch
    number: int
    deadline: float
    memory_bytes: int
    state: PackageState
    generation: int  # of the types that its points have; those of an older one are compared again
    connection: Connection | None = None  # that it was sent over last
    server: str | None = None  # uuid of the one that it was sent to last; None: nobody knows
    sent_at: float = 0.0  # by `time.monotonic`
    seconds: float = 0.0  # that the server took to answer
    error: SiriDBError | None = None  # of the last attempt
    maybe_stored: bool = False  # an earlier attempt may have been stored
    is_late: bool = False  # equal points may be stored or on their way: it is compared first
    deadline_extended: bool = False  # once, because it had been looked up
    receivers: tuple[ServerProcess, ...] = ()  # that may have got points of it and may lose them
    spool_id: int | None = None  # of its row, if it is on disk too
    was_on_disk: bool = False  # was on disk only: its points are booked as spooled
    conflicts: Mapping[str, SiriDBError] | None = None  # why each of its series is refused
    parts: tuple[Part, Part] | None = None  # while it is being split
    full_store: Store = "spool"  # that had no room, if it is given up for that
    since: float = inf  # when its oldest point was written, by `time.monotonic`; not from disk

    @property
    def host(self) -> str:
        """Whom it was sent to last; empty if it was not."""
        return "" if self.connection is None else self.connection.name

    @property
    def is_on_disk(self) -> bool:
        """Tell whether it is on disk, beside memory."""
        return self.spool_id is not None

    @property
    def can_be_lost(self) -> bool:
        """Tell whether a server's process that has points of it may still lose them."""
        return bool(self.receivers)

    @property
    def can_be_split(self) -> bool:
        """Tell whether the server may take a part of what it refused: it names no series."""
        return isinstance(self.error, InsertError) and len(self.batch) > 1

    @property
    def is_hopeless(self) -> bool:
        """Tell whether it would come to the same if it were sent again."""
        return self.error is not None and isinstance(self.error.__cause__, ProtocolError)


class ResponseReceiver(Protocol):
    """Whoever sent a package over a connection: the dispatcher."""

    def on_response(
        self, package: Package, connection: Connection, error: SiriDBError | None
    ) -> None:
        """Take the outcome of a package."""


class InsertResponse:
    """What a connection gives the answer to; it calls the receiver at once.

    A future would do so in the next round of the event loop: the server would wait for its next
    package so long.
    """

    __slots__ = ("_connection", "_package", "_receiver")

    def __init__(
        self, receiver: ResponseReceiver, package: Package, connection: Connection
    ) -> None:
        self._receiver = receiver
        self._package = package
        self._connection = connection

    def done(self) -> bool:
        """Say that the answer is waited for."""
        return False

    def set_result(self, _: object, /) -> None:
        """Take the acknowledgement."""
        self._receiver.on_response(self._package, self._connection, None)

    def set_exception(self, exception: BaseException, /) -> None:
        """Take what the server said instead, or why it said nothing."""
        if not isinstance(exception, SiriDBError):
            raise exception
        self._receiver.on_response(self._package, self._connection, exception)
