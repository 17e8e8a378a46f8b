"""Paths for whoever runs the gateway: ``/metrics``, ``/healthy``, ``/ready``, and the page."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from siridb_fast.gateway.config import Credentials
from siridb_fast.gateway.influx_routes import guarded
from siridb_fast.gateway.metrics import GatewayMetrics
from siridb_fast.gateway.page import page
from siridb_fast.gateway.page_facts import PageFacts

__all__ = ["StatusRoutes"]

METRICS_TYPE = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Cache-Control": "no-store",
}


class StatusRoutes:
    """The routes at one address.

    Args:
        facts: Returns what the page tells.
        metrics: Of the gateway.
        credentials: Of the address; health is told to everybody.
    """

    def __init__(
        self, facts: Callable[[], PageFacts], metrics: GatewayMetrics, credentials: Credentials
    ) -> None:
        self._facts = facts
        self._metrics = metrics
        self._credentials = credentials

    def add_to(self, app: web.Application) -> None:
        """Add them."""
        app.router.add_get("/", guarded(self._page, self._credentials))
        app.router.add_get("/metrics", guarded(self._show_metrics, self._credentials))
        app.router.add_get("/healthy", self._healthy)
        app.router.add_get("/ready", self._ready)

    async def _page(self, _: web.Request) -> web.StreamResponse:
        text = page(self._facts())
        return web.Response(text=text, content_type="text/html", headers=PAGE_HEADERS)

    async def _show_metrics(self, _: web.Request) -> web.StreamResponse:
        return web.Response(body=self._metrics.text(), headers=METRICS_TYPE)

    async def _healthy(self, _: web.Request) -> web.StreamResponse:
        return web.Response(text="OK\n")

    async def _ready(self, _: web.Request) -> web.StreamResponse:
        facts = self._facts()
        if facts.is_stopping:
            return web.Response(status=503, text="stopping\n")
        away = [one for one in facts.databases if not one.stats.connected]
        if away:
            of = "".join(f" ({one.name})" for one in away if one.name)
            return web.Response(status=503, text=f"no server is connected{of}\n")
        doors = [one for one in facts.doors if one.takes_points]
        troubles = "".join(f"{one.name}: {one.trouble}\n" for one in doors if one.trouble)
        if troubles and all(one.trouble for one in doors):
            return web.Response(status=503, text=troubles)
        return web.Response(text=f"OK\n{troubles}")
