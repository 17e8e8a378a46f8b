"""Gateways as tests run them: in the loop of the test, or in a process of its own."""

import asyncio
import contextlib
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from siridb_fast.delivery.report import Report
from siridb_fast.gateway.config_file import config_from
from siridb_fast.gateway.figures import DoorFigures
from siridb_fast.gateway.gateway import Gateway
from tests.commands import COMMAND, environment
from tests.fix_server import Database

__all__ = ["Running", "gateway_process", "running", "stored"]

ANY_PORT = "127.0.0.1:0"
STARTED = 60.0


class Running:
    """A gateway that runs."""

    def __init__(self, gateway: Gateway, task: asyncio.Task[Report]) -> None:
        self.gateway = gateway
        self.task = task

    def figures(self, door: str) -> DoorFigures:
        return next(one for one in self.gateway.figures if one.name == door)

    def address(self, door: str) -> tuple[str, int]:
        host, _, port = self.figures(door).place.rpartition(":")
        return host, int(port)

    def url(self, path: str = "", door: str = "influx") -> str:
        host, port = self.address(door)
        return f"http://{host}:{port}{path}"

    async def end(self) -> Report:
        self.gateway.stop()
        return await self.task


@contextlib.asynccontextmanager
async def running(
    database: Database, folder: Path | None = None, **options: Any
) -> AsyncIterator[Running]:
    """Run a gateway to a database; leaving it delivers everything."""
    keys = {"url": database.url, "linger": 0.05, "influx": {"listen": ANY_PORT}, **options}
    gateway = Gateway(config_from(keys, folder or Path("/")))
    ready = asyncio.Event()
    task = asyncio.create_task(gateway.run(lambda _: ready.set()))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if task.done():
        await task
    found = Running(gateway, task)
    try:
        yield found
    finally:
        if not task.done():
            await found.end()


async def stored(database: Database) -> dict[str, list[list[Any]]]:
    """Return all points, by the names of their series."""
    async with database.client() as client:
        found: dict[str, list[list[Any]]] = await client.query("select * from /(.|\\s)*/")
    return found


@contextlib.contextmanager
def gateway_process(
    *arguments: str, **changes: str
) -> Iterator[tuple["subprocess.Popen[str]", dict[str, str]]]:
    """Run a gateway in a process of its own; yield it, and where its doors are."""
    process = subprocess.Popen(
        [*COMMAND, "gateway", *arguments],
        env=environment(None, **changes),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        yield process, places_of(process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=STARTED)


def places_of(process: "subprocess.Popen[str]", doors: int = 1) -> dict[str, str]:
    assert process.stderr is not None
    places: dict[str, str] = {}
    while len(places) < doors:
        line = process.stderr.readline()
        assert line, f"the gateway has ended: {process.wait(STARTED)}"
        if " at " in line and not line.startswith(("WARNING", "ERROR", "INFO")):
            name, _, place = line.strip().partition(" at ")
            places[name] = place
    return places
