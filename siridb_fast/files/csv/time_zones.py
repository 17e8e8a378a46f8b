"""Local times → UTC, by the rules of an IANA zone.

Where a clock is put back, an hour of local times exists twice; where it is put forward, one does
not exist. Both are found. The rules are those that `zoneinfo` has.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from siridb_fast.files.csv.dialect import Fold

__all__ = ["UtcTimes", "utc_times"]

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
LAST_YEAR = 9998  # the days around it are dates too


@dataclass(frozen=True, slots=True)
class UtcTimes:
    """What became of local times; ``doubled`` and ``skipped`` are None where none are."""

    times: Integers
    doubled: Flags | None = None
    skipped: Flags | None = None


@dataclass(frozen=True, slots=True)
class _Change:
    # Of the offset of a zone; all in seconds.
    at: int
    before: int
    after: int


def utc_times(local: Integers, zone: str, fold: Fold, per_second: int) -> UtcTimes:
    """Return times in UTC.

    Args:
        local: As the clocks of the zone show them, since 1970.
        zone: An IANA name.
        fold: Which of two is taken of a time that exists twice. With ``"error"`` it is one of
            ``doubled``.
        per_second: Of the unit of ``local``.
    """
    if zone == "UTC" or not len(local):
        return UtcTimes(local)
    first, last = (_year(int(time) // per_second) for time in (local.min(), local.max()))
    changes = [change for year in range(first - 1, last + 2) for change in _changes(zone, year)]
    if not changes:
        start = datetime(min(max(first, 2), LAST_YEAR), 1, 1, tzinfo=UTC)
        return UtcTimes(local - _offset(ZoneInfo(zone), start) * per_second)
    return _shifted(local, changes, fold, per_second)


def _shifted(local: Integers, changes: list[_Change], fold: Fold, per_second: int) -> UtcTimes:
    begins = np.array([one.at + min(one.before, one.after) for one in changes], np.int64)
    ends = np.array([one.at + max(one.before, one.after) for one in changes], np.int64)
    offsets = np.array([changes[0].before, *(one.after for one in changes)], np.int64)
    # `passed` changes are over at a time; it is odd if the next has begun on some clock
    passed = _count(ends * per_second, local)
    begun = _count(begins * per_second, local)
    times = local - (offsets * per_second)[passed]
    is_odd = passed != begun
    if not is_odd.any():
        return UtcTimes(times)
    is_forward = np.append(offsets[1:] > offsets[:-1], False)[passed]
    doubled = np.broadcast_to(is_odd & ~is_forward, local.shape)
    skipped = np.broadcast_to(is_odd & is_forward, local.shape)
    if fold == "later":
        times = np.where(doubled, local - (offsets * per_second)[begun], times)
    return UtcTimes(times, doubled if fold == "error" else None, skipped)


def _count(moments: Integers, local: Integers) -> Integers:
    # How many moments each time has passed, or reached.
    lowest, highest = np.searchsorted(moments, [local.min(), local.max()], side="right")
    if lowest == highest:
        return np.array([lowest])
    return np.searchsorted(moments, local, side="right")


def _year(seconds: int) -> int:
    return int(np.datetime64(seconds, "s").astype("M8[Y]").astype(int)) + 1970


@lru_cache(maxsize=16_384)
def _changes(zone: str, year: int) -> tuple[_Change, ...]:
    # Those of one year in UTC.
    if not 1 < year <= LAST_YEAR:
        return ()
    rules = ZoneInfo(zone)
    found = []
    day, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    before = _offset(rules, day)
    while day < end:
        following = min(day + DAY, end)
        after = _offset(rules, following)
        if after != before:
            found.append(_Change(_moment(rules, day, following), before, after))
        day, before = following, after
    return tuple(found)


def _moment(rules: ZoneInfo, low: datetime, high: datetime) -> int:
    # By halving: the offset of `high` is another than that of `low`.
    before = _offset(rules, low)
    while high - low > SECOND:
        middle = low + (high - low) // SECOND // 2 * SECOND
        if _offset(rules, middle) == before:
            low = middle
        else:
            high = middle
    return round(high.timestamp())


def _offset(rules: ZoneInfo, moment: datetime) -> int:
    offset = moment.astimezone(rules).utcoffset()
    return 0 if offset is None else round(offset.total_seconds())
