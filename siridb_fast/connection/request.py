"""A request in flight: what its connection knows of it, and where its outcome goes.

Knows nothing of sockets, sessions or the clock.
"""

from __future__ import annotations

from typing import Any, Protocol

from siridb_fast.errors import ConnectionLost, RequestTimeout
from siridb_fast.protocol._wire import REQ_INSERT

__all__ = ["Request", "ResponseSink"]


class ResponseSink(Protocol):
    """Where the outcome of a request is put, once; an `asyncio.Future` is one."""

    def done(self) -> bool:
        """Tell whether nobody waits for it any more."""

    def set_result(self, result: Any, /) -> None:
        """Take what the answer brings."""

    def set_exception(self, exception: BaseException, /) -> None:
        """Take why there is no answer, or what the server said instead."""


class Request:
    """What is known of a request in flight; the tag that the session keeps for it."""

    __slots__ = ("deadline", "is_raw", "may_come_late", "pid", "sink", "type")

    def __init__(
        self,
        type_: int,
        sink: ResponseSink,
        deadline: float,
        is_raw: bool,
        may_come_late: bool = False,
    ) -> None:
        self.type = type_
        self.sink = sink
        self.deadline = deadline
        self.is_raw = is_raw
        self.may_come_late = may_come_late
        self.pid = -1

    @property
    def is_harmful_late(self) -> bool:
        """Tell whether it must not arrive once it was given up: it may have been sent again."""
        return self.type == REQ_INSERT and not self.may_come_late

    def late(self, server: str) -> RequestTimeout:
        """Return the error that there was no answer in time."""
        return RequestTimeout(f"{server} did not answer package {self.pid} in time")

    def lost(self, server: str, cause: Exception | None) -> ConnectionLost:
        """Return the error that the connection was lost before the answer."""
        reason = f" ({cause})" if cause else ""
        error = ConnectionLost(
            f"the connection to {server} was lost before package {self.pid} was answered{reason}",
            in_doubt=True,
        )
        error.__cause__ = cause
        return error
