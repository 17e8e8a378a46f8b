"""A writer's first connection: whether it waits for one, and what no waiting would help."""

from __future__ import annotations

import logging

from siridb_fast.connection.cluster import Cluster, first_failure
from siridb_fast.connection.config import Config
from siridb_fast.errors import AuthenticationError, ConfigError, UnknownDatabaseError
from siridb_fast.writer.options import IN_BACKGROUND, WaitForServer

__all__ = ["reach"]

FATAL = (AuthenticationError, ConfigError)  # waiting does not help, but a database may come yet

logger = logging.getLogger("siridb_fast")


async def reach(
    cluster: Cluster,
    config: Config,
    wait_for_server: WaitForServer,
    timeout: float | None,
) -> None:
    """Connect, and wait for a server as the option says.

    Raises:
        SiriDBError, OSError: No server can be reached, or none lets the user in.
    """
    if wait_for_server == IN_BACKGROUND and timeout is None:
        timeout = config.timeout
    results = await cluster.connect(timeout)
    if cluster.is_connected:
        return
    failure = first_failure(results)
    if isinstance(failure, FATAL) and not isinstance(failure, UnknownDatabaseError):
        raise failure
    if wait_for_server == IN_BACKGROUND:
        logger.warning("no server is there yet; points wait for one: %s", failure)
    elif not await cluster.wait_connected(wait_for_server):
        raise cluster.failure or failure
