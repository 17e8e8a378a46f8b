"""The options of `siridb-fast load` that say how CSV files are written.

What is not said is found in each file, and shown.
"""

from __future__ import annotations

import csv
from typing import Annotated

import typer

from siridb_fast.cli.errors import UsageFault

__all__ = [
    "CommentOption",
    "DecimalOption",
    "DelimiterOption",
    "EncodingOption",
    "FoldOption",
    "HeaderOption",
    "NamesOption",
    "NullsOption",
    "SheetOption",
    "SkipRowsOption",
    "ThousandsOption",
    "TimeFormatOption",
    "TimeZoneOption",
    "UnitsRowOption",
    "split_names",
]

PANEL = "How CSV files are written (found, and shown, where it is not said)"

DelimiterOption = Annotated[
    str | None,
    typer.Option(
        metavar="CHARACTER",
        help="What separates the fields; ' ' stands for any run of blanks.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
DecimalOption = Annotated[
    str | None,
    typer.Option(
        metavar="SIGN",
        help="The decimal sign of numbers: '.' or ','.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
ThousandsOption = Annotated[
    str | None,
    typer.Option(
        metavar="SIGN",
        help="What stands between groups of three digits, as in 1,234.5; ' ' is any blank.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
EncodingOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The encoding of the text, such as utf-8, utf-16, cp1252.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
SkipRowsOption = Annotated[
    int | None,
    typer.Option(
        metavar="LINES",
        min=0,
        help="How many lines are above the header.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
CommentOption = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="What lines begin with that are passed over; '' if there are none.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
HeaderOption = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header",
        help="Whether the first line has the names of the columns.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
NamesOption = Annotated[
    str | None,
    typer.Option(
        "--names",
        metavar="NAMES",
        help="The names of the columns, with commas between them: 'time,temp,hum'.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
UnitsRowOption = Annotated[
    bool | None,
    typer.Option(
        "--units-row/--no-units-row",
        help="Whether a line of units follows the header.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
NullsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--null",
        metavar="TEXT",
        help="What stands for a missing value, beside an empty field, NA, null and the like; may "
        "be given several times.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
TimeFormatOption = Annotated[
    str | None,
    typer.Option(
        metavar="FORMAT",
        help="How times are written: iso, epoch, or a format such as '%d.%m.%Y %H:%M'.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
TimeZoneOption = Annotated[
    str | None,
    typer.Option(
        metavar="ZONE",
        help="The zone of times that name none, such as Europe/Berlin. Without it, UTC.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
FoldOption = Annotated[
    str | None,
    typer.Option(
        metavar="WHICH",
        help="What a local time is that exists twice: earlier or later. Without it, an error.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]


SheetOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The sheet of a spreadsheet; without it, the only one that has something.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]


def split_names(text: str | None) -> list[str]:
    """Return the names of columns in an option, as a line of CSV has them."""
    if text is None:
        return []
    try:
        return [name.strip() for name in next(csv.reader([text], strict=True))]
    except (csv.Error, StopIteration):
        raise UsageFault(
            f"--names: expected names with commas between them, got {text!r}"
        ) from None
