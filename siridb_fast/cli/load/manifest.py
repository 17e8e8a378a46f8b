"""Where it is noted what was delivered: `--manifest`."""

from __future__ import annotations

import os
from pathlib import Path

from siridb_fast.cli.connect import Target
from siridb_fast.loading.database_id import DatabaseId
from siridb_fast.loading.manifest import Manifest
from siridb_fast.loading.manifest_file import default_path
from siridb_fast.loading.notes import Notes, job_key
from siridb_fast.loading.options import LoadOptions

__all__ = ["open_manifest"]

IN_DATABASE = "database"  # a file of this name is ./database


def open_manifest(
    place: str | None, options: LoadOptions, target: Target, database: DatabaseId
) -> Notes:
    """Return the manifest of a load.

    Args:
        place: As it was given; None for the file of this user.
        options: Of the load.
        target: Where the database is.
        database: Which one it is.
    """
    job = job_key(
        target.config.dbname,
        time=options.time,
        series=options.series,
        values=options.values,
        unit=options.unit,
    )
    if place != IN_DATABASE:
        path = default_path() if place is None else Path(place)
        return Manifest(path, job, database)
    import socket

    from siridb_fast.client.note_series import NoteSeries
    from siridb_fast.loading.database_manifest import DatabaseManifest

    store = NoteSeries(target.config, target.connect_timeout)
    return DatabaseManifest(store, job, f"process {os.getpid()} on {socket.gethostname()}")
