"""A database that becomes another one: its server replaced on the same port, or it made anew."""

import shutil
import time

from siridb_fast.testing import HttpApiError
from tests.fix_server import Database

__all__ = ["drop", "remake", "replace_server"]

PATIENCE = 30.0  # seconds until all connections to what was dropped are closed


def replace_server(database: Database, **options: object) -> None:
    """Put another server on the ports of one, with an empty database of the same name."""
    server = database.server
    server.kill()
    shutil.rmtree(server.folder / "data")
    (server.folder / "data").mkdir()
    server.start()
    server.create_database(database.name, **options)  # type: ignore[arg-type]


def drop(database: Database) -> None:
    """Drop a database; connections to it stay, and go on acknowledging points."""
    database.server.api.service("drop-database", {"database": database.name})


def remake(database: Database, **options: object) -> None:
    """Make a database anew that was dropped, once nobody is connected to the old one."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            database.server.create_database(database.name, **options)  # type: ignore[arg-type]
        except HttpApiError:  # its folder is still there
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return
