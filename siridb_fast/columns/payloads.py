"""Columns → the payloads of inserts, cut where the server takes them fastest.

Knows nothing of what is in a column: that was checked when it was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from siridb_fast.columns._payload import (
    append_series,
    finish_payload,
    restart_payload,
    start_payload,
)
from siridb_fast.columns._points import PointColumn
from siridb_fast.errors import PackageTooLargeError
from siridb_fast.protocol._buffer import PayloadBuffer
from siridb_fast.protocol._wire import MAX_PAYLOAD

__all__ = ["PACKAGE_BYTES", "Part", "Payload", "cut_payloads", "one_payload"]

PACKAGE_BYTES = 1_000_000  # 52,000 points: few long runs are what the server takes fastest
MIN_POINT_BYTES = 7

Part = PointColumn | tuple[str, object]


@dataclass(frozen=True, slots=True)
class Payload:
    """The sealed payload of one insert, and how many points of arrays are in it."""

    buffer: PayloadBuffer
    points: int


def one_payload(parts: Iterable[Part]) -> Payload:
    """Return all parts in one payload.

    Raises:
        ColumnError: Names the series and the index that cannot be sent.
        PackageTooLargeError: They do not fit the server's limit of 41,943,040 bytes.
    """
    buffer, points = start_payload(), 0
    for part in parts:
        if isinstance(part, PointColumn):
            if len(part) * MIN_POINT_BYTES > MAX_PAYLOAD:
                raise PackageTooLargeError(
                    f"the {len(part):,} points of series {part.name!r} do not fit one package "
                    f"of {MAX_PAYLOAD:,} bytes"
                )
            points += part.append_to(buffer, 0, len(part))
        else:
            append_series(buffer, *part)
    return Payload(finish_payload(buffer), points)


def cut_payloads(parts: Iterable[Part], max_bytes: int = PACKAGE_BYTES) -> Iterator[Payload]:
    """Yield the parts in payloads of about ``max_bytes``; points of one series stay in long runs.

    A part is a column, or a name with the reference driver's list of points. Lists are not cut and
    all go into the first package, so that what is wrong with them shows before anything is sent. A
    column is cut only if it does not fit a package of its own. The memory of a package is used for
    a later one unless there is a view of it. No package holds two runs of one column.
    """
    used: list[PayloadBuffer] = []
    buffer, points = start_payload(), 0
    for part in sorted(parts, key=lambda part: isinstance(part, PointColumn)):
        if not isinstance(part, PointColumn):
            append_series(buffer, *part)
            continue
        start = 0
        while start < len(part):
            room = max_bytes - len(buffer)
            stop, is_cut = part.fit(start, room), part.fit(start, max_bytes) < len(part)
            is_full = start or (room < max_bytes // 8 if is_cut else stop < len(part))
            if len(buffer) > 1 and is_full:
                used.append(buffer)
                yield Payload(finish_payload(buffer), points)
                buffer, points = _next_buffer(used), 0
                stop = part.fit(start, max_bytes)
            stop = max(stop, start + 1)  # a single text may be larger than a package
            points += part.append_to(buffer, start, stop)
            start = stop
    yield Payload(finish_payload(buffer), points)


def _next_buffer(used: list[PayloadBuffer]) -> PayloadBuffer:
    for i, buffer in enumerate(used):
        if buffer.is_free:
            restart_payload(buffer)
            return used.pop(i)
    return start_payload()
