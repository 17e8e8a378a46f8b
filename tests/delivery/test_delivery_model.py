"""The real dispatcher against the table of states: every row, `close` in each state, any order.

In each test a model decides what servers, disk and clock do; at its end every point has exactly
one fate, that fate is true, and all memory is back.
"""

import sqlite3
from collections.abc import Callable
from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siridb_fast.batching._coalescer import Coalescer
from siridb_fast.delivery.oldest_points import OldestPoints
from siridb_fast.delivery.states import (
    FATES,
    TRANSITIONS,
    ImpossibleTransition,
    PackageEvent,
    PackageState,
)
from siridb_fast.errors import BufferFullError, SpoolError, SpoolFullError
from siridb_fast.spool.options import SpoolOptions
from tests.delivery.delivery_model import DELIVERY_TIMEOUT, Model
from tests.fix_examples import examples

S, E = PackageState, PackageEvent

# ---- how a package comes into each state

PLAIN: dict[str, Any] = {}
SAFE = {"is_safe": True}
SPOOL = {"has_spool": True}


def ready(model: Model) -> None:
    for number in range(2):
        model.cut(number, "vanished")
    model.dispatcher.submit(model.batch(("a", 1), ("b", 1)), 0)
    if model.disk is None:
        model.dispatcher.check()


def in_flight(model: Model) -> None:
    model.write(("a", 1), ("b", 1))


def acknowledged(model: Model) -> None:
    in_flight(model)
    answer(model, "ack")


def in_doubt(model: Model, outcome: str = "vanished") -> None:
    model.lookup_error = ConnectionError("not yet")
    in_flight(model)
    answer(model, outcome)


def spooling(model: Model) -> None:
    model.disk.error = SpoolError("full")
    go_down(model)
    model.write(("a", 1), ("b", 1))
    model.loop.advance(0.5)


def on_disk(model: Model) -> None:
    go_down(model)
    model.write(("a", 1), ("b", 1))
    model.loop.advance(1.0)


def sent_and_on_disk(model: Model) -> None:
    in_flight(model)
    answer(model, "lost", stays_down=True)
    model.loop.advance(1.0)


def splitting(model: Model) -> None:
    in_flight(model)
    answer(model, "refused")


def splitting_on_disk(model: Model) -> None:
    on_disk(model)
    connect(model)
    model.disk.error = SpoolError("full")
    answer(model, "refused")


def answer(model: Model, outcome: str, *, stays_down: bool = False) -> None:
    """Answer whatever is in flight."""
    for number in range(2):
        if stays_down:
            model.cut(number, outcome)
        while model.answer(number, outcome):
            pass


def found(model: Model, number: int = 0) -> None:
    model.lookup_error = None
    model.loop.advance(5.0)


def late(model: Model) -> None:
    model.loop.advance(2 * DELIVERY_TIMEOUT)


def untold(model: Model) -> None:
    model.repeat("a", 1)
    found(model)


def conflicting(model: Model) -> None:
    (package,) = model.packages.in_state(S.IN_DOUBT)
    model.dispatcher.on_looked_up(package, E.CONFLICTING)


def go_down(model: Model) -> None:
    for number in range(2):
        model.cut(number, "vanished")


def disk_works(model: Model) -> None:
    model.disk.error = None
    model.loop.advance(5.0)


def connect(model: Model) -> None:
    model.connect()
    model.loop.advance(5.0)


def drop_unsent(model: Model) -> None:
    coalescer = Coalescer(
        clock=model.loop.time, max_buffered=1, linger=0, package_bytes=1, max_idle=1
    )
    oldest = OldestPoints(coalescer, model.packages, lambda: inf)
    assert oldest.drop("memory", BufferFullError("full"))


def drop_newest(model: Model) -> None:
    assert model.dispatcher.disk_queue is not None
    model.dispatcher.disk_queue._options = SpoolOptions("model", on_full="drop_newest")
    model.disk.error = SpoolFullError("full")
    model.loop.advance(5.0)
    model.disk.error = None


def drop_oldest(model: Model) -> None:
    task = model.loop.create_task(model.recaller.drop(1, SpoolFullError("full")))
    model.loop.settle()
    assert task.result()


Step = Callable[[Model], object]
Way = tuple[dict[str, Any], Step, Step]
ROWS: dict[tuple[PackageState, PackageEvent], Way] = {
    (S.READY, E.SENT): (PLAIN, ready, connect),
    (S.READY, E.LATE): (PLAIN, ready, late),
    (S.READY, E.NO_SERVER): (SPOOL, ready, lambda model: model.loop.advance(1.0)),
    (S.READY, E.CLOSED): (PLAIN, ready, Model.close),
    (S.READY, E.DISCARDED): (PLAIN, ready, drop_unsent),
    (S.IN_FLIGHT, E.STORED): (PLAIN, in_flight, lambda model: answer(model, "ack")),
    (S.IN_FLIGHT, E.CANNOT_SERVE): (PLAIN, in_flight, lambda model: model.answer(0, "busy")),
    (S.IN_FLIGHT, E.REFUSED): (PLAIN, in_flight, lambda model: model.answer(0, "refused")),
    (S.IN_FLIGHT, E.NO_ANSWER): (PLAIN, in_flight, lambda model: model.answer(0, "lost")),
    (S.IN_FLIGHT, E.CLOSED): (PLAIN, in_flight, Model.close),
    (S.ACKNOWLEDGED, E.SAFE): (SAFE, acknowledged, Model.answer_sentinel),
    (S.ACKNOWLEDGED, E.PROCESS_ENDED): (SAFE, acknowledged, Model.restart),
    (S.ACKNOWLEDGED, E.LATE): (SAFE, acknowledged, late),
    (S.ACKNOWLEDGED, E.NO_SERVER): (SAFE | SPOOL, acknowledged, go_down),
    (S.ACKNOWLEDGED, E.CLOSED): (SAFE, acknowledged, Model.close),
    (S.IN_DOUBT, E.FOUND): (PLAIN, lambda model: in_doubt(model, "lost"), found),
    (S.IN_DOUBT, E.MISSING): (PLAIN, in_doubt, found),
    (S.IN_DOUBT, E.PARTLY_FOUND): (PLAIN, lambda model: in_doubt(model, "part"), found),
    (S.IN_DOUBT, E.CONFLICTING): (PLAIN, in_doubt, conflicting),
    (S.IN_DOUBT, E.CANNOT_TELL): (PLAIN, lambda model: in_doubt(model, "lost"), untold),
    (S.IN_DOUBT, E.LATE): (PLAIN, in_doubt, late),
    (S.IN_DOUBT, E.NO_SERVER): (SPOOL, in_doubt, go_down),
    (S.IN_DOUBT, E.CLOSED): (PLAIN, in_doubt, Model.close),
    (S.SPOOLING, E.WRITTEN): (SPOOL, spooling, disk_works),
    (S.SPOOLING, E.DISK_FAILED): (SPOOL, spooling, connect),
    (S.SPOOLING, E.CLOSED): (SPOOL, spooling, Model.close),
    (S.SPOOLING, E.DISCARDED): (SPOOL, spooling, drop_newest),
    (S.ON_DISK, E.RECALLED): (SPOOL, on_disk, connect),
    (S.ON_DISK, E.DISCARDED): (SPOOL, on_disk, drop_oldest),
    (S.SPLITTING, E.PARTED): (SPOOL, splitting_on_disk, disk_works),
    (S.SPLITTING, E.CLOSED): (SPOOL, splitting_on_disk, Model.close),
}


def test_every_row_of_the_table_is_tried() -> None:
    assert set(ROWS) == set(TRANSITIONS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0].name}-{row[1].name}")
def test_event_in_a_state_is_a_row_of_the_table(row: tuple[PackageState, PackageEvent]) -> None:
    options, come, act = ROWS[row]
    model = Model(**options)
    come(model)
    act(model)
    assert row in {(before, event) for before, event, _ in model.seen}
    finish(model)


@pytest.mark.parametrize("state", [state for state in S if state not in FATES])
@pytest.mark.parametrize("on_doubt", ["verify", "resend", "report"])
def test_close_in_each_state_gives_each_point_its_fate(state: PackageState, on_doubt: str) -> None:
    tried = 0
    for (before, _), (options, come, _) in ROWS.items():
        if before is not state or (on_doubt != "verify" and state is S.IN_DOUBT):
            continue
        model = Model(on_doubt, **options)
        come(model)
        tried += 1
        model.close()
        model.check()
    assert tried or on_doubt != "verify"


@pytest.mark.parametrize(
    "state", [*dict.fromkeys(state for state, _ in ROWS if state is not S.ON_DISK)]
)
def test_event_that_is_no_row_raises_and_changes_nothing(state: PackageState) -> None:
    options, come = next((way[0], way[1]) for (before, _), way in ROWS.items() if before is state)
    model = Model(**options)
    come(model)
    (package,) = model.packages.in_state(state)
    for event in E:
        if (state, event) not in TRANSITIONS:
            with pytest.raises(ImpossibleTransition):
                model.packages.move(package, event)
            assert model.packages.in_state(state) == [package]
    finish(model)


# ---- any order

OUTCOMES = ["ack", "lost", "vanished", "part", "refused", "busy", "no pool"]
ERRORS = [
    None, SpoolError("no"), SpoolFullError("full"), sqlite3.OperationalError("no"), OSError("no"),
    MemoryError(), RuntimeError("no"),
]  # fmt: skip
LOOKUP_ERRORS = [
    None, OSError("no"), MemoryError(), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"),
    KeyError("no"), RuntimeError("no"),
]  # fmt: skip
NUMBER = st.integers(0, 1)
STEPS = st.one_of(
    st.tuples(st.just("write"), st.integers(1, 3)),
    st.tuples(st.just("submit"), st.integers(1, 3)),
    st.tuples(st.just("answer"), NUMBER, st.sampled_from(OUTCOMES)),
    st.tuples(st.just("cut"), NUMBER, st.sampled_from(["lost", "vanished", "part"])),
    st.tuples(st.just("connect")),
    st.tuples(st.just("restart")),
    st.tuples(st.just("sentinel")),
    st.tuples(st.just("advance"), st.sampled_from([0.5, 2.0, 40.0, DELIVERY_TIMEOUT + 1])),
    st.tuples(st.just("disk"), st.sampled_from(ERRORS)),
    st.tuples(st.just("look-up"), st.sampled_from(LOOKUP_ERRORS)),
)


def do(model: Model, step: tuple[Any, ...]) -> None:
    name, *args = step
    if name in ("write", "submit"):
        timestamp = len(model.written)
        points = [(f"s{n}", timestamp) for n in range(args[0])]
        if name == "write":
            model.write(*points)
        else:
            model.dispatcher.submit(model.batch(*points), 0)
            model.dispatcher.check()
    elif name == "answer":
        model.answer(*args)
    elif name == "cut":
        model.cut(*args)
    elif name == "disk":
        if model.disk is not None:
            model.disk.error = args[0]
    elif name == "look-up":
        model.lookup_error = args[0]
    elif name == "advance":
        model.loop.advance(args[0])
    elif name == "sentinel":
        model.answer_sentinel()
    else:
        getattr(model, name)()


@given(
    st.sampled_from(["verify", "resend", "report"]),
    st.booleans(),
    st.booleans(),
    st.lists(STEPS, max_size=25),
    st.booleans(),
)
@settings(max_examples=examples(250))
def test_whatever_happens_each_point_has_one_fate_which_is_true(
    on_doubt: str, has_spool: bool, is_safe: bool, steps: list[tuple[Any, ...]], is_mended: bool
) -> None:
    model = Model(on_doubt, has_spool, is_safe)
    for step in steps:
        do(model, step)
    if is_mended:
        model.mend()
        assert model.packages.is_finished(model.packages.last_number)
    model.close()
    model.check()


def test_part_that_was_found_before_the_server_restarted_is_looked_up_again() -> None:
    # The disk did not take the parts before that.
    model = Model(has_spool=True, is_safe=True)
    go_down(model)
    model.write(("a", 1))
    model.write(("b", 1), ("c", 1))
    model.loop.advance(1.0)
    connect(model)
    model.disk.error = SpoolError("full")
    model.cut(1, "part")
    model.loop.advance(1.0)
    assert len(model.packages.in_state(S.SPLITTING)) == 1
    model.restart()
    model.mend()
    model.close()
    assert model.stored == {("a", 1): 1, ("b", 1): 1, ("c", 1): 1}
    model.check()


def finish(model: Model) -> None:
    """Let everything work again, and close."""
    if not model.closed:
        model.mend()
        model.close()
    model.check()


def test_doubt_that_went_to_disk_is_looked_up_before_it_is_sent_again() -> None:
    # The disk did not take it at first, so it was sent all the same, and then nobody told.
    model = Model(has_spool=True)
    spooling(model)
    connect(model)
    model.lookup_error = ConnectionError("not yet")
    for number in range(2):
        model.answer(number, "lost")
    model.loop.advance(DELIVERY_TIMEOUT + 1.0)
    model.loop.advance(1.0)
    model.mend()
    model.close()
    assert model.stored == {("a", 1): 1, ("b", 1): 1}
    model.check()
