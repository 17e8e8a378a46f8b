"""What a journal has left of a writer that was killed: frames, in order, and their points.

Knows frames and records; knows nothing of files, and of what becomes of the points.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from siridb_fast.columns._decode import decode_points
from siridb_fast.columns.rows import MixedRows, group_rows
from siridb_fast.journal._records import PointReader

__all__ = ["Frame", "Remains", "live_frames", "portions", "read_remains"]

TYPES = ("integer", "float", "string")

NumpyArray = np.ndarray[Any, np.dtype[Any]]
Columns = dict[str, tuple[NumpyArray, NumpyArray]]


class Frame(NamedTuple):
    """Where the records of a block lie in the file; the fields are those of `find_frames`."""

    opening: int
    segment: int
    live_from: int
    position: int
    points: int
    spool_mark: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Remains:
    """Points by series, for each type: "integer", "float" and "string".

    Timestamps are int64, values int64, float64 or an object array of bytes. ``lost`` points have
    no name, as the frames that had it are damaged.
    """

    columns: dict[str, Columns] = field(default_factory=lambda: {t: {} for t in TYPES})
    lost: int = 0


def live_frames(found: Iterable[Sequence[int]]) -> list[Frame]:
    """Return the frames that still count, in the order in which their points came.

    They are of the newest opening of the file. A frame that was written twice, because the disk
    did not take it at first, is there once: the longer one.
    """
    frames = [Frame(*one) for one in found]
    newest = max((frame.opening for frame in frames), default=0)
    frames = [frame for frame in frames if frame.opening == newest]
    live_from = max((frame.live_from for frame in frames), default=0)
    longest: dict[int, Frame] = {}
    for frame in frames:
        if frame.segment >= live_from and frame.length:
            other = longest.get(frame.position)
            if other is None or other.length < frame.length:
                longest[frame.position] = frame
    return [longest[position] for position in sorted(longest)]


def portions(frames: Sequence[Frame], limit: int) -> Iterator[list[Frame]]:
    """Yield the frames of whole segments, of about so many bytes together."""
    some: list[Frame] = []
    for _, segment in groupby(frames, key=lambda frame: frame.segment):
        some += segment
        if sum(frame.length for frame in some) >= limit:
            yield some
            some = []
    if some:
        yield some


def read_remains(frames: Iterable[tuple[int, bytes]]) -> Remains:
    """Return the points of frames, each a segment and its records."""
    held = list(frames)
    reader = PointReader()
    for segment, records in held:
        reader.read_names(segment, records)
    codes, timestamps, values = reader.read(held)
    remains = Remains(lost=reader.lost)
    for type_, columns in _numbers(reader, codes, timestamps, values):
        _extend(remains.columns[type_], columns)
    for code, (times, texts) in reader.texts.items():
        column = np.array(times, np.int64), np.array(texts, object)
        _extend(remains.columns["string"], {reader.series[code][0]: column})
    for payload in reader.payloads:
        for name, (stamps, given) in decode_points(payload).items():
            type_ = {"i": "integer", "f": "float"}.get(given.dtype.kind, "string")
            _extend(remains.columns[type_], {name: (stamps, given)})
    return remains


def _numbers(
    reader: PointReader, codes: NumpyArray, timestamps: NumpyArray, values: NumpyArray
) -> Iterator[tuple[str, Columns]]:
    if not len(codes):
        return
    names = [str(code) for code in range(len(reader.series))]
    rows = group_rows(MixedRows(names, codes, timestamps, values, "integer"))
    for code, start, stop in rows.bounds():
        name, type_ = reader.series[int(code)]
        bits = rows.values[start:stop]
        assert isinstance(bits, np.ndarray)  # noqa: S101 - no texts came in
        given = bits.view(np.float64) if type_ == "float" else bits
        yield type_, {name: (rows.timestamps[start:stop], given)}


def _extend(columns: Columns, more: Columns) -> None:
    for name, (timestamps, values) in more.items():
        if name in columns:
            was = columns[name]
            timestamps = np.concatenate([was[0], timestamps])
            values = np.concatenate([was[1], values])
        columns[name] = timestamps, values
