"""Which servers can tell what became of a package in doubt, and connections to them.

The server that a package was sent to is known by its uuid, since behind one address there may be
several. It alone is asked in a database of one pool: its replica may lag behind, and no server
tells that it does not. Where there are several pools, that server may have passed points on before
it ended, to any server of the pools that own them: all of these are asked, too; the only one of
its pool by way of another, if need be. If nobody knows any more whom a package was sent to, or if
that server has left the database for good, so that nothing comes from it any more, all servers of
the database are. Knows packages and connections; knows nothing of points.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from siridb_fast.concurrency.quiet_log import QuietLog
from siridb_fast.connection.cluster import Cluster
from siridb_fast.connection.connection import Connection
from siridb_fast.delivery.package import Package
from siridb_fast.errors import SiriDBError
from siridb_fast.protocol.pools import MAX_POOLS, pool_of
from siridb_fast.query.server_queries import ServerQueries

__all__ = ["WitnessFinder", "Witnesses"]

RETRY_INTERVAL = 0.1  # seconds until it is tried again to get to a server
LEAVING_INTERVAL = 1.0  # seconds that a server is away before it is asked whether it has left

logger = logging.getLogger("siridb_fast")


@dataclass(frozen=True, slots=True)
class Witnesses:
    """The servers that can tell; ``is_alone``: no other one can have points of the package."""

    connections: list[Connection]  # the first one is to the server that got it, if it is known
    remote: list[str]  # the uuids of others, which these pass every query on to
    absent: list[str]  # the uuids of those that nothing leads to
    is_alone: bool


class WitnessFinder:
    """Finds the servers that can tell of packages of one writer.

    Args:
        cluster: Its connections; more are made to its hosts where need be.
        queries: Asks the servers.
    """

    def __init__(self, cluster: Cluster, queries: ServerQueries) -> None:
        self._cluster = cluster
        self._queries = queries
        self._log = QuietLog(cluster.loop.time)

    async def wait(self, package: Package) -> None:
        """Wait until there is a server that it makes sense to ask."""
        own, began = package.server, self._cluster.loop.time()
        while not self._is_reached(own):
            if own is not None:
                self._cluster.seeker.need((self, package), [own])
                waited = self._cluster.loop.time() - began
                if waited > LEAVING_INTERVAL:
                    began += waited
                    if await self._has_left(own):
                        break
            await asyncio.sleep(RETRY_INTERVAL)

    def _is_reached(self, uuid: str | None) -> bool:
        if uuid is None:
            return self._cluster.is_connected
        return self._cluster.connection_to_server(uuid) is not None

    async def _has_left(self, uuid: str) -> bool:
        at = self._cluster.select(try_inactive=True)
        if at is None:
            return False
        try:
            pools = await self._queries.pools_by_server(at=at)
        except SiriDBError as exc:
            logger.debug("%s: %s; asking again", at.name, exc)
            return False
        return bool(pools) and uuid not in pools

    async def find(self, package: Package) -> Witnesses:
        """Return the servers that can tell."""
        own = package.server
        at = self._cluster.connection_to_server(own) if own is not None else None
        at = at or self._cluster.select(try_inactive=True)
        if at is None:
            return Witnesses([], [], [], is_alone=False)
        pools = await self._queries.pools_by_server(at=at)
        if not pools:  # one may not ask which servers there are
            reached = at if self._is_reached(own) else None
            return Witnesses([reached] if reached else [], [], [], is_alone=own is not None)
        if own is not None and own not in pools:
            text = "%s, which got a package, has left the database; asking all"
            self._log.log(logging.WARNING, text, own)
            own = None
        if len(pools) == 1:  # whoever answers is it
            return Witnesses([at], [], [], is_alone=own is not None)
        uuids = _uuids(package, own, pools)
        found = [self._cluster.connection_to_server(uuid) for uuid in uuids]
        away = [uuid for uuid, one in zip(uuids, found, strict=True) if one is None]
        remote = [uuid for uuid in away if uuid != own and _is_only_one(uuid, pools)]
        self._cluster.seeker.need((self, package), set(uuids).difference(remote))
        return Witnesses(
            [one for one in found if one is not None],
            remote,
            [uuid for uuid in away if uuid not in remote],
            uuids == [own],
        )

    def release(self, package: Package) -> None:
        """Forget a package that is looked up no more."""
        self._cluster.seeker.need((self, package), ())


def _uuids(package: Package, own: str | None, pools: dict[str, int]) -> list[str]:
    # Of the servers that have to be asked, given the pool of each, and the one that got it.
    if own is None:
        return list(pools)
    count = 1 + max(pools.values(), default=0)
    if count == 1:
        return [own]
    owners = _owners(package, count) or set(pools.values())
    others = (uuid for uuid, pool in pools.items() if pool in owners and pool != pools.get(own))
    return [own, *others]


def _is_only_one(uuid: str, pools: dict[str, int]) -> bool:
    # Of its pool: whoever is asked passes the question on to it.
    return list(pools.values()).count(pools[uuid]) == 1


def _owners(package: Package, pools: int) -> set[int]:
    # The pools that may have points of it; a series may not have moved to the newest one yet.
    # None, if that cannot be told: on ARM other bytes than ASCII add up otherwise.
    names = package.batch.names
    if pools > MAX_POOLS or not all(map(str.isascii, names)):
        return set()
    return {pool_of(name, count) for name in names for count in (pools - 1, pools)}
