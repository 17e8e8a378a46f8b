"""`siridb-fast ping` and `siridb-fast info`: do the servers answer, and what are they.

``ping`` asks each server of the URL on a connection of its own; ``info`` asks any of them.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from siridb_fast.cli.connect import Target, ask, connected, connected_to, target_of
from siridb_fast.cli.errors import ExitCode, reason_of, shown
from siridb_fast.cli.options import JsonOption, TimeoutOption, UrlOption
from siridb_fast.cli.output.console import facts_table, new_console, print_json
from siridb_fast.client.client import SiriDBClient
from siridb_fast.columns.time_units import TimePrecision
from siridb_fast.concurrency.loops import run
from siridb_fast.connection.connection import Connection
from siridb_fast.connection.hosts import Host
from siridb_fast.errors import SiriDBError, UserAuthError
from siridb_fast.protocol import _wire
from siridb_fast.query.database_facts import BUFFERED_POINT_BYTES

__all__ = ["info", "ping"]

NOT_ALLOWED = "not allowed"
SETTINGS = (
    "dbname, version, time_precision, buffer_size, select_points_limit, list_limit, "
    "duration_num, duration_log, expiration_num, expiration_log, timezone, status, uptime, "
    "who_am_i"
)
SERVERS = "list servers name, address, port, pool, status, online, version"
RENAMED = {"port": "backend_port"}
DURATIONS = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}


@dataclass(frozen=True, slots=True)
class Pinged:
    """What became of the pings to one server; seconds. ``failure`` is None if it answered all."""

    host: Host
    trips: tuple[float, ...]
    version: str
    failure: str | None


def ping(
    *,
    url: UrlOption = None,
    count: Annotated[
        int, typer.Option("--count", "-c", min=1, metavar="N", help="Round trips to each server.")
    ] = 5,
    timeout: TimeoutOption = None,
) -> None:
    """Ask every server of the URL whether it answers, and how fast.

    The round trip of an empty package, in milliseconds. Exit code 1 if no server answers.
    """
    answers = run(_ping_all(target_of(url, timeout), count))
    _print_pings(answers)
    if all(answer.failure for answer in answers):
        raise typer.Exit(ExitCode.FAILED)


def info(
    *,
    url: UrlOption = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = None,
) -> None:
    """Show what the database says of itself: settings, series, pools and servers.

    What the user has no right to ask is shown as "not allowed".
    """
    facts = run(_collect(target_of(url, timeout)))
    if as_json:
        print_json(facts)
    else:
        _print_info(facts)


async def _ping_all(target: Target, count: int) -> list[Pinged]:
    return await asyncio.gather(*(_ping(target, host, count) for host in target.config.hosts))


async def _ping(target: Target, host: Host, count: int) -> Pinged:
    trips: list[float] = []
    version = ""
    try:
        async with connected_to(host, target.config, target.connect_timeout) as connection:
            version = await _version(connection, target.timeout)
            for _ in range(count):
                start = time.perf_counter()
                await connection.request(_wire.REQ_PING, b"", target.timeout)
                trips.append(time.perf_counter() - start)
    except (SiriDBError, OSError) as exc:
        return Pinged(host, tuple(trips), version, reason_of(exc))
    return Pinged(host, tuple(trips), version, None)


async def _version(connection: Connection, timeout: float) -> str:
    try:
        answer = await ask(connection, "show version", timeout)
    except UserAuthError:
        return NOT_ALLOWED
    return str(answer["data"][0]["value"])


def _print_pings(answers: list[Pinged]) -> None:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("server", "status"):
        table.add_column(name, overflow="fold")
    for name in ("min ms", "median ms", "max ms"):
        table.add_column(name, justify="right")
    table.add_column("version")
    for answer in answers:
        status = "up" if answer.failure is None else f"down: {answer.failure}"
        style = "green" if answer.failure is None else "red"
        trips = [f"{trip * 1000:.3f}" for trip in _summary(answer.trips)] or ["–"] * 3
        table.add_row(
            Text(shown(str(answer.host))), Text(shown(status), style), *trips, answer.version
        )
    _print(table)


def _summary(trips: tuple[float, ...]) -> list[float]:
    return [min(trips), statistics.median(trips), max(trips)] if trips else []


async def _collect(target: Target) -> dict[str, Any]:
    async with connected(target) as client:
        settings = await _allowed(lambda: _settings(client, target.timeout))
        user = settings.pop("who_am_i") if isinstance(settings, dict) else target.config.username
        return {
            "database": target.config.dbname,
            "addresses": [str(host) for host in target.config.hosts],
            "user": user,
            "rights": await _allowed(lambda: _rights(client, user, target.timeout)),
            "settings": settings,
            "series": await _allowed(lambda: _count(client, "series", target.timeout)),
            "points": await _allowed(lambda: _count(client, "series length", target.timeout)),
            "pools": await _allowed(lambda: _listed(client, "list pools", target.timeout)),
            "servers": await _allowed(lambda: _servers(client, target.timeout)),
        }


async def _allowed(request: Callable[[], Awaitable[Any]]) -> Any:
    try:
        return await request()
    except UserAuthError:
        return NOT_ALLOWED


async def _settings(client: SiriDBClient, timeout: float) -> dict[str, Any]:
    answer = await client.query(f"show {SETTINGS}", timeout=timeout)
    return {item["name"]: item["value"] for item in answer["data"] if item["name"] != "dbname"}


async def _rights(client: SiriDBClient, user: str, timeout: float) -> str:
    answer = await client.query("list users name, access", timeout=timeout)
    rights = {str(name): str(access) for name, access in answer["users"]}
    return rights.get(user, "unknown")


async def _count(client: SiriDBClient, what: str, timeout: float) -> int:
    (count,) = (await client.query(f"count {what}", timeout=timeout)).values()
    return int(count)


async def _listed(client: SiriDBClient, query: str, timeout: float) -> list[dict[str, Any]]:
    answer = dict(await client.query(query, timeout=timeout))
    columns = answer.pop("columns")
    (rows,) = answer.values()
    return [dict(zip(columns, row, strict=True)) for row in rows]


async def _servers(client: SiriDBClient, timeout: float) -> list[dict[str, Any]]:
    # The port that a server tells is the one for other servers; no client gets in there.
    rows = await _listed(client, SERVERS, timeout)
    return [{RENAMED.get(name, name): value for name, value in row.items()} for row in rows]


def _print_info(facts: dict[str, Any]) -> None:
    table = facts_table()
    table.add_row("address", Text(shown(", ".join(facts["addresses"]))))
    for name in ("database", "user", "rights"):
        table.add_row(name, Text(shown(facts[name])))
    settings = facts["settings"]
    if isinstance(settings, dict):
        for name, value in settings.items():
            if value is not None:
                table.add_row(name.replace("_", " "), Text(_described(name, value, settings)))
    else:
        table.add_row("settings", settings)
    for name in ("series", "points"):
        table.add_row(name, _number(facts[name]))
    _print(table)
    for name in ("pools", "servers"):
        _print_rows(name, facts[name])


def _described(name: str, value: Any, settings: dict[str, Any]) -> str:
    if name == "buffer_size":
        fast = value // BUFFERED_POINT_BYTES + 1
        return f"{value:,} bytes a series (fast from {fast:,} points a series in a package)"
    if name.startswith(("duration_", "expiration_")):
        return _duration(value // TimePrecision.of_unit(settings["time_precision"]).per_second)
    if name == "uptime":
        return _duration(value)
    return _number(value)


def _duration(seconds: int) -> str:
    parts = []
    for letter, length in DURATIONS.items():
        if seconds >= length:
            parts.append(f"{seconds // length}{letter}")
            seconds %= length
    return " ".join(parts[:2]) or "0s"


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else shown(str(value))


def _print_rows(name: str, rows: list[dict[str, Any]] | str) -> None:
    if isinstance(rows, str):
        _print(Text.assemble((name, "bold"), f" {rows}"))
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=name, title_justify="left")
    for column in rows[0] if rows else ():
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text(shown(_plain(value))) for value in row.values()))
    _print(table)


def _plain(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _print(what: Table | Text) -> None:
    console = new_console()
    console.print(what)
    console.file.flush()
