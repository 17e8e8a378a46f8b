"""The bodies of HTTP requests: read whole, decompressed, within bounds.

The library would decompress as well; here it is done in steps, so that a small body that becomes a
large one is refused before it takes the memory. What is cut off is an error, so that nothing of it
is taken.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from aiohttp import web
from aiohttp.client_exceptions import ClientError
from aiohttp.http_exceptions import HttpProcessingError

from siridb_fast.formats._snappy import decompressed
from siridb_fast.formats.points import LineError
from siridb_fast.gateway.config import Limits
from siridb_fast.gateway.errors import OverloadedError

__all__ = ["Bodies", "BodyError"]

STEP = 256 * 1024
GZIP, ZLIB = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS
SNAPPY = "snappy"
WINDOWS = {"gzip": GZIP, "x-gzip": GZIP, "deflate": ZLIB}


class BodyError(Exception):
    """A body cannot be taken, ever; ``status`` is that of the answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Bodies:
    """All that are read at a time.

    Args:
        limits: Of one, and of all.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held = 0

    async def read(self, request: web.Request) -> bytearray:
        """Read the body of a request; call `release` with its size when it is no longer needed.

        Raises:
            BodyError: It is too large, or not what its headers say.
            OverloadedError: Too many bodies are being read.
        """
        encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("", "identity", SNAPPY, *WINDOWS):
            raise BodyError(415, f"Content-Encoding is gzip, deflate or snappy, got {encoding!r}")
        body = await self._read(request, encoding)
        if encoding != SNAPPY:
            return body
        try:  # the block format cannot be read in steps
            found = decompressed(bytes(body), self._limits.max_body)
        except LineError as exc:
            self.release(len(body))
            raise BodyError(400, str(exc)) from None
        self._held += len(found) - len(body)
        return bytearray(found)

    async def _read(self, request: web.Request, encoding: str) -> bytearray:
        decoder = _Decoder(WINDOWS[encoding]) if encoding in WINDOWS else None
        body = bytearray()
        try:
            async for chunk in request.content.iter_chunked(STEP):
                for part in (chunk,) if decoder is None else decoder.parts(chunk):
                    self._hold(body, part)
            if decoder is not None and not decoder.is_at_end:
                raise BodyError(400, "the body is cut off: it is not all of a compressed text")
        except (ClientError, HttpProcessingError, ConnectionError) as exc:
            self.release(len(body))
            raise BodyError(400, f"the body is cut off: {exc}") from None
        except zlib.error as exc:
            self.release(len(body))
            raise BodyError(400, f"the body is not compressed as {encoding}: {exc}") from None
        except BaseException:
            self.release(len(body))
            raise
        return body

    def release(self, size: int) -> None:
        """Give the memory of a body back."""
        self._held -= size

    def _hold(self, body: bytearray, part: bytes) -> None:
        if len(body) + len(part) > self._limits.max_body:
            raise BodyError(413, f"the body has over {self._limits.max_body:,} bytes (max_body)")
        if self._held + len(part) > self._limits.max_bodies:
            raise OverloadedError("too many bodies are being read (max_bodies)")
        self._held += len(part)
        body += part


class _Decoder:
    # Of one or more compressed texts behind each other.

    def __init__(self, window: int) -> None:
        self._window = window
        self._inner = zlib.decompressobj(window)
        self._has_begun = False

    @property
    def is_at_end(self) -> bool:
        return self._inner.eof or not self._has_begun

    def parts(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._inner.eof:
                self._inner = zlib.decompressobj(self._window)
            self._has_begun = True
            yield self._inner.decompress(data, STEP)
            data = self._inner.unconsumed_tail or self._inner.unused_data
        while not self._inner.eof and (part := self._inner.decompress(b"", STEP)):
            yield part
