"""Every class of error: whether it is retriable, and what it means for a package on its way."""

import pickle
import re
from typing import Any

import pytest

from siridb_fast import errors
from siridb_fast.delivery.report import Failure, Report
from siridb_fast.delivery.verdicts import Verdict, verdict_of
from siridb_fast.errors import (
    ConnectionLost,
    DeliveryError,
    InsertError,
    PoolError,
    ServerError,
    SiriDBError,
)

REPORT = Report(1, 1, 19, 0.5, rejected=(Failure("a", 2, ValueError("no")),), rejected_points=2)
ARGUMENTS: dict[str, dict[str, Any]] = {
    "PointsChangedError": {"series": "a", "sent": "float", "stored": "integer"},
    "ConflictError": {"timestamps": [5], "values": [1.5], "stored": [2.5]},
    "DeliveryError": {"report": REPORT},
    "FileError": {"file": "points.csv"},
}
CLASSES = [
    thing
    for thing in vars(errors).values()
    if isinstance(thing, type) and issubclass(thing, SiriDBError)
]
RETRIABLE = {"BufferFullError", "ConnectionLost", "PoolError", "ServerError", "SpoolFullError"}
NO_CLEAR_ANSWER = {"RequestTimeout", "UnknownPackageError", "UnpackError"}
NOT_BY_CLASS: list[tuple[BaseException | None, Verdict]] = [
    (None, Verdict.DELIVERED),
    (ServerError("status: 3"), Verdict.RETRY_ELSEWHERE),
    (PoolError("no server"), Verdict.RETRY_LATER),
    (ConnectionLost("never sent"), Verdict.RETRY_LATER),
    (ConnectionLost("sent", in_doubt=True), Verdict.IN_DOUBT),
    (InsertError("Error occurred while sending points to at least 'h:1'"), Verdict.IN_DOUBT),
    (InsertError("Critical error occurred on 'h:1'"), Verdict.IN_DOUBT),
    (InsertError("Expecting an integer value as time-stamp."), Verdict.REJECTED),
    (MemoryError(), Verdict.REJECTED),
]


def an(error: type[SiriDBError]) -> SiriDBError:
    return error("text", **ARGUMENTS.get(error.__name__, {}))


def test_every_class_is_public_and_in_the_tree() -> None:
    names = {error.__name__ for error in CLASSES}
    assert names <= set(errors.__all__)
    assert errors.__doc__ is not None
    drawn = {word for word in errors.__doc__.split() if word in names}
    assert drawn == names


def test_which_classes_are_retriable() -> None:
    assert {error.__name__ for error in CLASSES if error.retriable} == RETRIABLE
    marked = re.findall(r"─ (\w+) ↻", errors.__doc__ or "")
    assert set(marked) == RETRIABLE


@pytest.mark.parametrize("error", CLASSES)
def test_verdict_is_that_of_the_class(error: type[SiriDBError]) -> None:
    wanted = Verdict.RETRY_LATER if error.retriable else Verdict.REJECTED
    if error is ServerError:
        wanted = Verdict.RETRY_ELSEWHERE
    if error.__name__ in NO_CLEAR_ANSWER:
        wanted = Verdict.IN_DOUBT
    assert verdict_of(an(error)) is wanted


@pytest.mark.parametrize(("error", "verdict"), NOT_BY_CLASS)
def test_verdict_of_an_answer(error: BaseException | None, verdict: Verdict) -> None:
    assert verdict_of(error) is verdict


def test_report_of_a_delivery_error_is_read_without_a_cast() -> None:
    error = DeliveryError("the writer was closed", REPORT)
    assert error.report is REPORT
    assert [(f.series, f.points, str(f.error)) for f in error.report.rejected] == [("a", 2, "no")]
    other = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (str(other), other.report.points) == (str(error), 1)
