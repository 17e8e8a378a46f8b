"""A headless Chromium, driven by its DevTools protocol, for what only a browser can tell."""

import asyncio
import base64
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

__all__ = ["Browser", "browser"]

STARTED = 60.0
LISTENING = re.compile(rb"DevTools listening on (ws://\S+)")
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--disable-background-networking", "--remote-debugging-port=0",
]  # fmt: skip


class Browser:
    """One page of it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self._session: dict[str, str] = {}

    async def begin(self) -> None:
        """Open the page."""
        target = await self._call("Target.createTarget", url="about:blank")
        found = await self._call(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        self._session = {"sessionId": found["sessionId"]}
        await self._call("Page.enable")

    async def open(self, url: str, width: int, scheme: str) -> None:
        """Show a page in a width and in a colour scheme, ``light`` or ``dark``."""
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        await self._call("Emulation.setDeviceMetricsOverride", **metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self._call("Emulation.setEmulatedMedia", features=features)
        await self._call("Page.navigate", url=url)
        async with asyncio.timeout(STARTED):
            is_there = f"document.readyState + location.href === 'complete{url}'"
            while not await self.ask(is_there):  # noqa: ASYNC110 - nothing of ours tells it
                await asyncio.sleep(0.02)

    async def ask(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript."""
        found = await self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        return found["result"].get("value")

    async def picture(self) -> bytes:
        """Return the whole page, as PNG."""
        found = await self._call("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(found["data"])

    async def _call(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        call = {"id": self._number, "method": method, "params": parameters, **self._session}
        await self._socket.send_json(call)
        async with asyncio.timeout(STARTED):
            while (found := await self._socket.receive_json()).get("id") != self._number:
                pass
        assert "error" not in found, found
        return found["result"]


@asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Browser]:
    """Run one, with a profile in a folder."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if program is None:
        pytest.skip("Debian's chromium is not installed (or CHROMIUM=path)")
    process = await asyncio.create_subprocess_exec(
        program, *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    draining: asyncio.Task[bytes] | None = None
    try:
        async with asyncio.timeout(STARTED):
            while (line := LISTENING.search(await process.stderr.readline())) is None:
                assert process.returncode is None, "Chromium has ended"
        draining = asyncio.create_task(process.stderr.read())
        url = line[1].decode()
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, max_msg_size=0) as to,
        ):
            found = Browser(to)
            await found.begin()
            yield found
    finally:
        process.terminate()
        await process.wait()
        if draining is not None:
            await draining
