"""Bring one request to a server; a failure means another server, a later attempt, or the caller.

Knows clusters, the clock and the errors; knows nothing of what is requested.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from siridb_fast.connection.cluster import Cluster
from siridb_fast.connection.config import OnDoubt
from siridb_fast.errors import (
    ConnectionLost,
    PoolError,
    ProtocolError,
    ServerError,
    SiriDBError,
)
from siridb_fast.protocol import _wire

if TYPE_CHECKING:
    from siridb_fast.protocol._wire import PayloadBytes

__all__ = ["request_with_failover"]

POOL_RETRY = 2.0  # seconds until a request is tried again for which a pool had no server

logger = logging.getLogger("siridb_fast")


async def request_with_failover(
    cluster: Cluster,
    type_: int,
    payload: PayloadBytes,
    timeout: float,
    *,
    is_raw: bool = False,
    is_urgent: bool = False,
    on_doubt: OnDoubt | None = None,
    require: Callable[[], None] | None = None,
) -> Any:
    """Return what the answer to a request brings.

    Args:
        cluster: Its next server gets the request, and another one if that cannot take it.
        type_: The package type.
        payload: The package.
        timeout: Seconds, for all attempts.
        is_raw: Return the answer's payload as it is.
        is_urgent: Do not wait for room in the window.
        on_doubt: ``"resend"`` an insert whose connection was lost, or ``"report"`` it.

        require: Called before each attempt; it raises if nothing is to be sent any more.

    Raises:
        SiriDBError: What the server answered; `PoolError` where no server is connected.
    """
    deadline = cluster.loop.time() + timeout
    failure: SiriDBError | None = None
    while True:
        connection = cluster.select(try_inactive=failure is None)
        if connection is None:
            await cluster.wait_returned(deadline)
            connection = cluster.select(try_inactive=failure is None)
        if connection is None:
            raise _no_connection(cluster, failure) from failure
        if require is not None:
            require()
        left = deadline - cluster.loop.time()
        try:
            return await connection.request(
                type_, payload, left, is_raw=is_raw, is_urgent=is_urgent
            )
        except ServerError as exc:
            logger.debug("%s: %s; trying another server", connection.name, exc)
            cluster.suspend(connection)
            failure = exc
        except ConnectionLost as exc:
            if exc.in_doubt and not _may_resend(type_, exc, on_doubt):
                raise
            failure = exc
        except PoolError as exc:
            if cluster.loop.time() + POOL_RETRY > deadline:
                raise
            logger.debug("%s: %s; trying again", connection.name, exc)
            await asyncio.sleep(POOL_RETRY)


def _no_connection(cluster: Cluster, refusal: SiriDBError | None) -> PoolError:
    # Why: a server that is connected has refused, or none lets us in.
    why = cluster.failure_suffix or ("" if refusal is None else f": {refusal}")
    return PoolError(f"no available connections found{why}")


def _may_resend(type_: int, lost: ConnectionLost, on_doubt: OnDoubt | None) -> bool:
    if isinstance(lost.__cause__, ProtocolError):
        return False  # it would come to the same again
    return type_ != _wire.REQ_INSERT or on_doubt == "resend"
