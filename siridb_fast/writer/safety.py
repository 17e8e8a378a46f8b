"""Whether a writer waits until what is acknowledged is safe from the death of a server's process.

Knows the option and what is learned of the database; knows nothing of how packages become safe.
"""

from __future__ import annotations

from collections.abc import Callable

from siridb_fast.connection.cluster import Cluster
from siridb_fast.delivery.dispatcher import Dispatcher
from siridb_fast.delivery.durability import SentinelTracker, clock_of
from siridb_fast.delivery.packages import Packages
from siridb_fast.query.database_facts import DatabaseFacts
from siridb_fast.writer.handshake import Handshake
from siridb_fast.writer.options import WriterOptions

__all__ = ["set_safety"]


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
