"""The commands put together. A command is a function in a module of its own, listed here."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import siridb_fast
from siridb_fast.cli.bench import bench
from siridb_fast.cli.faults import silence_stdout
from siridb_fast.cli.load import load
from siridb_fast.cli.plot_option import PlotCommand
from siridb_fast.cli.query import query
from siridb_fast.cli.server import server
from siridb_fast.cli.show import info, ping
from siridb_fast.cli.spool import spool

__all__ = ["app"]

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


app = typer.Typer(
    cls=Commands,
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        print(f"siridb-fast {siridb_fast.__version__}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Work with a SiriDB time series database."""


app.command()(load)
app.command(cls=PlotCommand)(query)
app.command()(ping)
app.command()(info)
app.command()(server)
app.command(cls=PlotCommand)(bench)
app.add_typer(spool, name="spool")
