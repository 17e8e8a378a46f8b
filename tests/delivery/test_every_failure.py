"""Whatever fails on a package's way, and whatever class of error it is: each point has its fate.

Each function that the way of a package awaits or calls raises once, in turn. Then all works again:
every point must be delivered once, nothing may be left, nothing may have been lost or doubled.
"""

import contextlib
import sqlite3
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

import siridb_fast.delivery.disk_queue
import siridb_fast.delivery.dispatcher
import siridb_fast.delivery.doubt
from siridb_fast.delivery.sentinel import SentinelSender
from siridb_fast.delivery.states import FATES, PackageState
from tests.delivery.delivery_model import Model
from tests.delivery.model_parts import Connection, Disk


class Stopped(BaseException):
    """No `Exception`, as a `KeyboardInterrupt` is none."""


ERRORS = [
    RuntimeError("no"), MemoryError(), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"),
    OSError("no"), sqlite3.OperationalError("no"), Stopped(),
]  # fmt: skip
SAFE, SPOOL = {"is_safe": True}, {"has_spool": True}
PLAIN: dict[str, Any] = {}
STEPS: dict[str, tuple[object, str, dict[str, Any]]] = {
    "sealing": (Model, "take", PLAIN),
    "sending": (Connection, "send_for", PLAIN),
    "verdict": (siridb_fast.delivery.dispatcher, "verdict_of", PLAIN),
    "turn of a look-up": (siridb_fast.delivery.doubt.LookupTurns, "acquire", PLAIN),
    "tasks of a server": (Model, "active_tasks", PLAIN),
    "points of a look-up": (siridb_fast.delivery.doubt, "decode_points", PLAIN),
    "look-up": (Model, "_missing_points", PLAIN),
    "split of a look-up": (siridb_fast.delivery.doubt, "split_batch", PLAIN),
    "sentinel's name": (SentinelSender, "_name_in", SAFE),
    "sentinel": (Connection, "send", SAFE),
    "put": (Disk, "put", SPOOL),
    "remove": (Disk, "remove", SPOOL),
    "read": (Disk, "read", SPOOL),
    "mark as sent": (Disk, "mark_sent", SPOOL),
    "refit": (Model, "refit", SPOOL),
}  # fmt: skip


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_step_that_fails_once_costs_no_point(step: str, error: BaseException) -> None:
    owner, name, options = STEPS[step]
    original = getattr(owner, name)
    calls: list[object] = []

    def failing(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) == 1:
            raise error.with_traceback(None)
        return original(*args, **kwargs)

    with mock.patch.object(owner, name, failing):
        model = Model(**options)
        model.loop.set_exception_handler(lambda *_: None)
        live(model, error)
        model.close()
    assert calls, "the step was not on the way"
    # A look-up that is ended by no `Exception`, or before its turn, is reported as what it is.
    may_be_unknown = "look-up" in step or step == "tasks of a server"
    allowed = {"DELIVERED", "UNKNOWN"} if may_be_unknown else {"DELIVERED"}
    assert {fate for fates in model.fates.values() for fate in fates} <= allowed
    model.check()


def live(model: Model, error: BaseException) -> None:
    """Have packages answered, cut, partly stored and on disk; then let everything work."""
    steps: list[Callable[[], object]] = [
        lambda: model.write(("a", 1), ("b", 1)),
        lambda: model.write(("a", 2)),
        lambda: model.answer(0, "ack"),
        lambda: model.answer(1, "part"),
        lambda: model.write(("a", 3), ("b", 3)),
        lambda: model.cut(0, "part"),
        lambda: model.cut(1, "part"),
        lambda: model.write(("a", 4), ("b", 4)),
        lambda: model.loop.advance(5.0),
        model.connect,
        model.mend,
    ]
    for step in steps:
        with contextlib.suppress(type(error)):  # where the caller of a step gets it
            step()
    model.mend()
    assert model.packages.is_finished(model.packages.last_number)
    waiting = [state for state in PackageState if state not in FATES]
    assert not any(map(model.packages.in_state, waiting))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("outcome", ["ack", "refused"])
def test_callback_of_the_user_that_raises_costs_no_point(
    error: BaseException, outcome: str
) -> None:
    model = Model()
    model.write(("a", 1), ("b", 1))
    model.callback_errors = [error]
    for number in range(2):
        while model.answer(number, outcome):
            pass
    assert not model.callback_errors
    assert model.packages.is_finished(model.packages.last_number)
    assert model.raised == ([] if isinstance(error, Exception) else [error])
    model.close()
    model.check()
