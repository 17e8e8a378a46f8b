"""`siridb-fast bench`: what a server can take, and with which settings.

Options and the flow; what is tried, measured and advised is in the modules beside.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from rich.console import Console

from siridb_fast.cli.bench.advice import advise
from siridb_fast.cli.bench.cells import Survey
from siridb_fast.cli.bench.output import print_bench, write_json
from siridb_fast.cli.bench.plots import check_plot, draw_in_terminal, draw_picture
from siridb_fast.cli.bench.run import survey
from siridb_fast.cli.bench.target import (
    Account,
    BenchTarget,
    Endpoint,
    Removal,
    endpoints_of,
    existing_database,
    new_database,
    throw_away_server,
)
from siridb_fast.cli.errors import ExitCode, UsageFault, note, warn
from siridb_fast.cli.options import ANSWER_TIMEOUT, Target, TimeoutOption, UrlOption, target_of
from siridb_fast.cli.output.plot_option import IN_TERMINAL
from siridb_fast.concurrency.loops import run

__all__ = ["bench"]

BUFFER_STEP = 512
LARGEST_BUFFER = 1_048_576
BUFFER_SIZES = (1024, 8192)  # that new databases are tried with, if nothing else is asked
SYNC_INTERVALS = (0, 500)
LEAST_SECONDS = 2.0  # for each target
ACCOUNT_PASSWORD = "SIRIDB_ACCOUNT_PASSWORD"  # noqa: S105 - the name of a variable

Opening: TypeAlias = AbstractAsyncContextManager[BenchTarget]


def _checked_sizes(values: list[int] | None) -> list[int] | None:
    for value in values or ():
        if value % BUFFER_STEP or not 0 < value <= LARGEST_BUFFER:
            raise typer.BadParameter(
                f"expected a multiple of {BUFFER_STEP} up to {LARGEST_BUFFER:,} bytes, got {value}"
            )
    return values


def bench(
    *,
    url: UrlOption = None,
    seconds: Annotated[
        float,
        typer.Option(
            min=LEAST_SECONDS, max=3600, metavar="SECONDS", help="How long to measure, at most."
        ),
    ] = 30.0,
    throw_away: Annotated[
        bool,
        typer.Option(
            "--throw-away",
            help="Measure a server that is started for it and thrown away, with "
            "buffer_sync_interval 0 and 500. It needs the program siridb-server.",
        ),
    ] = False,
    in_new_database: Annotated[
        bool,
        typer.Option(
            "--new-database",
            help="Measure in new databases on the server of the URL, and drop them. Compares "
            "buffer sizes.",
        ),
    ] = False,
    buffer_size: Annotated[
        list[int] | None,
        typer.Option(
            metavar="BYTES",
            callback=_checked_sizes,
            help="Of new databases; may be given several times. Else 1024 and 8192, with "
            "--throw-away 1024.",
            show_default=False,
        ),
    ] = None,
    account: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The service account that makes new databases; its password is asked for, or "
            f"what the environment variable {ACCOUNT_PASSWORD} says.",
        ),
    ] = "sa",
    http_port: Annotated[
        int,
        typer.Option(
            min=1,
            max=65_535,
            metavar="PORT",
            help="The server's http_api_port, for new databases.",
        ),
    ] = 9020,
    socket: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="The server's unix socket, to compare it with TCP; the URL may have it as well.",
            show_default=False,
        ),
    ] = None,
    series: Annotated[
        int,
        typer.Option(
            min=1, max=10_000, metavar="N", help="Series of the BatchWriter that is measured."
        ),
    ] = 1000,
    plot: Annotated[
        str | None,
        typer.Option(
            metavar="[FILE]",
            help="Draw it: in the terminal, or into a .png, .svg or .pdf file.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    timeout: TimeoutOption = None,
) -> None:
    """Measure what your server can take, and with which settings.

    Writes to series of its own, siridb_fast.bench.<random>., with points in the year 2090, and
    removes them at the end, after Ctrl+C too. All values are floats. The server is busy meanwhile.
    """
    removal = Removal()
    if plot is not None:
        check_plot(None if plot == IN_TERMINAL else Path(plot))
        if as_json and plot == IN_TERMINAL:
            raise UsageFault("--json and a plot in the terminal exclude each other")
    if throw_away:
        if url is not None or in_new_database or socket is not None:
            raise UsageFault("--throw-away goes without --url, --new-database and --socket")
        openings = _throw_away(buffer_size or [BUFFER_SIZES[0]], timeout or ANSWER_TIMEOUT)
    elif in_new_database:
        target, endpoints = _target(url, socket, timeout)
        service = Account(account, _password(account), http_port)
        make = partial(new_database, target.config, endpoints, target.timeout, removal, service)
        openings = [make(size) for size in buffer_size or BUFFER_SIZES]
    elif buffer_size:
        raise UsageFault("--buffer-size is of --new-database and --throw-away")
    else:
        target, endpoints = _target(url, socket, timeout)
        openings = [existing_database(target.config, endpoints, target.timeout, removal)]
    if seconds < LEAST_SECONDS * len(openings):
        raise UsageFault(
            f"--seconds: expected at least {LEAST_SECONDS * len(openings):g} for {len(openings)} "
            f"databases, got {seconds:g}"
        )
    try:
        surveys = run(_measure(openings, seconds, series))
    except (KeyboardInterrupt, SystemExit):
        if not removal.left:
            note("Nothing of the bench is left.")
        raise
    _show(surveys, removal, plot, as_json=as_json)
    if removal.left:
        raise typer.Exit(ExitCode.FAILED)


def _target(
    url: str | None, socket: str | None, timeout: float | None
) -> tuple[Target, tuple[Endpoint, ...]]:
    target = target_of(url, timeout)
    endpoints = endpoints_of(target.config, socket)
    if not set(target.config.hosts) <= {endpoint.host for endpoint in endpoints}:
        warn(f"only {endpoints[0].host} of the URL's servers is measured")
    return target, endpoints


def _throw_away(sizes: Sequence[int], timeout: float) -> list[Opening]:
    return [
        throw_away_server(size, interval, timeout) for size in sizes for interval in SYNC_INTERVALS
    ]


async def _measure(openings: Sequence[Opening], seconds: float, series: int) -> list[Survey]:
    console = Console(stderr=True)
    surveys: list[Survey] = []
    with console.status("", spinner="dots") as status:
        for number, opening in enumerate(openings):
            before = f"{number + 1} of {len(openings)}, " if len(openings) > 1 else ""

            def show_step(text: str, before: str = before) -> None:
                status.update(f"Measuring: {before}{text}")

            if console.is_terminal:
                status.update(f"Measuring: {before}getting ready …")
            async with opening as target:
                surveys.append(await survey(target, seconds / len(openings), series, show_step))
    return surveys


def _show(surveys: Sequence[Survey], removal: Removal, plot: str | None, *, as_json: bool) -> None:
    advice = advise(surveys)
    if as_json:
        write_json(surveys, advice, removal)
    else:
        print_bench(surveys, advice, removal)
    if plot == IN_TERMINAL:
        draw_in_terminal(surveys)
    elif plot is not None:
        draw_picture(surveys, Path(plot))


def _password(account: str) -> str:
    found = os.environ.get(ACCOUNT_PASSWORD)
    if found is not None:
        return found
    if not sys.stdin.isatty():
        raise UsageFault(
            f"the password of the service account {account} is not known: set {ACCOUNT_PASSWORD}"
        )
    asked: str = typer.prompt(f"Password of the service account {account}", hide_input=True)
    return asked
