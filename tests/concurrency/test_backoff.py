"""Pauses while no server serves: they double with each round, within bounds."""

from siridb_fast.concurrency.backoff import FIRST_PAUSE, LONGEST_PAUSE, Backoff


def round_at(backoff: Backoff, now: float) -> float:
    """Begin a pause; return how long it is."""
    backoff.begin(now)
    return backoff.until - now


def test_pauses_double_up_to_the_longest_and_begin_anew_after_an_answer() -> None:
    backoff = Backoff()
    expected = FIRST_PAUSE
    for _ in range(12):
        assert 0.5 * expected <= round_at(backoff, backoff.until) <= 1.001 * expected
        expected = min(2 * expected, LONGEST_PAUSE)
    backoff.reset()
    assert round_at(backoff, backoff.until) <= 1.001 * FIRST_PAUSE


def test_pause_is_one_for_all_packages_that_were_in_flight() -> None:
    backoff = Backoff()
    backoff.begin(100.0)
    until = backoff.until
    for _ in range(8):
        backoff.begin(100.01)
        assert backoff.until == until
    assert round_at(backoff, until) <= 2.002 * FIRST_PAUSE
