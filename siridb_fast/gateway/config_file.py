"""A TOML file, or options of a command line → what a gateway is to be.

``docs/gateway.md`` has the table of all keys. Every error names the file, the key, and what was
expected. Knows nothing of how the options are obeyed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from siridb_fast.connection.config import parse_url
from siridb_fast.errors import ColumnError, ConfigError, FileError
from siridb_fast.gateway.config import ACKNOWLEDGE, GatewayConfig, Limits
from siridb_fast.gateway.database_tables import databases_of, options_beside
from siridb_fast.gateway.door_tables import doors_of, status_of
from siridb_fast.gateway.rules import TYPES, Rule
from siridb_fast.gateway.table import Table
from siridb_fast.spool.options import SpoolOptions
from siridb_fast.writer.config_file import CONVERSIONS
from siridb_fast.writer.options import WriterKeywords, WriterOptions

__all__ = ["config_from", "read_gateway_config"]

DEFAULT_SERIES = "{measurement},{tags}:{field}"
GIB = 1 << 30
WAIT_FOR_SERVER = 30.0  # seconds, at the start: whoever starts both need not start them in order
OWN_OPTIONS = (  # stand on top
    "linger", "journal", "late", "on_conflict", "on_precision_loss", "time_precision"
)  # fmt: skip
IN_PROGRAM = ("on_delivery", "on_error", "on_missing", "on_type", "on_full")


def read_gateway_config(path: Path, more: Mapping[str, Any] | None = None) -> GatewayConfig:
    """Read the file of a gateway; ``more`` are keys that go before those of the file.

    Raises:
        ConfigError: Names the file, the key, and what was expected.
    """
    try:
        with path.open("rb") as file:
            found = tomllib.load(file)
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}") from None
    except UnicodeDecodeError:  # whose text has the bytes
        raise ConfigError(f"{path}: expected TOML in UTF-8") from None
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{path}: expected TOML: {exc}") from None
    try:
        return config_from({**found, **(more or {})}, path.parent)
    except (ConfigError, FileError, ColumnError) as exc:
        raise ConfigError(f"{path}: {exc}") from None


def config_from(found: Mapping[str, Any], folder: Path) -> GatewayConfig:
    """Return what keys say; paths are relative to a folder.

    Raises:
        ConfigError: Names the key, and what was expected.
    """
    top = Table(found, folder)
    url = top.text("url")
    target = parse_url(url, password=top.password())
    series = str(top.text("series", DEFAULT_SERIES))
    writer_of = _writers(top)
    writer = writer_of("")
    config = GatewayConfig(
        target=target,
        writer=writer,
        acknowledge=_acknowledge(top, writer),
        drain_timeout=top.number("drain_timeout", 20.0, 0, 86_400),
        doors=doors_of(top, series),
        rules=tuple(_rule(table) for table in top.tables("rules")),
        limits=_limits(top),
        floors_times=writer.get("on_precision_loss") == "floor",
        bad_lines=_bad_lines(top),
        status=status_of(top),
        databases=databases_of(top, target, writer_of),
    )
    top.finish()
    if not config.doors:
        raise ConfigError(
            "there is no door: give one of [influx], [influx.tcp], [influx.udp], [influx.unix], "
            "[graphite], [ndjson.tcp], [mqtt], or --stdin"
        )
    return config


def _writers(top: Table) -> Callable[[str], WriterKeywords]:
    # The options of writers: those on top, and those of the table that is called so; each
    # database has files of its own.
    given = _writer_options(top)

    def options_of(name: str) -> WriterKeywords:
        options = options_beside(given, name)
        for key, convert in CONVERSIONS.items():
            if key in options:
                options[key] = convert(options[key], top.folder)
        _check_words(options.get("spool"))
        keywords = cast(WriterKeywords, options)
        WriterOptions.of(keywords)
        return keywords

    return lru_cache(None)(options_of)


def _writer_options(top: Table) -> dict[str, Any]:
    options: dict[str, Any] = {"on_missing": "keep", "linger": top.number("linger", 1.0, 0, 3600)}
    options["wait_for_server"] = WAIT_FOR_SERVER
    if "on_precision_loss" in top:
        options["on_precision_loss"] = top.choice("on_precision_loss", None, ("error", "floor"))
    if (journal := top.path("journal")) is not None:
        options["journal"] = journal
    table = top.table("writer")
    if table is not None:
        for name in OWN_OPTIONS[:-1]:
            if name in table.found:
                raise table.error(name, "it stands on top of the file, not in a table")
        for name in IN_PROGRAM:
            if name in table.found:
                raise table.error(name, "a gateway decides that itself")
        options |= table.found
    letters = top.text("dead_letters")
    if letters is not None:
        options["on_error"] = letters
    if top.choice("late", "compare", ("compare", "keep")) == "compare":
        options["late"] = "compare"
    if top.choice("on_conflict", "keep", ("keep", "refuse")) == "refuse":
        if "late" not in options:
            raise top.error("on_conflict", '"refuse" needs late = "compare"')
        options["on_conflict"] = "refuse"
    return options


def _check_words(spool: object) -> None:
    # A gateway tells its senders by itself that there is no room, and what it acknowledged stays.
    if isinstance(spool, SpoolOptions) and (
        spool.on_full == "raise" or spool.journal_on_full != "wait"
    ):
        raise ConfigError(
            "writer.spool: of a gateway on_full is 'wait', 'drop_oldest' or 'drop_newest', and "
            f"journal_on_full is 'wait'; got {spool.on_full!r} and {spool.journal_on_full!r}"
        )


def _acknowledge(top: Table, writer: WriterKeywords) -> Any:
    default = "journaled" if "journal" in writer else "accepted"
    value = top.choice("acknowledge", default, ACKNOWLEDGE)
    if value == "journaled" and "journal" not in writer:
        raise top.error("acknowledge", '"journaled" needs journal, the path of a file')
    return value


def _bad_lines(top: Table) -> Path | None:
    letters = top.path("dead_letters")
    return None if letters is None else letters.with_name(f"lines-{letters.stem}.ndjson")


def _limits(top: Table) -> Limits:
    least = Limits()
    max_body = top.integer("max_body", least.max_body, 1024, GIB)
    return Limits(
        max_line=top.integer("max_line", least.max_line, 256, 64 * 1024 * 1024),
        max_body=max_body,
        max_bodies=max(max_body, top.integer("max_bodies", least.max_bodies, 1024, 16 * GIB)),
        max_connections=top.integer("max_connections", least.max_connections, 1, 1_000_000),
        max_new_series=top.integer("max_new_series", least.max_new_series, 1, 1 << 40),
    )


def _rule(table: Table) -> Rule:
    try:
        rule = Rule(
            match=table.text("match", "") or "",
            rename=table.text("rename"),
            drop=table.flag("drop"),
            allow=table.flag("allow"),
            type=cast(Any, table.choice("type", None, TYPES)),
        )
    except ConfigError as exc:
        raise ConfigError(f"{table.name}: {exc}") from None
    table.finish()
    return rule
