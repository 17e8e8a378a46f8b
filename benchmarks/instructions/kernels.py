"""What instructions are counted of: each hot path, as an action on seeded data.

Where calls from Python are the work, `map` makes them, so that no bytecode of a loop is counted.
Nothing here knows how anything is counted.
"""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import chain, count, repeat
from typing import Any

import numpy as np

from benchmarks.baselines.null_writer import NullWriter
from benchmarks.data import data
from siridb_fast import NANOSECOND, decode_points, packb, unpackb
from siridb_fast.batching._batch import Batch
from siridb_fast.columns._grouping import encode_objects, group, scatter
from siridb_fast.columns.column import point_column
from siridb_fast.columns.payloads import cut_payloads
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.files._plain_records import numbered_texts, read_plain
from siridb_fast.files._records import scan_records
from siridb_fast.protocol._buffer import PayloadBuffer
from siridb_fast.protocol._session import Session
from siridb_fast.protocol._wire import RES_INSERT, pack_header, parse_header
from siridb_fast.writer._ticker import Ticker

__all__ = ["KERNELS", "Kernel", "Work"]

POINTS = 100_000  # two packages of the widest
SERIES = 1_000
TICKS = 20
RUNS = 20  # each of a series, as long as
RUN_POINTS = 1_000
CALLS = 1_000
REPLIES = 100
LABELS = 100
FIELDS = 10  # of a record of CSV
NAME = "room.12.temperature"
MAP_OPEN = b"\xfd"
RULES = ColumnRules(time_precision=NANOSECOND)
INSERT = {NAME: [[1_600_000_000_123_456_789, 21.5]]}
# as the server writes it: an open map without a close
ANSWER = MAP_OPEN + packb("success_msg") + packb("Successfully inserted 1 point(s).")

Maker = Callable[[int], data.Array]


@dataclass(frozen=True, slots=True)
class Work:
    """An action, and what has to happen before it each time, which does not count."""

    action: Callable[[], object]
    prepare: Callable[[], object] = lambda: None


@dataclass(frozen=True, slots=True)
class Kernel:
    """What is made to be counted; an action does `amount` times what `unit` names."""

    unit: str
    amount: int
    make: Callable[[], Work]


def _encoding(timestamps_of: Maker, values_of: Maker) -> Kernel:
    def make() -> Work:
        timestamps, values = timestamps_of(POINTS), values_of(POINTS)
        return Work(
            lambda: _exhaust(cut_payloads([point_column(NAME, timestamps, values, RULES)]))
        )

    return Kernel("point", POINTS, make)


def _decoding(timestamps_of: Maker, values_of: Maker) -> Kernel:
    def make() -> Work:
        points = data.as_lists(timestamps_of(POINTS), values_of(POINTS))
        return Work(partial(decode_points, MAP_OPEN + packb(NAME) + packb(points)))

    return Kernel("point", POINTS, make)


def _calls(function: Callable[..., object], *arguments: object) -> Kernel:
    def call() -> None:
        _exhaust(map(function, *(repeat(argument, CALLS) for argument in arguments)))

    return Kernel("call", CALLS, lambda: Work(call))


class _Points:
    # One value of each series in turn, again and again, for a writer that is emptied in between.

    def __init__(self) -> None:
        self.names = [f"room sensor {i}" for i in range(SERIES)]
        self.writer = NullWriter(self.names, clock=lambda: 0.0)
        self.intake = self.writer.intake
        self.times: list[int] = data.nanoseconds(TICKS).tolist()
        self.rows: list[list[float]] = data.doubles(TICKS * SERIES).reshape(TICKS, SERIES).tolist()

    def write(self) -> None:
        for timestamp, row in zip(self.times, self.rows, strict=True):
            _exhaust(map(self.intake.write, self.names, repeat(timestamp), row))


def _writing() -> Work:
    points = _Points()
    return Work(points.write, points.writer.empty)


def _appending() -> Work:
    points = _Points()
    appends = [points.intake.series(name).append for name in points.names]

    def append() -> None:
        for timestamp, row in zip(points.times, points.rows, strict=True):
            _exhaust(map(operator.call, appends, repeat(timestamp), row))

    return Work(append, points.writer.empty)


def _ticking(row_of: Callable[[list[float]], Any]) -> Work:
    points = _Points()
    ticker = Ticker(points.intake, points.names)
    rows = [row_of(row) for row in points.rows]
    return Work(lambda: _exhaust(map(ticker.write, points.times, rows)), points.writer.empty)


def _taking(order: Callable[[data.Array], data.Array]) -> Work:
    points = _Points()
    coalescer = points.writer.coalescer
    buffer = PayloadBuffer()  # used again, as a writer does
    times, values = data.nanoseconds(RUN_POINTS), [1.5] * RUN_POINTS
    starts = count(0, int(times[-1] - times[0]) + 1)  # each run is newer than what left before

    def fill() -> None:
        run = (order(times) + next(starts)).tolist()
        for name in points.names[:RUNS]:
            _exhaust(map(points.intake.series(name).append, run, values))

    def take() -> None:
        coalescer.flush(0.0)
        while coalescer.take(0.0, Batch(buffer)):
            pass

    return Work(take, fill)


def _feeding() -> Work:
    session = Session()
    streams = deque[bytes]()

    def ask() -> None:
        pids = [session.open(None) for _ in range(REPLIES)]
        frames = ((pack_header(len(ANSWER), pid, RES_INSERT), ANSWER) for pid in pids)
        streams.append(b"".join(chain.from_iterable(frames)))

    return Work(lambda: session.feed(streams.popleft()), ask)


def _labelling() -> Work:
    objects = data.texts(POINTS)
    return Work(lambda: encode_objects(objects, lambda label: label is None))


def _grouping() -> Work:
    codes = (data.digits(POINTS) % LABELS).astype(np.int32)
    values = data.nanoseconds(POINTS)

    def move() -> None:
        _, _, indices = group(codes, LABELS)
        assert indices is not None
        scatter(values, indices)

    return Work(move)


def _plain_csv() -> Work:
    # Records of a time, a text and numbers, as loggers write them.
    rows = POINTS // FIELDS
    columns = [data.doubles(rows).round(3).astype(str).tolist() for _ in range(FIELDS - 2)]
    times, names = (
        data.nanoseconds(rows).tolist(),
        [f'"host{row % SERIES}"' for row in range(rows)],
    )
    lines = (",".join(map(str, row)) for row in zip(times, names, *columns, strict=True))
    text = ("\n".join(lines) + "\n").encode()
    kinds = np.array([2, 3, *[1] * (FIELDS - 2)], np.uint8)  # an integer, a text, and floats
    numbers, missing = np.empty((FIELDS - 1, rows), np.int64), np.zeros(FIELDS - 1, np.int64)
    starts, stops = (np.empty((1, rows), np.int32) for _ in range(2))

    def read() -> None:
        scan_records(text, ord(","))
        assert read_plain(text, ord(","), ord("."), kinds, numbers, missing, starts, stops)
        numbered_texts(text, starts[0], stops[0])

    return Work(read)


def _truths(n: int) -> data.Array:
    return data.digits(n) > 29


def _swapped(array: data.Array) -> data.Array:
    return array.reshape(-1, 2)[:, ::-1].ravel()  # every other one comes too late


def _late(n: int) -> data.Array:
    return _swapped(data.nanoseconds(n))


def _exhaust(items: Iterable[object]) -> None:
    deque(items, maxlen=0)


KERNELS = {
    "encode float64": _encoding(data.nanoseconds, data.doubles),
    "encode float64, seconds": _encoding(data.seconds, data.doubles),
    "encode float64, datetime64[us]": _encoding(data.stamps, data.doubles),
    "encode float64, strided": _encoding(data.nanoseconds, data.strided),
    "encode float64, not sorted": _encoding(_late, data.doubles),
    "encode float32": _encoding(data.nanoseconds, data.singles),
    "encode int64, all widths": _encoding(data.nanoseconds, data.mixed_integers),
    "encode int64, 0..59": _encoding(data.nanoseconds, data.digits),
    "encode bool": _encoding(data.nanoseconds, _truths),
    "encode str": _encoding(data.nanoseconds, data.texts),
    "decode float64": _decoding(data.nanoseconds, data.doubles),
    "decode float64, seconds": _decoding(data.seconds, data.doubles),
    "decode int64, all widths": _decoding(data.nanoseconds, data.mixed_integers),
    "decode str": _decoding(data.nanoseconds, data.texts),
    "packb, insert of one point": _calls(packb, INSERT),
    "unpackb, insert's answer": _calls(unpackb, ANSWER, "utf-8"),
    "pack_header": _calls(pack_header, 1_000, 77, RES_INSERT),
    "parse_header": _calls(parse_header, pack_header(1_000, 77, RES_INSERT)),
    "Session.feed, small replies": Kernel("reply", REPLIES, _feeding),
    "write": Kernel("point", SERIES * TICKS, _writing),
    "a handle's append": Kernel("point", SERIES * TICKS, _appending),
    "Ticker.write, list": Kernel("point", SERIES * TICKS, lambda: _ticking(list)),
    "Ticker.write, array": Kernel("point", SERIES * TICKS, lambda: _ticking(np.array)),
    "run to package": Kernel("point", RUNS * RUN_POINTS, lambda: _taking(np.asarray)),
    "run to package, not sorted": Kernel("point", RUNS * RUN_POINTS, lambda: _taking(_swapped)),
    "labels to codes": Kernel("row", POINTS, _labelling),
    "rows grouped by code": Kernel("row", POINTS, _grouping),
    "plain CSV": Kernel("field", POINTS, _plain_csv),
}
