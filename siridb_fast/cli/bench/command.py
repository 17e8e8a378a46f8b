"""`siridb-fast bench`: what a server can take, and with which settings.

The flow; what is tried, measured and advised is in the modules beside.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TypeAlias

import typer
from rich.console import Console

from siridb_fast.cli.bench.advice import advise
from siridb_fast.cli.bench.cells import Survey
from siridb_fast.cli.bench.databases import (
    Account,
    existing_database,
    new_database,
    throw_away_server,
)
from siridb_fast.cli.bench.options import (
    ACCOUNT_PASSWORD,
    LEAST_SECONDS,
    AccountOption,
    BenchOptions,
    BufferSizeOption,
    HttpPortOption,
    NewDatabaseOption,
    PlotOption,
    SecondsOption,
    SeriesOption,
    SocketOption,
    ThrowAwayOption,
)
from siridb_fast.cli.bench.output import print_bench, write_json
from siridb_fast.cli.bench.plots import check_plot, draw_in_terminal, draw_picture
from siridb_fast.cli.bench.removal import Removal
from siridb_fast.cli.bench.run import survey
from siridb_fast.cli.bench.target import BenchTarget, Endpoint, endpoints_of
from siridb_fast.cli.connect import ANSWER_TIMEOUT, Target, target_of
from siridb_fast.cli.errors import ExitCode, UsageFault, note, warn
from siridb_fast.cli.options import JsonOption, TimeoutOption, UrlOption
from siridb_fast.concurrency.loops import run

__all__ = ["bench"]

BUFFER_SIZES = (1024, 8192)  # that new databases are tried with, if nothing else is asked
SYNC_INTERVALS = (0, 500)

Database: TypeAlias = AbstractAsyncContextManager[BenchTarget]


def bench(
    *,
    url: UrlOption = None,
    seconds: SecondsOption = 30.0,
    throw_away: ThrowAwayOption = False,
    in_new_database: NewDatabaseOption = False,
    buffer_size: BufferSizeOption = None,
    account: AccountOption = "sa",
    http_port: HttpPortOption = 9020,
    socket: SocketOption = None,
    series: SeriesOption = 1000,
    plot: PlotOption = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = None,
) -> None:
    """Measure what your server can take, and with which settings.

    Writes to series of its own, siridb_fast.bench.<random>., with points in the year 2090, and
    removes them at the end, after Ctrl+C too. All values are floats. The server is busy meanwhile.
    """
    _bench(
        BenchOptions(
            url=url,
            seconds=seconds,
            throw_away=throw_away,
            in_new_database=in_new_database,
            buffer_sizes=buffer_size,
            account=account,
            http_port=http_port,
            socket=socket,
            series=series,
            plot=plot,
            as_json=as_json,
            timeout=timeout,
        )
    )


def _bench(options: BenchOptions) -> None:
    _check_plot(options)
    removal = Removal()
    databases = _databases(options, removal)
    least = LEAST_SECONDS * len(databases)
    if options.seconds < least:
        raise UsageFault(
            f"--seconds: expected at least {least:g} for {len(databases)} databases, "
            f"got {options.seconds:g}"
        )
    try:
        surveys = run(_measure(databases, options.seconds, options.series))
    except (KeyboardInterrupt, SystemExit):
        if not removal.left:
            note("Nothing of the bench is left.")
        raise
    _show(surveys, removal, options)
    if removal.left:
        raise typer.Exit(ExitCode.FAILED)


def _check_plot(options: BenchOptions) -> None:
    if options.plot is None:
        return
    check_plot(options.picture)
    if options.as_json and options.is_plotted_in_terminal:
        raise UsageFault("--json and a plot in the terminal exclude each other")


def _databases(options: BenchOptions, removal: Removal) -> list[Database]:
    sizes = options.buffer_sizes
    if options.throw_away:
        return _throw_away_servers(options)
    if options.in_new_database:
        target, endpoints = _target(options)
        service = Account(options.account, _password(options.account), options.http_port)
        make = partial(new_database, target.config, endpoints, target.timeout, removal, service)
        return [make(size) for size in sizes or BUFFER_SIZES]
    if sizes:
        raise UsageFault("--buffer-size is of --new-database and --throw-away")
    target, endpoints = _target(options)
    return [existing_database(target.config, endpoints, target.timeout, removal)]


def _throw_away_servers(options: BenchOptions) -> list[Database]:
    if options.url is not None or options.in_new_database or options.socket is not None:
        raise UsageFault("--throw-away goes without --url, --new-database and --socket")
    return [
        throw_away_server(size, interval, options.timeout or ANSWER_TIMEOUT)
        for size in options.buffer_sizes or BUFFER_SIZES[:1]
        for interval in SYNC_INTERVALS
    ]


def _target(options: BenchOptions) -> tuple[Target, tuple[Endpoint, ...]]:
    target = target_of(options.url, options.timeout)
    endpoints = endpoints_of(target.config, options.socket)
    if not set(target.config.hosts) <= {endpoint.host for endpoint in endpoints}:
        warn(f"only {endpoints[0].host} of the URL's servers is measured")
    return target, endpoints


async def _measure(databases: Sequence[Database], seconds: float, series: int) -> list[Survey]:
    console = Console(stderr=True)
    surveys: list[Survey] = []
    with console.status("", spinner="dots") as status:
        for number, database in enumerate(databases):
            before = f"{number + 1} of {len(databases)}, " if len(databases) > 1 else ""

            def show_step(text: str, before: str = before) -> None:
                status.update(f"Measuring: {before}{text}")

            if console.is_terminal:
                status.update(f"Measuring: {before}getting ready …")
            async with database as target:
                surveys.append(await survey(target, seconds / len(databases), series, show_step))
    return surveys


def _show(surveys: Sequence[Survey], removal: Removal, options: BenchOptions) -> None:
    advice = advise(surveys)
    if options.as_json:
        write_json(surveys, advice, removal)
    else:
        print_bench(surveys, advice, removal)
    if options.is_plotted_in_terminal:
        draw_in_terminal(surveys)
    elif options.picture is not None:
        draw_picture(surveys, options.picture)


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
