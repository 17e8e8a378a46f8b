"""What the answer to an insert means for its package: the errors of a server, read as verdicts.

Knows errors and the server's texts; knows nothing of packages and of what follows from a verdict.
"""

from __future__ import annotations

from enum import Enum

from siridb_fast.errors import (
    ConnectionLost,
    InsertError,
    PoolError,
    RequestTimeout,
    ServerError,
    UnknownPackageError,
    UnpackError,
)

__all__ = ["Verdict", "verdict_of"]

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

    A refusal of the server means that nothing was stored, but for two texts that mean "partly"
    (server-facts 5). An answer that makes no sense tells nothing.
    """
    if error is None:
        return Verdict.DELIVERED
    if isinstance(error, ServerError):
        return Verdict.RETRY_ELSEWHERE
    if isinstance(error, PoolError):
        return Verdict.RETRY_LATER
    if isinstance(error, ConnectionLost):
        return Verdict.IN_DOUBT if error.in_doubt else Verdict.RETRY_LATER
    if isinstance(error, (RequestTimeout, UnknownPackageError, UnpackError)):
        return Verdict.IN_DOUBT
    if isinstance(error, InsertError) and str(error).startswith(PARTLY_STORED):
        return Verdict.IN_DOUBT
    return Verdict.REJECTED
