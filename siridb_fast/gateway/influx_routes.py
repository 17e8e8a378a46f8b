"""What clients of InfluxDB ask a server: 1, 2 and 3, QuestDB's, Telegraf, Home Assistant.

A gateway only takes points: of queries it knows those that clients make before they write.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from aiohttp import web

import siridb_fast
from siridb_fast.gateway.config import Credentials
from siridb_fast.gateway.http_answers import answer, refused
from siridb_fast.gateway.http_auth import is_allowed
from siridb_fast.gateway.influx_databases import Databases

__all__ = ["InfluxRoutes", "guarded"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

VERSION = {"X-Influxdb-Version": f"siridb-fast-{siridb_fast.__version__}"}
SETTINGS = {"config": {"line.proto.support.versions": [1]}}  # of QuestDB: numbers are texts
SHOW_DATABASES = re.compile(r"show\s+databases", re.IGNORECASE)
CREATE_DATABASE = re.compile(r'create\s+database\s+("(?:[^"\\\\]|\\\\.)*"|\S+)', re.IGNORECASE)
ACCEPTED = re.compile(r"create\s+(database|retention\s+policy)\b", re.IGNORECASE)


def guarded(handler: Handler, credentials: Credentials) -> Handler:
    """Return a handler that is only for those who are let in."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if is_allowed(request, credentials):
            return await handler(request)
        challenge = {"WWW-Authenticate": 'Basic realm="siridb-fast"'}
        return refused(401, "unauthorized: the token or the password is another one", challenge)

    return handle


class InfluxRoutes:
    """The routes at one address.

    Args:
        databases: Take lines.
        credentials: Of the address.
        is_open: Tells whether points are taken.
    """

    def __init__(
        self,
        databases: Databases,
        credentials: Credentials,
        is_open: Callable[[], bool],
    ) -> None:
        self._databases = databases
        self._credentials = credentials
        self._is_open = is_open

    def add_to(self, app: web.Application) -> None:
        """Add them."""
        routes = app.router
        for path in ("/write", "/api/v2/write"):
            routes.add_post(path, guarded(self._databases.write, self._credentials))
        routes.add_post("/api/v3/write_lp", guarded(self._write_v3, self._credentials))
        for path in ("/query", "/api/v2/query"):
            routes.add_route("*", path, guarded(self._query, self._credentials))
        routes.add_route("*", "/ping", self._ping)
        routes.add_get("/health", self._health)
        routes.add_get("/settings", self._settings)

    async def _write_v3(self, request: web.Request) -> web.StreamResponse:
        return await self._databases.write(request, for_v3=True)

    async def _ping(self, request: web.Request) -> web.StreamResponse:
        # 204 to those that know InfluxDB 1, 200 to those that ask for words.
        if request.query.get("verbose", "").lower() in ("true", "1"):
            return answer(200, {"version": VERSION["X-Influxdb-Version"]}, VERSION)
        return web.Response(status=204, headers=VERSION)

    async def _health(self, _: web.Request) -> web.StreamResponse:
        is_open = self._is_open()
        found: dict[str, object] = {
            "name": "siridb-fast",
            "message": "ready for writes" if is_open else "stopping",
            "status": "pass" if is_open else "fail",
            "checks": [],
            "version": siridb_fast.__version__,
        }
        return answer(200 if is_open else 503, found, VERSION)

    async def _settings(self, _: web.Request) -> web.StreamResponse:
        return answer(200, SETTINGS)

    async def _query(self, request: web.Request) -> web.StreamResponse:
        text = request.query.get("q")
        if text is None and request.method == "POST" and not _is_compressed(request):
            form = await request.post()
            text = str(form.get("q", ""))
        statements = [one.strip() for one in (text or "").split(";") if one.strip()]
        if not statements:
            return refused(400, 'missing required parameter "q"', VERSION)
        results = [{"statement_id": i, **self._result(s)} for i, s in enumerate(statements)]
        return answer(200, {"results": results}, VERSION)

    def _result(self, statement: str) -> dict[str, object]:
        if SHOW_DATABASES.fullmatch(statement):
            values = [[name] for name in self._databases.names]
            return {"series": [{"name": "databases", "columns": ["name"], "values": values}]}
        made = CREATE_DATABASE.match(statement)
        if made is not None and not self._databases.has(_unquoted(made[1])):
            return {"error": f"{made[1]} is not one of the gateway's [influx.databases]"}
        if made is not None or ACCEPTED.match(statement):
            return {}
        return {"error": "this is a gateway to SiriDB, which takes points and answers no queries"}


def _unquoted(name: str) -> str:
    return re.sub(r"\\(.)", r"\1", name[1:-1]) if name.startswith('"') else name


def _is_compressed(request: web.Request) -> bool:
    # influxdb 5 says so of bodies that are not there.
    return request.headers.get("Content-Encoding", "identity") != "identity"
