"""Series' names from columns: by a template such as ``"{host}.{metric}"``, or by a function.

Knows nothing of frames: it is given the labels of a row.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from string import Formatter
from typing import Any

from siridb_fast.errors import ConfigError

__all__ = ["COLUMN", "NameTemplate"]

COLUMN = "column"  # the field that stands for the name of the value column
CONVERSIONS: dict[str | None, Callable[[object], str]] = {"s": str, "r": repr, "a": ascii}


class NameTemplate:
    """The names of series.

    Args:
        series: A template with columns in braces, each of which may have a conversion and a format
            (``"{host!s:>8}"``); or a function, the names of whose arguments are columns. It is
            called once for each different combination of their labels. ``column`` stands for the
            name of the value column in both. None: that name.

    Raises:
        ConfigError: It is neither, or the template cannot be read.
    """

    def __init__(self, series: str | Callable[..., object] | None) -> None:
        self._given = "{column}" if series is None else series
        self._call: Callable[..., object] | None = None
        if isinstance(self._given, str):
            self._pieces = _pieces(self._given)
            fields = [field for _, field, _, _ in self._pieces if field is not None]
        elif callable(self._given):
            self._call = self._given
            fields = _arguments(self._given)
        else:
            raise ConfigError(
                "series is a template such as '{host}.{metric}' or a function, "
                f"got {self._given!r}"
            )
        self.uses_column = COLUMN in fields
        self.fields = tuple(dict.fromkeys(field for field in fields if field != COLUMN))
        self.bound_labels: Mapping[str, str] = {}  # fields that are the same for all rows

    def __repr__(self) -> str:
        return f"<NameTemplate {self._given!r}>"

    @property
    def constant(self) -> str | None:
        """The name, where it is said to be the same for all."""
        is_said = not self.fields and not self.bound_labels and not self.uses_column
        return self.name("", ()) if is_said and self._call is None else None

    def bound(self, labels: Mapping[str, str]) -> NameTemplate:
        """Return the same template with these fields taken from here, not from columns."""
        if not labels:
            return self
        template = NameTemplate(self._given)
        template.fields = tuple(field for field in self.fields if field not in labels)
        template.bound_labels = {**self.bound_labels, **labels}
        return template

    def name(self, column: str, labels: Sequence[Any]) -> str:
        """Return the name of a series.

        Args:
            column: The name of the value column.
            labels: Of ``fields``, in their order.

        Raises:
            ConfigError: A label cannot be formatted so, or the function gives no str.
        """
        values = {**self.bound_labels, **dict(zip(self.fields, labels, strict=True))}
        if self.uses_column:
            values[COLUMN] = column
        if self._call is not None:
            name = self._call(**values)
            if not isinstance(name, str):
                raise ConfigError(f"series: the function gives no str for {values!r}: {name!r}")
            return name
        return "".join(
            literal if field is None else literal + _formatted(values[field], conversion, spec)
            for literal, field, spec, conversion in self._pieces
        )


Piece = tuple[str, str | None, str, str | None]


def _pieces(template: str) -> list[Piece]:
    # (text before it, field, format, conversion); a field is taken as it stands, dots included
    try:
        pieces = list(Formatter().parse(template))
    except ValueError as exc:
        raise ConfigError(f"series: the template {template!r} cannot be read: {exc}") from None
    for _, field, spec, _ in pieces:
        if field is not None and not field:
            raise ConfigError(f"series: braces in {template!r} hold the name of a column")
        if spec and "{" in spec:
            raise ConfigError(f"series: a format within a format in {template!r}")
    for _, _, _, conversion in pieces:
        if conversion not in (None, *CONVERSIONS):
            raise ConfigError(f"series: a conversion is !s, !r or !a, got !{conversion}")
    return [(text, field, spec or "", conversion) for text, field, spec, conversion in pieces]


def _arguments(function: Callable[..., object]) -> list[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        raise ConfigError(f"series: the arguments of {function!r} are not known") from None
    for parameter in parameters:
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise ConfigError(f"series: argument {parameter} of the function names no column")
    return [parameter.name for parameter in parameters]


def _formatted(label: object, conversion: str | None, spec: str) -> str:
    if conversion is not None:
        label = CONVERSIONS[conversion](label)
    try:
        return format(label, spec)
    except (TypeError, ValueError) as exc:
        raise ConfigError(f"series: {label!r} cannot be written as {spec!r}: {exc}") from None
