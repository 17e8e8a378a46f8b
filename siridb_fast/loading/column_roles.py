"""Which columns of a frame are times, names and values; found once, from names and options."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from siridb_fast.columns.typed_values import (
    SERIES,
    TIME,
    TYPED_VALUES,
    is_long_form,
    reasons_in,
)
from siridb_fast.errors import ColumnError
from siridb_fast.files.csv.dialect import Dialect
from siridb_fast.loading.frames.base import Frame
from siridb_fast.loading.name_template import COLUMN, NameTemplate
from siridb_fast.loading.options import LoadOptions

__all__ = ["ColumnRoles", "find_roles", "find_typed_roles", "require_keys", "with_types"]


@dataclass(frozen=True, slots=True)
class ColumnRoles:
    """What the columns of a frame are. Without ``keys`` it is wide: one series for each value.

    ``series`` has what ``{column}`` stands for, of each of the values; ``template`` makes the
    names, of it and of the labels in ``keys``. ``mixed`` are the
    values that are numbers of some series and texts of others, with how numbers are written.
    ``types`` are what was said of columns that are yet to be converted. ``levels`` are the labels
    that the template takes from the names of columns, if these have several levels.
    """

    time: str
    keys: tuple[str, ...]
    values: tuple[str, ...]
    series: Mapping[str, str]
    template: NameTemplate
    mixed: Mapping[str, Dialect] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    levels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def is_typed(self) -> bool:
        """Tell whether the values are a column for each type, and each row has one of them."""
        return bool(self.keys) and TYPED_VALUES.keys() >= {*self.values}

    def columns(self) -> Iterator[tuple[str, str]]:
        """Yield each column of values, and what ``{column}`` stands for."""
        return ((name, self.series[name]) for name in self.values)


def find_roles(
    frame: Frame, options: LoadOptions, template: NameTemplate | None = None
) -> ColumnRoles:
    """Return which columns are what.

    Args:
        frame: That has them.
        options: Of the load.
        template: In place of that of the options.

    Raises:
        ColumnError: A column is not there, cannot be found, or would be two things at once.
    """
    template = template or options.name_template
    if not options.series and (reasons := reasons_in(frame.names)):
        options = replace(options, ignore=(*options.ignored, *reasons))
    if _is_written_by_query(frame, options):
        options, template = replace(options, time=TIME), NameTemplate(f"{{{SERIES}}}")
    there = {*frame.names, *frame.index_names}
    keys = tuple(field for field in template.fields if field in there)
    time = options.time_name
    if time is None:
        time = _only_time(frame, keys)
    if time not in there and len(options.time_columns) > 1:
        raise ColumnError("time: only of CSV files a time may be in several columns")
    _require(frame, there, time, "time")
    if time in frame.shared_names:
        raise ColumnError(f"time={time!r} is both a column and the index; rename one of them")
    if options.values is None:
        others = {time, *keys, *options.ignored}
        values = tuple(name for name in frame.names if name not in others)
    else:
        values = tuple(options.values)
    for name in values:
        _require(frame, there, name, "values")
    if not values:
        raise ColumnError(f"there is no column of values beside {_listed((time, *keys))}")
    levels = _levels_of(frame, values, [one for one in template.fields if one not in there])
    series = _series_of(frame, values)
    roles = ColumnRoles(time, keys, values, series, template, levels=levels)
    _check_roles(frame, roles)
    return roles


def _is_written_by_query(frame: Frame, options: LoadOptions) -> bool:
    is_said = options.series or options.values or options.time not in (None, TIME)
    return not is_said and is_long_form({*frame.names} - {*options.ignored})


def find_typed_roles(frame: Frame, options: LoadOptions) -> ColumnRoles:
    """Return the same of a frame that is there as a whole, with what was said of its columns.

    Raises:
        ColumnError: As `find_roles`; or a type is of a column that is not there.
    """
    for name in options.types:
        _require(frame, {*frame.names, *frame.index_names}, name, "types")
    return with_types(find_roles(frame, options), options.types)


def with_types(roles: ColumnRoles, types: Mapping[str, str]) -> ColumnRoles:
    """Return the roles of columns that are not of the types that were said of them yet.

    Raises:
        ColumnError: A column of values is said to be one of times, or is mixed without columns
            that name series.
    """
    if not types:
        return roles
    for name in roles.values:
        if types.get(name) == "time":
            raise ColumnError(f"column {name!r} is said to be of times, so it cannot be a value")
    mixed = {name: Dialect() for name in roles.values if types.get(name) == "mixed"}
    require_keys(mixed, roles.keys)
    found = {name: "string" if kind == "mixed" else kind for name, kind in types.items()}
    return replace(roles, mixed=mixed, types=found)


def require_keys(mixed: Collection[str], keys: Collection[str]) -> None:
    """Refuse mixed columns where none names series: a series cannot have both.

    Raises:
        ColumnError: Names them.
    """
    if mixed and not keys:
        raise ColumnError(
            f"numbers of some series and texts of others are in {_listed([*mixed])}; "
            "a template with the columns that name the series tells them apart (series=, --series)"
        )


def _levels_of(
    frame: Frame, values: tuple[str, ...], fields: list[str]
) -> dict[str, dict[str, str]]:
    # What the template takes from the names of the columns of values.
    if not fields:
        return {}
    levels = {name: frame.levels_of(name) for name in values}
    for one in fields:
        if not all(one in of_name for of_name in levels.values()):
            what = "the template of series names"
            _require(frame, {*frame.names, *frame.index_names}, one, what)
    return {name: {one: of_name[one] for one in fields} for name, of_name in levels.items()}


def _series_of(frame: Frame, values: tuple[str, ...]) -> dict[str, str]:
    # As long as they stay apart.
    series = {name: frame.series_of(name) for name in values}
    others = [found for name, found in series.items() if found != name]
    for name, found in series.items():
        if found != name and (found in series or others.count(found) > 1):
            series[name] = name
    return series


def _require(frame: Frame, there: set[str], name: str, what: str) -> None:
    if name not in there:
        listed = _listed((*frame.index_names, *frame.names))
        raise ColumnError(f"{what}: there is no column {name!r}; there are {listed}")


def _only_time(frame: Frame, keys: tuple[str, ...]) -> str:
    times = [name for name in frame.times if name not in keys]
    if len(times) == 1:
        return times[0]
    if times:
        raise ColumnError(f"time= has to name one of the columns of times: {_listed(times)}")
    raise ColumnError(
        "time= has to name the column of times; none of the columns "
        f"{_listed((*frame.index_names, *frame.names))} has dates"
    )


def _check_roles(frame: Frame, roles: ColumnRoles) -> None:
    time, keys, values, template = roles.time, roles.keys, roles.values, roles.template
    if time in keys:
        raise ColumnError(f"column {time!r} is the time, so it cannot name series too")
    if time in values:
        raise ColumnError(f"column {time!r} is the time, so it cannot be a value too")
    if len(set(values)) < len(values):
        raise ColumnError(f"values names a column twice: {_listed(values)}")
    if template.uses_column and COLUMN in frame.names and COLUMN not in values:
        raise ColumnError(
            f"the frame has a column {COLUMN!r}, but {{{COLUMN}}} stands for the name of the "
            "value column; rename the column"
        )
    if template.constant is not None and template.constant in frame.names:
        raise ColumnError(
            f"series={template.constant!r} is one name for all, but there is a column of that "
            f"name; '{{{template.constant}}}' stands for what is in it"
        )
    if len(values) > 1 and not (template.uses_column or roles.levels or roles.is_typed):
        raise ColumnError(
            f"the columns {_listed(values)} would all go to the same series; put {{{COLUMN}}} "
            "in the template, or choose one with values="
        )


def _listed(names: tuple[str, ...] | list[str]) -> str:
    shown = ", ".join(map(repr, names[:20]))
    return f"{shown} and {len(names) - 20} more" if len(names) > 20 else shown or "none"
