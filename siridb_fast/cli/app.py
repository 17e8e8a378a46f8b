"""The commands put together. Each is a function in a module, imported if it is asked for.

To import the others too would take a load a tenth of a second.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import siridb_fast
from siridb_fast.cli.errors import silence_stdout
from siridb_fast.cli.output.plot_option import PlotCommand

__all__ = ["command_line"]

COMMANDS = {  # in the order of the help; each with its module
    "load": "load.command",
    "query": "query.command",
    "ping": "status",
    "info": "status",
    "create-database": "create_database",
    "server": "server",
    "bench": "bench.command",
    "spool": "spool.command",
}
WITH_PLOT = ("query", "bench")

EPILOG = (
    "Exit codes: 0 all is well; 1 the server or the connection failed, or bench could not remove "
    "what it had written; 2 wrong usage or bad input; 3 load could not deliver some of the "
    "points, or spool could not read some of its packages; 130 stopped by Ctrl+C; 143 stopped by "
    "SIGTERM."
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


def command_line(arguments: Sequence[str]) -> typer.Typer:
    """Return the command that these arguments begin with, or all of them if none is named."""
    app = typer.Typer(
        cls=Commands,
        epilog=EPILOG,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for name in [asked for asked in arguments[:1] if asked in COMMANDS] or COMMANDS:
        command = getattr(
            import_module(f"siridb_fast.cli.{COMMANDS[name]}"), name.replace("-", "_")
        )
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name, cls=PlotCommand if name in WITH_PLOT else None)(command)
    return app


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
