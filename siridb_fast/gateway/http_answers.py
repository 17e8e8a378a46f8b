"""What senders are told over HTTP, in the words of each kind of client.

Those of InfluxDB 1 read ``error``, those of 2 ``code`` and ``message``, those of 3 ``data`` too:
an answer has all of these. Knows nothing of how points are taken.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from siridb_fast.formats.points import BadLine

__all__ = ["answer", "overloaded", "partial_write", "refused"]

NAMED = 100  # bad lines of an answer
CODES = {
    400: "invalid",
    401: "unauthorized",
    404: "not found",
    413: "request too large",
    415: "unsupported media type",
    500: "internal error",
    503: "unavailable",
}
PARTIAL_V3 = "partial write of line protocol occurred"


def answer(
    status: int, found: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return an answer in JSON."""
    return web.Response(
        body=json.dumps(found, ensure_ascii=False).encode("utf-8", "replace") + b"\n",
        status=status,
        content_type="application/json",
        headers=headers,
    )


def refused(status: int, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return the answer of a request of which nothing was taken."""
    code = CODES.get(status, "invalid")
    headers = {"X-Influxdb-Error": _one_line(text), **(headers or {})}
    return answer(status, {"error": text, "code": code, "message": text}, headers)


def overloaded(text: str, retry_after: int) -> web.Response:
    """Return that of a request that may be made again, in so many whole seconds."""
    return refused(503, text, {"Retry-After": str(max(1, retry_after))})


def partial_write(
    bad: Sequence[tuple[BadLine, bytes]], lines: int, *, for_v3: bool = False, what: str = "line"
) -> web.Response:
    """Return the answer where some lines of so many are bad, and the others were taken."""
    named = "; ".join(f"{what} {one.line}: {one.reason}" for one, _ in bad[:NAMED])
    all_of_them = f"{what.removesuffix('s')}s"
    more = f"; and {len(bad) - NAMED:,} more" if len(bad) > NAMED else ""
    text = f"partial write: {len(bad):,} of {lines:,} {all_of_them} are refused: {named}{more}"
    data = [
        {
            "line_number": one.line,
            "error_message": one.reason,
            "original_line": line[:NAMED].decode("utf-8", "replace"),
        }
        for one, line in bad[:NAMED]
    ]
    found = {
        "error": PARTIAL_V3 if for_v3 else text,
        "code": "invalid",
        "message": text,
        "line": bad[0][0].line,
        "data": data,
    }
    return answer(400, found, {"X-Influxdb-Error": _one_line(text)})


def _one_line(text: str) -> str:
    # A header has one line, and no other signs than those of ASCII.
    return text.encode("ascii", "backslashreplace").decode().replace("\n", " ")[:500]
