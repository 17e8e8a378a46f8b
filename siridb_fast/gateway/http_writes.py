"""Bodies of lines over HTTP: read, taken, answered. The routes of protocols are made of this.

Knows nothing of which path means what.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from siridb_fast.formats.points import BadLine, LineError
from siridb_fast.gateway.desk import BLOCK, BOM, Desk, Text
from siridb_fast.gateway.errors import NotDeliveredError, OverloadedError, RefusedPointsError
from siridb_fast.gateway.http_answers import overloaded, partial_write, refused
from siridb_fast.gateway.http_body import Bodies, BodyError
from siridb_fast.gateway.refusals import line_texts
from siridb_fast.gateway.rows import Rows, joined
from siridb_fast.gateway.times import UNITS

__all__ = ["LineWrites", "unit_of"]


def unit_of(request: web.Request) -> str | None:
    """Return what the parameter ``precision`` says.

    Raises:
        BodyError: It is none that is known: to take it for another one would store false times.
    """
    unit = request.query.get("precision", "")
    if unit == "":
        return None
    if unit not in UNITS:
        raise BodyError(400, f"precision is one of {', '.join(UNITS)}, got {unit!r}")
    return unit


class LineWrites:
    """Takes the bodies of one protocol at one address.

    Args:
        desk: Reads and takes lines.
        bodies: All that are read at a time.
        what: A body has many of.
    """

    def __init__(self, desk: Desk, bodies: Bodies, what: str = "line") -> None:
        self._desk = desk
        self._bodies = bodies
        self._what = what

    def note(self, reason: str) -> None:
        """Count a request of which nothing is taken, and note why."""
        self._desk.figures.requests += 1
        self._desk.note(reason)

    async def answer(self, request: web.Request, *, for_v3: bool = False) -> web.Response:
        """Take the lines of a request, and return its answer."""
        self._desk.figures.requests += 1
        try:
            return await self._taken(request, for_v3=for_v3)
        except OverloadedError as exc:
            return overloaded(str(exc), exc.retry_after)
        except BodyError as exc:
            self._desk.note(str(exc))
            return refused(exc.status, str(exc))
        except RefusedPointsError as exc:
            self._desk.note(str(exc))
            return refused(400, f"partial write: the database refuses {exc}")
        except NotDeliveredError as exc:
            self._desk.note(str(exc))
            return refused(500, f"taken, and not delivered: {exc}")

    async def _taken(self, request: web.Request, *, for_v3: bool) -> web.Response:
        unit = unit_of(request)
        self._desk.intake.require_open()
        body = await self._bodies.read(request)
        try:
            bad, lines = await self._take(request, bytes(body), unit)
        finally:
            self._bodies.release(len(body))
        if not bad:
            return web.Response(status=204)
        return partial_write(bad, lines, for_v3=for_v3, what=self._what)

    async def _take(
        self, request: web.Request, body: bytes, unit: str | None
    ) -> tuple[list[tuple[BadLine, bytes]], int]:
        desk = self._desk
        desk.figures.bytes += len(body)
        text = desk.open(unit=unit, dialect=_dialect(request))
        block = body.removeprefix(BOM) if self._what == "line" else body
        taken = await desk.take(joined(await self._parts(text, block)), block, 1)
        await desk.intake.acknowledged(taken)
        return line_texts(taken.bad, block, 1), text.line - 1

    async def _parts(self, text: Text, block: bytes) -> list[Rows]:
        # Of lines some at a time, so that others have their turn in between.
        desk = self._desk
        if self._what != "line":
            try:
                return [desk.read(text, block, is_last=True)[0]]
            except LineError as exc:
                raise BodyError(400, str(exc)) from None
        parts: list[Rows] = []
        start = 0
        while start < len(block) or not parts:
            piece = block[start : start + BLOCK] if len(block) > BLOCK else block
            is_last = start + len(piece) >= len(block)
            rows, size = desk.read(text, piece, is_last=is_last)
            if not size and not is_last:  # a line is longer than a piece
                rows, size = desk.read(text, block[start:], is_last=True)
            parts.append(rows)
            start += size
            if is_last:
                break
            await asyncio.sleep(0)
        return parts


def _dialect(request: web.Request) -> str | None:
    # Clients of QuestDB say who they are.
    is_questdb = request.headers.get("User-Agent", "").startswith("questdb/")
    return "questdb" if is_questdb else None
