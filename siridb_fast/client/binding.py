"""The connections of one client: in one event loop after another, and in one process.

Knows clusters and event loops; knows nothing of what is asked over them.
"""

from __future__ import annotations

import asyncio
import warnings
import weakref
from collections.abc import Callable
from enum import Enum

from siridb_fast.concurrency.fork import Home
from siridb_fast.connection.cluster import Cluster
from siridb_fast.connection.config import Config, describe
from siridb_fast.connection.stats import ClientStats
from siridb_fast.errors import PoolError

__all__ = ["ClusterBinding", "State"]


class State(Enum):
    """Of a client: it may be connected again after it was closed."""

    NEW = "new"
    OPEN = "open"
    CLOSED = "closed"


class ClusterBinding:
    """See above.

    Args:
        config: Where to connect.
        loop: The event loop that `connect` will be called in, if that is to be checked.
        on_change: Called whenever a connection was made or lost.
    """

    def __init__(
        self,
        config: Config,
        loop: asyncio.AbstractEventLoop | None,
        on_change: Callable[[], None] | None = None,
    ) -> None:
        # Weak, so that a client that is forgotten is freed, though its connections live.
        self._on_change = None if on_change is None else weakref.WeakMethod(on_change)
        self.config = config
        self.state = State.NEW
        self._loop = loop
        self._cluster: Cluster | None = None
        self._home = Home("client")  # and then where it is connected

    @property
    def is_connected(self) -> bool:
        """Tell whether there is a connection to any server."""
        return self._cluster is not None and self._cluster.is_connected

    def stats(self) -> ClientStats:
        """Return the figures of the connections, of the event loop that they were made in last."""
        return ClientStats(() if self._cluster is None else self._cluster.stats())

    async def connect(self, timeout: float | None) -> list[BaseException | None]:
        """Connect to all servers, as `Cluster.connect` does."""
        return await self._bind().connect(timeout)

    async def open(self, timeout: float | None) -> None:
        """Connect to one server at least, as `Cluster.open` does; close if that is not done."""
        cluster = self._bind()
        try:
            await cluster.open(timeout)
        except BaseException:  # also a cancellation: another host may be connected
            self.close()
            raise

    def close(self) -> None:
        """Close all connections and stop trying to connect."""
        self.state = State.CLOSED
        if self._cluster is not None and self._home.is_here:
            self._cluster.close()

    def __del__(self) -> None:
        cluster: Cluster | None = getattr(self, "_cluster", None)
        if cluster is None or self.state is not State.OPEN or not self._home.is_here:
            return
        text = f"<SiriDBClient {describe(self.config)}> was dropped; close it"
        warnings.warn(text, ResourceWarning, stacklevel=1)
        if cluster.loop.is_closed():
            cluster.close()
        else:  # in which it may be another thread's turn
            cluster.loop.call_soon_threadsafe(cluster.close)

    async def wait_closed(self) -> None:
        """Wait until the connections are gone."""
        cluster = self._cluster
        if cluster is not None and self._home.is_here and not cluster.loop.is_closed():
            await cluster.wait_closed()

    def here(self) -> Cluster:
        """Return the connections, for this process and event loop.

        Raises:
            ForkedError: They are those of the parent process.
            PoolError: The client is not open.
            RuntimeError: They are those of another event loop.
        """
        self._home.require()
        if self._cluster is None or self.state is not State.OPEN:
            raise PoolError(f"no available connections found: the client is {self.state.value}")
        if self._cluster.loop is not asyncio.get_running_loop():
            raise RuntimeError(
                "the client is connected in another event loop; connect() in this one"
            )
        return self._cluster

    def _bind(self) -> Cluster:
        # The connections of this event loop and process, made if there are none.
        loop = asyncio.get_running_loop()
        if self._loop is not None and self._loop is not loop:
            raise RuntimeError("the client was made for another event loop")
        if not self._home.is_here:  # a child of a fork makes connections of its own
            self._cluster = None
        if self._cluster is not None and (
            self.state is State.CLOSED or self._cluster.loop is not loop
        ):
            self._leave()
        if self._cluster is None:
            self._cluster = Cluster(self.config, on_change=_weakly(self._on_change))
            self._home = Home("client")
        self.state = State.OPEN
        return self._cluster

    def _leave(self) -> None:
        if self._cluster is not None:
            self._cluster.close()
        self._cluster = None


def _weakly(method: weakref.WeakMethod[Callable[[], None]] | None) -> Callable[[], None]:
    def call() -> None:
        bound = None if method is None else method()
        if bound is not None:
            bound()

    return call
