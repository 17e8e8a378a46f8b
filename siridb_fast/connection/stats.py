"""Figures of connections, as `stats()` of clients and writers has them.

Knows counts and names of hosts; knows nothing of how connections are made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["ClientStats", "HostStats"]


@dataclass(frozen=True, slots=True)
class HostStats:
    """The connections to one host: of ``connections`` that there should be, so many are there.

    ``suspended`` are connected, and left alone for ``inactive_time`` because the server said that
    it cannot serve. ``reconnects`` counts how often a connection was made again.
    """

    host: str
    connections: int
    connected: int
    suspended: int
    reconnects: int


@dataclass(frozen=True, slots=True)
class ClientStats:
    """A client's figures since it was first connected; ``hosts`` in the order of its hosts."""

    hosts: tuple[HostStats, ...]

    @property
    def connections(self) -> int:
        """How many connections there should be."""
        return connections_of(self.hosts)

    @property
    def connected(self) -> int:
        """How many connections there are."""
        return connected_of(self.hosts)

    @property
    def reconnects(self) -> int:
        """How often a connection was made again."""
        return reconnects_of(self.hosts)


def connections_of(hosts: Iterable[HostStats]) -> int:
    """Return how many connections there should be."""
    return sum(host.connections for host in hosts)


def connected_of(hosts: Iterable[HostStats]) -> int:
    """Return how many connections there are."""
    return sum(host.connected for host in hosts)


def reconnects_of(hosts: Iterable[HostStats]) -> int:
    """Return how often a connection was made again."""
    return sum(host.reconnects for host in hosts)
