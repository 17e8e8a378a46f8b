"""The databases that a bench measures: one that is there, a new one, one of a server of its own.

Each is an asynchronous context manager that gives a `BenchTarget`. Rules: before a point is
written it is sure that this user may remove it; at the end nothing is left. Points lie in the year
2090 and later: none expires, and the shards are the bench's own, so that the disk is given back as
well.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from siridb_fast.cli.bench.cells import Facts, Transport
from siridb_fast.cli.bench.cpu import local_pid
from siridb_fast.cli.bench.removal import Removal, drop_query, remove
from siridb_fast.cli.bench.target import (
    FAMILY,
    BenchTarget,
    Endpoint,
    count,
    endpoints_of,
    names_regex,
)
from siridb_fast.cli.connect import ask, connected_to
from siridb_fast.cli.errors import UsageFault, note, reason_of, warn
from siridb_fast.connection.config import Config, parse_url
from siridb_fast.connection.connection import Connection
from siridb_fast.errors import ConnectionLost, SiriDBError, UserAuthError
from siridb_fast.protocol import _wire
from siridb_fast.protocol._qpack import packb
from siridb_fast.testing import HttpApi, HttpApiError, SiriDBServer

__all__ = ["Account", "existing_database", "new_database", "throw_away_server"]

DATABASE_USER = ("iris", "siri")  # of every new database
SETTINGS = "time_precision, buffer_size, version, uuid"


@dataclass(frozen=True, slots=True)
class Account:
    """A service account of a server, and where its HTTP interface is."""

    name: str
    password: str = field(repr=False)
    http_port: int = 9020


@asynccontextmanager
async def existing_database(
    config: Config, endpoints: tuple[Endpoint, ...], timeout: float, removal: Removal
) -> AsyncIterator[BenchTarget]:
    """Give a target in a database that is there; drop the series of the bench at the end.

    Raises:
        UserAuthError: The user may not do what this needs, and nothing was written.
        UsageFault: The unix socket is another server's.
    """
    prefix = f"{FAMILY}{secrets.token_hex(4)}."
    async with connected_to(endpoints[0].host, config, timeout) as connection:
        settings = await _settings_if_allowed(connection, config, prefix, timeout)
    await _require_same_server(endpoints[1:], config, timeout, settings["uuid"])
    target = BenchTarget(
        facts=_facts(settings, f"database {config.dbname}", endpoints[0]),
        config=config,
        endpoints=endpoints,
        prefix=prefix,
        pid=local_pid(endpoint.host for endpoint in endpoints),
        timeout=timeout,
    )
    try:
        yield target
    except asyncio.CancelledError:
        note("Stopped. Removing what was written …")
        raise
    finally:
        await remove(target, removal)


@asynccontextmanager
async def new_database(
    config: Config,
    endpoints: tuple[Endpoint, ...],
    timeout: float,
    removal: Removal,
    account: Account,
    buffer_size: int,
) -> AsyncIterator[BenchTarget]:
    """Make a database on a server that is there, give it as a target, and drop it at the end."""
    name = f"bench_{secrets.token_hex(4)}"
    tcp = next((each.host.address for each in endpoints if each.transport is Transport.TCP), None)
    api = HttpApi(tcp or "127.0.0.1", account.http_port)
    username, password = DATABASE_USER
    config = replace(config, username=username, password=password, dbname=name)
    try:
        _serve(api, account, "new-database", _request(name, buffer_size), timeout)
    except ConnectionLost:
        with contextlib.suppress(SiriDBError):  # it may have been made all the same
            _serve(api, account, "drop-database", {"database": name}, timeout)
        raise
    try:
        pid = local_pid(endpoint.host for endpoint in endpoints)
        label = f"buffer_size {buffer_size:,}"
        yield await _empty_database(config, endpoints, timeout, label, pid)
    finally:
        try:
            _serve(api, account, "drop-database", {"database": name}, timeout)
        except SiriDBError as exc:
            removal.report_left(
                f"the database {name} is left on the server: {reason_of(exc)}; this removes it: "
                f'POST /drop-database {{"database": "{name}"}} as {account.name}'
            )


@asynccontextmanager
async def throw_away_server(
    buffer_size: int, sync_interval: int, timeout: float
) -> AsyncIterator[BenchTarget]:
    """Start a server with an empty database, give it as a target, and throw it away at the end."""
    made = SiriDBServer(buffer_sync_interval=sync_interval)
    note(f"Starting {made.program} …")
    with made as running:
        running.create_database(buffer_size=buffer_size)
        config = parse_url(running.url())
        endpoints = endpoints_of(config, str(running.socket_path))
        label = f"buffer_sync_interval {sync_interval}, buffer_size {buffer_size:,}"
        target = await _empty_database(config, endpoints, timeout, label, running.pid)
        yield replace(target, facts=replace(target.facts, sync_interval=sync_interval))


async def _empty_database(
    config: Config, endpoints: tuple[Endpoint, ...], timeout: float, label: str, pid: int | None
) -> BenchTarget:
    async with connected_to(endpoints[0].host, config, timeout) as connection:
        settings = await _settings(connection, timeout)
    return BenchTarget(
        facts=_facts(settings, label, endpoints[0]),
        config=config,
        endpoints=endpoints,
        prefix=FAMILY,
        pid=pid,
        timeout=timeout,
    )


async def _settings_if_allowed(
    connection: Connection, config: Config, prefix: str, timeout: float
) -> dict[str, Any]:
    # Everything that is needed later is tried while there is nothing to remove.
    try:
        settings = await _settings(connection, timeout)
        leftover = await count(connection, f"count series {names_regex(FAMILY)}", timeout)
        await ask(connection, drop_query(prefix), timeout)
        await connection.request(_wire.REQ_INSERT, packb({}), timeout)
    except UserAuthError as exc:
        raise UserAuthError(
            f"{exc} bench needs the rights to show, count, insert, create and drop, and has "
            "written nothing"
        ) from None
    if leftover:
        warn(
            f"{leftover:,} series of a bench that was killed are in the database "
            f"{config.dbname!r}; if no other bench runs, this removes them: {drop_query(FAMILY)}"
        )
    return settings


async def _settings(connection: Connection, timeout: float) -> dict[str, Any]:
    answer = await ask(connection, f"show {SETTINGS}", timeout)
    settings = {item["name"]: item["value"] for item in answer["data"]}
    with contextlib.suppress(UserAuthError):
        settings["pools"] = await count(connection, "count pools", timeout)
    return settings


async def _require_same_server(
    others: tuple[Endpoint, ...], config: Config, timeout: float, uuid: str
) -> None:
    for endpoint in others:
        async with connected_to(endpoint.host, config, timeout) as connection:
            found = await ask(connection, "show uuid", timeout)
        if found["data"][0]["value"] != uuid:
            raise UsageFault(f"{endpoint.host} is the socket of another server than the URL's")


def _facts(settings: dict[str, Any], label: str, endpoint: Endpoint) -> Facts:
    return Facts(
        label=label,
        server=str(endpoint.host),  # as the user knows it; its own name has the backend port
        version=str(settings["version"]),
        time_precision=str(settings["time_precision"]),
        buffer_size=int(settings["buffer_size"]),
        sync_interval=None,
        pools=int(settings.get("pools", 1)),
    )


def _request(name: str, buffer_size: int) -> dict[str, object]:
    return {
        "dbname": name,
        "time_precision": "ns",
        "buffer_size": buffer_size,
        "duration_num": "1w",
        "duration_log": "1d",
    }


def _serve(
    api: HttpApi, account: Account, request: str, body: dict[str, object], timeout: float
) -> None:
    # Without giving way to the event loop: a database that is being made cannot be dropped.
    try:
        api.service(request, body, account=(account.name, account.password), timeout=timeout)
    except HttpApiError as exc:
        raise SiriDBError(f"the server refuses /{request} to {account.name}: {exc.text}") from None
    except OSError as exc:
        raise ConnectionLost(
            f"no answer of the HTTP interface at port {account.http_port} (see --http-port): "
            f"{reason_of(getattr(exc, 'reason', None) or exc)}"
        ) from None
