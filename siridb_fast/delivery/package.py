"""A package on its way, its fate so far, and how whoever sent it learns of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from siridb_fast.batching._batch import Batch
from siridb_fast.connection.server_process import ServerProcess
from siridb_fast.errors import SiriDBError

__all__ = ["InsertResponse", "Outcome", "Package", "part"]

Line = TypeVar("Line", contravariant=True)


@dataclass(slots=True, eq=False)
class Package:
    """A sealed batch; its deadline is on the event loop's clock, in whole ms with uvloop."""

    batch: Batch
    number: int
    deadline: float
    held: int  # bytes of memory
    sent_at: float = 0.0  # by `time.monotonic`
    seconds: float = 0.0  # that the server took to answer
    error: SiriDBError | None = None  # of the last attempt
    maybe_stored: bool = False  # an attempt may have been stored
    spool_id: int | None = None  # on disk too
    was_on_disk: bool = False  # was on disk only
    receivers: tuple[ServerProcess, ...] = ()  # that may have got points of it
    deadline_extended: bool = False  # its deadline was put off, because it had been looked up


def part(package: Package, one: Batch, other: Batch) -> tuple[Package, Package]:
    """Return two packages that share the number, the memory and the past of one."""
    held = package.held * one.size // max(1, one.size + other.size)
    return (
        replace(package, batch=one, held=held),
        replace(package, batch=other, held=package.held - held),
    )


class Outcome(Protocol):
    """Who is told what became of packages, and asked for the next."""

    def fill(self, batch: Batch) -> bool:
        """Put what should leave next into an empty batch; tell whether there is anything."""

    def held(self, package: Package) -> None:
        """Take note of the memory that a new package holds."""

    def delivered(self, package: Package, host: str) -> None:
        """Take note of a package that is stored."""

    def spooled(self, package: Package) -> None:
        """Take note of a package that is on disk only from now on."""

    def failed(self, package: Package, error: SiriDBError, *, in_doubt: bool) -> None:
        """Take note of a package that was not delivered, or may not have been."""

    def released(self, package: Package) -> None:
        """Take note that the memory of a package is free."""


class Sender(Protocol[Line]):
    """Whoever sent a package over a connection."""

    def answered(self, package: Package, connection: Line, error: SiriDBError | None) -> None:
        """Take the outcome of a package."""


class InsertResponse(Generic[Line]):
    """Tells the sender at once.

    A future would do so in the next round of the event loop: the server would wait for its next
    package so long.
    """

    __slots__ = ("_connection", "_package", "_sender")

    def __init__(self, sender: Sender[Line], package: Package, connection: Line) -> None:
        self._sender = sender
        self._package = package
        self._connection = connection

    def done(self) -> bool:
        """Tell that somebody waits for the answer."""
        return False

    def set_result(self, _: object, /) -> None:
        """Take the acknowledgement."""
        self._sender.answered(self._package, self._connection, None)

    def set_exception(self, exception: BaseException, /) -> None:
        """Take what the server said instead, or why it said nothing."""
        if not isinstance(exception, SiriDBError):
            raise exception
        self._sender.answered(self._package, self._connection, exception)
