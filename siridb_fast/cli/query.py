"""`siridb-fast query`: an answer as a table, CSV, JSON, Parquet or a picture.

Points come as arrays or Arrow tables; any other answer as what the server says. How they are
printed and drawn is in `output`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal

import typer

from siridb_fast.cli.errors import UsageFault, terminable
from siridb_fast.cli.options import (
    Precision,
    Target,
    TimeoutOption,
    UrlOption,
    connected,
    target_of,
)
from siridb_fast.cli.output.grid import AnswerGrid, Grid, PointGrid, is_select, without_times
from siridb_fast.cli.output.plot import check_plottable, draw_in_terminal, draw_picture
from siridb_fast.cli.output.plot_option import IN_TERMINAL
from siridb_fast.cli.output.write import (
    Format,
    is_terminal,
    opened,
    print_table,
    text_of,
    write_answer_json,
    write_csv,
    write_points_json,
)
from siridb_fast.concurrency.loops import run
from siridb_fast.errors import UserAuthError

if TYPE_CHECKING:
    import pyarrow as pa

    from siridb_fast.client.client import SiriDBClient
    from siridb_fast.query.paging import PointArrays

__all__ = ["query"]

FORMATS = {"txt": Format.TABLE, **{form.value: form for form in Format}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user wants of an answer; validated."""

    query: str
    format: Format | None
    output: Path | None
    precision: Precision | None
    all_points: bool
    form: Literal["wide", "long"]
    plot: str | None
    limit: int
    is_raw: bool

    @property
    def needs_arrays(self) -> bool:
        """Tell whether points are wanted series by series."""
        return self.plot is not None or self.format is Format.JSON

    @property
    def needs_table(self) -> bool:
        """Tell whether points are wanted as rows."""
        return self.format not in (None, Format.JSON)


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """The answer to a select, in the forms that are wanted; no unit where it is unknown."""

    arrays: PointArrays | None
    table: pa.Table | None
    unit: str | None


def query(
    text: Annotated[str, typer.Argument(metavar="QUERY", help="In SiriDB's query language.")],
    *,
    url: UrlOption = None,
    format_: Annotated[
        Format | None,
        typer.Option(
            "--format",
            "-f",
            help="Else what the name of the file says, a table in a terminal, and csv in a pipe.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write a file (.csv, .json, .parquet, .txt) instead of stdout; - is stdout.",
            show_default=False,
        ),
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option(
            metavar="[FILE]",
            help="Draw the points: in the terminal, or into a .png, .svg or .pdf file.",
            show_default=False,
        ),
    ] = None,
    wide: Annotated[
        bool,
        typer.Option(
            "--wide/--long",
            help="A column for each series, or a row for each point with the series' name.",
        ),
    ] = True,
    time_precision: Annotated[
        Precision | None,
        typer.Option(
            help="Convert the timestamps to this unit, exactly, cutting what is finer.",
            show_default=False,
        ),
    ] = None,
    raw_times: Annotated[
        bool, typer.Option("--raw-times", help="Timestamps as integers, not as ISO 8601 in UTC.")
    ] = False,
    all_points: Annotated[
        bool,
        typer.Option(
            "--all-points",
            help="Select in several pieces what is over the server's limit of points.",
        ),
    ] = False,
    limit: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Rows of a table that are shown at most, the first and the last ones; 0: all.",
        ),
    ] = 40,
    timeout: TimeoutOption = None,
) -> None:
    """Run a query and show, save or draw its answer.

    For instance: siridb-fast query "select mean(1h) from 'room'" --plot room.png
    """
    wish = _wish(
        query=text,
        format=format_,
        output=None if output is None or str(output) == "-" else output,
        precision=time_precision,
        all_points=all_points,
        form="wide" if wide else "long",
        plot=plot,
        limit=limit,
        is_raw=raw_times,
    )
    target = target_of(url, timeout)
    with opened(wish.output) as file:
        answer = run(_fetch(target, wish))
        with terminable():
            if isinstance(answer, Points):
                _show_points(answer, wish, file)
            else:
                _show_answer(answer, wish, file)


def _wish(**options: Any) -> Wish:
    wish = Wish(**options)
    wish = replace(wish, format=_format_of(wish))
    if wish.format is Format.PARQUET and wish.output is None and is_terminal():
        raise UsageFault("parquet is not for a terminal: give a file, -o FILE")
    if is_select(wish.query):
        return wish
    if wish.format is Format.PARQUET:
        raise UsageFault("parquet holds points, and this query selects none; use csv or json")
    if wish.plot is not None:
        raise UsageFault("--plot draws points, and this query selects none")
    return wish


def _format_of(wish: Wish) -> Format | None:
    if wish.format is not None:
        return wish.format
    if wish.output is not None:
        named = wish.output.suffix.lower().removeprefix(".")
        return FORMATS.get(named, Format.CSV)
    if wish.plot is not None and is_select(wish.query):
        return None  # a picture alone
    return Format.TABLE if is_terminal() else Format.CSV


async def _fetch(target: Target, wish: Wish) -> Points | dict[str, Any]:
    async with connected(target) as client:
        if not is_select(wish.query):
            answer = await client.query(wish.query, timeout=target.timeout)
            return dict(answer)
        precision = None if wish.precision is None else wish.precision.code
        arrays = table = unit = None
        if wish.needs_arrays:
            arrays = await client.query_arrays(
                wish.query, precision, target.timeout, all_points=wish.all_points
            )
            unit = wish.precision.value if wish.precision else await _unit(client, target.timeout)
        if wish.needs_table:
            table = await client.query_arrow(
                wish.query, precision, target.timeout, form=wish.form, all_points=wish.all_points
            )
        return Points(arrays=arrays, table=table, unit=unit)


async def _unit(client: SiriDBClient, timeout: float) -> str | None:
    try:
        answer = await client.query("show time_precision", timeout=timeout)
    except UserAuthError:
        return None
    return str(answer["data"][0]["value"])


def _show_points(points: Points, wish: Wish, file: BinaryIO) -> None:
    if wish.plot is not None and points.arrays is not None:
        check_plottable(points.arrays)
    if points.table is not None:
        _show_table(points.table, wish, file)
    elif points.arrays is not None and wish.format is Format.JSON:
        with text_of(file) as text:
            write_points_json(points.arrays, None if wish.is_raw else points.unit, text)
    if wish.plot is not None and points.arrays is not None:
        if wish.plot == IN_TERMINAL:
            draw_in_terminal(points.arrays, points.unit, wish.query)
        else:
            draw_picture(points.arrays, points.unit, wish.query, Path(wish.plot))


def _show_table(table: pa.Table, wish: Wish, file: BinaryIO) -> None:
    if wish.format is Format.PARQUET:
        import pyarrow.parquet as pq

        pq.write_table(without_times(table) if wish.is_raw else table, file)
        return
    _show_grid(PointGrid(table, wish.is_raw), "row", wish, file)


def _show_answer(answer: dict[str, Any], wish: Wish, file: BinaryIO) -> None:
    if wish.format is Format.JSON:
        with text_of(file) as text:
            write_answer_json(answer, text)
    else:
        _show_grid(AnswerGrid(answer), "row", wish, file)


def _show_grid(grid: Grid, what: str, wish: Wish, file: BinaryIO) -> None:
    with text_of(file) as text:
        if wish.format is Format.CSV:
            write_csv(grid, text)
        else:
            print_table(grid, wish.limit, what, text)
