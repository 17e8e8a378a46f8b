"""The accounts of one writer: what was delivered, what was not, and who hears of it.

Every point of a package is booked once: in the statistics, in the report of the next `flush`, in
the reports of those who wait for it, and with the callbacks of the user. Knows nothing of
connections; times are given.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from siridb_fast.batching._batch import Batch
from siridb_fast.batching._coalescer import Coalescer
from siridb_fast.delivery.kept_points import SentPoints, failure_of
from siridb_fast.delivery.latency import LatencyCounts
from siridb_fast.delivery.report import Delivered, Failure, Fate, OpenDelivery, Report, Tally
from siridb_fast.errors import SiriDBError

__all__ = ["Accounts"]

logger = logging.getLogger("siridb_fast")


class Accounts:
    """Totals since the beginning, and a tally since the last report.

    Args:
        clock: Returns seconds.
        on_delivery: Called with each acknowledged package.
        on_error: Called with each series with points that were not delivered.
        raise_later: Called with what these raise and is no `Exception`, such as a
            `KeyboardInterrupt`: a package must have its fate before that ends anything.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        on_delivery: Callable[[Delivered], object] | None,
        on_error: Callable[[Failure], object] | None,
        raise_later: Callable[[BaseException], None],
    ) -> None:
        self._clock = clock
        self.buffer_points = 0  # of a series, in the server: the fast path is for longer runs
        self._time_precision: int | None = None
        self._on_delivery = on_delivery
        self._on_error = on_error
        self._raise_later = raise_later
        self._period = Tally(clock())
        self.total = Tally(clock(), lists=False)
        self.fast_path = 0  # points of what was delivered
        self.rejected_by: Counter[str] = Counter()  # points, by the class of the error
        self.latency = LatencyCounts()
        self._calls = 0  # of a user's function that have not returned

    @property
    def is_calling(self) -> bool:
        """Tell whether a user's function was called and has not returned."""
        return self._calls > 0

    def note_database(self, buffer_points: int, time_precision: int | None) -> None:
        """Take note of how many points the server's buffer of a series has, and of times."""
        self.buffer_points, self._time_precision = buffer_points, time_precision

    def start(self) -> None:
        """Begin the first period."""
        self._period = Tally(self._clock())
        self.total = Tally(self._clock(), lists=False)

    def book_delivered(self, batch: Batch, host: str, seconds: float) -> None:
        """Book an acknowledged package, which the server took ``seconds`` to answer."""
        now = self._clock()
        size = len(batch.buffer)
        self.fast_path += batch.points_of_long_runs(self.buffer_points)
        for tally in (self.total, self._period):
            tally.add_package(batch.points, size)
        for delivery, points in _credits(batch).items():
            delivery.add_delivered(points, size * points // batch.points, now)
        latency = max(0.0, now - batch.oldest)
        self.latency.count(max(latency, seconds))
        if self._on_delivery is not None:
            self.call(
                self._on_delivery,
                Delivered(batch.points, tuple(batch.names), size, latency, seconds, host),
            )

    def book_spooled(self, batch: Batch) -> None:
        """Book a package that left memory for the spool."""
        for tally in (self.total, self._period):
            tally.spooled += batch.points
        for delivery, points in _credits(batch).items():
            delivery.add_spooled(points, self._clock())

    def book_failed(self, batch: Batch, error: BaseException, *, in_doubt: bool) -> None:
        """Book a package that was not delivered, or may not have been."""
        fate: Fate = "in_doubt" if in_doubt else "rejected"
        for failure, waiting in self._failures(batch, lambda _: error, fate):
            self.book_failure(failure, waiting)

    def book_conflicts(self, batch: Batch, errors: Mapping[str, BaseException]) -> None:
        """Book a package that is refused, for a reason of each series."""
        for failure, waiting in self._failures(batch, errors.__getitem__, "rejected"):
            self.book_failure(failure, waiting)

    def book_dropped(self, coalescer: Coalescer, error: BaseException) -> None:
        """Drop what is pending, and book it as not delivered."""
        for series in coalescer.pending_series():
            timestamps, values, waiting = coalescer.drop(series)
            self.book_failure(failure_of(series.name, timestamps, values, error), waiting)

    def book_left_on_disk(self, coalescer: Coalescer) -> int:
        """Drop what is pending, and book it as spooled; return how many points that are."""
        dropped = 0
        for series in coalescer.pending_series():
            timestamps, _, waiting = coalescer.drop(series)
            dropped += len(timestamps)
            for delivery, points in waiting:
                delivery.add_spooled(points, self._clock())
        for tally in (self.total, self._period):
            tally.spooled += dropped
        return dropped

    def book_changed(self, batch: Batch, errors: Mapping[str, BaseException]) -> None:
        """Book a package whose points are stored, but as values of another type: by series."""
        for failure, waiting in self._failures(batch, errors.__getitem__, "changed"):
            self.book_failure(failure, waiting)

    def book_failure(self, failure: Failure, waiting: list[tuple[OpenDelivery, int]]) -> None:
        """Book points of one series, also in the deliveries that wait for some of them."""
        if failure.time_precision != self._time_precision:
            failure = replace(failure, time_precision=self._time_precision)
        for tally in (self.total, self._period):
            tally.add_failure(failure)
        if failure.fate == "rejected":
            self.rejected_by[_cause_of(failure.error)] += failure.points
        for delivery, points in waiting:
            delivery.add_failure(failure, points, self._clock())
        if self._on_error is not None:
            self.call(self._on_error, failure)

    def _failures(
        self, batch: Batch, error_of: Callable[[str], BaseException], fate: Fate
    ) -> Iterator[tuple[Failure, list[tuple[OpenDelivery, int]]]]:
        # Of each series of the batch, with who waits for how many of its points.
        precision = self._time_precision
        waiting: dict[int, list[tuple[OpenDelivery, int]]] = {}
        for delivery, index, points in batch.credits:
            waiting.setdefault(index, []).append((delivery, points))
        for index, (name, points) in enumerate(batch.series()):
            kept = _kept(batch, index)
            failure = Failure(name, points, error_of(name), kept, fate, precision)
            yield failure, waiting.get(index, [])

    def call(self, callback: Callable[..., object], argument: object) -> None:
        """Call a user's function, which must not harm the writer."""
        self._calls += 1
        try:
            callback(argument)
        except Exception:
            logger.exception("%r raised an error, which is ignored", callback)
        except BaseException as exc:  # noqa: BLE001 - it is raised again
            self._raise_later(exc)
        finally:
            self._calls -= 1

    def end_period(self) -> Report:
        """Return the report since the last one."""
        now = self._clock()
        report = self._period.report(now)
        self._period = Tally(now)
        return report


def _cause_of(error: BaseException) -> str:
    # One of few: whatever a program makes up has one name.
    return type(error).__name__ if isinstance(error, SiriDBError) else "other"


def _credits(batch: Batch) -> dict[OpenDelivery, int]:
    # How many points of the batch are of each call.
    found: dict[OpenDelivery, int] = {}
    for delivery, _, points in batch.credits:
        found[delivery] = found.get(delivery, 0) + points
    return found


def _kept(batch: Batch, index: int) -> SentPoints | None:
    # They are booked all the same where there is no memory for a copy of them.
    try:
        return SentPoints(batch.payload_of(index))
    except MemoryError:
        return None
