"""Texts of times, as a `TimeFormat` says → timestamps of UTC, or integers; exactly, or a reason.

No text goes through a float, no digit is cut, and no time is taken for another one: a row that
does not fit is null, and has a reason. This module needs pyarrow.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from siridb_fast.files._time_numbers import read_epoch
from siridb_fast.files._time_texts import Status, read_form, read_iso
from siridb_fast.files.arrow_constants import (
    arrow_null,
    arrow_scalar,
    arrow_texts,
    arrow_values,
)
from siridb_fast.files.arrow_masks import are_missing, are_true
from siridb_fast.files.csv.dialect import TimeFormat
from siridb_fast.files.csv.time_forms import form_program
from siridb_fast.files.csv.time_reasons import time_reason
from siridb_fast.files.csv.time_zones import utc_times

__all__ = [
    "TimeKind",
    "Times",
    "is_of_integers",
    "joined_texts",
    "read_times",
    "statuses_of",
    "time_kind",
    "units_of",
]

TimeKind = Literal["integer", "ns", "us"]
DECIMALS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
EARLIEST_LOCAL = -86_400  # of a zone west of UTC it may be of 1970 there
FIRST_BAD = int(Status.NO_MATCH)


@dataclass(frozen=True, slots=True)
class Times:
    """What became of the texts of some rows.

    Attributes:
        values: Timestamps of UTC, or integers; null where nothing is, and in ``bad`` rows.
        bad: The rows that do not fit, in their order.
    """

    values: pa.Array
    bad: Sequence[int]
    _texts: pa.Array
    _statuses: npt.NDArray[np.uint8]
    _format: TimeFormat

    def reason(self, row: int) -> str:
        """Return what is wrong with a bad row, with its text."""
        status = Status(int(self._statuses[row]))
        return time_reason(self._texts[row].as_py(), status, self._format)


def read_times(
    texts: pa.Array,
    time: TimeFormat,
    kind: TimeKind = "ns",
    *,
    missing: Collection[str] = (),
) -> Times:
    """Return the times of some rows.

    Args:
        texts: Of one column, or of several as `joined_texts` gives them.
        time: How they are read.
        kind: ``"ns"`` or ``"us"``: timestamps of this unit. ``"integer"``: numbers, as they are.
        missing: Texts that stand for nothing, beside empty ones.
    """
    times, statuses = _read(texts, time, kind)
    _set_missing(texts, statuses, missing, time)
    if time.form != "epoch" and time.zone != "UTC":
        times = _in_utc(times, statuses, time, DECIMALS[kind])
    is_null = statuses >= Status.MISSING
    values = arrow_values(times)
    if is_null.any():
        values = pc.if_else(arrow_values(is_null), arrow_null(values.type), values)
    if kind != "integer":
        values = values.view(pa.timestamp(kind, "UTC"))
    bad = np.flatnonzero(statuses >= FIRST_BAD).tolist() if values.null_count else []
    return Times(values, bad, texts, statuses, time)


def time_kind(texts: pa.Array, time: TimeFormat) -> TimeKind:
    """Return the kind that suits some rows: microseconds only if nanoseconds are too few."""
    if time.form == "epoch" and time.unit is None:
        return "integer"
    return "us" if (statuses_of(texts, time) == Status.TOO_LATE).any() else "ns"


def is_of_integers(time: TimeFormat, kind: str) -> bool:
    """Tell whether times of a kind may come as integers: all of them, or some have decimals."""
    if time.form != "epoch" or len(time.columns) > 1:
        return False
    return time.unit is None or DECIMALS[kind] >= DECIMALS[time.unit]


def units_of(time: TimeFormat, kind: str) -> int:
    """Return how many units of a kind are one unit of the integers that times come as."""
    return 1 if time.unit is None else int(10 ** (DECIMALS[kind] - DECIMALS[time.unit]))


def joined_texts(columns: Sequence[pa.Array]) -> pa.Array:
    """Return the texts of several columns, with a blank between them; null where one is."""
    if len(columns) == 1:
        return columns[0]
    return pc.binary_join_element_wise(*columns, arrow_scalar(" "))


def statuses_of(texts: pa.Array, time: TimeFormat) -> npt.NDArray[np.uint8]:
    """Return a `Status` for each text, as a time in nanoseconds, whatever its zone."""
    return _read(texts, time, "ns")[1]


def _read(
    texts: pa.Array, time: TimeFormat, kind: TimeKind
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    if texts.type != pa.string():
        texts = texts.cast(pa.string())
    offsets, data = _buffers(texts)
    times, statuses = np.empty(len(texts), np.int64), np.empty(len(texts), np.uint8)
    if time.form == "epoch":
        shift = (
            0 if kind == "integer" or time.unit is None else DECIMALS[kind] - DECIMALS[time.unit]
        )
        read_epoch(offsets, data, shift, times, statuses)
    else:
        per_second = 10 ** DECIMALS[kind]
        first = 0 if time.zone == "UTC" else EARLIEST_LOCAL
        if time.form == "iso":
            read_iso(offsets, data, per_second, first, times, statuses)
        else:
            directives, arguments = _program(time.form)
            read_form(directives, arguments, offsets, data, per_second, first, times, statuses)
    if texts.null_count:
        statuses[are_missing(texts)] = Status.MISSING
    return times, statuses


def _program(form: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    program = form_program(form)
    return np.frombuffer(program.directives, np.uint8), np.frombuffer(program.arguments, np.uint8)


def _buffers(texts: pa.Array) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    _, offsets, data = texts.buffers()
    if offsets is None or not len(texts):
        return np.zeros(1, np.int32), np.zeros(1, np.uint8)
    first = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    has_any = data is not None and data.size
    return first, np.frombuffer(data, np.uint8) if has_any else np.zeros(1, np.uint8)


def _set_missing(
    texts: pa.Array, statuses: npt.NDArray[np.uint8], missing: Collection[str], time: TimeFormat
) -> None:
    # Mostly none of the words is a time, and only what is no time is looked at.
    words = arrow_texts({word.strip() for word in missing})
    is_time = bool((statuses_of(words, time) < Status.MISSING).any())
    rows = np.flatnonzero(statuses != Status.MISSING if is_time else statuses >= FIRST_BAD)
    if len(rows):
        trimmed = pc.utf8_trim_whitespace(texts.take(arrow_values(rows)))
        is_missing = pc.is_in(trimmed, value_set=words)
        statuses[rows[are_true(is_missing)]] = Status.MISSING


def _in_utc(
    times: npt.NDArray[np.int64],
    statuses: npt.NDArray[np.uint8],
    time: TimeFormat,
    decimals: int,
) -> npt.NDArray[np.int64]:
    rows = np.flatnonzero(statuses == Status.LOCAL)
    if not len(rows):
        return times
    all_local = len(rows) == len(times)
    done = utc_times(times if all_local else times[rows], time.zone, time.fold, 10**decimals)
    if done.doubled is not None:
        statuses[rows[done.doubled]] = Status.DOUBLED
    if done.skipped is not None:
        statuses[rows[done.skipped]] = Status.SKIPPED
    times[rows] = done.times
    statuses[rows[done.times < 0]] = Status.BEFORE_1970
    return times
