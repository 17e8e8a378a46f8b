"""The writer of a gateway: what only a gateway may ask, beside all that users of a writer may.

Knows the inside of a writer; knows nothing of protocols and senders.
"""

from __future__ import annotations

from collections.abc import Sequence

from siridb_fast.batching._append import room_for
from siridb_fast.writer.writer import BatchWriter

__all__ = ["GatewayWriter"]


class GatewayWriter(BatchWriter):
    """A writer that tells whether it has room, and the types of series before they get points."""

    _may_be_whole = True  # numbers of Graphite and of JSON are floats, unless somebody said so

    @property
    def generation(self) -> int:
        """Changes when types that were told may be others by now."""
        return self._check_open().admission.generation

    @property
    def run_points(self) -> int:
        """How many points of a series a call takes without waiting for a connection."""
        return max(1, self._options.full_package_bytes // 2 // 19)

    @property
    def longest_delivery(self) -> float:
        """Seconds after which points are delivered, or were given up, or there is no server."""
        return self._options.linger + self._options.delivery_timeout

    async def types_of(self, names: Sequence[str]) -> list[str | None]:
        """Return the types that series have; None: the database does not have the series.

        Waits until the database has told.
        """
        intake = self._require_intake()
        return list(map(self._coalescer.type_of, await intake.resolve_types(names)))

    def pin(self, name: str, type_: str) -> None:
        """Give a series a type that the database does not have yet."""
        self._coalescer.pin(self._coalescer.series(name), type_)

    def room_for(self, points: int, series: int, text_bytes: int) -> int:
        """Return how many bytes points take at most, within what a writer ever has."""
        need = room_for(points, series, text_bytes=text_bytes)
        return min(need, self._options.max_buffered // 2)

    def has_room(self, need: int) -> bool:
        """Tell whether there are so many bytes left."""
        self._check_open()
        return self._coalescer.may_take(need)
