"""`siridb-fast verify`: are files in the database, each of their points once."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import typer

from siridb_fast.cli.connect import target_of
from siridb_fast.cli.errors import ExitCode, shown
from siridb_fast.cli.load.allocators import keep_memory_small
from siridb_fast.cli.load.options import PathsArgument
from siridb_fast.cli.load.reading import reads_files
from siridb_fast.cli.load.streams import streams_as_files
from siridb_fast.cli.options import JsonOption, TimeoutOption, UrlOption
from siridb_fast.columns.time_units import UNITS
from siridb_fast.concurrency.loops import run
from siridb_fast.loading.differences import Difference
from siridb_fast.loading.file_source import FileSource
from siridb_fast.loading.loader import Loader
from siridb_fast.loading.options import LoadKeywords, LoadOptions
from siridb_fast.loading.verification import Verification, Verifier

__all__ = ["verify"]

SHOWN_SERIES, SHOWN_DIFFERENCES = 10, 20

RepairOption = Annotated[
    bool,
    typer.Option(
        "--repair",
        help="Load the points that are missing. What is doubled or changed stays: SiriDB drops "
        "whole series and shards only.",
    ),
]


@reads_files
def verify(
    *,
    paths: PathsArgument,
    url: UrlOption = None,
    reading: LoadKeywords,
    repair: RepairOption = False,
    as_json: JsonOption = False,
    timeout: TimeoutOption = None,
) -> None:
    """Tell whether files are in the database, each point once.

    Missing, doubled and changed points are counted and shown, by series and time; then the exit
    code is 3. Options are those of the load. Nobody else may write points of the same series and
    times meanwhile.
    """
    keep_memory_small()
    options = LoadOptions.of({**reading, "timeout": timeout})
    target = target_of(url, timeout)
    with streams_as_files(paths, options.format) as (files, _):
        first = FileSource(files, options)
        sources = iter([first])
        verifier = Verifier(
            Loader(target.config, options),
            lambda: next(sources, None) or FileSource(files, options),
        )
        found = run(verifier.verify(repairs=repair))
        if as_json:
            _print_json(found)
        else:
            _print(found, first)
    if not found.is_complete:
        raise typer.Exit(ExitCode.INCOMPLETE)


def _print(found: Verification, source: FileSource) -> None:
    from siridb_fast.cli.load.output import (  # late: it imports rich
        Figures,
        print_dialects,
        print_figures,
        unless_0,
        warn_of_left_out,
    )

    figures: Figures = [
        ("files", len(source.files) - len(source.skipped)),
        *unless_0("files left out", len(source.skipped)),
        *unless_0("bad lines left out", source.bad_lines),
        ("rows", found.rows),
        ("series", found.series),
        ("points", found.points),
        ("missing", found.missing),
        ("doubled", found.doubled),
        ("changed", found.changed),
        *unless_0("older than what is kept", found.expired),
        *unless_0("repaired", found.repaired),
    ]
    for name, counts in islice(found.by_series.items(), SHOWN_SERIES):
        kinds = zip(("missing", "doubled", "changed"), counts, strict=True)
        text = ", ".join(f"{count:,} {kind}" for kind, count in kinds if count)
        figures.append((f"  {shown(name)}", text))
    if len(found.by_series) > SHOWN_SERIES:
        figures.append(("", f"and {len(found.by_series) - SHOWN_SERIES:,} series more"))
    print_dialects(source)
    print_figures("Verified" if found.is_complete else "Differs", figures)
    warn_of_left_out(source)
    for difference in found.differences[:SHOWN_DIFFERENCES]:
        print(shown(_line(difference, found.time_precision)))


def _line(difference: Difference, time_precision: int | None) -> str:
    time = _time(difference.timestamp, time_precision)
    text = f"{difference.kind}: {difference.series} at {time}: {difference.value!r}"
    return text if difference.stored is None else f"{text}, stored is {difference.stored!r}"


def _time(timestamp: int, time_precision: int | None) -> str:
    import numpy as np

    return str(
        timestamp if time_precision is None else np.datetime64(timestamp, UNITS[time_precision])
    )


def _print_json(found: Verification) -> None:
    from siridb_fast.cli.output.console import print_json  # late: it imports rich

    names = ("rows", "series", "points", "missing", "doubled", "changed", "expired", "repaired")
    kinds = ("missing", "doubled", "changed")
    print_json(
        {
            **{name: getattr(found, name) for name in names},
            "by_series": {
                name: dict(zip(kinds, counts, strict=True))
                for name, counts in found.by_series.items()
            },
            "differences": [
                {
                    "series": each.series,
                    "time": _time(each.timestamp, found.time_precision),
                    "kind": each.kind,
                    "value": each.value,
                    **({} if each.stored is None else {"stored": each.stored}),
                }
                for each in found.differences
            ],
        }
    )
