"""What the log says of a host that is gone, by a clock of the test."""

import logging

import pytest

from siridb_fast.connection.outage import Outage
from siridb_fast.errors import AuthenticationError, ConnectionLost

REFUSED = ConnectionLost("refused")


def lines_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


def attempts(longest: float = 90.0) -> list[float]:
    """Return the times of ten minutes of attempts to connect."""
    times, wait = [1.0], 1.0
    while times[-1] < 600:
        wait = min(wait * 2, longest)
        times.append(times[-1] + wait)
    return times


def test_short_outage_says_that_it_began_and_ended(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage("h:1", lambda: "; 5 points wait")
    outage.on_lost(0)
    outage.on_lost(0)  # the other connection
    outage.on_failure(REFUSED, 1)
    outage.on_failure(REFUSED, 1)
    outage.on_failure(REFUSED, 3)
    outage.on_connected(7)
    outage.on_connected(7)
    assert lines_of(caplog) == [
        "lost the connection to h:1",
        "no connection to h:1: refused; none for 1 s; 5 points wait",
        "connected to h:1 after 7 s",
    ]


@pytest.mark.parametrize("longest", [1.0, 5.0, 90.0])
def test_ten_minutes_are_a_handful_of_lines(
    longest: float, caplog: pytest.LogCaptureFixture
) -> None:
    outage = Outage("h:1", str)
    outage.on_lost(0)
    for now in attempts(longest):
        outage.on_failure(REFUSED, now)
        outage.on_failure(REFUSED, now)
    outage.on_connected(700)
    assert 5 <= len(lines_of(caplog)) <= 9


def test_failure_of_another_kind_is_said_at_once(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage("h:1", str)
    outage.on_failure(REFUSED, 0)
    for now in (1, 2, 3):
        outage.on_failure(AuthenticationError("invalid credentials"), now)
    assert lines_of(caplog) == [
        "no connection to h:1: refused",
        "no connection to h:1: invalid credentials; none for 1 s",
    ]


def test_host_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    Outage("h:1", str).on_failure(ConnectionLost("h:1 hung up"), 0)
    assert lines_of(caplog) == ["h:1 hung up"]


def test_host_that_comes_and_goes_says_no_more_than_one_that_stays_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outage = Outage("h:1", str)
    for second in range(600):
        outage.on_lost(second)
        outage.on_connected(second + 0.5)
    assert 8 <= len(lines_of(caplog)) <= 12  # each that was said to be lost was said to be back


def test_after_a_calm_time_an_outage_is_a_new_one(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage("h:1", str)
    for start in (0, 3, 100):
        outage.on_lost(start)
        outage.on_failure(REFUSED, start + 1)
        outage.on_connected(start + 2)
    lines = lines_of(caplog)
    assert len(lines) == 6
    assert lines[3:] == ["lost the connection to h:1", lines[1], "connected to h:1 after 2 s"]
