"""`siridb-fast create-database`: a database on a server that is there.

The server's HTTP interface makes it, as a service account. The password of that is never an
argument, which other users of the machine could see.
"""

import os
from typing import Annotated

import typer

from siridb_fast.cli.bench.options import ACCOUNT_PASSWORD
from siridb_fast.cli.errors import note
from siridb_fast.cli.options import BUFFER_STEP, Precision
from siridb_fast.client.create_database import create_database as make

__all__ = ["create_database"]


def create_database(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the database.")],
    *,
    host: Annotated[str, typer.Option(metavar="HOST", help="A server of SiriDB.")] = "127.0.0.1",
    http_port: Annotated[int, typer.Option(metavar="PORT", help="Its http_api_port.")] = 9020,
    account: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="A service account; see above for its password.",
        ),
    ] = "sa",
    time_precision: Annotated[
        Precision, typer.Option(help="The unit of the timestamps, for good.")
    ] = Precision.MS,
    buffer_size: Annotated[
        int,
        typer.Option(
            metavar="BYTES",
            min=BUFFER_STEP,
            help=f"Memory for each series, a multiple of {BUFFER_STEP}.",
        ),
    ] = 1024,
    duration_num: Annotated[
        str, typer.Option(metavar="TIME", help="The time span of a shard of numbers: 1w, 2d, 6h.")
    ] = "1w",
    duration_log: Annotated[
        str, typer.Option(metavar="TIME", help="The time span of a shard of texts.")
    ] = "1d",
) -> None:
    """Create a database; its first user is iris, with the password siri.

    The password of the service account is what SIRIDB_ACCOUNT_PASSWORD says, else siri.
    """
    make(
        name,
        host=host,
        http_port=http_port,
        account=account,
        password=os.environ.get(ACCOUNT_PASSWORD, "siri"),
        time_precision=time_precision.value,
        buffer_size=buffer_size,
        duration_num=duration_num,
        duration_log=duration_log,
    )
    note(f"Database {name} is made; change the password of its user iris, which is siri.")
