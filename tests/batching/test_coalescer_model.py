"""The coalescer beside a plain model of it: lists of points, under any sequence of calls.

Nothing is lost or doubled, order and bounds are kept, and what should leave leaves.
"""

import contextlib
from math import inf
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from siridb_fast import BufferFullError, unpackb
from siridb_fast.batching._append import append_column, append_texts
from siridb_fast.batching._batch import Batch
from siridb_fast.batching._coalescer import Coalescer
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.writer._point_intake import PointIntake
from siridb_fast.writer._ticker import Ticker
from tests.batching.series_model import MAKE, NAMES, TICKING, Model, Point, class_of
from tests.fix_examples import examples

LINGER = 10.0


class CoalescerMachine(RuleBasedStateMachine):
    """Calls in any order; ``take`` looks at all that it gets."""

    @initialize(
        max_buffered=st.sampled_from([3000, 20_000, 10**7]),
        package_bytes=st.sampled_from([200, 700, 5000]),
        buffer_points=st.sampled_from([0, 1023, 3000]),
    )
    def start(self, max_buffered: int, package_bytes: int, buffer_points: int) -> None:
        self.now = 100.0
        self.number = 0
        self.accepted = 0
        self.notes = 0
        self.is_hungry = True
        self.flushed = -inf
        self.is_hasty = False
        self.buffer_points = buffer_points
        self.sealed: list[int] = []
        self.owed: dict[str, int] = {}
        self.models: dict[str, Model] = {}
        self.coalescer = Coalescer(
            clock=lambda: self.now,
            max_buffered=max_buffered,
            linger=LINGER,
            package_bytes=package_bytes,
            max_idle=4,
        )
        self.coalescer.on_blocked = self.block
        self.coalescer.notify = self.note
        self.coalescer.open(buffer_points)
        self.intake = PointIntake(self.coalescer, ColumnRules(), False)

    def block(self, need: int) -> None:
        assert self.coalescer.buffered_bytes + need > self.coalescer.max_buffered
        raise BufferFullError("full")

    def note(self) -> None:
        self.notes += 1

    look_soon = note  # where the writer knows by itself

    # ---- the model's side

    def model(self, name: str) -> Model:
        if name not in self.models:
            series = self.coalescer.series(name)
            self.models[name] = Model(name, NAMES[name], series)
        return self.models[name]

    def new_point(self, model: Model, step: int) -> Point:
        self.number += 1
        return max(0, 1000 + self.number * 3 + step), MAKE[model.type](self.number)

    def took(self, model: Model, points: list[Point], delivery: str | None = None) -> None:
        if points and not model.points:
            model.since = self.now
            if model.is_resolved:
                self.joins_queue(model)
        model.points += points
        model.waiting += [delivery] * len(points)
        self.accepted += len(points)
        if delivery is not None and points:
            self.owed[delivery] = len(points)

    def joins_queue(self, model: Model) -> None:
        self.number += 1
        model.begun = self.number
        queued = [m.since for m in self.models.values() if m.points and m.is_resolved]
        model.since = max([model.since, *queued])

    @property
    def is_short(self) -> bool:
        return self.coalescer.buffered_bytes * 2 > self.coalescer.max_buffered

    @property
    def least_class(self) -> int:
        if self.is_short:
            return 0
        least = max(1 if self.is_hasty else 512, self.buffer_points + 1)
        return max(0, (least - 1).bit_length() - 5)

    def ripe(self, only_by_length: bool = False) -> list[str]:
        """Return the series that have to leave at once."""
        due = max(self.now - LINGER, self.flushed)
        by_age = sorted((m for m in self.models.values() if m.points), key=lambda m: m.begun)
        found = []
        is_free = not only_by_length
        for model in by_age:
            is_long = class_of(model, len(model.points)) >= self.least_class
            if model.is_resolved and (
                is_long or (is_free and (self.is_short or model.since <= due))
            ):
                found.append(model.name)
        return found

    # ---- points come

    @rule(name=st.sampled_from(sorted(NAMES)), steps=st.lists(st.integers(-9, 9), max_size=40))
    def write(self, name: str, steps: list[int]) -> None:
        model = self.model(name)
        for step in steps:
            point = self.new_point(model, step)
            try:
                self.intake.write(name, *point)
            except BufferFullError:
                return
            self.took(model, [point])

    @rule(name=st.sampled_from(["x0"]), length=st.integers(50, 2500))
    def write_long_text(self, name: str, length: int) -> None:
        model = self.model(name)
        point = self.number, "x" * length
        with contextlib.suppress(BufferFullError):
            self.intake.write(name, *point)
            self.took(model, [point])

    @rule(
        name=st.sampled_from(sorted(NAMES)),
        n=st.integers(0, 1500),
        is_sorted=st.booleans(),
        waits=st.booleans(),
    )
    def extend(self, name: str, n: int, is_sorted: bool, waits: bool) -> None:
        model = self.model(name)
        self.coalescer.pin(model.series, model.type)
        steps = [0] * n if is_sorted else [(i * 7919) % 1001 for i in range(n)]
        points = [self.new_point(model, step) for step in steps]
        delivery = f"delivery {self.number}" if waits else None
        timestamps = np.array([t for t, _ in points], np.int64)
        with contextlib.suppress(BufferFullError):
            if model.type == "string":
                texts = [text.encode() for _, text in points]
                append_texts(self.coalescer, model.series, timestamps, texts, delivery)
            else:
                dtype = np.float64 if model.type == "float" else np.int64
                values = np.array([v for _, v in points], dtype).view(np.int64)
                append_column(self.coalescer, model.series, timestamps, values, delivery)
            self.took(model, points, delivery)

    @rule(rows=st.integers(1, 80), as_block=st.booleans())
    def tick(self, rows: int, as_block: bool) -> None:
        models = [self.model(name) for name in TICKING]
        ticker = Ticker(self.intake, TICKING)
        self.number += rows
        timestamps = np.arange(rows) + self.number
        values = (np.arange(rows * 3) + 0.5).reshape(rows, 3)
        with contextlib.suppress(BufferFullError):
            if as_block:
                ticker.write_block(timestamps, values)
                for k, model in enumerate(models):
                    column = values[:, k].tolist()
                    self.took(model, list(zip(timestamps.tolist(), column, strict=True)))
                return
            for timestamp, row in zip(timestamps.tolist(), values, strict=True):
                ticker.write(timestamp, row)
                for model, value in zip(models, row.tolist(), strict=True):
                    self.took(model, [(timestamp, value)])

    # ---- time passes, packages leave

    @rule(seconds=st.sampled_from([0.1, 2.0, LINGER * 0.8, LINGER]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def flush(self) -> None:
        self.coalescer.flush(self.now)
        self.flushed = self.now

    @rule(is_hasty=st.booleans())
    def hasten(self, is_hasty: bool) -> None:
        self.coalescer.is_hasty = self.is_hasty = is_hasty
        self.look_soon()

    @rule()
    def take(self) -> None:
        ripe, was_short = self.ripe(), self.is_short
        is_by_age = self.coalescer.oldest_since <= max(self.now - LINGER, self.flushed)
        batch = Batch()
        is_any = self.coalescer.take(self.now, batch)
        assert is_any == (len(batch) > 0) == bool(ripe)
        assert self.coalescer.is_hungry == (not is_any)
        if not is_any:
            self.notes = 0
            return
        lengths = [class_of(self.models[name], n) for name, n in batch.series()]
        if was_short and not is_by_age:
            whole = [c for c in lengths[:-1] if c >= 0]
            assert len(batch) == 1 or whole == sorted(whole, reverse=True)
        read: dict[str, list[list[Any]]] = unpackb(batch.seal(), "utf-8")
        assert len(read) == len(batch), "a series is twice in the package"
        waiting = iter(batch.credits)
        for index, (name, points) in enumerate(read.items()):
            self.leave(self.models[name], index, [(t, v) for t, v in points], waiting)
        assert next(waiting, None) is None
        longest = max(len(str(v)) for points in read.values() for _, v in points)
        assert len(batch.buffer) <= max(self.coalescer.package_bytes, longest + 40 + 19) + 2
        assert batch.points == sum(map(len, read.values()))
        self.sealed.append(len(batch.buffer))
        self.coalescer.sealed_bytes += len(batch.buffer)

    def leave(self, model: Model, index: int, points: list[Point], waiting: Any) -> None:
        """Check that these are the first pending points of a series, sorted, and who waits."""
        n = len(points)
        assert model.is_resolved
        assert points == sorted(model.points[:n], key=lambda point: point[0])
        for delivery in dict.fromkeys(filter(None, model.waiting[:n])):
            count = model.waiting[:n].count(delivery)
            assert next(waiting) == (delivery, index, count)
            self.owed[delivery] -= count
        del model.points[:n], model.waiting[:n]

    @precondition(lambda self: self.sealed)
    @rule()
    def release(self) -> None:
        self.coalescer.sealed_bytes -= self.sealed.pop(0)
        self.look_soon()

    # ---- types become known

    @rule(name=st.sampled_from(sorted(NAMES)), is_new=st.booleans())
    def resolve_type(self, name: str, is_new: bool) -> None:
        model = self.model(name)
        assert self.coalescer.resolve_type(model.series, None if is_new else model.type)
        if model.points and not model.is_resolved:
            self.joins_queue(model)
        model.is_resolved = True
        self.look_soon()
        assert model.is_resolved == self.coalescer.is_resolved(model.series)

    @rule(name=st.sampled_from(["i0", "i1"]), to=st.sampled_from(["float", "string"]))
    def recast(self, name: str, to: str) -> None:
        model = self.model(name)
        if model.is_resolved or not model.points or model.type != "integer":
            return
        assert not self.coalescer.resolve_type(model.series, to)
        values: Any = self.coalescer.pending(model.series)[1]
        fitted: Any = [str(v).encode() for v in values.tolist()]
        if to == "float":
            fitted = np.asarray(values, np.float64)
        self.coalescer.recast(model.series, to, fitted[:-1])  # as if a point came in between
        assert self.coalescer.type_of(model.series) == "integer"
        self.coalescer.recast(model.series, to, fitted)
        convert = float if to == "float" else str
        model.type = to
        model.points = [(t, convert(v)) for t, v in model.points]
        self.look_soon()

    @rule(name=st.sampled_from(sorted(NAMES)))
    def drop(self, name: str) -> None:
        model = self.model(name)
        timestamps, values, waiting = self.coalescer.drop(model.series)
        decoded = [v.decode() for v in values] if isinstance(values, list) else values.tolist()
        assert list(zip(timestamps.tolist(), decoded, strict=True)) == model.points
        for delivery, count in waiting:
            assert count == model.waiting.count(delivery) > 0
            self.owed[delivery] -= count
        model.points.clear()
        model.waiting.clear()
        self.look_soon()

    # ---- what always holds

    @invariant()
    def counters_are_exact(self) -> None:
        pending = sum(len(model.points) for model in self.models.values())
        assert (self.coalescer.points, self.coalescer.accepted) == (pending, self.accepted)
        assert all(m.series.points == len(m.points) for m in self.models.values())
        left: dict[str, int] = {}
        for delivery in (who for m in self.models.values() for who in m.waiting if who):
            left[delivery] = left.get(delivery, 0) + 1
        assert {who: n for who, n in self.owed.items() if n} == left

    @invariant()
    def memory_is_bounded(self) -> None:
        assert (self.coalescer.run_bytes > 0) == (self.coalescer.points > 0)
        sinces = [m.since for m in self.models.values() if m.points and m.is_resolved]
        assert self.coalescer.oldest_since == min(sinces, default=inf)

    @invariant()
    def what_can_leave_by_its_length_was_announced(self) -> None:
        if self.coalescer.is_hungry and self.ripe(only_by_length=True):
            assert self.notes


TestCoalescer = CoalescerMachine.TestCase
TestCoalescer.settings = settings(max_examples=examples(150), stateful_step_count=40)
