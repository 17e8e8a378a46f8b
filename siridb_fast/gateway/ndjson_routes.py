"""``POST /api/ndjson``: lines of JSON over HTTP, answered as line protocol is."""

from __future__ import annotations

from aiohttp import web

from siridb_fast.gateway.config import Credentials
from siridb_fast.gateway.http_writes import LineWrites
from siridb_fast.gateway.influx_routes import guarded

__all__ = ["NdjsonRoutes"]


class NdjsonRoutes:
    """The route at one address.

    Args:
        writes: Takes lines of JSON.
        credentials: Of the address.
    """

    def __init__(self, writes: LineWrites, credentials: Credentials) -> None:
        self._writes = writes
        self._credentials = credentials

    def add_to(self, app: web.Application) -> None:
        """Add it."""
        app.router.add_post("/api/ndjson", guarded(self._writes.answer, self._credentials))
