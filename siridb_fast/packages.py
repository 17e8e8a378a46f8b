"""A package on its way, and its fate so far."""

from __future__ import annotations

from dataclasses import dataclass

from siridb_fast._batch import Batch
from siridb_fast.errors import SiriDBError

__all__ = ["Package"]


@dataclass(slots=True, eq=False)
class Package:
    """A sealed batch; times are on the event loop's clock."""

    batch: Batch
    number: int
    deadline: float
    held: int  # bytes of memory
    sent_at: float = 0.0
    seconds: float = 0.0  # that the server took to answer
    error: SiriDBError | None = None  # of the last attempt
    is_in_doubt: bool = False  # an attempt may have been stored
