"""What is said of the text of CSV files, which nobody has to guess then; validated.

What is not said is None, or empty, and is guessed for each file. Knows nothing of how text is
read or guessed, nor of pyarrow.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from siridb_fast.errors import ConfigError
from siridb_fast.files.csv.dialect import Fold
from siridb_fast.files.csv.time_forms import form_program

__all__ = ["CsvGiven", "check_character"]

FORMS = ("iso", "epoch")


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvGiven:
    """What is said of the text of CSV files.

    Attributes:
        decimal: ``"."`` or ``","``.
        thousands: What stands between groups of three digits; ``" "`` is any kind of blank.
        encoding: A name that Python knows.
        skip_rows: Lines above the header.
        comment: What lines begin with that are passed over; ``""``: there are none.
        header: Whether the first line has the names of the columns.
        column_names: Names of the columns, in place of those of the header, if there is one.
        units_row: Whether a line of units follows the header.
        nulls: Texts that stand for a missing value, beside the usual ones.
        time_format: ``"iso"``, ``"epoch"``, or a format of `strptime`.
        time_zone: An IANA name, of times that name none.
        fold: Which of the two a local time is that exists twice.
        sheet: The name of the sheet of a spreadsheet.
    """

    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    skip_rows: int | None = None
    comment: str | None = None
    header: bool | None = None
    column_names: tuple[str, ...] = ()
    units_row: bool | None = None
    nulls: tuple[str, ...] = ()
    time_format: str | None = None
    time_zone: str | None = None
    fold: Fold | None = None
    sheet: str | None = None

    @property
    def says_layout(self) -> bool:
        """Tell whether something is said of where header and data are."""
        of_layout = (self.skip_rows, self.header, self.units_row)
        return bool(self.column_names) or any(said is not None for said in of_layout)

    def __post_init__(self) -> None:
        if self.decimal not in (None, ".", ","):
            raise ConfigError(f"decimal is '.' or ',', got {self.decimal!r}")
        self._check_thousands()
        self._check_encoding()
        if self.skip_rows is not None and (type(self.skip_rows) is not int or self.skip_rows < 0):
            raise ConfigError(f"skip_rows is a count of lines, got {self.skip_rows!r}")
        if self.comment is not None and not isinstance(self.comment, str):
            raise ConfigError(f"comment is what a line begins with, got {self.comment!r}")
        if self.sheet is not None and not isinstance(self.sheet, str):
            raise ConfigError(f"sheet is the name of one, got {self.sheet!r}")
        for name in ("header", "units_row"):
            if getattr(self, name) not in (None, True, False):
                raise ConfigError(f"{name} is true or false, got {getattr(self, name)!r}")
        for name in ("column_names", "nulls"):
            object.__setattr__(self, name, _texts(name, getattr(self, name)))
        names = [name for name in self.column_names if name]
        if len({*names}) < len(names):
            raise ConfigError(f"column_names has each name once, got {list(self.column_names)}")
        self._check_times()

    def _check_thousands(self) -> None:
        check_character("thousands", self.thousands)
        if self.thousands is not None and (self.thousands.isalnum() or self.thousands in "+-"):
            raise ConfigError(f"thousands is a separator such as ',', got {self.thousands!r}")
        if self.thousands is not None and self.thousands == self.decimal:
            raise ConfigError(f"decimal and thousands are both {self.decimal!r}")

    def _check_encoding(self) -> None:
        if self.encoding is None:
            return
        try:
            codecs.lookup(self.encoding)
        except (LookupError, TypeError):
            raise ConfigError(f"encoding: Python knows no {self.encoding!r}") from None

    def _check_times(self) -> None:
        text = self.time_format
        if text is not None and (
            not isinstance(text, str) or (text not in FORMS and "%" not in text)
        ):
            raise ConfigError(
                f"time_format is 'iso', 'epoch' or a format such as '%d.%m.%Y %H:%M', got {text!r}"
            )
        if text not in (None, *FORMS):
            try:
                form_program(text)
            except ValueError as exc:
                raise ConfigError(f"time_format {text!r}: {exc}") from None
        if self.fold not in (None, *get_args(Fold)):
            known = ", ".join(map(repr, get_args(Fold)))
            raise ConfigError(f"fold is one of {known}, got {self.fold!r}")
        if self.time_zone is not None:
            from zoneinfo import ZoneInfo  # of few files

            try:
                ZoneInfo(self.time_zone)
            except (LookupError, OSError, TypeError, ValueError):
                raise ConfigError(
                    f"time_zone is a name such as 'Europe/Berlin', got {self.time_zone!r}"
                ) from None


def check_character(option: str, text: Any) -> None:
    """Raise `ConfigError` unless it is None or one character that may stand between fields."""
    if text is None:
        return
    if not isinstance(text, str) or len(text) != 1 or not text.isascii() or text in '"\r\n':
        raise ConfigError(
            f"{option} is one ASCII character, no quote or end of line, got {text!r}"
        )


def _texts(option: str, value: Any) -> tuple[str, ...]:
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    if not is_list or not all(isinstance(text, str) for text in value):
        raise ConfigError(f"{option} is a list of texts, got {value!r}")
    return tuple(value)
