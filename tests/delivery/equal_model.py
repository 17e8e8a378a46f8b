"""A model of packages with equal points: what servers do with each is up to a test.

Coalescer, packages and look-ups are the real ones; the database is a multiset, and all of it
happens at once. Whoever looks up a package knows that nothing of it is on its way any more.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from siridb_fast import ConnectionLost, decode_points, packb
from siridb_fast.batching._append import append_column, append_texts
from siridb_fast.batching._batch import Batch
from siridb_fast.batching._coalescer import Coalescer
from siridb_fast.columns.column import point_column
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.delivery.accounts import Accounts
from siridb_fast.delivery.batch_parts import batch_of
from siridb_fast.delivery.doubt import _event_of
from siridb_fast.delivery.equal_points import EqualPoints
from siridb_fast.delivery.missing_points import Arrays
from siridb_fast.delivery.package import Package
from siridb_fast.delivery.packages import Packages
from siridb_fast.delivery.repeats import Repeats
from siridb_fast.delivery.states import FATES, PackageEvent, PackageState, Policy

__all__ = ["EqualModel", "Point", "database_of"]

S, E = PackageState, PackageEvent

Point = tuple[str, int, Any]  # series, timestamp, value
LOST = ConnectionLost("lost", in_doubt=True)
PROCESS: Any = object()
LIVE = [state for state in S if state not in FATES]


class EqualModel:
    """See above; ``kind`` is the type of the values, ``is_safe`` whether the durability is."""

    def __init__(self, kind: type = int, *, is_safe: bool = False, max_idle: int = 1_000) -> None:
        self.kind = kind
        self.is_safe = is_safe
        self.coalescer = Coalescer(
            clock=lambda: 0.0, max_buffered=1 << 30, linger=1.0, package_bytes=1 << 20,
            max_idle=max_idle,
        )  # fmt: skip
        self.coalescer.notify = lambda: None
        self.coalescer.open(64)
        self.packages = Packages(
            Policy("verify", has_spool=True), Accounts(float, None, None, print),
            lambda *_: None, Repeats(self.coalescer.find),
        )  # fmt: skip
        self.written: Counter[Point] = Counter()
        self.stored: Counter[Point] = Counter()
        self.by_fate: dict[PackageState, Counter[Point]] = {state: Counter() for state in FATES}
        self.reached: set[Package] = set()  # in flight, and stored
        self.rows: dict[int, bytes] = {}
        self.row_ids = itertools.count(1)
        self.loop = asyncio.new_event_loop()  # one for all look-ups, which are many

    # ---- what is written

    def value(self, number: int) -> Any:
        """Return one of a few values; the first two floats are zeros."""
        if self.kind is str:
            return f"v{number}"
        return [0.0, -0.0, float("nan"), 1.5][number] if self.kind is float else number

    def write(self, points: Sequence[tuple[str, int, int]]) -> None:
        """Write points, with values by number; they leave in one package."""
        by_name: dict[str, list[tuple[int, Any]]] = {}
        for name, timestamp, number in points:
            by_name.setdefault(name, []).append((timestamp, self.value(number)))
            self.written[self.key(name, timestamp, self.value(number))] += 1
        for name, pairs in by_name.items():
            series = self.coalescer.series(name)
            self.coalescer.pin(series, {int: "integer", float: "float", str: "string"}[self.kind])
            self.coalescer.resolve_type(series, None)
            times = np.array([timestamp for timestamp, _ in pairs])
            if self.kind is str:
                append_texts(self.coalescer, series, times, [v.encode() for _, v in pairs])
            else:
                values: np.ndarray[Any, Any] = np.array([value for _, value in pairs], self.kind)
                append_column(self.coalescer, series, times, values.view(np.int64))
        self.coalescer.flush(1.0)
        batch = Batch()
        assert self.coalescer.take(1.0, batch)
        self.packages.add(batch, S.READY, 0.0)

    def write_column(self, name: str, pairs: Sequence[tuple[int, int]]) -> None:
        """Write a column that goes past the coalescer."""
        values: list[Any] = [self.value(number) for _, number in pairs]
        for (timestamp, _), value in zip(pairs, values, strict=True):
            self.written[self.key(name, timestamp, value)] += 1
        array: np.ndarray[Any, Any] = np.array(values, object if self.kind is str else self.kind)
        column = point_column(name, np.array([at for at, _ in pairs]), array, ColumnRules())
        batch = Batch()
        batch.append_column_of(self.coalescer.series(name), column, 0, len(column))
        self.packages.add(batch, S.READY, 0.0)

    def key(self, name: str, timestamp: int, value: Any) -> Point:
        """Return a point as the database has it."""
        if self.kind is float:
            value = "nan" if value != value else value + 0.0
        return name, timestamp, value

    def points_of(self, batch: Batch) -> Counter[Point]:
        """Return the points of a package."""
        return Counter(
            self.key(name, *point)
            for name, (times, values) in decode_points(batch.buffer).items()
            for point in zip(times.tolist(), values.tolist(), strict=True)
        )

    # ---- what servers do

    def send(self, number: int) -> None:
        """Send a package that is ready."""
        ready = self.packages.in_state(S.READY)
        if ready:
            self._move(ready[number % len(ready)], E.SENT)

    def reach(self, number: int) -> None:
        """Store a package that is in flight, and do not answer it yet."""
        in_flight = self.packages.in_state(S.IN_FLIGHT)
        if in_flight:
            package = in_flight[number % len(in_flight)]
            if package not in self.reached:
                self.reached.add(package)
                self.stored += self.points_of(package.batch)

    def answer(self, number: int, outcome: str, share: int = 0) -> None:
        """Answer a package that is in flight: ``"ack"``, ``"refused"``, or not at all.

        Then ``"lost"``: it is stored; ``"vanished"``: it is not; ``"part"``: so many points are.
        """
        in_flight = self.packages.in_state(S.IN_FLIGHT)
        if not in_flight:
            return
        package = in_flight[number % len(in_flight)]
        points = self.points_of(package.batch)
        if package in self.reached:
            self.reached.discard(package)
            outcome = "ack" if outcome == "ack" else "lost"
            self.stored -= points
        if outcome == "part":
            some = sorted(points.elements(), key=repr)
            points = Counter(some[: share % (len(some) + 1)])
        if outcome in ("ack", "lost", "part"):
            self.stored += points
        if outcome == "ack":
            package.receivers = (PROCESS,) if self.is_safe else ()
            self._move(package, E.STORED)
        else:
            self._move(package, E.REFUSED if outcome == "refused" else E.NO_ANSWER)

    def settle(self, number: int, *, is_kept: bool) -> None:
        """Let a package that is acknowledged be safe, or be lost with the server's process."""
        acknowledged = self.packages.in_state(S.ACKNOWLEDGED)
        if not acknowledged:
            return
        package = acknowledged[number % len(acknowledged)]
        if not is_kept:
            self.stored -= self.points_of(package.batch)
        self._move(package, E.SAFE if is_kept else E.PROCESS_ENDED)

    def leave_on_disk(self, number: int) -> None:
        """Put a package in doubt on disk."""
        in_doubt = self.packages.in_state(S.IN_DOUBT)
        if not in_doubt:
            return
        package = in_doubt[number % len(in_doubt)]
        row_id = package.spool_id or next(self.row_ids)
        self.rows[row_id] = bytes(package.batch.buffer)
        self._move(package, E.NO_SERVER)
        if package.state is S.SPOOLING:
            package.spool_id = row_id
            self._move(package, E.WRITTEN)

    def inherit(self, name: str, pairs: Sequence[tuple[int, int]], *, is_stored: bool) -> None:
        """Put a package of a former writer on disk, which may be stored."""
        points = [[at, self.value(number)] for at, number in pairs]
        counts = Counter(self.key(name, at, value) for at, value in points)
        self.written += counts
        self.stored += counts if is_stored else Counter()
        self.rows[next(self.row_ids)] = packb({name: points})

    def recall(self) -> None:
        """Read the oldest package that is on disk only."""
        in_memory = self.packages.rows_in_memory()
        row_id = next((row_id for row_id in self.rows if row_id not in in_memory), None)
        if row_id is not None:
            batch = batch_of(self.rows.pop(row_id))
            for name in batch.names:
                self.coalescer.series(name)
            package = self.packages.add(batch, S.ON_DISK, 0.0, spool_id=row_id)
            package.maybe_stored = True
            self._move(package, E.RECALLED)

    # ---- look-ups

    def look_up(self, number: int, during: str = "", other: int = 0) -> None:
        """Look a package up; meanwhile another one is answered, or sent."""
        in_doubt = self.packages.in_state(S.IN_DOUBT)
        if not in_doubt:
            return
        package = in_doubt[number % len(in_doubt)]
        arrays = decode_points(package.batch.buffer)
        notes = self.packages.repeats.notes_of(arrays)

        async def ask(query: str) -> Arrays:
            answer = database_of(self.stored, query, self.kind)
            if during == "send":
                self.send(other)
            elif during and "count" not in query:
                self.answer(other, during)
            return answer

        look = self.loop.run_until_complete(EqualPoints(self.packages).look(arrays, notes, [ask]))
        if look is None:
            return
        event = _event_of(package, arrays, look)
        self._move(package, event)
        if event is E.PARTLY_FOUND:
            parts = package.parts or ()
            for child, part in zip(self.packages.split(package), parts, strict=True):
                if part.event is not None:
                    self._move(child, part.event)

    def _move(self, package: Package, event: PackageEvent) -> None:
        error = LOST if package.error is None else package.error
        if event is E.FOUND:
            package.receivers = (PROCESS,) if self.is_safe else ()
        points = self.points_of(package.batch)
        state = self.packages.move(package, event, error)
        if state in FATES and state is not S.SPLIT:
            self.by_fate[state] += points

    # ---- the end

    @property
    def in_doubt(self) -> int:
        """How many points were reported to be in doubt."""
        return self.by_fate[S.UNKNOWN].total()

    def finish(self) -> None:
        """Let everything be answered and looked up; then nothing can be any more."""
        for _ in range(100):
            if not self.rows and not any(map(self.packages.in_state, LIVE)):
                break
            self.recall()
            self.send(0)
            self.answer(0, "ack")
            self.settle(0, is_kept=True)
            self.look_up(0)
        for state in LIVE:
            assert not self.packages.in_state(state), state
        self.loop.close()

    def check(self, *, is_exact: bool) -> None:
        """Compare fates and database; if it ``is_exact``, nothing may be left in doubt."""
        delivered, unknown = self.by_fate[S.DELIVERED], self.by_fate[S.UNKNOWN]
        assert delivered + unknown + self.by_fate[S.REJECTED] == self.written
        assert not delivered - self.stored, "reported as delivered, and not stored"
        assert not self.stored - delivered - unknown, "stored more often than reported"
        if is_exact:
            assert not unknown


def database_of(stored: Counter[Point], query: str, kind: type) -> Arrays:
    """Return what a database answers that has only these points; ranges are not looked at."""
    answer: Arrays = {}
    dtype: Any = {int: np.int64, float: np.float64, str: object}[kind]
    for name in sorted({name for name, _, _ in stored}):
        if f'"{name}"' not in query and f"'{name}'" not in query:
            continue
        points = sorted(
            (at, float("nan") if value == "nan" else value)
            for series, at, value in stored.elements()
            if series == name
        )
        times = np.array([at for at, _ in points], np.int64)
        if "count" in query:
            answer[name] = times[-1:], np.array([len(points)])
        else:
            answer[name] = times, np.array([value for _, value in points], dtype)
    return answer
