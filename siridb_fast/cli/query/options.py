"""The options of `siridb-fast query`: what Typer reads of each, and all of them, checked.

Knows nothing of connections and answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from siridb_fast.cli.errors import UsageFault
from siridb_fast.cli.options import Precision
from siridb_fast.cli.output.grid import is_select
from siridb_fast.cli.output.write import Format, form_of, is_terminal

__all__ = [
    "AllPointsOption",
    "FormatOption",
    "LimitOption",
    "OutputOption",
    "PlotOption",
    "PrecisionOption",
    "QueryArgument",
    "QueryOptions",
    "WideOption",
    "check",
    "format_of",
]

FORMATS = {  # by the end of a file's name
    "csv": Format.CSV,
    "json": Format.JSON,
    "parquet": Format.PARQUET,
    "txt": Format.TABLE,
}

QueryArgument = Annotated[str, typer.Argument(metavar="QUERY", help="In SiriDB's query language.")]
FormatOption = Annotated[
    Format | None,
    typer.Option(
        "--format",
        "-f",
        help="Else what the name of the file says, a table in a terminal, and csv in a pipe.",
        show_default=False,
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write a file (.csv, .json, .parquet, .txt) instead of stdout; - is stdout.",
        show_default=False,
    ),
]
PlotOption = Annotated[
    str | None,
    typer.Option(
        metavar="[FILE]",
        help="Draw the points: in the terminal, or into a .png, .svg or .pdf file.",
        show_default=False,
    ),
]
WideOption = Annotated[
    bool,
    typer.Option(
        "--wide/--long",
        help="A column for each series, or a row for each point with the series' name.",
    ),
]
PrecisionOption = Annotated[
    Precision | None,
    typer.Option(
        help="Convert the timestamps to this unit, exactly, cutting what is finer.",
        show_default=False,
    ),
]
AllPointsOption = Annotated[
    bool,
    typer.Option(
        "--all-points",
        help="Select in several pieces what is over the server's limit of points.",
    ),
]
LimitOption = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="N",
        help="Rows of a table that are shown at most, the first and the last ones; 0: all.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryOptions:
    """What the user asks, and what is to become of the answer."""

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


def format_of(
    query: str, given: Format | None, output: Path | None, plot: str | None
) -> Format | None:
    """Return the form of an answer: what is asked for, else what the file's name says.

    None where there is nothing but a picture.

    Raises:
        UsageFault: The file's name says one that cannot be written.
    """
    if given is not None:
        return given
    if output is not None:
        return form_of(output, FORMATS) or Format.CSV
    if plot is not None and is_select(query):
        return None
    return Format.TABLE if is_terminal() else Format.CSV


def check(options: QueryOptions) -> None:
    """Refuse what cannot be done, before anything is asked.

    Raises:
        UsageFault: The query does not select points that this needs, or stdout is a terminal.
    """
    is_parquet = options.format is Format.PARQUET
    if is_parquet and options.output is None and is_terminal():
        raise UsageFault("parquet is not for a terminal: give a file, -o FILE")
    if is_select(options.query):
        return
    if is_parquet:
        raise UsageFault("parquet holds points, and this query selects none; use csv or json")
    if options.plot is not None:
        raise UsageFault("--plot draws points, and this query selects none")
