"""Several real siridb-servers that form one database: pools, and replicas of pools.

Knows nothing of the binary protocol. Rules: one server joins at a time, and the next only when
every server sees all others running and none has a re-index left to finish.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from http import HTTPStatus
from os import PathLike
from typing import Self
from urllib.parse import quote

from siridb_fast.connection.http_api import DATABASE_USER, HttpApiError
from siridb_fast.testing.polling import wait_until
from siridb_fast.testing.server import SiriDBServer
from siridb_fast.testing.startable import Startable

__all__ = ["SiriDBCluster"]

# The shortest the server takes. A new pool is complete only after the next heartbeat, which with
# the server's own 30 seconds would be long to wait for.
HEARTBEAT_INTERVAL = 3


class SiriDBCluster(Startable):
    """Servers of one's own, one per pool and one more per replica.

    As a context manager it starts the servers on entry; on exit they and their folders are gone.

    Args:
        pools: the number of pools.
        replicas: the number of replicas of each pool, 0 or 1: the server knows no more.
        binary: as for `SiriDBServer`, for every server; likewise the following.
        buffer_sync_interval: milliseconds between two fsyncs of the buffer.
        log_level: debug, info, warning, error or critical.
        options: further settings; `heartbeat_interval` is 3 seconds unless given here.

    Raises:
        ValueError: `pools` or `replicas` is out of range.
    """

    def __init__(
        self,
        pools: int = 2,
        replicas: int = 0,
        *,
        binary: str | PathLike[str] | None = None,
        buffer_sync_interval: int = 0,
        log_level: str = "info",
        options: Mapping[str, str | int] | None = None,
    ) -> None:
        if pools < 1:
            raise ValueError(f"a cluster has at least 1 pool, not {pools}")
        if replicas not in (0, 1):
            raise ValueError(f"a pool has 0 or 1 replicas, not {replicas}")
        settings = {"heartbeat_interval": HEARTBEAT_INTERVAL, **(options or {})}
        self._pools = tuple(
            tuple(
                SiriDBServer(
                    binary=binary,
                    buffer_sync_interval=buffer_sync_interval,
                    log_level=log_level,
                    options=settings,
                )
                for _ in range(1 + replicas)
            )
            for _ in range(pools)
        )

    @property
    def pools(self) -> tuple[tuple[SiriDBServer, ...], ...]:
        """The servers by pool: the pool's first server, then its replica if there is one."""
        return self._pools

    @property
    def servers(self) -> list[SiriDBServer]:
        """All servers in the order of their pools."""
        return [server for pool in self._pools for server in pool]

    def url(
        self,
        dbname: str = "dbtest",
        *,
        username: str = "iris",
        password: str = "siri",  # noqa: S107 - the password of every new database
    ) -> str:
        """Return the URL of a database with all servers in it."""
        user = f"{quote(username, safe='')}:{quote(password, safe='')}"
        hosts = ",".join(f"{server.host}:{server.port}" for server in self.servers)
        return f"siridb://{user}@{hosts}/{quote(dbname, safe='')}"

    def start(self, timeout: float = 30) -> Self:
        """Start every server, each within `timeout` seconds."""
        for server in self.servers:
            server.start(timeout)
        return self

    def close(self) -> None:
        """End all servers and remove their folders."""
        with ExitStack() as stack:
            for server in self.servers:
                stack.callback(server.close)

    def create_database(
        self,
        name: str = "dbtest",
        *,
        time_precision: str = "ns",
        buffer_size: int = 1024,
        duration_num: str = "1w",
        duration_log: str = "1d",
        timeout: float = 60,
    ) -> None:
        """Create a database on the first server and let the others join it: pools, then replicas.

        Raises:
            HttpApiError: a server refuses.
            TimeoutError: a step is not over within `timeout` seconds.
        """
        first = self.servers[0]
        first.create_database(
            name,
            time_precision=time_precision,
            buffer_size=buffer_size,
            duration_num=duration_num,
            duration_log=duration_log,
            timeout=timeout,
        )
        username, password = DATABASE_USER
        entry = {
            "dbname": name,
            "host": first.host,
            "port": first.port,
            "username": username,
            "password": password,
        }
        joined = [first]
        for primary, *_ in self._pools[1:]:
            primary.api.service("new-pool", entry, timeout=timeout)
            joined.append(primary)
            self._wait_until_all_run(name, joined, timeout)
        for number, (_, *replicas) in enumerate(self._pools):
            for replica in replicas:
                replica.api.service("new-replica", {**entry, "pool": number}, timeout=timeout)
                joined.append(replica)
                self._wait_until_all_run(name, joined, timeout)

    def wait_until_running(self, dbname: str = "dbtest", *, timeout: float = 60) -> None:
        """Wait until every server sees every server of a database running, after a restart say.

        Raises:
            TimeoutError: they do not within `timeout` seconds.
        """
        self._wait_until_all_run(dbname, self.servers, timeout)

    def _wait_until_all_run(
        self, dbname: str, joined: Sequence[SiriDBServer], timeout: float
    ) -> None:
        wait_until(
            lambda: all(_sees_all_running(server, dbname, len(joined)) for server in joined),
            timeout=timeout,
            what=f"all {len(joined)} servers of database {dbname!r} are running",
        )


def _sees_all_running(server: SiriDBServer, dbname: str, number: int) -> bool:
    # A new pool makes every server check which of its series have to move. Even
    # where there are none, the re-index lasts until the next heartbeat: points are still routed
    # by the old number of pools and a further pool is refused. No query shows it; the file does.
    is_reindexing = (server.database_folder(dbname) / ".reindex").exists()
    if is_reindexing or not server.is_running:
        return False
    try:
        answer = server.api.query(dbname, "list servers status, online")
    except HttpApiError as error:
        if error.status != HTTPStatus.SERVICE_UNAVAILABLE:
            raise
        return False
    rows = answer["servers"]
    return len(rows) == number and all(row == ["running", True] for row in rows)
