"""`Gateway`: doors, a writer for each database, and their life from first sender to end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

from siridb_fast.concurrency.tasks import begin_task, cancel_task
from siridb_fast.delivery.report import Report
from siridb_fast.errors import ConfigError
from siridb_fast.gateway.config import GatewayConfig
from siridb_fast.gateway.destination import Destination, report_of_all
from siridb_fast.gateway.doors import Door, doors_of
from siridb_fast.gateway.figures import DoorFigures
from siridb_fast.gateway.page_facts import PageFacts
from siridb_fast.gateway.refusals import BadLineFile
from siridb_fast.gateway.sd_notify import ServiceManager

__all__ = ["Gateway"]

MARK_INTERVAL = 1.0
NEEDS = (
    "a gateway with HTTP needs aiohttp and prometheus-client, one with MQTT paho-mqtt: "
    "pip install siridb_fast[gateway]"
)

logger = logging.getLogger("siridb_fast")


class Gateway:
    """One gateway.

    Args:
        config: Of it.
        manager: Is told that it is ready, alive, and stopping.

    Raises:
        ImportError: A package is missing that its doors need.
    """

    def __init__(self, config: GatewayConfig, manager: ServiceManager | None = None) -> None:
        self._config = config
        self._manager = manager or ServiceManager()
        self._bad_lines = BadLineFile(config.bad_lines)
        self._destinations = [
            Destination(config, one, self._bad_lines) for one in config.all_databases
        ]
        try:
            self._doors = self._new_doors()
        except ImportError as exc:
            raise ImportError(NEEDS, name=exc.name) from exc
        self._stop = asyncio.Event()

    def _new_doors(self) -> list[Door]:
        has_http = self._config.status is not None or any(
            one.kind in ("http", "unix") for one in self._config.doors
        )
        metrics = None
        if has_http:
            from siridb_fast.gateway.metrics import GatewayMetrics

            writers = {_called(one): one.writer for one in self._destinations}
            metrics = GatewayMetrics(writers, lambda: self.figures)
        named = {name: one.kiosk for one in self._destinations for name in one.config.names}
        return doors_of(
            self._destinations[0].kiosk,
            facts=self.facts,
            metrics=metrics,
            on_stdin_end=self.stop,
            named=named or None,
        )

    @property
    def figures(self) -> list[DoorFigures]:
        """Those of the doors."""
        for door in self._doors:
            door.count()
        return [door.desk.figures for door in self._doors]

    def stop(self) -> None:
        """Have it end; call this in its event loop."""
        self._stop.set()

    async def run(self, on_ready: Callable[[list[DoorFigures]], None]) -> Report:
        """Take points until `stop`, then deliver what is in.

        Args:
            on_ready: Called once all doors are open.

        Returns:
            What became of the last points.

        Raises:
            SiriDBError, OSError: The database cannot be reached, or a door cannot be opened.
        """
        await self._connect()
        opened: list[Door] = []
        marks = begin_task(self._mark())
        try:
            for door in self._doors:
                await self._open(door)
                opened.append(door)
            on_ready(self.figures)
            self._manager.tell(READY="1", STATUS="takes points")
            await self._stop.wait()
        finally:
            report = await self._end(opened)
            cancel_task(marks)
        return report

    def facts(self) -> PageFacts:
        """Return what the page for people tells."""
        return PageFacts(
            self._config.acknowledge,
            self._destinations[0].intake.is_stopping,
            [one.facts() for one in self._destinations],
            self.figures,
            self._bad_lines.lost,
            time.time(),
            time.monotonic(),
        )

    # ---- inside

    async def _connect(self) -> None:
        # To all databases at a time; the first error is that of the whole.
        opening = [begin_task(one.open()) for one in self._destinations]
        try:
            await asyncio.gather(*opening)
        except BaseException:
            for task in opening:
                cancel_task(task)
            found = await asyncio.gather(*opening, return_exceptions=True)
            for one, error in zip(self._destinations, found, strict=True):
                if error is None:
                    await one.close(0.1)
            raise

    async def _open(self, door: Door) -> None:
        config = door.desk.config
        try:
            await door.open()
        except OSError as exc:
            reason = exc.strerror or str(exc)
            raise ConfigError(f"{config.name}: cannot listen at {config.place}: {reason}") from exc

    async def _end(self, opened: list[Door]) -> Report:
        # Let nothing in any more; then all that is in has what is left of the time.
        self._manager.tell(STOPPING="1")
        for one in self._destinations:
            one.intake.is_stopping = True
        until = time.monotonic() + self._config.drain_timeout
        with suppress(TimeoutError):
            async with asyncio.timeout(self._config.drain_timeout):
                await asyncio.gather(*(door.stop() for door in opened))
        left = max(0.1, until - time.monotonic())
        reports = await asyncio.gather(*(one.close(left) for one in self._destinations))
        return report_of_all(reports)

    async def _mark(self) -> None:
        # Rates for the page, and signs of life for the service manager.
        every = min(self._manager.watchdog_interval or MARK_INTERVAL, MARK_INTERVAL)
        while True:
            now = time.monotonic()
            for figures in self.figures:
                figures.mark(now)
            if self._manager.watchdog_interval is not None:
                self._manager.tell(WATCHDOG="1")
            await asyncio.sleep(every)


def _called(one: Destination) -> str:
    # As metrics call its writer.
    return "gateway" if one.config.is_main else f"gateway/{one.config.names[0]}"
