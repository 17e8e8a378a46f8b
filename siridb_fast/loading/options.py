"""The options of a load, beside its data: which columns are what, and what becomes of odd ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict, get_args

from siridb_fast.columns.rules import ColumnRules, MissingPolicy, PrecisionLossPolicy, TypePolicy
from siridb_fast.columns.time_units import UNITS, Unit
from siridb_fast.connection.config import OnDoubt
from siridb_fast.errors import ConfigError
from siridb_fast.files.base import settled_types
from siridb_fast.files.csv.dialect import Fold, joined_name
from siridb_fast.files.csv.given import CsvGiven, check_character
from siridb_fast.files.paths import Format
from siridb_fast.loading.name_template import NameTemplate
from siridb_fast.writer.options import Durability

__all__ = ["LoadKeywords", "LoadOptions", "Progress"]

TEMPLATE = re.compile(r"\{[^{}]+\}(\s*\{[^{}]+\})+")  # of a time in several columns


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a load is. ``total_rows`` is None where it is not known before the end."""

    points: int  # acknowledged by the server
    bytes: int
    rows: int  # whose points are all acknowledged
    total_rows: int | None
    seconds: float

    def __str__(self) -> str:
        rate = self.points / self.seconds if self.seconds else 0.0
        text = f"{self.points:,} points, {rate:,.0f} points/s"
        if self.total_rows:
            text += f", {100 * self.rows / self.total_rows:.0f} % of {self.total_rows:,} rows"
        return text


class LoadKeywords(TypedDict, total=False):
    """The keyword options of every `load`; see `siridb_fast.load`."""

    time: str | Sequence[str] | None
    series: str | Callable[..., str] | None
    values: str | Sequence[str] | None
    ignore: str | Sequence[str]
    unit: Unit | None
    on_missing: MissingPolicy
    on_precision_loss: PrecisionLossPolicy
    on_type: TypePolicy
    on_doubt: OnDoubt | None
    durability: Durability
    time_precision: int | None
    max_buffered: int
    max_rate: float | None
    timeout: float | None
    delivery_timeout: float
    progress: bool | Callable[[Progress], object]
    format: Format | None
    types: Mapping[str, str]
    skip_bad: bool
    skip_bad_files: bool
    skip_unnamed: bool
    delimiter: str | None
    decimal: str | None
    thousands: str | None
    encoding: str | None
    skip_rows: int | None
    comment: str | None
    header: bool | None
    column_names: Sequence[str]
    units_row: bool | None
    nulls: Sequence[str]
    time_format: str | None
    time_zone: str | None
    fold: Fold | None
    sheet: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """The same, validated."""

    time: str | Sequence[str] | None = None
    series: str | Callable[..., str] | None = None
    values: str | Sequence[str] | None = None
    ignore: str | Sequence[str] = ()
    unit: Unit | None = None
    on_missing: MissingPolicy = "drop"
    on_precision_loss: PrecisionLossPolicy = "error"
    on_type: TypePolicy = "error"
    on_doubt: OnDoubt | None = None
    durability: Durability = "acked"
    time_precision: int | None = None
    max_buffered: int = 32 * 1024 * 1024  # with 64 a load was slower
    max_rate: float | None = None
    timeout: float | None = None
    delivery_timeout: float = 120.0
    progress: bool | Callable[[Progress], object] = False
    format: Format | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    skip_bad: bool = False
    skip_bad_files: bool = False
    skip_unnamed: bool = False
    delimiter: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    skip_rows: int | None = None
    comment: str | None = None
    header: bool | None = None
    column_names: Sequence[str] = ()
    units_row: bool | None = None
    nulls: Sequence[str] = ()
    time_format: str | None = None
    time_zone: str | None = None
    fold: Fold | None = None
    sheet: str | None = None
    csv: CsvGiven = field(init=False)
    ignored: tuple[str, ...] = field(init=False)
    name_template: NameTemplate = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name_template", NameTemplate(self.series))
        object.__setattr__(self, "time", _settled_time(self.time))
        object.__setattr__(self, "csv", self._csv())
        object.__setattr__(self, "types", settled_types(self.types, self.name_template.fields))
        if isinstance(self.values, str):
            object.__setattr__(self, "values", (self.values,))
        if self.values is not None:
            object.__setattr__(self, "values", tuple(map(str, self.values)))
            if not self.values:
                raise ConfigError("values names no column")
        ignored = (self.ignore,) if isinstance(self.ignore, str) else tuple(self.ignore)
        object.__setattr__(self, "ignored", ignored)
        self._check_ignored()
        if self.unit not in (None, *UNITS):
            raise ConfigError(f"unit is 's', 'ms', 'us' or 'ns', got {self.unit!r}")
        if self.format is not None and self.format not in (formats := get_args(Format)):
            raise ConfigError(f"format is one of {', '.join(formats)}, got {self.format!r}")
        for name in ("skip_bad_files", "skip_unnamed"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name} is true or false, got {getattr(self, name)!r}")
        if not isinstance(self.progress, bool) and not callable(self.progress):
            raise ConfigError(f"progress is a bool or a function, got {self.progress!r}")
        try:
            self.rules(None)
        except ValueError as exc:
            raise ConfigError(str(exc)) from None

    def _check_ignored(self) -> None:
        used = {*self.time_columns, *self.name_template.fields, *(self.values or ())}
        for name in self.ignored:
            if not isinstance(name, str):
                raise ConfigError(f"ignore names columns, got {name!r}")
            if name in used:
                raise ConfigError(f"column {name!r} is to be ignored, and to be read too")

    @classmethod
    def of(cls, keywords: LoadKeywords) -> LoadOptions:
        """Return the options that a caller gives.

        Raises:
            ConfigError: One makes no sense, or is none.
        """
        allowed = cls.__dataclass_fields__.keys() - {"name_template", "csv", "ignored"}
        unknown = keywords.keys() - allowed
        if unknown:
            raise ConfigError(f"a load has no option {min(unknown)!r}")
        return cls(**keywords)

    @property
    def time_columns(self) -> tuple[str, ...]:
        """The columns of the time, as they are said; none if they are to be found."""
        return (self.time,) if isinstance(self.time, str) else tuple(self.time or ())

    @property
    def time_name(self) -> str | None:
        """The column of times, or what several columns of files become."""
        return joined_name(self.time_columns) if self.time_columns else None

    @property
    def columns(self) -> tuple[str, ...] | None:
        """All columns that are read, if they are said."""
        if self.values is None or self.time_name is None:
            return None
        fields = self.name_template.fields
        return tuple(dict.fromkeys((self.time_name, *fields, *self.values)))

    def rules(self, time_precision: int | None) -> ColumnRules:
        """Return the rules for reading points into a database of this precision."""
        return ColumnRules(
            time_precision=time_precision,
            on_missing=self.on_missing,
            on_precision_loss=self.on_precision_loss,
        )

    def _csv(self) -> CsvGiven:
        names = CsvGiven.__dataclass_fields__
        check_character("delimiter", self.delimiter)
        if self.delimiter is not None and self.delimiter == self.thousands:
            raise ConfigError(f"delimiter and thousands are both {self.delimiter!r}")
        return CsvGiven(**{name: getattr(self, name) for name in names})

    def for_writer(self) -> dict[str, Any]:
        """Return the options of the writer of the load."""
        names = (
            "on_missing",
            "on_precision_loss",
            "on_type",
            "on_doubt",
            "durability",
            "time_precision",
            "max_buffered",
            "max_rate",
            "delivery_timeout",
        )
        return {name: getattr(self, name) for name in names}


def _settled_time(time: Any) -> str | tuple[str, ...] | None:
    # A name, or several; also as a template, '{Date} {Time}'.
    if time is None:
        return None
    if isinstance(time, str):
        return tuple(re.findall(r"\{([^{}]+)\}", time)) if TEMPLATE.fullmatch(time) else time
    columns = tuple(time) if isinstance(time, Sequence) else ()
    if not columns or not all(isinstance(name, str) for name in columns):
        raise ConfigError(f"time is the name of a column, or of several, got {time!r}")
    if len({*columns}) < len(columns):
        raise ConfigError(f"time names each column once, got {list(columns)}")
    return columns[0] if len(columns) == 1 else columns
