"""What became of points, as those who wrote them see it: reports, and what is awaited for one.

Knows nothing of packages, connections, event loops or clocks; a future and times are given.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from siridb_fast.errors import DeliveryError, SiriDBError

if TYPE_CHECKING:
    import numpy as np

    Arrays = tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[Any]]]

__all__ = [
    "Delivered",
    "Delivery",
    "Failure",
    "Fate",
    "KeptPoints",
    "OpenDelivery",
    "Report",
    "Tally",
    "Waiter",
]

LISTED_FAILURES = 1000  # of one report; more are counted, not listed
KEPT_BYTES = 16 * 1024 * 1024  # of the points of the failures in one report

Fate = Literal["rejected", "in_doubt", "changed"]


class KeptPoints(Protocol):
    """Points of one series, in memory."""

    @property
    def size(self) -> int:
        """How many bytes of memory they take."""

    def arrays(self) -> Arrays:
        """Return timestamps and values, as `siridb_fast.decode_points` does."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Points of one series that were not delivered, or may not have been.

    ``fate`` is ``"rejected"``: they are not stored; ``"in_doubt"``: they may be;
    ``"changed"``: they are, as values of another type. ``time_precision`` is the database's,
    SECOND … NANOSECOND; None if it is not known. `timestamps` and `values` give them back.
    They are in memory for as long as the failure is, as the bytes that were sent, and decoded
    whenever they are asked for. A failure that `on_error` gets has them, but of a package of a
    spool that cannot be read; a report has those of its first failures, up to 16 MiB; a
    `Delivery` those that were not mixed with points of other calls.

    Example::

        report = await writer.flush()
        for failure in report.rejected:
            if failure.has_points:
                print(failure.series, failure.timestamps, failure.values, failure.error)
    """

    series: str
    points: int
    error: BaseException
    _kept: KeptPoints | None = field(default=None, repr=False, compare=False)
    fate: Fate = "rejected"
    time_precision: int | None = None  # the database's, SECOND … NANOSECOND, if it is known

    @property
    def has_points(self) -> bool:
        """Tell whether `timestamps` and `values` are there."""
        return self._kept is not None

    @property
    def timestamps(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Timestamps, shape (n,), int64, in the database's precision; of all ``points``.

        Raises:
            SiriDBError: They are not kept (`has_points`).
        """
        return self.arrays()[0]

    @property
    def values(self) -> np.ndarray[Any, np.dtype[Any]]:
        """Values, shape (n,): int64, float64 or object (str), as they were to be stored.

        Raises:
            SiriDBError: They are not kept (`has_points`).
        """
        return self.arrays()[1]

    def arrays(self) -> Arrays:
        """Return `timestamps` and `values`, decoded once for both.

        Raises:
            SiriDBError: They are not kept (`has_points`).
        """
        if self._kept is None:
            raise SiriDBError(
                f"the {self.points:,} points of series {self.series!r} are not kept: a report has "
                "those of its first failures, on_error gets those of all"
            )
        return self._kept.arrays()

    def __str__(self) -> str:
        text = str(self.error)
        if getattr(self.error, "series", None) != self.series:  # else it says so itself
            text = f"series {self.series!r}: {text}"
        return f"{self.points:,} points of {text}"


@dataclass(frozen=True, slots=True)
class Delivered:
    """One acknowledged package, as `on_delivery` gets it."""

    points: int
    series: tuple[str, ...]
    bytes: int
    latency: float  # seconds since the oldest of the points was written; 0 for arrays sent at once
    seconds: float  # that the server took to answer
    host: str


@dataclass(frozen=True, slots=True)
class Report:
    """What became of points.

    ``points`` were delivered. ``spooled`` left memory for the spool, and will be delivered later:
    then they count as ``points`` of a later report. ``rejected`` are those that were not delivered
    and will not be: refused by the server, of another type than their series, or not delivered in
    time. ``in_doubt`` may or may not be stored. ``changed`` are stored as values of another type,
    because another client made their series at the same moment. At most 1,000 of each are listed,
    the first ones with their points (see `Failure`); ``rejected_points``, ``in_doubt_points`` and
    ``changed_points`` count all.

    Of a load also: the ``rows`` that were read, how many ``series`` they are of, how many cells
    were ``missing`` and left out, and how many points are older than what the database keeps:
    ``expired``, of ``expired_series`` (the first 20). The server acknowledges those and drops
    them. ``new_series`` are the series that were not there before, counted by their types;
    ``unnamed`` the rows that were left out because a label of their series is missing; ``cut`` the
    values that ``on_type="cast"`` changed: fractions of series of integers, and integers that are
    not exact as floats; ``already_stored`` the points that were compared with the database, and
    left out because it has them.
    """

    points: int
    packages: int
    bytes: int
    seconds: float
    rejected: tuple[Failure, ...] = ()
    in_doubt: tuple[Failure, ...] = ()
    rejected_points: int = 0
    in_doubt_points: int = 0
    rows: int = 0
    series: int = 0
    missing: int = 0
    expired: int = 0
    expired_series: tuple[str, ...] = ()
    spooled: int = 0
    changed: tuple[Failure, ...] = ()
    changed_points: int = 0
    new_series: Mapping[str, int] = field(default_factory=dict, hash=False)
    cut: int = 0
    unnamed: int = 0
    already_stored: int = 0

    @property
    def is_complete(self) -> bool:
        """Tell whether every point was delivered, or is in the spool."""
        return not (self.rejected_points or self.in_doubt_points or self.changed_points)

    def require_complete(self, exc: BaseException | None = None) -> None:
        """Raise `DeliveryError` unless every point was delivered; add a note to ``exc`` instead.

        ``exc`` is what a block around the writer is left with already.
        """
        if self.is_complete:
            return
        if exc is None:
            raise DeliveryError(f"the writer was closed: {self}", self)
        exc.add_note(f"the writer was closed: {self}")

    def __str__(self) -> str:
        text = f"{self.points:,} points delivered in {self.packages:,} packages"
        if self.spooled:
            text += f"; {self.spooled:,} in the spool"
        for what, points, failures in (
            ("not delivered", self.rejected_points, self.rejected),
            ("in doubt", self.in_doubt_points, self.in_doubt),
            ("changed", self.changed_points, self.changed),
        ):
            if points:
                text += f"; {points:,} {what}, first {failures[0]}"
        if self.expired:
            text += f"; {self.expired:,} of them are expired, first of {self.expired_series[0]!r}"
        return text


class Waiter(Protocol):
    """What is needed of an `asyncio.Future`."""

    def done(self) -> bool:
        """Tell whether it has its result."""

    def set_result(self, result: None, /) -> None:
        """Give it its result."""

    def __await__(self) -> Generator[Any, None, None]:
        """Wait for it."""


@dataclass(slots=True)
class Tally:
    """A report in the making. One that is not to be reported ``lists`` nothing, and counts."""

    since: float
    lists: bool = True
    points: int = 0
    packages: int = 0
    bytes: int = 0
    rejected: list[Failure] = field(default_factory=list)
    in_doubt: list[Failure] = field(default_factory=list)
    rejected_points: int = 0
    in_doubt_points: int = 0
    spooled: int = 0
    changed: list[Failure] = field(default_factory=list)
    changed_points: int = 0
    kept_bytes: int = 0  # of the points of those that are listed

    def add_package(self, points: int, size: int) -> None:
        """Count points of an acknowledged package, and as much of its bytes."""
        self.points += points
        self.packages += 1
        self.bytes += size

    def add_failure(self, failure: Failure) -> None:
        """Count points that were not delivered, or may not have been, or not as they were."""
        if failure.fate == "changed":
            failures = self.changed
            self.changed_points += failure.points
        elif failure.fate == "in_doubt":
            failures = self.in_doubt
            self.in_doubt_points += failure.points
        else:
            failures = self.rejected
            self.rejected_points += failure.points
        if self.lists and len(failures) < LISTED_FAILURES:
            failures.append(self._within_memory(failure))

    def _within_memory(self, failure: Failure) -> Failure:
        # Without its points, if those that are listed have too many.
        size = 0 if failure._kept is None else failure._kept.size  # noqa: SLF001 - of this file
        if self.kept_bytes + size > KEPT_BYTES:
            return replace(failure, _kept=None)
        self.kept_bytes += size
        return failure

    def report(self, now: float) -> Report:
        """Return the report so far."""
        return Report(
            points=self.points,
            packages=self.packages,
            bytes=self.bytes,
            seconds=now - self.since,
            rejected=tuple(self.rejected),
            in_doubt=tuple(self.in_doubt),
            rejected_points=self.rejected_points,
            in_doubt_points=self.in_doubt_points,
            spooled=self.spooled,
            changed=tuple(self.changed),
            changed_points=self.changed_points,
        )


class Delivery:
    """The points of one call on their way; awaiting it gives their `Report`."""

    __slots__ = ("_open",)

    def __init__(self, open_delivery: OpenDelivery) -> None:
        self._open = open_delivery

    def __await__(self) -> Generator[Any, None, Report]:
        return self._open.wait()

    def __repr__(self) -> str:
        state = "done" if self.is_done else f"{self._open.points_left:,} points on their way"
        return f"<Delivery {state}>"

    @property
    def is_done(self) -> bool:
        """Tell whether the report is there."""
        return self._open.report is not None


class OpenDelivery:
    """The writer's side of a `Delivery`: counts its points until the fate of all is known.

    Args:
        new_future: Makes what those who await it wait for.
        now: The time, on the clock of all other calls.
    """

    __slots__ = ("_is_sealed", "_new_future", "_tally", "_waiters", "points_left", "report")

    def __init__(self, new_future: Callable[[], Waiter], now: float) -> None:
        self._new_future = new_future
        self._waiters: list[Waiter] = []
        self._tally = Tally(now)
        self._is_sealed = False
        self.points_left = 0
        self.report: Report | None = None

    @property
    def handle(self) -> Delivery:
        """What the caller gets."""
        return Delivery(self)

    def wait(self) -> Generator[Any, None, Report]:
        """Wait for the report, as ``__await__`` does."""
        # Each that waits has a future of its own, which it may cancel.
        while self.report is None:
            waiter = self._new_future()
            self._waiters.append(waiter)
            yield from waiter.__await__()
        return self.report

    def expect(self, points: int) -> None:
        """Count points that are on their way."""
        self.points_left += points

    def seal(self, now: float) -> None:
        """Expect no more points."""
        self._is_sealed = True
        self._report_if_done(now)

    def add_delivered(self, points: int, size: int, now: float) -> None:
        """Count points that were acknowledged."""
        self._tally.add_package(points, size)
        self.points_left -= points
        self._report_if_done(now)

    def add_spooled(self, points: int, now: float) -> None:
        """Count points that are in the spool from now on."""
        self._tally.spooled += points
        self.points_left -= points
        self._report_if_done(now)

    def add_failure(self, failure: Failure, points: int, now: float) -> None:
        """Count so many points of a failure as not delivered, or in doubt, or changed.

        Which of them are those of this call is known only if all are.
        """
        if points != failure.points:
            failure = replace(failure, points=points, _kept=None)
        self._tally.add_failure(failure)
        self.points_left -= failure.points
        self._report_if_done(now)

    def _report_if_done(self, now: float) -> None:
        if not self._is_sealed or self.points_left or self.report is not None:
            return
        self.report = self._tally.report(now)
        for waiter in self._waiters:
            if not waiter.done():
                with suppress(RuntimeError):  # its event loop is closed
                    waiter.set_result(None)
        self._waiters.clear()
