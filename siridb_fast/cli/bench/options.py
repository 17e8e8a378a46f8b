"""The options of `siridb-fast bench`: what Typer reads of each, and all of them together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from siridb_fast.cli.options import BUFFER_STEP
from siridb_fast.cli.output.plot_option import IN_TERMINAL

__all__ = [
    "ACCOUNT_PASSWORD",
    "LEAST_SECONDS",
    "AccountOption",
    "BenchOptions",
    "BufferSizeOption",
    "HttpPortOption",
    "NewDatabaseOption",
    "PlotOption",
    "SecondsOption",
    "SeriesOption",
    "SocketOption",
    "ThrowAwayOption",
]

LARGEST_BUFFER = 1_048_576
LEAST_SECONDS = 2.0  # for each database
ACCOUNT_PASSWORD = "SIRIDB_ACCOUNT_PASSWORD"  # noqa: S105 - the name of a variable


def _checked_sizes(values: list[int] | None) -> list[int] | None:
    for value in values or ():
        if value % BUFFER_STEP or not 0 < value <= LARGEST_BUFFER:
            raise typer.BadParameter(
                f"expected a multiple of {BUFFER_STEP} up to {LARGEST_BUFFER:,} bytes, got {value}"
            )
    return values


SecondsOption = Annotated[
    float,
    typer.Option(
        min=LEAST_SECONDS, max=3600, metavar="SECONDS", help="How long to measure, at most."
    ),
]
ThrowAwayOption = Annotated[
    bool,
    typer.Option(
        "--throw-away",
        help="Measure a server that is started for it and thrown away, with "
        "buffer_sync_interval 0 and 500. It needs the program siridb-server.",
    ),
]
NewDatabaseOption = Annotated[
    bool,
    typer.Option(
        "--new-database",
        help="Measure in new databases on the server of the URL, and drop them. Compares "
        "buffer sizes.",
    ),
]
BufferSizeOption = Annotated[
    list[int] | None,
    typer.Option(
        metavar="BYTES",
        callback=_checked_sizes,
        help="Of new databases; may be given several times. Else 1024 and 8192, with "
        "--throw-away 1024.",
        show_default=False,
    ),
]
AccountOption = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="The service account that makes new databases; its password is asked for, or "
        f"what the environment variable {ACCOUNT_PASSWORD} says.",
    ),
]
HttpPortOption = Annotated[
    int,
    typer.Option(
        min=1,
        max=65_535,
        metavar="PORT",
        help="The server's http_api_port, for new databases.",
    ),
]
SocketOption = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="The server's unix socket, to compare it with TCP; the URL may have it as well.",
        show_default=False,
    ),
]
SeriesOption = Annotated[
    int,
    typer.Option(
        min=1, max=10_000, metavar="N", help="Series of the BatchWriter that is measured."
    ),
]
PlotOption = Annotated[
    str | None,
    typer.Option(
        metavar="[FILE]",
        help="Draw it: in the terminal, or into a .png, .svg or .pdf file.",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """What the user asks of a bench."""

    url: str | None
    seconds: float
    throw_away: bool
    in_new_database: bool
    buffer_sizes: list[int] | None
    account: str
    http_port: int
    socket: str | None
    series: int
    plot: str | None
    as_json: bool
    timeout: float | None

    @property
    def is_plotted_in_terminal(self) -> bool:
        """Tell whether the plot goes to stdout."""
        return self.plot == IN_TERMINAL

    @property
    def picture(self) -> Path | None:
        """The file of the plot; None if there is none."""
        return None if self.plot in (None, IN_TERMINAL) else Path(str(self.plot))
