"""What is wrong with the text of a time, in words; and what to do about it."""

from __future__ import annotations

from siridb_fast.files._time_texts import Status
from siridb_fast.files.csv.dialect import TimeFormat

__all__ = ["time_reason"]

SHOWN = 80
FORMAT_HINT = "; time_format= (--time-format) says how times are written"
FOLD_HINT = "; fold='earlier' or 'later' (--fold) says which is meant"
REASONS = {
    Status.NO_SUCH_DATE: "there is no such date",
    Status.NO_SUCH_CLOCK: "a clock shows no such time",
    Status.BEFORE_1970: "it is before 1970, and SiriDB has no times before 1970",
    Status.TOO_LATE: "it is too late: 64 bits do not hold it",
    Status.TOO_FINE: "it has more decimals than are read",
}


def time_reason(text: str, status: Status, time: TimeFormat) -> str:
    """Return what is wrong with a text that is no time of a format."""
    expected = f"expected {_expected(time)}, got {_shown(text)}"
    if status == Status.NO_MATCH:
        return expected + FORMAT_HINT
    if status == Status.DOUBLED:
        return f"{_shown(text)} exists twice in {time.zone}, where clocks are put back{FOLD_HINT}"
    if status == Status.SKIPPED:
        return f"{_shown(text)} does not exist in {time.zone}, where clocks are put forward"
    if status == Status.NO_SUCH_ZONE:
        return (
            f"{expected}: of words for a zone, Z, UTC and GMT are read; time_zone= (--time-zone) "
            "is for times that name none"
        )
    if status == Status.TOO_FINE and time.form == "epoch" and time.unit is None:
        return f"{expected}: times with decimals are of a unit that has to be said: unit= (--unit)"
    return f"{expected}: {REASONS[status]}"


def _expected(time: TimeFormat) -> str:
    if time.form == "iso":
        return "an ISO 8601 time"
    if time.form == "epoch":
        return f"a number of {time.unit} since 1970" if time.unit else "a number since 1970"
    return f"a time as {time.form!r}"


def _shown(text: str) -> str:
    return repr(text) if len(text) <= SHOWN else f"{text[:SHOWN]!r}…"
