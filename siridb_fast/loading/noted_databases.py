"""The databases that a manifest knows: which of them is the one that is loaded into."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

from siridb_fast.loading.database_id import DatabaseId, Sameness

__all__ = ["NotedDatabase", "find_database"]


@dataclass(frozen=True, slots=True)
class NotedDatabase:
    """The row of a database.

    Attributes:
        id: Of the row.
        unsure: The rows of those of its name of which nobody can tell whether they are the same,
            and the hosts of each; none if it was known.
    """

    id: int
    unsure: dict[int, str] = field(default_factory=dict)


def find_database(base: sqlite3.Connection, database: DatabaseId) -> NotedDatabase:
    """Return the row of a database, a new one if it is not known; in a transaction.

    Args:
        base: The manifest.
        database: That is loaded into.
    """
    servers = " ".join(sorted(database.servers))
    unsure: dict[int, str] = {}
    rows = base.execute(
        "SELECT id, hosts, servers FROM databases WHERE name = ? ORDER BY id DESC",
        (database.name,),
    ).fetchall()
    for key, hosts, its_servers in rows:
        known = DatabaseId(database.name, hosts, frozenset(its_servers.split()))
        sameness = database.compared(known)
        if sameness is Sameness.SAME:
            if servers and (hosts, its_servers) != (database.hosts, servers):
                base.execute(
                    "UPDATE databases SET hosts = ?, servers = ? WHERE id = ?",
                    (database.hosts, servers, key),
                )
            return NotedDatabase(key)
        if sameness is Sameness.UNKNOWN:
            unsure[key] = hosts
    added = base.execute(
        "INSERT INTO databases (name, hosts, servers) VALUES (?, ?, ?)",
        (database.name, database.hosts, servers),
    )
    return NotedDatabase(int(added.lastrowid or 0), unsure)
