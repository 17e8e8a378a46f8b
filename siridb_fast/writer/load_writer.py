"""The writer of a load: what only loads may call, beside all that users of a writer may.

Knows the inside of a writer; knows nothing of frames, files or portions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Unpack

from siridb_fast.columns._points import PointColumn
from siridb_fast.columns.likely_times import LikelyTimes
from siridb_fast.columns.rows import MixedRows, SeriesRows
from siridb_fast.columns.time_units import Unit
from siridb_fast.connection.config import Target
from siridb_fast.delivery.report import OpenDelivery
from siridb_fast.query.paging import PointArrays
from siridb_fast.writer.options import WriterKeywords
from siridb_fast.writer.writer import BatchWriter

__all__ = ["LoadWriter"]


class LoadWriter(BatchWriter):
    """A writer that takes checked columns, and asks its database over its own connections.

    A database that was made anew in the middle of a load would have a part of it.
    """

    _is_bound = True
    _may_be_whole = True  # numbers of CSV files and of pandas are floats, unless somebody said so

    def __init__(
        self, target: Target = None, *, unit: Unit | None = None, **options: Unpack[WriterKeywords]
    ) -> None:
        super().__init__(target, **options)
        self._likely_times = LikelyTimes(unit, is_load=True)

    @property
    def times_warning(self) -> str | None:
        """What was said of times that look like those of another unit."""
        return self._likely_times.warning

    async def take(
        self, points: Sequence[PointColumn | SeriesRows], delivery: OpenDelivery
    ) -> None:
        """Take what is checked and converted already; more may come for the delivery."""
        await self._require_intake().take(points, delivery)

    async def require_fit(self, points: Sequence[PointColumn | MixedRows]) -> None:
        """Refuse values that their series cannot take, before the first of them comes.

        Raises:
            ColumnError: Names the series, both types, and the index where it is about a value.
        """
        await self._require_intake().require_fit(points)

    @property
    def new_series(self) -> dict[str, int]:
        """How many series that were checked are new, by type."""
        intake = self._column_intake
        return {} if intake is None else dict(Counter(intake.new_series.values()))

    def type_of(self, name: str) -> str:
        """Return the type of a series that was checked: in the database, or of what came first."""
        series = self._coalescer.series(name)
        return self._coalescer.type_of(series) or ""

    def is_new(self, name: str) -> bool:
        """Tell whether a series that was checked is known not to have existed until then."""
        intake = self._require_intake()
        return name in intake.new_series and self._check_open().queries.may_list

    @property
    def cut(self) -> int:
        """How many values that were checked a cast changes."""
        return 0 if self._column_intake is None else self._column_intake.cut

    def hasten(self, is_hasty: bool) -> None:
        """Send what is fast for a server without waiting for more, or no longer."""
        engine = self._check_open()
        self._coalescer.is_hasty = is_hasty
        engine.notify()

    async def query_arrays(self, query: str) -> PointArrays:
        """Run a select; see `SiriDBClient.query_arrays`."""
        return await self._check_open().queries.select(query)

    async def servers(self) -> list[str]:
        """Return the uuids of the database's servers; none if the user may not list them."""
        return await self._check_open().queries.servers()

    async def expirations(self) -> tuple[int | None, int | None]:
        """Return after how long the database forgets numbers and texts; None if it does not.

        In its time precision.
        """
        return await self._check_open().queries.expirations()
