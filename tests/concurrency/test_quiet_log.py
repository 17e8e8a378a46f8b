"""The log that says what lasts or repeats only after growing pauses, by a clock of the test."""

import logging

import pytest

from siridb_fast.concurrency.quiet_log import CALM, GrowingPauses, QuietLog


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def lines_of(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= level]


def test_pauses_grow_to_five_minutes() -> None:
    pauses = GrowingPauses()
    assert [now for now in range(1100) if pauses.take(now)] == [0, 10, 40, 100, 400, 700, 1000]
    pauses.reset()
    assert pauses.take(1100)
    assert not pauses.take(1109)


def test_lines_of_one_text_are_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    log = QuietLog(clock)
    for clock.now in range(12):
        log.log(logging.WARNING, "%s is in doubt", "it")
    assert lines_of(caplog) == [
        "it is in doubt",
        "it is in doubt (9 more like this since the last)",
    ]


def test_each_text_has_pauses_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    log = QuietLog(Clock())
    for _ in range(3):
        log.log(logging.WARNING, "one")
        log.log(logging.ERROR, "other")
    assert lines_of(caplog) == ["one", "other"]


def test_what_is_left_out_can_be_seen_by_whoever_looks(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "siridb_fast")
    log = QuietLog(Clock())
    for number in range(3):
        log.log(logging.WARNING, "package %d", number)
    assert lines_of(caplog, logging.DEBUG) == ["package 0", "package 1", "package 2"]


def test_after_a_calm_time_the_next_line_is_the_first(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    log = QuietLog(clock)
    for clock.now in (0.0, 10.0, 40.0, 40.5, 100.6 + CALM, 111.0 + CALM):
        log.log(logging.WARNING, "again")
    assert len(lines_of(caplog)) == 5
