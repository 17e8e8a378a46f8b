"""``[influx.databases]``: what the names mean that clients give, ``db`` or ``bucket``.

Each database has a writer of its own, and files of its own beside those of the file's writer.
Knows nothing of requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from siridb_fast.connection.config import Config, is_url, parse_url
from siridb_fast.errors import ConfigError
from siridb_fast.gateway.config import DatabaseConfig
from siridb_fast.gateway.table import Table
from siridb_fast.writer.options import WriterKeywords

__all__ = ["databases_of", "options_beside"]

MOST = 64  # each has a writer, with connections and memory of its own
PATHS = ("journal", "spool", "on_error")  # options that are files


def databases_of(
    top: Table, target: Config, writer_of: Callable[[str], WriterKeywords]
) -> tuple[DatabaseConfig, ...]:
    """Return the databases of a file; several names may mean one.

    Args:
        top: The whole file.
        target: The database of ``url``; it has the writer of the file, whatever its name is.
        writer_of: Returns the options of the writer of a name.

    Raises:
        ConfigError: Names the key, and what was expected.
    """
    influx = top.table("influx")
    table = None if influx is None else influx.table("databases")
    if table is None:
        return ()
    if len(table.found) > MOST:
        raise ConfigError(f"{table.name}: at most {MOST} databases, got {len(table.found):,}")
    found: dict[object, DatabaseConfig] = {}
    for name in table.found:
        one = _target_of(table, name, target)
        key = one.dbname, one.hosts
        if key in found:
            found[key] = replace(found[key], names=(*found[key].names, name))
        else:
            is_main = key == (target.dbname, target.hosts)
            writer = writer_of("" if is_main else name)
            found[key] = DatabaseConfig(names=(name,), target=one, writer=writer, is_main=is_main)
    return tuple(found.values())


def options_beside(options: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return options as a file has them, with files of their own for a database of a name."""
    if not name:
        return dict(options)
    return {key: _beside(value, name) if key in PATHS else value for key, value in options.items()}


def _target_of(table: Table, name: str, target: Config) -> Config:
    text = table.text(name)
    if not name or not text:
        raise table.error(name, "expected a name, and the URL or the name of a database")
    try:
        return parse_url(text) if is_url(text) else replace(target, dbname=text)
    except ConfigError as exc:
        raise table.error(name, str(exc)) from None


def _beside(value: Any, name: str) -> Any:
    # Of "gateway.journal" that of "plant" is "gateway-plant.journal".
    if isinstance(value, dict):
        return {**value, "path": _beside(value["path"], name)} if "path" in value else value
    if not isinstance(value, (str, Path)):
        return value
    path = Path(value)
    other = path.with_stem(f"{path.stem}-{quote(name, safe='')}")
    return other if isinstance(value, Path) else str(other)
