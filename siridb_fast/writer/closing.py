"""The last of a writer that is closed in its event loop: what is delivered, and what is told.

Knows what is behind a writer; knows nothing of its surface and its states.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from siridb_fast.connection.cluster import Cluster
from siridb_fast.delivery.report import Report
from siridb_fast.errors import RequestTimeout, WriterClosedError

if TYPE_CHECKING:
    from siridb_fast.writer.engine import Engine

__all__ = ["deliver_last", "stop_engine", "wait_for_connections"]

CLOSE_TIMEOUT = 1.0

logger = logging.getLogger("siridb_fast")


async def deliver_last(engine: Engine, timeout: float | None) -> None:
    """Deliver what there is, within ``timeout`` seconds; leave the rest in the spool."""
    try:
        await engine.flusher.deliver_all(timeout, with_spool=True)
    except RequestTimeout as exc:
        logger.warning("the writer is closed all the same: %s", exc)
    finally:
        await engine.spool_remaining()


def stop_engine(engine: Engine) -> Report:
    """Give up what is left, and wake those who wait; return the last report."""
    engine.stop()
    report = engine.accounts.end_period()
    if not report.is_complete:
        logger.error("the writer was closed: %s", report)
    engine.waiters.end(WriterClosedError("the writer is closed"))
    return report


async def wait_for_connections(cluster: Cluster) -> None:
    """Wait until the connections of a cluster that was closed are gone, but not for long."""
    try:
        await asyncio.wait_for(cluster.wait_closed(), CLOSE_TIMEOUT)
    except TimeoutError:
        logger.warning("a connection is not closed after %s seconds", CLOSE_TIMEOUT)
