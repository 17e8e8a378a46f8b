"""The commands put together. Each is a function in a module, imported if it is asked for.

The list of them needs none of these modules: what each is for stands here too. To import them
would take `siridb-fast --help` three tenths of a second.
"""

import gc
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import siridb_fast
from siridb_fast.cli.errors import silence_stdout
from siridb_fast.cli.output.plot_option import PlotCommand

__all__ = ["command_line", "loaded"]


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command is, and the first sentence of its help."""

    module: str
    summary: str


COMMANDS = {  # in the order of the help
    "load": Entry("load.command", "Load files into the database."),
    "verify": Entry("load.verify", "Tell whether files are in the database, each point once."),
    "query": Entry("query.command", "Run a query and show, save or draw its answer."),
    "ping": Entry("status", "Ask every server of the URL whether it answers, and how fast."),
    "info": Entry(
        "status", "Show what the database says of itself: settings, series, pools and servers."
    ),
    "create-database": Entry(
        "create_database", "Create a database; its first user is iris, with the password siri."
    ),
    "gateway": Entry(
        "gateway",
        "Take points in other protocols: InfluxDB, Prometheus, Graphite, MQTT, lines of JSON.",
    ),
    "server": Entry("server", "Start a server with an empty database, for trying things out."),
    "bench": Entry("bench.command", "Measure what your server can take, and with which settings."),
    "spool": Entry(
        "spool.command", "Look at packages that a writer keeps on disk until a server has them."
    ),
}
WITH_PLOT = ("query", "bench")

EPILOG = (
    "Exit codes: 0 all is well; 1 the server or the connection failed, or bench could not remove "
    "what it had written; 2 wrong usage or bad input; 3 load could not deliver some of the "
    "points, or none of the rows had one, verify found differences, or spool could not read some "
    "of its packages; 130 stopped by Ctrl+C; 143 stopped by SIGTERM."
)


class Commands(TyperGroup):
    """The commands; each ends quietly when the reader of its output has gone (``| head``)."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            silence_stdout()
            raise typer.Exit from None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that was asked for, and load it in place of its summary."""
        name, summary, rest = super().resolve_command(ctx, args)
        command = None if summary is None else loaded(str(name))
        gc.freeze()  # what is imported stays
        gc.enable()
        return name, command, rest


def command_line() -> typer.Typer:
    """Return all commands, none of them loaded."""
    app = typer.Typer(
        cls=Commands,
        epilog=EPILOG,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for name, entry in COMMANDS.items():
        app.command(name, help=entry.summary)(_summary)
    return app


def loaded(name: str) -> Any:
    """Import a command; return it as what typer runs."""
    module = import_module(f"siridb_fast.cli.{COMMANDS[name].module}")
    command: typer.Typer | Callable[..., Any] = getattr(module, name.replace("-", "_"))
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=name)
    else:
        app.command(name, cls=PlotCommand if name in WITH_PLOT else None)(command)
    return typer.main.get_group(app).commands[name]


def _summary() -> None:
    # Stands for a command in the list; `Commands.resolve_command` puts the command in its place.
    raise NotImplementedError


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        print(f"siridb-fast {siridb_fast.__version__}")
        raise typer.Exit


def _options(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Work with a SiriDB time series database."""
