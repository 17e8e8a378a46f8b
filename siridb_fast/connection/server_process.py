"""One run of a server, as far as it can be distinguished from another.

A server does not say which process it is, but how long it has been up, in whole seconds, and how
many points it has received since: one that says less than it must have counted is another.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ServerProcess"]


@dataclass(slots=True, eq=False)
class ServerProcess:
    """It started from ``earliest`` to ``latest`` on the event loop's clock."""

    uuid: str
    pool: int
    earliest: float
    latest: float
    received: int  # points, at least
    is_over: bool = False  # another process has come after it

    def may_be(self, earlier: ServerProcess, received: int) -> bool:
        """Tell whether this, seen later, can be the same process.

        ``received`` is how many points that one had received before this was seen.
        """
        return (
            self.uuid == earlier.uuid
            and self.earliest <= earlier.latest
            and earlier.earliest <= self.latest
            and self.received >= received
        )
