"""What must hold for any bytes whatever that the decoders are given.

Each check takes one input and raises `Broken`, or whatever the decoder should not have raised.
Plain Python, which the fuzzer compiles and the tests import as it is; knows nothing of how inputs
are made.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from siridb_fast import UnpackError, decode_points, packb, unpackb
from siridb_fast.formats._graphite import Graphite
from siridb_fast.formats._line_protocol import LineProtocol
from siridb_fast.formats._point_rows import ValueKind
from siridb_fast.formats.points import BadLine, ParsedPoints, PointKey
from siridb_fast.protocol._session import Reply, Session

__all__ = ["MAX_ANSWER", "Broken", "Checks"]

MAX_ANSWER = 100_000  # bytes of one answer that the session takes
OPENED = 4  # requests in flight, the last of them abandoned
HEADER_SIZE = 8
# Bytes of memory that may be asked for in all, with what is released on the way: a list grows by
# eighths, and has asked for nine times its size in the end. The traces of an error take some for
# each array and map that it leaves.
VALUE_RATE = 320  # for each byte of a value: a map of one entry is 224 bytes and a key, in 2
POINT_RATE = 640  # of an answer: a series without points is two arrays in 3
STREAM_RATE = 64  # of a stream: a reply without a body is made of 8
LINE_RATE = 1_000  # of lines: a bad one is an error with its text, and may have one byte
TRACE_SIZE = 1_000
MAX_DEPTH = 512
TIMING = "__timeit__"  # of the entry that a query adds which says timeit
ALLOWANCE = 20_000  # an error with its text, and what Python makes once


class Broken(AssertionError):
    """A decoder did what it must not do."""


@dataclass(frozen=True, slots=True)
class Checks:
    """The three checks; ``allocated`` tells the bytes of memory that were asked for so far."""

    allocated: Callable[[], int]

    def unpackb(self, data: memoryview) -> None:
        """A value or `UnpackError`; the value packs, and comes back, in every way of unpacking."""
        before = self.allocated()
        try:
            value = unpackb(data)
        except UnpackError as exc:
            _expect_offset(exc, data)
            return
        finally:
            self._weigh(before, VALUE_RATE * len(data) + TRACE_SIZE * min(len(data), MAX_DEPTH))
        packed = packb(value)
        _expect(packb(unpackb(packed)) == packed, "the value is packed as another value")
        way = zlib.crc32(data) & 3
        if way == 0:
            _expect(packb(unpackb(data, use_tuples=True)) == packed, "tuples are other values")
        elif way == 1:
            packb(unpackb(data, "utf-8", ignore_decode_errors=True))
        elif way == 2:
            packb(unpackb(data, "latin-1"))
        else:
            _expect_text(data)

    def decode_points(self, data: memoryview) -> None:
        """Arrays or `UnpackError`; the arrays hold what `unpackb` reads, and survive packing."""
        before = self.allocated()
        try:
            arrays = decode_points(data)
        except UnpackError as exc:
            _expect_offset(exc, data)
            return
        finally:
            self._weigh(before, POINT_RATE * len(data))
        expected = unpackb(data, "utf-8", ignore_decode_errors=True)
        if _is_timing(expected.get(TIMING)):  # it is no series, and hides one of that name
            del expected[TIMING]
            arrays.pop(TIMING, None)
        _expect_same(arrays, expected)
        _expect_same(decode_points(packb(expected)), expected)

    def feed(self, data: memoryview) -> None:
        """The replies that the headers tell of, and the same ones however the bytes are cut."""
        whole, cut = _opened(), _opened()
        before = self.allocated()
        replies = whole.feed(data)
        self._weigh(before, STREAM_RATE * len(data) + MAX_ANSWER)
        expected, makes_sense = _parse(bytes(data))
        found = [(reply.pid, reply.type, reply.body) for reply in replies]
        _expect(found == expected, "the replies are not those of the bytes")
        _expect((whole.error is None) == makes_sense, "the error is not that of the bytes")
        _expect(_facts(_fed_in_pieces(cut, data)) == _facts(replies), "cut, replies are others")
        _expect(str(cut.error) == str(whole.error), "cut into pieces, the error is another")
        _expect(cut.tags == whole.tags, "cut into pieces, other requests wait")

    def influx(self, data: memoryview) -> None:
        """Points or bad lines; the same ones however the bytes are cut."""
        self._expect_lines(LineProtocol, bytes(data))

    def questdb(self, data: memoryview) -> None:
        """The same of what clients of QuestDB write."""
        self._expect_lines(lambda: LineProtocol(is_questdb=True), bytes(data))

    def graphite(self, data: memoryview) -> None:
        """The same of Graphite lines."""
        self._expect_lines(Graphite, bytes(data))

    def _expect_lines(self, parser: Callable[[], LineProtocol | Graphite], data: bytes) -> None:
        whole, cut = parser(), parser()
        before = self.allocated()
        points = whole.parse(data, is_last=True)
        self._weigh(before, LINE_RATE * len(data))
        _expect(points.size == len(data), "some bytes are left over")
        _expect(len(points) + len(points.bad) <= len(data), "there are more points than bytes")
        found = _points(whole.series, points)
        pieces = _parsed_in_pieces(cut, data)
        rows = [row for some, _ in pieces for row in some]
        bad = [line for _, some in pieces for line in some]
        _expect(rows == found, "cut into pieces, points are others")
        _expect(bad == points.bad, "cut into pieces, other lines are bad")

    def _weigh(self, before: int, limit: int) -> None:
        asked = self.allocated() - before
        _expect(asked <= limit + ALLOWANCE, f"{asked:,} bytes of memory are asked for")


def _expect(holds: bool, text: str) -> None:
    if not holds:
        raise Broken(text)


def _expect_offset(error: UnpackError, data: memoryview) -> None:
    offset = error.offset
    _expect(offset is not None and 0 <= offset <= len(data), f"the error is at byte {offset}")


def _expect_text(data: memoryview) -> None:
    try:
        packb(unpackb(data, "utf-8"))
    except UnpackError as exc:
        _expect("not text" in exc.text, f"qpack that was read before is refused: {exc}")


def _expect_same(arrays: dict[str, Any], expected: Any) -> None:
    _expect(list(arrays) == list(expected), "the series are others")
    for name, (timestamps, values) in arrays.items():
        points = expected[name]
        _expect(timestamps.dtype == np.int64, "timestamps are no int64")
        _expect(len(timestamps) == len(values) == len(points), "the number of points is another")
        _expect(timestamps.tolist() == [point[0] for point in points], "timestamps are others")
        for value, (_, other) in zip(values.tolist(), points, strict=True):
            _expect(type(value) is type(other), "a value is of another type")
            _expect(value == other or (value != value and other != other), "a value is another")


def _is_timing(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _opened() -> Session:
    session = Session(window=OPENED, max_answer=MAX_ANSWER)
    for tag in range(OPENED):
        session.open(tag)
    session.abandon(OPENED)
    return session


def _facts(replies: list[Reply]) -> list[tuple[Any, ...]]:
    return [(reply.pid, reply.type, reply.body, reply.tag) for reply in replies]


def _fed_in_pieces(session: Session, data: memoryview) -> list[Reply]:
    # Where the cuts are follows from the bytes, so that an input is all that need be kept.
    replies: list[Reply] = []
    number = zlib.crc32(data)
    at = 0
    while at < len(data):
        number = (number * 1_103_515_245 + 12_345) & 0x7FFF_FFFF
        step = 1 + (number >> 12) % (1 + (len(data) >> ((number >> 8) & 7)))
        replies += session.feed(data[at : at + step])
        at += step
    return replies


def _points(series: list[PointKey], points: ParsedPoints) -> list[tuple[Any, ...]]:
    arrays = (points.series, points.times, points.kinds, points.values, points.lines)
    rows = zip(*(array.tolist() for array in arrays), strict=True)
    return [
        (
            series[number],
            time,
            kind,
            points.texts[value] if kind == ValueKind.TEXT else value,
            line,
        )
        for number, time, kind, value, line in rows
    ]


def _parsed_in_pieces(
    parser: LineProtocol | Graphite, data: bytes
) -> list[tuple[list[tuple[Any, ...]], list[BadLine]]]:
    found = []
    rest, number, at = b"", zlib.crc32(data), 0
    while True:
        number = (number * 1_103_515_245 + 12_345) & 0x7FFF_FFFF
        step = 1 + (number >> 12) % (1 + (len(data) >> ((number >> 8) & 7)))
        block, at = rest + data[at : at + step], at + step
        points = parser.parse(block, is_last=at >= len(data))
        rest = block[points.size :]
        found.append((_points(parser.series, points), points.bad))
        if at >= len(data):
            return found


def _parse(data: bytes) -> tuple[list[tuple[int, int, bytes]], bool]:
    """Return what the packages hold, and whether the bytes make sense: the protocol, short."""
    found: list[tuple[int, int, bytes]] = []
    at = 0
    while len(data) - at >= HEADER_SIZE:
        length = int.from_bytes(data[at : at + 4], "little")
        if data[at + 6] ^ data[at + 7] != 255 or length > MAX_ANSWER:
            return found, False
        begin, end = at + HEADER_SIZE, at + HEADER_SIZE + length
        if end > len(data):
            break
        pid = int.from_bytes(data[at + 4 : at + 6], "little")
        found.append((pid, data[at + 6], data[begin:end]))
        at = end
    return found, True
