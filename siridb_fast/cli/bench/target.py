"""Where a bench writes, and that nothing of it stays: series of its own, or a database of its own.

Each target is an asynchronous context manager. Rules: before a point is written it is sure that
this user may remove it; what is removed is counted afterwards; what could not be removed is said,
with what removes it. Points lie in the year 2090 and later: none expires, and the shards are the
bench's own, so that the disk is given back as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from siridb_fast.cli.bench.cells import Facts, Transport
from siridb_fast.cli.bench.cpu import local_pid
from siridb_fast.cli.bench.sending import BEGINNING
from siridb_fast.cli.errors import UsageFault, note, reason_of, warn
from siridb_fast.columns.time_units import TimePrecision
from siridb_fast.connection.config import Config, parse_url
from siridb_fast.connection.connection import Connection
from siridb_fast.connection.hosts import Host
from siridb_fast.connection.open import open_connection
from siridb_fast.errors import ConnectionLost, QueryError, SiriDBError, UserAuthError
from siridb_fast.protocol import _wire
from siridb_fast.protocol._qpack import packb
from siridb_fast.testing import HttpApi, HttpApiError, SiriDBServer

__all__ = [
    "Account",
    "BenchTarget",
    "Endpoint",
    "Removal",
    "ask",
    "endpoints_of",
    "existing_database",
    "new_database",
    "throw_away_server",
]

FAMILY = "siridb_fast.bench."
DATABASE_USER = ("iris", "siri")  # of every new database
SHOWN = "time_precision, buffer_size, version, server, uuid"
REMOVAL_ATTEMPTS = 40
BETWEEN_ATTEMPTS = 0.25  # seconds, while the server still works on what it had been sent
IGNORING = "set ignore_threshold true"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address of the server, and what it is reached over."""

    transport: Transport
    host: Host


@dataclass(frozen=True, slots=True)
class Account:
    """A service account of a server, and where its HTTP interface is."""

    name: str
    password: str = field(repr=False)
    http_port: int = 9020


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchTarget:
    """Where a bench may write: series whose names begin with the prefix."""

    facts: Facts
    config: Config
    endpoints: tuple[Endpoint, ...]
    prefix: str
    pid: int | None
    timeout: float

    async def connect(self, endpoint: Endpoint, window: int = 1) -> Connection:
        """Open a connection."""
        return await open_connection(endpoint.host, self.config, self.timeout, window)

    async def stored(self) -> int:
        """Return how many points the server says that it has of the bench's series."""
        async with _asking(self.endpoints[0].host, self.config, self.timeout) as connection:
            query = f"count series length {_regex(self.prefix)}"
            return await _count(connection, query, self.timeout)


@dataclass(slots=True)
class Removal:
    """What became of what was written: how much is removed, and what may be left."""

    series: int = 0
    shards: int = 0
    left: list[str] = field(default_factory=list)


def endpoints_of(config: Config, socket: str | None) -> tuple[Endpoint, ...]:
    """Return what to measure: the first server of a URL, and its unix socket or the one given."""
    hosts = [host for host in config.hosts if not host.is_backup] or list(config.hosts)
    if socket is not None:
        if "/" not in socket:
            raise UsageFault(f"--socket: expected a path with a / in it, got {socket!r}")
        hosts.append(Host(socket))
    found: dict[Transport, Endpoint] = {}
    for host in hosts:
        transport = Transport.UNIX if host.is_unix_socket else Transport.TCP
        found.setdefault(transport, Endpoint(transport, host))
    return tuple(found.values())


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
    async with _asking(endpoints[0].host, config, timeout) as connection:
        shown = await _require_rights(connection, config, prefix, timeout)
    await _require_same_server(endpoints[1:], config, timeout, shown["uuid"])
    target = BenchTarget(
        facts=_facts(shown, f"database {config.dbname}"),
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
        await _remove(target, removal)


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
    request = {
        "dbname": name,
        "time_precision": "ns",
        "buffer_size": buffer_size,
        "duration_num": "1w",
        "duration_log": "1d",
    }
    try:
        _serve(api, account, "new-database", request, timeout)
    except ConnectionLost:
        with contextlib.suppress(SiriDBError):  # it may have been made all the same
            _serve(api, account, "drop-database", {"database": name}, timeout)
        raise
    try:
        async with _asking(endpoints[0].host, config, timeout) as connection:
            shown = await _show(connection, timeout)
        yield BenchTarget(
            facts=_facts(shown, f"buffer_size {buffer_size:,}"),
            config=config,
            endpoints=endpoints,
            prefix=FAMILY,
            pid=local_pid(endpoint.host for endpoint in endpoints),
            timeout=timeout,
        )
    finally:
        try:
            _serve(api, account, "drop-database", {"database": name}, timeout)
        except SiriDBError as exc:
            _report_left(
                removal,
                f"the database {name} is left on the server: {reason_of(exc)}; this removes it: "
                f'POST /drop-database {{"database": "{name}"}} as {account.name}',
            )


@asynccontextmanager
async def throw_away_server(
    buffer_size: int, sync_interval: int, timeout: float
) -> AsyncIterator[BenchTarget]:
    """Start a server with an empty database, give it as a target, and throw it away at the end."""
    with SiriDBServer(buffer_sync_interval=sync_interval) as running:
        running.create_database(buffer_size=buffer_size)
        config = parse_url(running.url())
        endpoints = endpoints_of(config, str(running.socket_path))
        async with _asking(endpoints[0].host, config, timeout) as connection:
            shown = await _show(connection, timeout)
        label = f"buffer_sync_interval {sync_interval}, buffer_size {buffer_size:,}"
        yield BenchTarget(
            facts=replace(_facts(shown, label), sync_interval=sync_interval),
            config=config,
            endpoints=endpoints,
            prefix=FAMILY,
            pid=running.pid,
            timeout=timeout,
        )


async def ask(connection: Connection, query: str, timeout: float) -> dict[str, Any]:
    """Return the answer to a query."""
    answer = await connection.request(_wire.REQ_QUERY, packb((query, None)), timeout)
    return dict(answer)


@asynccontextmanager
async def _asking(host: Host, config: Config, timeout: float) -> AsyncIterator[Connection]:
    connection = await open_connection(host, config, timeout)
    try:
        yield connection
    finally:
        connection.close()
        await connection.wait_closed()


async def _require_rights(
    connection: Connection, config: Config, prefix: str, timeout: float
) -> dict[str, Any]:
    # Everything that is needed later is tried while there is nothing to remove.
    try:
        shown = await _show(connection, timeout)
        leftover = await _count(connection, f"count series {_regex(FAMILY)}", timeout)
        await ask(connection, f"drop series {_regex(prefix)} {IGNORING}", timeout)
        await connection.request(_wire.REQ_INSERT, packb({}), timeout)
    except UserAuthError as exc:
        raise UserAuthError(
            f"{exc} bench needs the rights to show, count, insert, create and drop, and has "
            "written nothing"
        ) from None
    if leftover:
        warn(
            f"{leftover:,} series of a bench that was killed are in the database "
            f"{config.dbname!r}; if no other bench runs, this removes them: "
            f"drop series {_regex(FAMILY)} {IGNORING}"
        )
    return shown


async def _show(connection: Connection, timeout: float) -> dict[str, Any]:
    answer = await ask(connection, f"show {SHOWN}", timeout)
    shown = {item["name"]: item["value"] for item in answer["data"]}
    with contextlib.suppress(UserAuthError):
        shown["pools"] = await _count(connection, "count pools", timeout)
    return shown


async def _require_same_server(
    others: tuple[Endpoint, ...], config: Config, timeout: float, uuid: str
) -> None:
    for endpoint in others:
        async with _asking(endpoint.host, config, timeout) as connection:
            found = await ask(connection, "show uuid", timeout)
        if found["data"][0]["value"] != uuid:
            raise UsageFault(f"{endpoint.host} is the socket of another server than the URL's")


def _facts(shown: dict[str, Any], label: str) -> Facts:
    return Facts(
        label=label,
        server=str(shown["server"]),
        version=str(shown["version"]),
        time_precision=str(shown["time_precision"]),
        buffer_size=int(shown["buffer_size"]),
        sync_interval=None,
        pools=int(shown.get("pools", 1)),
    )


async def _remove(target: BenchTarget, removal: Removal) -> None:
    query = f"drop series {_regex(target.prefix)} {IGNORING}"
    try:
        async with _asking(target.endpoints[0].host, target.config, target.timeout) as connection:
            await _drop_series(connection, query, target, removal)
            await _drop_shards(connection, target, removal)
    except asyncio.CancelledError:
        _report_left(removal, _left(target, "stopped once more before all was removed", query))
        raise
    except (SiriDBError, OSError) as exc:
        _report_left(removal, _left(target, reason_of(exc), query))


def _left(target: BenchTarget, reason: str, query: str) -> str:
    return (
        f"series whose names begin with {target.prefix} may be left in the database "
        f"{target.config.dbname!r}: {reason}; this removes them: {query}"
    )


async def _drop_series(
    connection: Connection, query: str, target: BenchTarget, removal: Removal
) -> None:
    # Until there are none twice in a row: what a server had received it goes on storing.
    counting = f"count series {_regex(target.prefix)}"
    empty = 0
    for _ in range(REMOVAL_ATTEMPTS):
        found = await _count(connection, counting, target.timeout)
        removal.series += found
        empty = 0 if found else empty + 1
        if empty == 2:
            return
        if found:
            await ask(connection, query, target.timeout)
        await asyncio.sleep(BETWEEN_ATTEMPTS)
    raise QueryError(f"the server goes on storing points, {found:,} series are there again")


async def _drop_shards(connection: Connection, target: BenchTarget, removal: Removal) -> None:
    # Dropped series leave their points in the shards until the server optimizes them. Shards that
    # begin in 2090 hold nothing else, once no series ends there.
    begin = BEGINNING * TimePrecision.of_unit(target.facts.time_precision).per_second
    others = await _count(connection, f"count series where end >= {begin}", target.timeout)
    if others:
        return
    found = await _count(connection, f"count shards where start >= {begin}", target.timeout)
    if found:
        removal.shards += found
        query = f"drop shards where start >= {begin} {IGNORING}"
        await ask(connection, query, target.timeout)


def _report_left(removal: Removal, text: str) -> None:
    removal.left.append(text)
    warn(text)


async def _count(connection: Connection, query: str, timeout: float) -> int:
    (count,) = (await ask(connection, query, timeout)).values()
    return int(count)


def _regex(prefix: str) -> str:
    # The server's regular expressions match whole names.
    return f"/{re.escape(prefix)}.*/"


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
