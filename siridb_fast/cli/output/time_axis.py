"""Where the marks of a time axis stand and what they say, for axes made of characters.

Pure arithmetic on integers of nanoseconds since 1970, in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["TimeTicks", "time_ticks"]

SECOND = 10**9
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
STEPS = [factor * 10**power for power in range(9) for factor in (1, 2, 5)]
STEPS += [factor * SECOND for factor in (1, 2, 5, 10, 15, 30)]
STEPS += [factor * MINUTE for factor in (1, 2, 5, 10, 15, 30)]
STEPS += [factor * HOUR for factor in (1, 2, 3, 6, 12)]
STEPS += [factor * DAY for factor in (1, 2, 4, 7, 14)]
MONTH = 30 * DAY
MONTHS = [1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 12_000]


@dataclass(frozen=True, slots=True)
class TimeTicks:
    """Positions in nanoseconds, a label of each, and the date that all labels have in common."""

    positions: list[int]
    labels: list[str]
    context: str


def time_ticks(start: int, end: int, count: int) -> TimeTicks:
    """Return about ``count`` marks at round times from ``start`` to ``end``, both included."""
    least = max((end - start) / max(count, 1), 1)
    for step in STEPS:
        if step >= least:
            first = -(-start // step) * step
            return _labelled(list(range(first, end + 1, step)) or [start], step)
    return _months(start, end, least)


def _labelled(positions: list[int], step: int) -> TimeTicks:
    texts = [_text(position) for position in positions]
    days = {text[:10] for text in texts}
    if step >= DAY:
        return TimeTicks(positions, [text[:10] for text in texts], "")
    if step >= MINUTE:
        length = 16
    elif step >= SECOND:
        length = 19
    else:
        length = 20 + next(digits for digits in range(1, 10) if step % 10 ** (9 - digits) == 0)
    if len(days) == 1:
        return TimeTicks(positions, [text[11:length] for text in texts], days.pop())
    return TimeTicks(positions, [text[5:length].replace("T", " ") for text in texts], texts[0][:4])


def _months(start: int, end: int, least: float) -> TimeTicks:
    step = next((step for step in MONTHS if step * MONTH >= least), MONTHS[-1])
    first, last = (int(_time(at).astype("datetime64[M]").astype(int)) for at in (start, end))
    months = range(-(-first // step) * step, last + 1, step)
    marks = [np.datetime64(month, "M") for month in months]
    length = 4 if step >= 12 else 7
    stamps = [int(mark.astype("datetime64[s]").astype(int)) * SECOND for mark in marks]
    pairs = [(at, str(mark)[:length]) for at, mark in zip(stamps, marks, strict=True)]
    inside = [pair for pair in pairs if start <= pair[0] <= end]
    return TimeTicks([at for at, _ in inside], [text for _, text in inside], "")


def _time(at: int) -> np.datetime64:
    return np.datetime64(at // SECOND, "s")  # nanoseconds end in 2262


def _text(at: int) -> str:
    return f"{_time(at)}.{at % SECOND:09d}"
