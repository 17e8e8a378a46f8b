"""The options that say how files are read, for each command that reads some."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from siridb_fast.cli.errors import UsageFault
from siridb_fast.cli.load.csv_options import (
    CommentOption,
    DecimalOption,
    DelimiterOption,
    EncodingOption,
    FoldOption,
    HeaderOption,
    NamesOption,
    NullsOption,
    SheetOption,
    SkipRowsOption,
    ThousandsOption,
    TimeFormatOption,
    TimeZoneOption,
    UnitsRowOption,
    split_names,
)
from siridb_fast.cli.load.options import (
    CastOption,
    FloorOption,
    FormatOption,
    IgnoreOption,
    SeriesOption,
    SkipBadFilesOption,
    SkipBadOption,
    SkipUnnamedOption,
    TimeOption,
    TimePrecisionOption,
    TypesOption,
    UnitOption,
    ValuesOption,
)
from siridb_fast.loading.options import LoadKeywords

__all__ = ["reads_files"]


def reads_files(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `_reading` in the place of its parameter ``reading``.

    It is called with what they are as keywords of a load.
    """
    own = inspect.signature(command, eval_str=True).parameters
    options = inspect.signature(_reading, eval_str=True).parameters
    parameters: list[inspect.Parameter] = []
    for name, parameter in own.items():
        parameters += options.values() if name == "reading" else [parameter]

    @wraps(command)
    def run(**given: Any) -> None:
        reading = _reading(**{name: given.pop(name) for name in options})
        command(reading=reading, **given)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _reading(
    *,
    time: TimeOption = None,
    series: SeriesOption = None,
    values: ValuesOption = None,
    ignore: IgnoreOption = None,
    unit: UnitOption = None,
    time_precision: TimePrecisionOption = None,
    format: FormatOption = None,  # noqa: A002 - as the option is called
    types: TypesOption = None,
    delimiter: DelimiterOption = None,
    decimal: DecimalOption = None,
    thousands: ThousandsOption = None,
    encoding: EncodingOption = None,
    skip_rows: SkipRowsOption = None,
    comment: CommentOption = None,
    header: HeaderOption = None,
    names: NamesOption = None,
    units_row: UnitsRowOption = None,
    nulls: NullsOption = None,
    time_format: TimeFormatOption = None,
    time_zone: TimeZoneOption = None,
    fold: FoldOption = None,
    sheet: SheetOption = None,
    skip_bad: SkipBadOption = False,
    skip_bad_files: SkipBadFilesOption = False,
    skip_unnamed: SkipUnnamedOption = False,
    cast: CastOption = False,
    floor: FloorOption = False,
) -> LoadKeywords:
    return {
        "time": time or None,
        "series": series,
        "values": values or None,
        "ignore": ignore or (),
        "unit": None if unit is None else unit.value,
        "time_precision": None if time_precision is None else time_precision.code,
        "format": format,
        "types": _types(types or []),
        "delimiter": delimiter,
        "decimal": decimal,
        "thousands": thousands,
        "encoding": encoding,
        "skip_rows": skip_rows,
        "comment": comment,
        "header": header,
        "column_names": split_names(names),
        "units_row": units_row,
        "nulls": nulls or (),
        "time_format": time_format,
        "time_zone": time_zone,
        "fold": fold,  # type: ignore[typeddict-item] # it is validated
        "sheet": sheet,
        "skip_bad": skip_bad,
        "skip_bad_files": skip_bad_files,
        "skip_unnamed": skip_unnamed,
        "on_type": "cast" if cast else "error",
        "on_precision_loss": "floor" if floor else "error",
    }


def _types(given: list[str]) -> dict[str, str]:
    types = {}
    for item in given:
        column, equals, kind = item.rpartition("=")
        if not equals or not column:
            raise UsageFault(f"--type: expected COLUMN=KIND, got {item!r}")
        types[column] = kind
    return types
