"""Texts of times, as a `TimeFormat` says → timestamps of UTC, or integers; exactly, or a reason.

No text goes through a float, no digit is cut, and no time is taken for another one: a row that
does not fit is null, and has a reason. This module needs pyarrow.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from siridb_fast.files._time_numbers import read_epoch
from siridb_fast.files._time_texts import Status, read_form, read_iso
from siridb_fast.files.csv.dialect import TimeFormat
from siridb_fast.files.csv.time_forms import form_pattern, form_program
from siridb_fast.files.csv.time_reasons import time_reason
from siridb_fast.files.csv.time_zones import utc_times

__all__ = [
    "MARK",
    "TimeKind",
    "Times",
    "epoch_texts",
    "has_fractions",
    "iso_texts",
    "joined",
    "read_times",
    "statuses_of",
    "time_kind",
]

TimeKind = Literal["integer", "ns", "us"]
DECIMALS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
EARLIEST_LOCAL = -86_400  # of a zone west of UTC it may be of 1970 there
FIRST_BAD = int(Status.NO_MATCH)
MARK = "not a time: "
NO_TEXT = pa.scalar(None, pa.string())
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DRESSES = [
    (r"([0-9])\s*(?:UTC|GMT|[Zz])$", r"\1Z"),
    (r"([0-9])\s+([+-]\d\d(?::?\d\d)?)$", r"\1\2"),
    (r"(:\d\d),(\d+)", r"\1.\2"),
    (r"^(\d{4})(\d\d)(\d\d)[Tt ](\d\d)(\d\d)(\d\d)", r"\1-\2-\3T\4:\5:\6"),
    (r"^(\d{4})(\d\d)(\d\d)[Tt ](\d\d)(\d\d)", r"\1-\2-\3T\4:\5"),
    (r"^(\d{4}-\d\d-\d\d)t", r"\1T"),
]  # of ISO 8601, and how pyarrow takes it


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
    columns: Sequence[pa.Array],
    time: TimeFormat,
    kind: TimeKind = "ns",
    *,
    missing: Collection[str] = (),
) -> Times:
    """Return the times of some rows.

    Args:
        columns: The texts of the columns that ``time`` has, in this order.
        time: How they are read.
        kind: ``"ns"`` or ``"us"``: timestamps of this unit. ``"integer"``: numbers, as they are.
        missing: Texts that stand for nothing, beside empty ones.
    """
    texts = _joined(columns)
    times, statuses = _read(texts, time, kind)
    _set_missing(texts, statuses, missing)
    if time.form != "epoch" and time.zone != "UTC":
        times = _in_utc(times, statuses, time, DECIMALS[kind])
    is_null = statuses >= Status.MISSING
    values = pa.array(times, mask=is_null if is_null.any() else None)
    if kind != "integer":
        values = values.view(pa.timestamp(kind, "UTC"))
    bad = np.flatnonzero(statuses >= FIRST_BAD).tolist() if values.null_count else []
    return Times(values, bad, texts, statuses, time)


def time_kind(columns: Sequence[pa.Array], time: TimeFormat) -> TimeKind:
    """Return the kind that suits some rows: microseconds only if nanoseconds are too few."""
    if time.form == "epoch" and time.unit is None:
        return "integer"
    return "us" if (statuses_of(_joined(columns), time) == Status.TOO_LATE).any() else "ns"


def statuses_of(texts: pa.Array, time: TimeFormat) -> npt.NDArray[np.uint8]:
    """Return a `Status` for each text, as a time in nanoseconds, whatever its zone."""
    return _read(texts, time, "ns")[1]


def _joined(columns: Sequence[pa.Array]) -> pa.Array:
    texts = [
        column if column.type == pa.string() else column.cast(pa.string()) for column in columns
    ]
    return texts[0] if len(texts) == 1 else pc.binary_join_element_wise(*texts, " ")


def _read(
    texts: pa.Array, time: TimeFormat, kind: TimeKind
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
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
        statuses[~texts.is_valid().to_numpy(zero_copy_only=False)] = Status.MISSING
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
    texts: pa.Array, statuses: npt.NDArray[np.uint8], missing: Collection[str]
) -> None:
    # Mostly none of them is a time, and only what is no time is looked at.
    words = {word.strip() for word in missing}
    digits = any(character.isdecimal() for word in words for character in word)
    rows = np.flatnonzero(statuses != Status.MISSING if digits else statuses >= FIRST_BAD)
    if not len(rows) or not words:
        return
    trimmed = pc.utf8_trim_whitespace(texts.take(pa.array(rows)))
    is_missing = pc.is_in(trimmed, value_set=pa.array(sorted(words), pa.string()))
    statuses[rows[is_missing.to_numpy(zero_copy_only=False)]] = Status.MISSING


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


def joined(columns: Sequence[pa.Array]) -> pa.Array:
    """Return the texts of several columns, with a blank between them; null where one is."""
    trimmed = [pc.utf8_trim_whitespace(column) for column in columns]
    return columns[0] if len(columns) == 1 else pc.binary_join_element_wise(*trimmed, " ")


def iso_texts(texts: pa.Array, form: str) -> pa.Array:
    """Return texts of a form (``"iso"``, or a format of `strptime`) in ISO 8601."""
    texts = pc.utf8_trim_whitespace(texts)
    if form == "iso":
        for dress, plain in DRESSES:
            texts = pc.replace_substring_regex(texts, dress, plain)
        return texts
    parts = pc.extract_regex(texts, f"^{form_pattern(form)}$")
    names = [field.name for field in parts.type]
    iso = _joined_parts(dict(zip(names, parts.flatten(), strict=True)))
    fits = parts.is_valid()
    marked = pc.binary_join_element_wise(MARK, texts, "")
    return pc.if_else(fits, iso, pc.if_else(texts.is_valid(), marked, NO_TEXT))


def has_fractions(texts: pa.Array) -> bool:
    """Tell whether numbers have decimals or exponents."""
    return bool(pc.any(pc.match_substring_regex(texts, r"\d[.,eE]")).as_py())


def epoch_texts(texts: pa.Array, unit: str) -> pa.Array:
    """Return numbers with decimals as whole nanoseconds, exactly; marked where they are not."""
    return pa.array([_whole(text, 9 - DECIMALS[unit]) for text in texts.to_pylist()], pa.string())


def _whole(text: str | None, digits: int) -> str | None:
    if text is None or not text.strip():
        return None
    try:
        value = Decimal(text.strip().replace(",", ".")).scaleb(digits)
    except InvalidOperation:
        return MARK + text
    if not value.is_finite():
        return MARK + text
    return str(int(value)) if value == int(value) else MARK + text


def _joined_parts(parts: dict[str, Any]) -> pa.Array:
    # Y-m-dTH:M:S.fz of what there is.
    count = len(next(iter(parts.values())))
    zeros = pa.array(["00"] * count)
    day = [_year(parts), _month(parts), _padded(parts.get("d"), pa.array(["01"] * count))]
    clock = [_hour(parts, zeros), *(_padded(parts.get(name), zeros) for name in ("M", "S"))]
    text = pc.binary_join_element_wise(
        pc.binary_join_element_wise(*day, "-"), pc.binary_join_element_wise(*clock, ":"), "T"
    )
    if "f" in parts:
        text = pc.binary_join_element_wise(text, parts["f"], ".")
    return pc.binary_join_element_wise(text, parts["z"], "") if "z" in parts else text


def _padded(part: Any, otherwise: pa.Array) -> pa.Array:
    return otherwise if part is None else pc.utf8_lpad(part, 2, "0")


def _year(parts: dict[str, Any]) -> pa.Array:
    if "y" not in parts:
        return parts["Y"]
    is_last = pc.greater_equal(pc.cast(parts["y"], pa.int64()), 69)  # as strptime has it
    century = pc.if_else(is_last, "19", "20")
    return pc.binary_join_element_wise(century, parts["y"], "")


def _month(parts: dict[str, Any]) -> pa.Array:
    if "b" not in parts:
        return pc.utf8_lpad(parts["m"], 2, "0")
    index = pc.index_in(pc.utf8_lower(parts["b"]), value_set=pa.array(MONTHS))
    number = pc.cast(pc.add(pc.fill_null(index, 12), 1), pa.string())  # 13 is no month
    return pc.utf8_lpad(number, 2, "0")


def _hour(parts: dict[str, Any], zeros: pa.Array) -> pa.Array:
    if "I" not in parts:
        return _padded(parts.get("H"), zeros)
    hour = pc.cast(parts["I"], pa.int64())
    is_fine = pc.and_(pc.greater_equal(hour, 1), pc.less_equal(hour, 12))
    base = pc.if_else(pc.equal(hour, 12), 0, hour)
    is_late = pc.is_in(parts["p"], value_set=pa.array(["p", "P"]))
    full = pc.if_else(is_fine, pc.add(base, pc.if_else(is_late, 12, 0)), 99)  # 99 is none
    return pc.utf8_lpad(pc.cast(full, pa.string()), 2, "0")
