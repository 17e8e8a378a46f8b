"""What the answer to an insert means for its package: the errors of a server, read as verdicts.

Knows errors and the server's texts; knows nothing of packages and of what follows from a verdict.
"""

from __future__ import annotations

from enum import Enum

from siridb_fast.errors import (
    ConnectionLost,
    InsertError,
    RequestTimeout,
    ServerError,
    SiriDBError,
    UnknownPackageError,
    UnpackError,
)

__all__ = ["Verdict", "verdict_of"]

NO_CLEAR_ANSWER = (RequestTimeout, UnknownPackageError, UnpackError)
PARTLY_STORED = ("Error occurred while sending points", "Critical error occurred")


class Verdict(Enum):
    """What an answer, or none, means for a package."""

    DELIVERED = "delivered"
    RETRY_ELSEWHERE = "retry elsewhere"
    RETRY_LATER = "retry later"
    REJECTED = "rejected"
    IN_DOUBT = "in doubt"


def verdict_of(error: BaseException | None) -> Verdict:
    """Return what the outcome of an insert means: its exception, None if it was acknowledged.

    A refusal means that nothing was stored; ``retriable`` of its class tells whether the package
    is sent again. Two things are not known from the class alone: a connection may be lost before
    or after a package was sent, and two texts of the server mean "partly stored" (server-facts 5).
    """
    if error is None:
        return Verdict.DELIVERED
    if _may_be_stored(error):
        return Verdict.IN_DOUBT
    if not isinstance(error, SiriDBError) or not error.retriable:
        return Verdict.REJECTED
    return Verdict.RETRY_ELSEWHERE if isinstance(error, ServerError) else Verdict.RETRY_LATER


def _may_be_stored(error: BaseException) -> bool:
    if isinstance(error, ConnectionLost):
        return error.in_doubt
    if isinstance(error, InsertError):
        return str(error).startswith(PARTLY_STORED)
    return isinstance(error, NO_CLEAR_ANSWER)
