"""A request in flight: what its connection knows of it, and where its outcome goes.

Knows nothing of sockets, sessions or the clock.
"""

from __future__ import annotations

from typing import Any, Protocol

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

    __slots__ = ("deadline", "is_raw", "pid", "sink", "type")

    def __init__(self, type_: int, sink: ResponseSink, deadline: float, is_raw: bool):
        self.type = type_
        self.sink = sink
        self.deadline = deadline
        self.is_raw = is_raw
        self.pid = -1
