"""Which database a request of InfluxDB's is for, where names mean something, and which there are.

1 says ``db`` and ``rp``, 2 ``bucket``, which may be ``db/rp`` too, and ``org``, which means
nothing here; 3 says ``db``.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from siridb_fast.gateway.http_answers import refused
from siridb_fast.gateway.http_writes import LineWrites

__all__ = ["Databases"]


class Databases:
    """Those of one address.

    Args:
        main: Takes the lines of requests that name no database.
        name: Of its database.
        named: Take those of requests that name one; None: they all go the one way.
    """

    def __init__(
        self, main: LineWrites, name: str, named: Mapping[str, LineWrites] | None = None
    ) -> None:
        self._main = main
        self._named = named
        self.names = [name] if named is None else list(named)

    async def write(self, request: web.Request, *, for_v3: bool = False) -> web.Response:
        """Take the lines of a request, or answer that there is no such database."""
        bucket = request.query.get("bucket", "")
        name = bucket or request.query.get("db", "")
        writes = self._writes_of(name, "" if bucket else request.query.get("rp", ""))
        if writes is not None:
            return await writes.answer(request, for_v3=for_v3)
        text = f'bucket "{name}" not found' if bucket else f'database not found: "{name}"'
        self._main.note(text)
        return refused(404, text)

    def has(self, name: str) -> bool:
        """Tell whether points for a database of this name are taken."""
        return self._writes_of(name, "") is not None

    def _writes_of(self, name: str, policy: str) -> LineWrites | None:
        # With its retention policy, if the file has that, else by its name alone.
        if self._named is None or not name:
            return self._main
        whole = f"{name}/{policy}" if policy else name
        return self._named.get(whole) or self._named.get(name.partition("/")[0])
