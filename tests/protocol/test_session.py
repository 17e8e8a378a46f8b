"""The session, sans-IO: frames in any split, package ids, the window, and streams of an enemy."""

import random
import tracemalloc
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from siridb_fast.errors import ProtocolError
from siridb_fast.protocol._session import Reply, Session
from siridb_fast.protocol._wire import (
    ERR_QUERY,
    HEADER_SIZE,
    RES_ACK,
    RES_INSERT,
    RES_QUERY,
    pack_header,
)
from tests.fix_examples import examples


def frame(pid: int, kind: int, body: bytes = b"") -> bytes:
    return pack_header(len(body), pid, kind) + body


def facts(replies: list[Reply]) -> list[tuple[int, int, bytes, Any]]:
    return [(reply.pid, reply.type, reply.body, reply.tag) for reply in replies]


def opened(count: int, **options: Any) -> Session:
    """A session with requests 1 … count in flight, tagged "r1", "r2" and so on."""
    session = Session(**options)
    for pid in range(1, count + 1):
        assert session.open(f"r{pid}") == pid
    return session


STREAM = (
    frame(2, RES_QUERY, b"abc") + frame(1, RES_INSERT) + frame(9, 200, b"x") + frame(3, RES_ACK)
)
EXPECTED = [
    (2, RES_QUERY, b"abc", "r2"),
    (1, RES_INSERT, b"", "r1"),
    (9, 200, b"x", None),
    (3, RES_ACK, b"", "r3"),
]


def test_a_stream_fed_whole() -> None:
    assert facts(opened(3).feed(STREAM)) == EXPECTED


def test_a_stream_fed_byte_by_byte() -> None:
    session = opened(3)
    replies = [reply for i in range(len(STREAM)) for reply in session.feed(STREAM[i : i + 1])]
    assert facts(replies) == EXPECTED


@pytest.mark.parametrize("cut", range(1, len(STREAM)))
def test_a_stream_fed_in_two_pieces(cut: int) -> None:
    session = opened(3)
    assert facts(session.feed(STREAM[:cut]) + session.feed(STREAM[cut:])) == EXPECTED


SIZES = [0, 1, 7, 32_767, 32_768, 32_769, 100_000, 131_064, 131_072, 131_073, 1_000_000, 0, 3]


@pytest.mark.parametrize("chunk", [1_000, 4_096, 65_536, 131_072, 10_000_000])
def test_answers_of_all_sizes_in_any_chunks(chunk: int) -> None:
    bodies = [random.Random(size).randbytes(size) for size in SIZES]
    session = opened(len(bodies))
    stream = b"".join(frame(pid, RES_QUERY, body) for pid, body in enumerate(bodies, 1))
    replies = []
    for i in range(0, len(stream), chunk):
        replies += session.feed(stream[i : i + chunk])
    assert [reply.body for reply in replies] == bodies
    assert [reply.tag for reply in replies] == [f"r{pid}" for pid in range(1, len(bodies) + 1)]


def test_bytes_written_into_the_buffer_are_the_same_as_fed() -> None:
    session, position, replies = opened(3), 0, []
    while position < len(STREAM):
        buffer = session.get_buffer()
        part = STREAM[position : position + min(5, len(buffer))]
        buffer[: len(part)] = part
        replies += session.received_bytes(len(part))
        position += len(part)
    assert facts(replies) == EXPECTED


def test_a_large_answer_is_received_in_place() -> None:
    session = opened(1)
    session.feed(pack_header(1_000_000, 1, RES_QUERY) + b"ab")
    assert len(session.get_buffer()) == 999_998


@pytest.mark.parametrize(
    ("hostile", "reason"),
    [
        (bytes.fromhex("00000000010000fe"), "wrong check byte 254"),
        (pack_header(1001, 1, RES_QUERY), "1,001 bytes is over the limit of 1,000"),
    ],
)
def test_a_stream_that_makes_no_sense_ends_the_session(hostile: bytes, reason: str) -> None:
    session = opened(2, max_answer=1000)
    replies = session.feed(frame(2, RES_ACK) + hostile + frame(1, RES_ACK))
    assert facts(replies) == [(2, RES_ACK, b"", "r2")]
    assert reason in str(session.error)
    with pytest.raises(ProtocolError, match=r"limit|check"):
        session.received_bytes(0)
    with pytest.raises(RuntimeError, match="ended"):
        session.open("late")
    assert session.close() == ["r1"]


def test_an_oversized_answer_takes_no_memory() -> None:
    session = opened(1, max_answer=10_000_000)
    tracemalloc.start()
    try:
        session.feed(pack_header(41_943_040, 1, RES_QUERY))
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
    assert session.error is not None


def test_bytes_that_do_not_fit_the_buffer_are_refused() -> None:
    session = Session()
    for count in (-1, len(session.get_buffer()) + 1):
        with pytest.raises(ValueError, match="do not fit"):
            session.received_bytes(count)


def test_the_window_bounds_what_is_in_flight() -> None:
    session = opened(4, window=4)
    assert (session.requests, session.room, session.has_room) == (4, 0, False)
    with pytest.raises(RuntimeError, match="the window is full"):
        session.open("fifth")
    assert session.open("ping", is_urgent=True) == 5
    session.feed(frame(1, RES_ACK) + frame(2, RES_ACK))
    assert session.room == 1


@pytest.mark.parametrize("window", [0, -1, 32_768])
def test_a_window_out_of_range_is_refused(window: int) -> None:
    with pytest.raises(ValueError, match=f"got {window}"):
        Session(window)


def test_an_abandoned_id_leaves_the_window_but_stays_taken() -> None:
    session = opened(2, window=2)
    assert session.abandon(1) == "r1"
    assert session.abandon(1) is None
    assert session.room == 1
    taken = set()
    for _ in range(70_000):
        pid = session.open("x")
        taken.add(pid)
        session.feed(frame(pid, RES_ACK))
    assert taken == set(range(65_536)) - {1, 2}
    (late,) = session.feed(frame(1, ERR_QUERY, b"late"))
    assert (late.tag, late.body) == (None, b"late")
    pids = set()
    for _ in range(70_000):
        pid = session.open("x")
        pids.add(pid)
        session.feed(frame(pid, RES_ACK))
    assert 1 in pids


def test_close_gives_back_what_was_not_answered() -> None:
    session = opened(3)
    session.feed(frame(2, RES_ACK))
    assert session.close() == ["r1", "r3"]
    assert session.is_closed
    assert session.tags == []


class Peer(RuleBasedStateMachine):
    """A model of who waits for what: answers in any order, late, or never."""

    pids = Bundle("pids")

    def __init__(self) -> None:
        super().__init__()
        self.session = Session(window=6)
        self.waiting: dict[int, object] = {}
        self.abandoned: set[int] = set()

    @rule(target=pids)
    def open(self) -> int:
        tag = object()
        if len(self.waiting) >= 6:
            with pytest.raises(RuntimeError):
                self.session.open(tag)
            return -1
        pid = self.session.open(tag)
        assert pid not in self.waiting
        assert pid not in self.abandoned
        self.waiting[pid] = tag
        return pid

    @rule(pid=consumes(pids), cut=st.integers(0, HEADER_SIZE + 2))
    def answer(self, pid: int, cut: int) -> None:
        if pid < 0:
            return
        raw = frame(pid, RES_ACK, b"ok")
        replies = self.session.feed(raw[:cut]) + self.session.feed(raw[cut:])
        assert facts(replies) == [(pid, RES_ACK, b"ok", self.waiting.pop(pid, None))]
        self.abandoned.discard(pid)

    @rule(pid=pids)
    def abandon(self, pid: int) -> None:
        assert self.session.abandon(pid) is self.waiting.get(pid)
        if self.waiting.pop(pid, None) is not None:
            self.abandoned.add(pid)

    @invariant()
    def the_session_agrees(self) -> None:
        assert self.session.tags == list(self.waiting.values())
        assert self.session.room == 6 - len(self.waiting)


TestPeer = Peer.TestCase
TestPeer.settings = settings(max_examples=examples(50), stateful_step_count=40)
