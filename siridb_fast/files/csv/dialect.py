"""How the text of one CSV file is read: its lines, fields, numbers and times.

A dialect is settled before the first row is read: by what the user says, and else by a guess
(`guess.py`), which is shown. It can be written down, so that a load that goes on reads as before.
Knows nothing of how text is read or guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self

__all__ = ["Dialect", "Fold", "TimeFormat", "Unit", "joined_name", "time_text"]

Unit = Literal["s", "ms", "us", "ns"]
Fold = Literal["error", "earlier", "later"]
SHOWN_TEXTS = 3
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe", " ": "blanks"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeFormat:
    """How the texts of a time are read.

    Attributes:
        columns: The names of the columns that hold it: one, or a date and a time, or year, month,
            day … in this order. Their texts are joined with one blank between them.
        form: ``"iso"`` (ISO 8601 in all its usual dress), ``"epoch"`` (a number since 1970), or
            a format of `strptime`.
        unit: Of ``"epoch"``; None: the database's precision.
        zone: An IANA name, of texts that name none.
        fold: What becomes of a local time that exists twice; one that does not exist is an error.
    """

    columns: tuple[str, ...]
    form: str = "iso"
    unit: Unit | None = None
    zone: str = "UTC"
    fold: Fold = "error"

    @property
    def name(self) -> str:
        """The name of the one column of times that comes of ``columns``."""
        return joined_name(self.columns)


def joined_name(columns: Sequence[str]) -> str:
    """Return how the column is called that several columns of a time become."""
    return " ".join(columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one CSV file is read.

    Attributes:
        encoding: As Python names it; ``"utf-8-sig"`` has a byte order mark.
        delimiter: One character; ``" "`` stands for any run of blanks.
        decimal: ``"."`` or ``","``.
        thousands: What may stand between groups of three digits, ``" "`` for any kind of blank;
            None: nothing.
        skip_rows: Lines of the file at the top that are neither header nor data: titles, metadata.
        comment: What lines begin with that are passed over, wherever they are; None: no lines.
        has_header: The first line that is read has the names (``names`` has them too); without,
            it is data. Names that stand in a comment are in ``names`` alone.
        names: Of all fields of a line, as they are called here: those of the header, or made up.
            An empty one is a field that is left out: behind a trailing separator, or a count of
            rows without a name.
        has_units_row: The line after the header has units.
        nulls: Texts that stand for a missing value, beside the usual ones.
        kinds: A kind for each column that is read: float, integer, bool, string, time, or mixed:
            numbers in the lines of some series, and texts in those of others.
        with_units: Columns of texts that are numbers with a unit: ``900 MiB``.
        time: How times are read; None: nobody knows which column has them.
    """

    encoding: str = "utf-8"
    delimiter: str = ","
    decimal: str = "."
    thousands: str | None = None
    skip_rows: int = 0
    comment: str | None = None
    has_header: bool = True
    names: tuple[str, ...] = ()
    has_units_row: bool = False
    nulls: tuple[str, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)
    with_units: tuple[str, ...] = ()
    time: TimeFormat | None = None

    @property
    def is_plain(self) -> bool:
        """Tell whether a wrong guess of the numbers or times is impossible or is an error.

        Where it is not, the whole file is checked before its first point leaves.
        """
        return (self.decimal, self.thousands) == (".", None) and (
            self.time is None or self.time.form in ("iso", "epoch")
        )

    def __str__(self) -> str:
        parts = [DELIMITERS.get(self.delimiter, f"delimiter {self.delimiter!r}")]
        parts += [] if self.decimal == "." else ["decimal comma"]
        parts += [] if self.thousands is None else [f"thousands {self.thousands!r}"]
        lines = "1 line" if self.skip_rows == 1 else f"{self.skip_rows} lines"
        below = "header" if self.has_header else "data"
        parts += [f"{lines} above the {below}"] if self.skip_rows else []
        parts += [] if self.comment is None else [f"comments {self.comment!r}"]
        parts += [] if self.has_header or self.skip_rows else ["no header"]
        parts += ["a row of units"] if self.has_units_row else []
        parts += [f"missing values {' '.join(map(repr, self.nulls))}"] if self.nulls else []
        parts += [] if self.time is None else [time_text(self.time)]
        parts += self._odd_fields()
        return ", ".join([*parts, self.encoding.upper()])

    def _odd_fields(self) -> list[str]:
        out = [str(number) for number, name in enumerate(self.names, 1) if not name]
        texts = [name for name, kind in self.kinds.items() if kind == "string"]
        parts = [f"field {', '.join(out)} left out"] if out else []
        parts += _listed("texts in", [name for name in texts if name not in self.with_units])
        parts += _listed("numbers with units, stored as texts, in", self.with_units)
        mixed = [repr(name) for name, kind in self.kinds.items() if kind == "mixed"]
        return parts + ([f"numbers or texts by series in {' '.join(mixed)}"] if mixed else [])

    def as_json(self) -> dict[str, Any]:
        """Return what `from_json` takes."""
        return asdict(replace(self, kinds=dict(self.kinds)))

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """Make a dialect of what `as_json` gave."""
        time = found["time"]
        if time is not None:
            time = TimeFormat(**{**time, "columns": tuple(time["columns"])})
        names = ("names", "nulls", "with_units")
        texts = {name: tuple(found[name]) for name in names if name in found}
        return cls(**{**found, **texts, "time": time})


def _listed(what: str, names: Sequence[str]) -> list[str]:
    shown = [*map(repr, names[:SHOWN_TEXTS]), *(["…"] if len(names) > SHOWN_TEXTS else [])]
    return [f"{what} {' '.join(shown)}"] if names else []


def time_text(time: TimeFormat) -> str:
    """Return how times are read, for people."""
    columns = "columns" if len(time.columns) > 1 else "column"
    where = f"{columns} {', '.join(map(repr, time.columns))}"
    if time.form == "epoch":
        return f"times in {where} as {time.unit or 'the precision of the database'} since 1970"
    form = "ISO 8601" if time.form == "iso" else repr(time.form)
    return f"times {form} in {where}, taken as {time.zone}"
