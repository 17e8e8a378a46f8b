"""What tells one database from another of the same name.

Each server of a database has a uuid, which it gets when the database is made there: one that was
made anew has others. A user who may not list servers knows the hosts alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

__all__ = ["DatabaseId", "Sameness"]


class Sameness(Enum):
    """Whether two of them are of one database."""

    SAME = "same"
    OTHER = "other"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class DatabaseId:
    """See above.

    Attributes:
        name: Of the database.
        hosts: By which it is reached, sorted and joined.
        servers: Their uuids; none if they are not known.
    """

    name: str
    hosts: str = ""
    servers: frozenset[str] = frozenset()

    @classmethod
    def of(cls, name: str, hosts: Iterable[object], servers: Iterable[str] = ()) -> DatabaseId:
        """Return that of a database, by its hosts and the uuids of its servers."""
        return cls(name, ", ".join(sorted(map(str, hosts))), frozenset(servers))

    def compared(self, other: DatabaseId) -> Sameness:
        """Tell whether it is the same database: one server of both is enough."""
        if self.name != other.name:
            return Sameness.OTHER
        if self.servers and other.servers:
            is_same = not self.servers.isdisjoint(other.servers)
            return Sameness.SAME if is_same else Sameness.OTHER
        return Sameness.SAME if self.hosts == other.hosts else Sameness.UNKNOWN
