"""Columns of labels → one code for each row, and a name for each code that some row has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from siridb_fast.columns._grouping import present
from siridb_fast.columns.column import raw_series_name
from siridb_fast.errors import ColumnError, ConfigError
from siridb_fast.loading.frames.base import Coded
from siridb_fast.loading.name_template import NameTemplate

__all__ = ["SeriesNames", "combine_labels"]

SMALL_TABLE = 65_536
DENSE = 4  # so many combinations for each row are numbered in a table, more by sorting

Codes = np.ndarray[Any, np.dtype[np.int32]]


def combine_labels(keys: Sequence[Coded]) -> tuple[Codes, list[tuple[Any, ...]]]:
    """Return a code for each row, and the labels that each code stands for.

    Args:
        keys: Columns of labels, one or more; none is missing.

    Returns:
        codes: int8 to int32, shape (n,). labels: For each code a tuple with one of each key.
    """
    codes, labels = _compact(keys[0].codes, len(keys[0].labels))
    combinations: list[tuple[Any, ...]] = [(keys[0].labels[code],) for code in labels]
    for key in keys[1:]:
        both = codes.astype(np.int64) * len(key.labels) + key.codes
        codes, pairs = _compact(both, len(combinations) * len(key.labels))
        combinations = [
            (*combinations[pair // len(key.labels)], key.labels[pair % len(key.labels)])
            for pair in pairs
        ]
    return codes, combinations


class SeriesNames:
    """The names of series, made once for each different combination of labels.

    Args:
        template: Makes them.
    """

    def __init__(self, template: NameTemplate) -> None:
        self.template = template
        self._names: dict[tuple[Any, ...], str] = {}
        # Of each column by labels that are all texts, as most are: looked up without a step of
        # Python for each.
        self._of_texts: dict[str, dict[tuple[Any, ...], str]] = {}

    def names(
        self,
        column: str,
        labels: Sequence[tuple[Any, ...]],
        first_row: Callable[[int], int | None] = lambda _: None,
    ) -> list[str]:
        """Return the name of the series for each combination of labels.

        Args:
            column: The name of the value column.
            labels: The combinations.
            first_row: Returns a row that has the combination of this index, for error texts.

        Raises:
            ColumnError: A name cannot be made, or the server would not take it; names the row.
        """
        if not self.template.uses_column:
            column = ""
        known = self._of_texts.setdefault(column, {})
        are_texts = _are_texts(labels)
        if are_texts and None not in (names := [*map(known.get, labels)]):
            return names  # type: ignore[return-value]
        found = []
        for index, combination in enumerate(labels):
            # 1, 1.0 and True are equal, but not the same label
            key = (column, *((type(label), label) for label in combination))
            name = self._names.get(key)
            if name is None:
                name = self._names[key] = self._make(column, combination, first_row, index)
            found.append(name)
        if are_texts:
            known |= zip(labels, found, strict=True)
        return found

    def _make(
        self,
        column: str,
        combination: tuple[Any, ...],
        first_row: Callable[[int], int | None],
        index: int,
    ) -> str:
        try:
            name = self.template.name(column, list(map(_as_text, combination)))
            raw_series_name(name)
        except ConfigError as exc:
            raise ColumnError(str(exc), index=first_row(index)) from None
        except ColumnError as exc:
            raise ColumnError(exc.text, series=name, index=first_row(index)) from None
        return name


def _are_texts(labels: Sequence[tuple[Any, ...]]) -> bool:
    return {type(label) for combination in labels for label in combination} == {str}


def _as_text(label: Any) -> Any:
    # bytes as the text that they are
    try:
        return label.decode() if isinstance(label, bytes) else label
    except UnicodeDecodeError:
        raise ConfigError(f"series: the label {label!r} is no text") from None


def _compact(codes: np.ndarray[Any, Any], labels: int) -> tuple[Codes, list[int]]:
    # The same with codes that all have rows, and what they were.
    if labels > SMALL_TABLE + DENSE * len(codes):
        different, inverse = np.unique(codes, return_inverse=True)
        return inverse.astype(np.int32), different.tolist()
    if codes.itemsize > 4:
        codes = codes.astype(np.int32)  # the table is far smaller than 2**31
    codes = np.ascontiguousarray(codes)
    there = present(codes, labels)
    if len(there) == labels:
        return codes, there
    numbers = np.zeros(labels, np.int32)
    numbers[there] = np.arange(len(there), dtype=np.int32)
    return numbers[codes], there
