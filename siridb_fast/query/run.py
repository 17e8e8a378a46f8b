"""Run one query: its text and a timeout in, its answer out.

Knows what a request of a query is made of, and what its answer is read into. Knows nothing of
servers: whoever calls gives what sends a request to one.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Protocol

from siridb_fast.columns._decode import decode_points
from siridb_fast.columns.time_units import PRECISIONS
from siridb_fast.protocol import _wire
from siridb_fast.protocol._qpack import packb
from siridb_fast.query.paging import SelectResult
from siridb_fast.query.select import query_bytes

if TYPE_CHECKING:
    from siridb_fast.protocol._wire import PayloadBytes

__all__ = ["RequestSender", "check_precision", "check_query", "run_query", "run_select"]


class RequestSender(Protocol):
    """Send one request to a server of the database; return what the answer brings."""

    def __call__(
        self, type_: int, payload: PayloadBytes, timeout: float, *, is_raw: bool = False
    ) -> Awaitable[Any]:
        """Send the request; ``timeout`` is in seconds."""


async def run_query(
    send: RequestSender, query: str | bytes, timeout: float, time_precision: int | None = None
) -> Any:
    """Return the answer to a query as Python objects."""
    check_query(query)
    check_precision(time_precision)
    return await send(_wire.REQ_QUERY, packb((query_bytes(query), time_precision)), timeout)


async def run_select(send: RequestSender, query: str | bytes, timeout: float) -> SelectResult:
    """Return the answer to a select as arrays."""
    check_query(query)
    answer = await send(_wire.REQ_QUERY, packb((query_bytes(query), None)), timeout, is_raw=True)
    return SelectResult(decode_points(answer), len(answer))


def check_query(query: object) -> None:
    """Refuse what cannot be the text of a query."""
    if not isinstance(query, (str, bytes)):
        raise TypeError(f"a query is a str or bytes, got {type(query).__name__}")


def check_precision(time_precision: object) -> None:
    """Refuse what is neither None nor SECOND … NANOSECOND."""
    if time_precision not in (None, *PRECISIONS):
        raise TypeError(f"time_precision is None or 0..3, got {time_precision!r}")
