"""Bytes that a fuzzer kept: each in turn to the decoder that it was found with.

`make fuzz` looks for more of them, under the sanitizers; see README.md, Fuzzing.
"""

import itertools
from pathlib import Path

import numpy as np
import pytest

from siridb_fast import UnpackError, decode_points, packb, unpackb
from tests.fuzz import checks, corpora

CORPUS = Path(__file__).parents[1] / "fuzz/corpus"
CHECKS = checks.Checks(allocated=lambda: 0)


@pytest.mark.parametrize("target", corpora.TARGETS)
def test_every_input_of_the_corpus_keeps_the_rules(target: str) -> None:
    inputs = corpora.load(CORPUS, target)
    check = getattr(CHECKS, target)
    for data in inputs:
        check(memoryview(data))
    assert len(inputs) > 20


@pytest.mark.parametrize("target", corpora.TARGETS)
def test_every_input_of_the_corpus_may_be_cut_anywhere(target: str) -> None:
    check = getattr(CHECKS, target)
    cuts = 0
    for data in corpora.load(CORPUS, target):
        for length in range(0, len(data), 1 + len(data) // 16):
            check(memoryview(data)[:length])
            cuts += 1
    assert cuts > 100


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("f300", r"1 bytes after the answer \(at byte 1\)"),
        ("f3f3", "1 bytes after the answer"),
        ("f48161edff", "1 bytes after the answer"),
        ("fdff00", "1 bytes after the answer"),
        ("fd8161edff8162ed", "3 bytes after the answer"),
        ("f58161ed", "a name or a text is expected"),
        ("f58161edff", "a name or a text is expected"),
        ("f4", "a name or a text is expected"),
    ],
)
def test_an_answer_that_is_cut_or_goes_on_is_refused(answer: str, reason: str) -> None:
    data = bytes.fromhex(answer)
    with pytest.raises(UnpackError, match=reason):
        decode_points(data)
    with pytest.raises(UnpackError):
        unpackb(data)


@pytest.mark.parametrize("answer", ["fd8161edff", "fd8161ed", "f48161ed"])
def test_an_answer_ends_with_its_close_its_count_or_its_bytes(answer: str) -> None:
    assert list(decode_points(bytes.fromhex(answer))) == ["a"]


def test_a_check_finds_a_decoder_that_goes_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    data = memoryview(packb({"a": [[1, 2.5]]}))
    wrong = {"a": (np.array([1]), np.array([2.0]))}
    monkeypatch.setattr(checks, "decode_points", lambda data: wrong)
    with pytest.raises(checks.Broken, match="a value is another"):
        CHECKS.decode_points(data)
    monkeypatch.setattr(checks, "unpackb", lambda data, *args, **options: data[0] // 0)
    with pytest.raises(ZeroDivisionError):
        CHECKS.unpackb(data)


def test_a_check_finds_a_decoder_that_takes_too_much_memory() -> None:
    asked = itertools.count(step=10**6)
    greedy = checks.Checks(allocated=lambda: next(asked))
    with pytest.raises(checks.Broken, match="1,000,000 bytes of memory"):
        greedy.unpackb(memoryview(b"\x01"))
