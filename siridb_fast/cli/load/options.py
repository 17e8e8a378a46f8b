"""The options of `siridb-fast load`: what Typer reads of each."""

from __future__ import annotations

from typing import Annotated

import typer

from siridb_fast.cli.options import Precision
from siridb_fast.files.paths import Format

__all__ = [
    "CastOption",
    "CompareOption",
    "DryRunOption",
    "FloorOption",
    "FormatOption",
    "IgnoreOption",
    "ManifestOption",
    "MaxMemoryOption",
    "PathsArgument",
    "RestartOption",
    "ResumeOption",
    "SeriesOption",
    "SkipBadFilesOption",
    "SkipBadOption",
    "SkipUnnamedOption",
    "TimeOption",
    "TimePrecisionOption",
    "TypesOption",
    "UnitOption",
    "ValuesOption",
]

PathsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH...",
        help="Parquet, Feather, Arrow, CSV (.csv, .tsv), JSON (.ndjson, .jsonl, .json), line "
        "protocol (.lp, .influx), Graphite (.graphite) and Excel files (.xlsx, .xls, .xlsb, "
        ".ods), the text ones also in .gz, .zst, .bz2, and .zip of one file; folders of them, "
        "patterns such as 'data/*.parquet'; - is standard input.",
    ),
]
FormatOption = Annotated[
    Format | None,
    typer.Option(help="What the files are, whatever their suffixes say.", show_default=False),
]
TimeOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN",
        help="The column of times: dates, or integers. Without it, the only column of dates. Of "
        "CSV files, also several: --time Date --time Time.",
        show_default=False,
    ),
]
SeriesOption = Annotated[
    str | None,
    typer.Option(
        metavar="TEMPLATE",
        help="How series are named, with columns in braces: '{host}.{metric}'. {column} "
        "stands for the name of the value column; {file}, {stem}, {folder} and keys of "
        "partitions come from the path. Without it, each column of values is a series.",
        show_default=False,
    ),
]
ValuesOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN",
        help="A column of values; may be given several times. Without it, all other columns.",
        show_default=False,
    ),
]
IgnoreOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN",
        help="A column that is not read; may be given several times.",
        show_default=False,
    ),
]
UnitOption = Annotated[
    Precision | None,
    typer.Option(
        help="The unit of times that are integers. Without it, the database's precision.",
        show_default=False,
    ),
]
TimePrecisionOption = Annotated[
    Precision | None,
    typer.Option(
        help="The database's precision, for a user who has no right to ask for it ('show').",
        show_default=False,
    ),
]
TypesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--type",
        metavar="COLUMN=KIND",
        help="What is in a column: float, integer, string, bool, time, or "
        "mixed: numbers of some series and texts of others; of durations and times of day, s, ms, "
        "us or ns: their number, as a float. "
        "Without it, what the file says; in CSV files, what the first lines look like, where "
        "numbers are floats.",
        show_default=False,
    ),
]
SkipBadOption = Annotated[
    bool, typer.Option("--skip-bad", help="Leave out bad lines of CSV files, and count them.")
]
SkipBadFilesOption = Annotated[
    bool,
    typer.Option(
        "--skip-bad-files",
        help="Leave out files that cannot be loaded by their heads: empty ones, and those "
        "without the column of times or another one that is named.",
    ),
]
SkipUnnamedOption = Annotated[
    bool,
    typer.Option(
        "--skip-unnamed",
        help="Leave out rows where a label of their series is missing, and count them.",
    ),
]
CastOption = Annotated[
    bool,
    typer.Option(
        "--cast",
        help="Convert values of another type than their series has; else refuse them.",
    ),
]
FloorOption = Annotated[
    bool,
    typer.Option(
        "--floor", help="Cut times that are finer than the database's precision; else refuse."
    ),
]
ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on with a load that was interrupted, exactly where it ended; files that are "
        "loaded already are left out. Of files that are not known here, or were changed since, "
        "the points are left out that the database has. Nobody else may write points of the same "
        "series and times meanwhile.",
    ),
]
CompareOption = Annotated[
    bool,
    typer.Option(
        "--compare",
        help="As --resume, and compare all points with the database, whatever is noted of the "
        "files: after a backup was restored, say.",
    ),
]
RestartOption = Annotated[
    bool,
    typer.Option("--restart", help="Load all again, whatever was loaded of it before."),
]
ManifestOption = Annotated[
    str | None,
    typer.Option(
        metavar="PATH|database",
        help="The SQLite file in which it is noted what was delivered. By default that of all "
        "loads of this user, in Linux ~/.local/state/siridb_fast/loads.sqlite. The word "
        "'database' has it noted in the database itself, in series of integers named "
        "siridb_fast.loads.*: for containers, and for several users.",
    ),
]
DryRunOption = Annotated[
    bool,
    typer.Option("--dry-run", help="Read and check everything, and send nothing."),
]
MaxMemoryOption = Annotated[
    int,
    typer.Option(
        metavar="MIB",
        min=4,
        help="For points that wait and packages; what is read ahead is beside it.",
    ),
]
