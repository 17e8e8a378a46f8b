"""Requests to a gateway that runs in the loop of the test."""

import asyncio
import io
import json
from typing import Any

import aiohttp

from tests.gateway.gateways import Running

__all__ = ["get", "post", "raw"]


async def post(
    gateway: Running, body: bytes, path: str = "/write", **headers: str
) -> tuple[int, Any, Any]:
    """Return status, what the answer says in JSON, and its headers."""
    found = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        aiohttp.ClientSession() as session,
        session.post(gateway.url(path), data=io.BytesIO(body), headers=found) as answer,
    ):
        text = await answer.read()
        return answer.status, json.loads(text) if text else None, answer.headers


async def get(
    gateway: Running, path: str, door: str = "influx", **options: Any
) -> tuple[int, bytes, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(gateway.url(path, door), **options) as answer,
    ):
        return answer.status, await answer.read(), answer.headers


async def raw(gateway: Running, *parts: bytes, answers: int = 0) -> bytes:
    """Send bytes as they are, and return what comes back; with so many ``answers``, no more."""
    reader, writer = await asyncio.open_connection(*gateway.address("influx"))
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0.02)
    found = b""
    if not answers:
        writer.write_eof()
        found = await reader.read()
    while found.count(b"HTTP/1.1 ") < answers:
        found += await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return found
