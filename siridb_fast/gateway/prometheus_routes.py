"""``POST /api/v1/write``: Prometheus' remote write 1.0, of which a body has many series."""

from __future__ import annotations

from aiohttp import web

from siridb_fast.gateway.config import Credentials
from siridb_fast.gateway.http_answers import refused
from siridb_fast.gateway.http_writes import LineWrites
from siridb_fast.gateway.influx_routes import guarded

__all__ = ["PrometheusRoutes"]

V2 = "io.prometheus.write.v2.Request"


class PrometheusRoutes:
    """The route at one address.

    Args:
        path: Of it.
        writes: Takes requests.
        credentials: Of the address.
    """

    def __init__(self, path: str, writes: LineWrites, credentials: Credentials) -> None:
        self._path = path
        self._writes = writes
        self._credentials = credentials

    def add_to(self, app: web.Application) -> None:
        """Add it."""
        app.router.add_post(self._path, guarded(self._write, self._credentials))

    async def _write(self, request: web.Request) -> web.StreamResponse:
        if V2 in request.headers.get("Content-Type", ""):  # senders then fall back to 1.0
            return refused(415, "remote write 1.0 is taken, not 2.0")
        return await self._writes.answer(request)
