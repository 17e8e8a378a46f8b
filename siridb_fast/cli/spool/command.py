"""`siridb-fast spool`: what waits on disk for a server, as a file or to its database.

Only `replay` and `drop` change a spool; for the others a writer may have it open. How points are
written is in `export`, how they are delivered in `replay`, how they are given up in `drop`.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.filesize import decimal
from rich.text import Text

from siridb_fast.cli.connect import target_of
from siridb_fast.cli.errors import ExitCode, UsageFault, note, shown, terminable, warn
from siridb_fast.cli.options import JsonOption, MaxRateOption, RawTimesOption, UrlOption
from siridb_fast.cli.output.console import facts_table, new_console, print_json
from siridb_fast.cli.output.grid import as_text
from siridb_fast.cli.output.write import form_of, is_terminal, opened
from siridb_fast.cli.spool.drop import drop
from siridb_fast.cli.spool.export import Exporter, ExportFormat, unit_of
from siridb_fast.cli.spool.replay import replay
from siridb_fast.columns._decode import decode_points
from siridb_fast.concurrency.loops import run
from siridb_fast.errors import UnpackError
from siridb_fast.spool.reader import Snapshot, SpoolReader

__all__ = ["spool"]

SHOWN_FAILURES = 10
FORMATS = {form.value: form for form in ExportFormat}

PathArgument = Annotated[
    Path, typer.Argument(metavar="PATH", help="The file of the spool, or one that was set aside.")
]

spool = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@spool.callback()
def commands() -> None:
    """Look at packages that a writer keeps on disk until a server has them."""


@dataclass(frozen=True, slots=True)
class Content:
    """The points of each series, of those with the most, and what could not be read."""

    series: int
    top: dict[str, int]
    damaged: int


@spool.command()
def status(
    path: PathArgument,
    *,
    top: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="The series with the most points; 0 does not look into the packages, which is "
            "faster.",
        ),
    ] = 10,
    as_json: JsonOption = False,
) -> None:
    """Show how much is in a spool, since when, for which series, and who has it open.

    Exit code 3 if some of it is damaged.
    """
    with terminable(), SpoolReader(path) as reader:
        snapshot = reader.snapshot()
        content = _content(reader, top) if top else None
        facts = _facts(reader, snapshot, content)
    if as_json:
        print_json(facts)
    else:
        _print_facts(facts)
    if facts["fault"] or facts["damaged"]:
        raise typer.Exit(ExitCode.INCOMPLETE)


@spool.command()
def export(
    path: PathArgument,
    *,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A file (.csv, .json, .parquet); - is stdout.",
        ),
    ],
    format_: Annotated[
        ExportFormat | None,
        typer.Option(
            "--format",
            "-f",
            help="Else what the name of the file says, or csv.",
            show_default=False,
        ),
    ] = None,
    raw_times: RawTimesOption = False,
) -> None:
    """Write all points of a spool as rows: series, timestamp, value.

    The packages stay where they are. Exit code 3 if some of them are damaged, and left out.
    """
    target = None if str(output) == "-" else output
    form = format_ or (target and form_of(target, FORMATS)) or ExportFormat.CSV
    if form is ExportFormat.PARQUET and target is None and is_terminal():
        raise UsageFault("parquet is not for a terminal: give a file, -o FILE")
    with terminable(), SpoolReader(path) as reader:
        unit = None if raw_times else unit_of(reader.settings.time_precision)
        exporter = Exporter(reader, form, unit)
        with opened(target) as file:
            exporter.write(file)
    note(f"{exporter.points:,} points of {exporter.packages:,} packages")
    damaged = reader.damaged + exporter.undecodable
    if reader.fault or damaged:
        _warn_of_damage(reader.fault, damaged)
        raise typer.Exit(ExitCode.INCOMPLETE)


@spool.command("replay")
def replay_command(
    path: PathArgument,
    *,
    url: UrlOption = None,
    timeout: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", help="To deliver all of it.")
    ] = 3600.0,
    max_rate: MaxRateOption = None,
) -> None:
    """Deliver the points of a spool to its database, and remove them from the file.

    No writer may have it open. What may be stored already is looked up first. Exit code 3 if
    points are left, or were not delivered.
    """
    target = target_of(url, None)
    replayed = run(replay(path, target.config, target.connect_timeout, timeout, max_rate))
    report = replayed.report
    note(f"{report.points:,} points delivered in {report.packages:,} packages")
    for failure in (*report.rejected, *report.in_doubt, *report.changed)[:SHOWN_FAILURES]:
        warn(str(failure))
    if replayed.left:
        warn(f"{replayed.left:,} points are still in the spool")
    if not replayed.is_complete:
        raise typer.Exit(ExitCode.INCOMPLETE)


@spool.command("drop")
def drop_command(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="The file of a spool, or of a journal.")
    ],
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Give up the points of a spool or a journal: they are lost. The file stays, empty.

    No writer may have it open.
    """

    def confirm(what: str) -> None:
        if yes:
            return
        if not sys.stdin.isatty():
            raise UsageFault(f"{what} would be lost: say --yes if that is wanted")
        typer.confirm(f"{what} will be lost. Drop them?", abort=True, err=True)

    with terminable():
        points = drop(path, confirm)
    note(f"{points:,} points dropped" if points else "it is empty already")


def _warn_of_damage(fault: str | None, damaged: int) -> None:
    warn(
        f"the spool is damaged ({fault or 'packages that cannot be decoded'}); "
        f"{damaged:,} packages or parts of it were left out"
    )


def _content(reader: SpoolReader, top: int) -> Content:
    points: Counter[str] = Counter()
    undecodable = 0
    for package in reader.packages():
        try:
            decoded = decode_points(package.payload)
        except UnpackError:
            undecodable += 1
            continue
        for name, (timestamps, _) in decoded.items():
            points[str(as_text(name))] += len(timestamps)
    return Content(len(points), dict(points.most_common(top)), reader.damaged + undecodable)


def _facts(reader: SpoolReader, snapshot: Snapshot, content: Content | None) -> dict[str, object]:
    return {
        "path": str(reader.path),
        "database": reader.settings.dbname,
        "time_precision": unit_of(reader.settings.time_precision),
        "held_by": reader.holder,
        **asdict(snapshot),
        "series": None if content is None else content.series,
        "top": {} if content is None else content.top,
        "fault": reader.fault,
        "damaged": reader.damaged if content is None else content.damaged,
        "set_aside": {str(file): file.stat().st_size for file in reader.set_aside},
    }


def _print_facts(facts: dict[str, object]) -> None:
    table = facts_table()
    for name, text in _rows(facts):
        table.add_row(name, Text(shown(text)))
    console = new_console()
    console.print(table)
    console.file.flush()


def _rows(facts: dict[str, object]) -> list[tuple[str, str]]:
    holder, oldest, size = facts["held_by"], facts["oldest"], facts["bytes"]
    rows = [
        ("database", _known(facts["database"])),
        ("time precision", _known(facts["time_precision"])),
        ("open in", "no process" if holder is None else f"process {holder or 'unknown'}"),
        ("packages", f"{facts['packages']:,}"),
        ("points", f"{facts['points']:,}"),
        ("bytes", f"{size:,} ({decimal(size)})" if isinstance(size, int) else ""),
        ("sent, no answer yet" if holder else "in doubt", f"{facts['sent']:,}"),
        ("oldest", _age(oldest) if isinstance(oldest, float) else "–"),
    ]
    if facts["series"] is not None:
        rows.append(("series", f"{facts['series']:,}"))
    top, aside = facts["top"], facts["set_aside"]
    if isinstance(top, dict):
        rows += [(f"  {shown(name)}", f"{points:,} points") for name, points in top.items()]
    if facts["fault"] or facts["damaged"]:
        rows.append(("damaged", f"{facts['damaged']:,} rows ({facts['fault'] or 'not decoded'})"))
    if isinstance(aside, dict):
        rows += [("set aside", f"{file} ({decimal(length)})") for file, length in aside.items()]
    return rows


def _known(value: object) -> str:
    return "unknown" if value is None else str(value)


def _age(written_at: float) -> str:
    seconds = max(0.0, time.time() - written_at)
    moment = datetime.fromtimestamp(written_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{moment} ({seconds:,.0f} s ago)"
