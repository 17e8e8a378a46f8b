"""A package on its way, its fate so far, and who is told of that.

Knows nothing of how packages are sent, looked up or put on disk.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from siridb_fast.batching._batch import Batch
from siridb_fast.connection.server_process import ServerProcess
from siridb_fast.errors import SiriDBError

__all__ = ["InsertResponse", "Package", "PackageDelegate", "split_package"]

ConnectionT = TypeVar("ConnectionT", contravariant=True)


@dataclass(slots=True, eq=False)
class Package:
    """A sealed batch; its deadline is on the event loop's clock, in whole ms with uvloop."""

    batch: Batch
    number: int
    deadline: float
    memory_bytes: int
    sent_at: float = 0.0  # by `time.monotonic`
    seconds: float = 0.0  # that the server took to answer
    error: SiriDBError | None = None  # of the last attempt
    maybe_stored: bool = False  # an attempt may have been stored
    spool_id: int | None = None  # on disk too
    was_on_disk: bool = False  # was on disk only
    receivers: tuple[ServerProcess, ...] = ()  # that may have got points of it
    deadline_extended: bool = False  # once, because it had been looked up


def split_package(package: Package, one: Batch, other: Batch) -> tuple[Package, Package]:
    """Return two packages of the number and the past of one, with its memory between them."""
    memory_bytes = package.memory_bytes * one.size // max(1, one.size + other.size)
    return (
        replace(package, batch=one, memory_bytes=memory_bytes),
        replace(package, batch=other, memory_bytes=package.memory_bytes - memory_bytes),
    )


class PackageDelegate(Protocol):
    """Gives fresh points, and takes note of what becomes of packages: the engine of a writer."""

    def fill(self, batch: Batch) -> bool:
        """Put what should leave next into an empty batch; tell whether there is anything."""

    def on_sealed(self, package: Package) -> None:
        """Count the memory of a new package."""

    def on_delivered(self, package: Package, host: str) -> None:
        """Book a package that is stored."""

    def on_spooled(self, package: Package) -> None:
        """Book a package that is on disk only from now on."""

    def on_failed(self, package: Package, error: SiriDBError, *, in_doubt: bool) -> None:
        """Book a package that was not delivered, or may not have been."""

    def on_released(self, package: Package) -> None:
        """Count the memory of a package as free."""


class ResponseReceiver(Protocol[ConnectionT]):
    """Whoever sent a package over a connection: the dispatcher."""

    def on_response(
        self, package: Package, connection: ConnectionT, error: SiriDBError | None
    ) -> None:
        """Take the outcome of a package."""


class InsertResponse(Generic[ConnectionT]):
    """What a connection gives the answer to; it calls the receiver at once.

    A future would do so in the next round of the event loop: the server would wait for its next
    package so long.
    """

    __slots__ = ("_connection", "_package", "_receiver")

    def __init__(
        self, receiver: ResponseReceiver[ConnectionT], package: Package, connection: ConnectionT
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
