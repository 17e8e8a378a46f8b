"""Texts of times, as a format says → texts in one dress of ISO 8601, which pyarrow reads exactly.

What does not fit the format stays as it is, marked so that no conversion takes it. This module
needs pyarrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from siridb_fast.files.csv.time_forms import form_pattern

__all__ = ["MARK", "epoch_texts", "has_fractions", "iso_texts", "joined"]

MARK = "not a time: "
NO_TEXT = pa.scalar(None, pa.string())
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DIGITS = {"s": 9, "ms": 6, "us": 3, "ns": 0}  # from a unit to nanoseconds
DRESSES = [
    (r"([0-9])\s*(?:UTC|GMT|[Zz])$", r"\1Z"),
    (r"([0-9])\s+([+-]\d\d(?::?\d\d)?)$", r"\1\2"),
    (r"(:\d\d),(\d+)", r"\1.\2"),
    (r"^(\d{4})(\d\d)(\d\d)[Tt ](\d\d)(\d\d)(\d\d)", r"\1-\2-\3T\4:\5:\6"),
    (r"^(\d{4})(\d\d)(\d\d)[Tt ](\d\d)(\d\d)", r"\1-\2-\3T\4:\5"),
    (r"^(\d{4}-\d\d-\d\d)t", r"\1T"),
]  # of ISO 8601, and how pyarrow takes it


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
    return pa.array([_whole(text, DIGITS[unit]) for text in texts.to_pylist()], pa.string())


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
