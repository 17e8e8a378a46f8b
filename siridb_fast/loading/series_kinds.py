"""Columns of texts that hold the numbers of some series and the texts of others.

Exports of home automation have one column of states: `18894.5` of a meter, `on` of a lamp. What a
series is, its first state tells, for the whole load. Needs pyarrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from siridb_fast.errors import ColumnError
from siridb_fast.files.arrow_constants import arrow_null, arrow_texts, arrow_values
from siridb_fast.files.arrow_masks import are_true
from siridb_fast.files.csv.dialect import Dialect
from siridb_fast.files.csv.guess_mixed import NO_STATES
from siridb_fast.files.csv.numbers import plain_numbers
from siridb_fast.files.csv.text_blocks import rounded_rows
from siridb_fast.files.csv.values import MISSING, NUMBER, convert

__all__ = ["SeriesKinds", "Split"]

NumpyArray = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Split:
    """The cells of one column: its numbers, where ``are_numbers``; its texts, where ``are_texts``.

    All have the shape of the column. What is in neither is missing.
    """

    numbers: NumpyArray
    are_numbers: NumpyArray
    are_texts: NumpyArray


class SeriesKinds:
    """What the series of one load are, numbers or texts, as far as it has seen."""

    def __init__(self) -> None:
        self._has_texts: dict[str, bool] = {}

    def split(
        self, names: Sequence[str], codes: NumpyArray, texts: NumpyArray, dialect: Dialect
    ) -> Split:
        """Tell the numbers of a column from its texts.

        Args:
            names: Of the series.
            codes: Shape (n,): the index of each row's series in ``names``.
            texts: Shape (n,), objects: text, or None where there is none.
            dialect: How numbers are written.

        Raises:
            ColumnError: A series of numbers has a text; names series and row.
        """
        given = pa.array(texts, pa.string())
        plain = pc.utf8_trim_whitespace(plain_numbers(given, dialect))
        are_numbers = are_true(pc.match_substring_regex(plain, NUMBER))
        words = arrow_texts([*MISSING, *NO_STATES, *dialect.nulls])
        tells = ~are_true(pc.is_in(plain, value_set=words)) & are_true(given.is_valid())
        self._settle(names, codes, are_numbers, tells)
        kinds = np.array([self._has_texts.get(name, False) for name in names], np.bool_)
        of_texts = kinds[codes] if len(names) else np.zeros(len(codes), np.bool_)
        _refuse_texts(names, codes, texts, tells & ~are_numbers & ~of_texts)
        are_numbers &= ~of_texts
        numbers = pc.if_else(arrow_values(are_numbers), plain, arrow_null(pa.string()))
        values = convert(numbers, "float")
        if bad := [*values.bad, *rounded_rows(numbers, values.values)]:
            text = f"the number {texts[bad[0]]!r} has no float that is equal to it"
            raise ColumnError(text, series=names[codes[bad[0]]], index=bad[0])
        return Split(
            values.values.to_numpy(zero_copy_only=False),
            are_numbers,
            of_texts & are_true(given.is_valid()),
        )

    def _settle(
        self,
        names: Sequence[str],
        codes: NumpyArray,
        are_numbers: NumpyArray,
        tells: NumpyArray,
    ) -> None:
        # By the first cell of each that tells.
        rows = np.flatnonzero(tells)
        found, first = np.unique(codes[rows], return_index=True)
        for code, row in zip(found.tolist(), rows[first].tolist(), strict=True):
            self._has_texts.setdefault(names[code], not are_numbers[row])


def _refuse_texts(
    names: Sequence[str], codes: NumpyArray, texts: NumpyArray, is_bad: NumpyArray
) -> None:
    if is_bad.any():
        row = int(is_bad.argmax())
        raise ColumnError(
            f"expected a number, as the series began with, got {texts[row]!r}; nulls= (--null) "
            "says what stands for a missing value",
            series=names[codes[row]],
            index=row,
        )
