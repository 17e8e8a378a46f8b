"""`siridb-fast query`: an answer as a table, CSV, JSON, Parquet or a picture.

Points come as arrays or Arrow tables; any other answer as what the server says. How they are
printed and drawn is in `output`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from siridb_fast.cli.connect import Target, connected, target_of
from siridb_fast.cli.errors import note, terminable, warn
from siridb_fast.cli.options import RawTimesOption, TimeoutOption, UrlOption
from siridb_fast.cli.output.grid import (
    AnswerGrid,
    Grid,
    PointGrid,
    is_select,
    names_in,
    with_typed_values,
    without_times,
)
from siridb_fast.cli.output.plot import check_plottable, draw_in_terminal, draw_picture
from siridb_fast.cli.output.plot_option import IN_TERMINAL
from siridb_fast.cli.output.write import (
    Format,
    opened,
    print_table,
    text_of,
    write_answer_json,
    write_csv,
    write_points_json,
)
from siridb_fast.cli.query.emptiness import what_is_missing
from siridb_fast.cli.query.options import (
    AllPointsOption,
    FormatOption,
    LimitOption,
    OutputOption,
    PlotOption,
    PrecisionOption,
    QueryArgument,
    QueryOptions,
    WideOption,
    check,
    format_of,
)
from siridb_fast.columns.time_units import TimePrecision
from siridb_fast.concurrency.loops import run
from siridb_fast.errors import UserAuthError
from siridb_fast.query.result_frames import arrow_table

if TYPE_CHECKING:
    import pyarrow as pa

    from siridb_fast.client.client import SiriDBClient
    from siridb_fast.query.paging import PointArrays

__all__ = ["query"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """The answer to a select, in the forms that are wanted; no unit where it is unknown."""

    arrays: PointArrays | None
    table: pa.Table | None
    unit: str | None

    @property
    def names(self) -> list[str | bytes]:
        """The names of the series that the answer has."""
        if self.arrays is not None:
            return list(self.arrays)
        assert self.table is not None  # noqa: S101 - one of them is wanted
        return names_in(self.table)

    @property
    def has_points(self) -> bool:
        """Tell whether there is any point."""
        if self.arrays is not None:
            return any(len(times) for times, _ in self.arrays.values())
        return self.table is not None and self.table.num_rows > 0


def query(
    text: QueryArgument,
    *,
    url: UrlOption = None,
    format_: FormatOption = None,
    output: OutputOption = None,
    plot: PlotOption = None,
    wide: WideOption = True,
    time_precision: PrecisionOption = None,
    raw_times: RawTimesOption = False,
    all_points: AllPointsOption = False,
    limit: LimitOption = 40,
    timeout: TimeoutOption = None,
) -> None:
    """Run a query and show, save or draw its answer.

    For instance: siridb-fast query "select mean(1h) from 'room'" --plot room.png
    """
    path = None if output is None or str(output) == "-" else output
    options = QueryOptions(
        query=text,
        format=format_of(text, format_, path, plot),
        output=path,
        precision=time_precision,
        all_points=all_points,
        form="wide" if wide else "long",
        plot=plot,
        limit=limit,
        is_raw=raw_times,
    )
    check(options)
    _query(target_of(url, timeout), options)


def _query(target: Target, options: QueryOptions) -> None:
    with opened(options.output) as file:
        answer = run(_fetch(target, options))
        with terminable():
            if isinstance(answer, Points):
                _tell_missing(answer, options.query)
                _show_points(answer, options, file)
            else:
                _show_answer(answer, options, file)


async def _fetch(target: Target, options: QueryOptions) -> Points | dict[str, Any]:
    async with connected(target) as client:
        if is_select(options.query):
            return await _fetch_points(client, target.timeout, options)
        answer = await client.query(options.query, timeout=target.timeout)
        return dict(answer)


async def _fetch_points(client: SiriDBClient, timeout: float, options: QueryOptions) -> Points:
    query, unit = options.query, options.precision
    precision = None if unit is None else unit.code
    is_all = options.all_points
    arrays = table = found = None
    if options.needs_arrays:
        arrays = await client.query_arrays(query, precision, timeout, all_points=is_all)
        found = await _unit(client, timeout) if unit is None else unit.value
    if options.needs_table and options.is_raw:
        # Integers need no precision, which not everybody may ask for.
        if arrays is None:
            arrays = await client.query_arrays(query, precision, timeout, all_points=is_all)
        table = arrow_table(arrays, TimePrecision.NANOSECOND, options.form)
    elif options.needs_table:
        table = await client.query_arrow(
            query, precision, timeout, form=options.form, all_points=is_all
        )
    return Points(arrays=arrays, table=table, unit=found)


async def _unit(client: SiriDBClient, timeout: float) -> str | None:
    try:
        answer = await client.query("show time_precision", timeout=timeout)
    except UserAuthError:
        return None
    return str(answer["data"][0]["value"])


def _tell_missing(points: Points, query: str) -> None:
    missing = what_is_missing(query, points.names, has_points=points.has_points)
    if missing is not None:
        note(missing)


def _show_points(points: Points, options: QueryOptions, file: BinaryIO) -> None:
    if options.plot is not None and points.arrays is not None:
        check_plottable(points.arrays)
    if points.table is not None:
        _show_table(points.table, options, file)
    elif points.arrays is not None and options.format is Format.JSON:
        with text_of(file) as text:
            write_points_json(points.arrays, None if options.is_raw else points.unit, text)
    if options.plot is not None and points.arrays is not None:
        if options.plot == IN_TERMINAL:
            draw_in_terminal(points.arrays, points.unit, options.query)
        else:
            draw_picture(points.arrays, points.unit, options.query, Path(options.plot))


def _show_table(table: pa.Table, options: QueryOptions, file: BinaryIO) -> None:
    if options.format is Format.PARQUET:
        import pyarrow.parquet as pq

        pq.write_table(without_times(table) if options.is_raw else table, file)
        return
    if options.format is Format.CSV:
        _tell_renamed(table)
        if options.form == "long":
            table = with_typed_values(table)
    _show_grid(PointGrid(table, options.is_raw), options, file)


def _tell_renamed(table: pa.Table) -> None:
    # A Parquet file says so itself.
    for field in table.schema:
        if field.metadata and b"series" in field.metadata:
            series = field.metadata[b"series"].decode()
            warn(f"series {series!r} is column {field.name!r}; --long and Parquet keep its name")


def _show_answer(answer: dict[str, Any], options: QueryOptions, file: BinaryIO) -> None:
    if options.format is Format.JSON:
        with text_of(file) as text:
            write_answer_json(answer, text)
    else:
        _show_grid(AnswerGrid(answer), options, file)


def _show_grid(grid: Grid, options: QueryOptions, file: BinaryIO) -> None:
    with text_of(file) as text:
        if options.format is Format.CSV:
            write_csv(grid, text)
        else:
            print_table(grid, options.limit, text)
