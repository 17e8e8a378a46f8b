"""Whether a writer waits until what is acknowledged is safe, and what becomes of what is in doubt.

Knows the options and what is learned of the database; knows nothing of how packages become safe.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from siridb_fast.connection.cluster import Cluster
from siridb_fast.connection.config import OnDoubt
from siridb_fast.delivery.dispatcher import Dispatcher
from siridb_fast.delivery.durability import SentinelTracker, clock_of
from siridb_fast.delivery.packages import Packages
from siridb_fast.query.database_facts import DatabaseFacts
from siridb_fast.writer.handshake import Handshake
from siridb_fast.writer.options import WriterOptions

__all__ = ["set_doubt", "set_safety"]

logger = logging.getLogger("siridb_fast")


def set_doubt(
    facts: DatabaseFacts, options: WriterOptions, on_doubt: OnDoubt, packages: Packages
) -> None:
    """Say what becomes of packages in doubt by what the user may ask the database."""
    if not (facts.may_select and facts.uuid is not None):
        what = "select" if not facts.may_select else "show who a server is"
        on_doubt = options.on_doubt_fallback
        if on_doubt != packages.policy.on_doubt:  # else it was said before
            logger.warning("the user may not %s: packages in doubt: %r", what, on_doubt)
    packages.policy = replace(packages.policy, on_doubt=on_doubt)


def set_safety(
    dispatcher: Dispatcher,
    facts: DatabaseFacts,
    options: WriterOptions,
    cluster: Cluster,
    packages: Packages,
    handshake: Handshake,
    notify: Callable[[], None],
) -> None:
    """Have sentinels sent by what was learned of the database, if the writer is to be safe.

    Called with each new connection: the number of pools may be another one.
    """
    if dispatcher.sentinels is not None:
        dispatcher.sentinels.note_pools(facts.pools)
    elif options.durability == "safe":
        assert facts.time_precision is not None  # noqa: S101 - the handshake checks
        dispatcher.sentinels = SentinelTracker(
            cluster,
            packages,
            sentinel=options.sentinel,
            now=clock_of(facts.time_precision),
            pools=facts.pools,
            known_processes=handshake.known_processes,
            on_lost=dispatcher.on_lost,
            notify=notify,
        )
