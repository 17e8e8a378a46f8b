"""Texts of a dialect → texts as the conversion takes them: numbers with a point, and missing ones.

What is no number as the dialect writes them stays as it is, marked so that no conversion takes it:
`1.5` in a file of decimal commas is an error, not another number. This module needs pyarrow.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from siridb_fast.files.arrow_constants import arrow_null, arrow_texts
from siridb_fast.files.csv.dialect import Dialect
from siridb_fast.files.csv.guess_numbers import Reading

__all__ = ["plain_numbers", "without_nulls"]

MARK, NOTHING = arrow_texts(["not a number: ", ""])
NO_TEXT = arrow_null(pa.string())


def without_nulls(texts: pa.Array, dialect: Dialect) -> pa.Array:
    """Return texts of which those that stand for a missing value are null."""
    if not dialect.nulls:
        return texts
    trimmed = pc.utf8_trim_whitespace(texts)
    is_missing = pc.is_in(trimmed, value_set=arrow_texts(dialect.nulls))
    return pc.if_else(is_missing, NO_TEXT, texts)


def plain_numbers(texts: pa.Array, dialect: Dialect) -> pa.Array:
    """Return numbers with a point for decimals, and nothing between groups of digits."""
    reading = Reading(dialect.decimal, dialect.thousands)
    if reading == Reading():
        return texts
    trimmed = pc.utf8_trim_whitespace(texts)
    plain = trimmed
    if reading.thousands is not None:
        plain = pc.replace_substring_regex(plain, f"[{reading.group}]", "")
    if reading.decimal != ".":
        plain = pc.replace_substring(plain, reading.decimal, ".")
    has_digits = pc.match_substring_regex(trimmed, r"\d")
    is_number = pc.match_substring_regex(trimmed, f"^(?:{reading.pattern})$")
    is_fine = pc.or_(is_number, pc.invert(has_digits))  # a word may stand for a missing one
    return pc.if_else(is_fine, plain, pc.binary_join_element_wise(MARK, texts, NOTHING))
