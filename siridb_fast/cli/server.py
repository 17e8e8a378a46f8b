"""`siridb-fast server`: a throw-away server with a database, until Ctrl+C.

Rule: stdout has one line, the URL, so that scripts can read it.
"""

import shlex
import threading
from typing import Annotated

import typer

from siridb_fast.cli.errors import UsageFault, note, terminable
from siridb_fast.cli.options import BUFFER_STEP, Precision
from siridb_fast.testing import HttpApiError, ServerStartError, SiriDBServer

__all__ = ["server"]

WATCH_INTERVAL = 0.5


def _checked_buffer(value: int) -> int:
    if value % BUFFER_STEP:
        raise typer.BadParameter(f"expected a multiple of {BUFFER_STEP} bytes, got {value}")
    return value


def server(
    *,
    dbname: Annotated[str, typer.Option(metavar="NAME", help="The name of the database.")] = (
        "dbtest"
    ),
    time_precision: Annotated[
        Precision, typer.Option(help="The unit of the database's timestamps.")
    ] = Precision.NS,
    buffer_size: Annotated[
        int,
        typer.Option(
            metavar="BYTES",
            min=BUFFER_STEP,
            callback=_checked_buffer,
            help="Memory for each series. A package with more points of a series than a 16th "
            "of this is stored 20 to 50 times as fast, point by point.",
        ),
    ] = 1024,
    sync_interval: Annotated[
        int,
        typer.Option(
            metavar="MS",
            min=0,
            help="Milliseconds between two writes of the buffer to the disk; 0 is safest and "
            "slowest.",
        ),
    ] = 500,
) -> None:
    """Start a server with an empty database, for trying things out.

    Its URL is the only line on stdout. Ctrl+C or SIGTERM stops the server, and then nothing is
    left of it. It needs the program siridb-server.
    """
    with terminable():
        _serve(dbname, time_precision, buffer_size, sync_interval)


def _serve(dbname: str, precision: Precision, buffer_size: int, sync_interval: int) -> None:
    made = SiriDBServer(buffer_sync_interval=sync_interval)
    note(f"Starting {made.program} …")
    with made as running:
        try:
            running.create_database(
                dbname, time_precision=precision.value, buffer_size=buffer_size
            )
        except HttpApiError as exc:
            raise UsageFault(f"the server refuses the database {dbname!r}: {exc.text}") from None
        print(running.url(dbname), flush=True)
        _explain(running, dbname)
        _wait_for_end(running)


def _explain(running: SiriDBServer, dbname: str) -> None:
    note(f"Over a unix socket: {running.socket_url(dbname)}")
    note("In another terminal:")
    note(f"  export SIRIDB_URL={shlex.quote(running.url(dbname))}")
    note("  siridb-fast info")
    note("Ctrl+C stops the server and removes everything.")


def _wait_for_end(running: SiriDBServer) -> None:
    # Until a signal ends this, or the server ends by itself.
    ended = threading.Event()
    while running.is_running:
        ended.wait(WATCH_INTERVAL)
    raise ServerStartError("has ended by itself", running.log)
