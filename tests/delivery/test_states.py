"""The table of a package's states: every row, every pair that is no row, and every choice."""

from dataclasses import dataclass
from itertools import product

import pytest

from siridb_fast.delivery.states import (
    CHOICES,
    FATES,
    TRANSITIONS,
    Choice,
    ImpossibleTransition,
    PackageEvent,
    PackageState,
    Policy,
    next_state,
    targets,
)

S, E = PackageState, PackageEvent
POLICIES = [
    Policy(on_doubt, has_spool=has_spool, has_journal=has_journal)
    for on_doubt in ("verify", "resend", "report")
    for has_spool, has_journal in [(False, False), (True, False), (True, True), (False, True)]
]


@dataclass
class Facts:
    """What of a package decides."""

    state: PackageState
    maybe_stored: bool = False
    is_on_disk: bool = False
    can_be_lost: bool = False
    can_be_split: bool = False
    is_hopeless: bool = False


def all_facts(state: PackageState) -> list[Facts]:
    return [Facts(state, *flags) for flags in product([False, True], repeat=5)]


@pytest.mark.parametrize(("state", "event"), TRANSITIONS)
def test_row_leads_to_what_it_says_and_to_nothing_else(
    state: PackageState, event: PackageEvent
) -> None:
    reached = {
        next_state(facts, event, policy) for facts in all_facts(state) for policy in POLICIES
    }
    assert reached == set(targets(state, event))


def test_what_was_sent_and_is_given_up_is_never_called_rejected() -> None:
    for state in (S.IN_FLIGHT, S.ACKNOWLEDGED, S.IN_DOUBT):
        assert S.REJECTED not in targets(state, E.CLOSED)


@pytest.mark.parametrize("state", S)
def test_pair_that_is_no_row_is_an_error(state: PackageState) -> None:
    impossible = [event for event in E if (state, event) not in TRANSITIONS]
    for event, policy in product(impossible, POLICIES):
        with pytest.raises(ImpossibleTransition, match=f"{event.name} .* {state.name}"):
            next_state(Facts(state), event, policy)
    assert impossible == list(E) if state in FATES else impossible


def test_every_state_has_a_way_to_a_fate_and_is_reached() -> None:
    following = {
        state: {
            target for (before, event) in TRANSITIONS if before is state
            for target in targets(before, event)
        }
        for state in S
    }  # fmt: skip
    assert {state for state in S if not following[state]} == FATES
    reached = {S.READY, S.SPOOLING, S.ON_DISK}  # where a package begins
    while (more := reached.union(*(following[state] for state in reached))) != reached:
        reached = more
    assert reached == set(S)
    ends = set(FATES)
    while (more := ends | {state for state in S if following[state] & ends}) != ends:
        ends = more
    assert ends == set(S)


def test_writer_that_closes_finds_a_row_for_every_state_that_is_none_of_the_disk() -> None:
    waiting = set(S) - FATES - {S.ON_DISK}
    assert {state for state in waiting if (state, E.CLOSED) in TRANSITIONS} == waiting


VERIFY, RESEND, REPORT = (Policy(way, has_spool=False) for way in ("verify", "resend", "report"))
SPOOL = Policy("verify", has_spool=True)
JOURNAL = Policy("verify", has_spool=True, has_journal=True)
CASES = [
    (Choice.STORE, Facts(S.IN_FLIGHT), VERIFY, S.DELIVERED),
    (Choice.STORE, Facts(S.IN_FLIGHT, can_be_lost=True), VERIFY, S.ACKNOWLEDGED),
    (Choice.DOUBT, Facts(S.IN_FLIGHT), VERIFY, S.IN_DOUBT),
    (Choice.DOUBT, Facts(S.IN_FLIGHT), RESEND, S.READY),
    (Choice.DOUBT, Facts(S.IN_FLIGHT, is_hopeless=True), RESEND, S.UNKNOWN),
    (Choice.DOUBT, Facts(S.IN_FLIGHT), REPORT, S.UNKNOWN),
    (Choice.REFUSE, Facts(S.IN_FLIGHT), VERIFY, S.REJECTED),
    (Choice.REFUSE, Facts(S.IN_FLIGHT, maybe_stored=True), RESEND, S.UNKNOWN),
    (Choice.REFUSE, Facts(S.IN_FLIGHT, can_be_split=True), VERIFY, S.SPLITTING),
    (Choice.GIVE_UP, Facts(S.READY), VERIFY, S.REJECTED),
    (Choice.GIVE_UP, Facts(S.READY, maybe_stored=True), RESEND, S.UNKNOWN),
    (Choice.GIVE_UP, Facts(S.IN_FLIGHT), VERIFY, S.UNKNOWN),
    (Choice.GIVE_UP, Facts(S.ACKNOWLEDGED), VERIFY, S.UNKNOWN),
    (Choice.GIVE_UP, Facts(S.READY), SPOOL, S.SPOOLING),
    (Choice.GIVE_UP, Facts(S.READY, is_on_disk=True), SPOOL, S.ON_DISK),
    (Choice.GIVE_UP, Facts(S.READY, is_on_disk=True), VERIFY, S.ON_DISK),
    (Choice.RECALL, Facts(S.ON_DISK), SPOOL, S.READY),
    (Choice.RECALL, Facts(S.ON_DISK, maybe_stored=True), SPOOL, S.IN_DOUBT),
    (Choice.RECALL, Facts(S.ON_DISK, maybe_stored=True), REPORT, S.UNKNOWN),
    (Choice.END, Facts(S.SPOOLING), SPOOL, S.REJECTED),
    (Choice.END, Facts(S.SPOOLING, maybe_stored=True), SPOOL, S.UNKNOWN),
    (Choice.END, Facts(S.SPOOLING), JOURNAL, S.ON_DISK),
    (Choice.END, Facts(S.SPOOLING, maybe_stored=True), JOURNAL, S.ON_DISK),
]


@pytest.mark.parametrize(("choice", "facts", "policy", "expected"), CASES)
def test_choice(choice: Choice, facts: Facts, policy: Policy, expected: PackageState) -> None:
    choose, possible = CHOICES[choice]
    assert choose(facts, policy) is expected
    assert expected in possible
    assert {choice for choice, *_ in CASES} == set(Choice)
