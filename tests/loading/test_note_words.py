"""Notes as integers: what is there in part is left out, and what comes behind it is found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siridb_fast.loading.note_words import texts_in, words_of

TEXTS = ["a", "1234567", "12345678", "äöü €", '{"by":"x","files":[]}']


@pytest.mark.parametrize("text", TEXTS)
def test_note_is_what_it_was(text: str) -> None:
    assert [*texts_in(words_of(text))] == [text]


def test_words_are_checksum_length_and_bytes() -> None:
    assert words_of("12345678") == [977711251502405813, 8, 0x31323334353637, 0x38 << 48]


@given(st.lists(st.text(min_size=1), max_size=5))
def test_notes_come_in_their_order(texts: list[str]) -> None:
    words = [word for text in texts for word in words_of(text)]
    assert [*texts_in(words)] == texts
    assert all(0 <= word < 1 << 62 for word in words)


@pytest.mark.parametrize("kept", range(len(words_of(TEXTS[-1]))))
def test_note_that_was_cut_is_left_out(kept: int) -> None:
    words = words_of("before") + words_of(TEXTS[-1])[:kept] + words_of("behind")
    assert [*texts_in(words)] == ["before", "behind"]


@pytest.mark.parametrize("lost", range(len(words_of(TEXTS[-1]))))
def test_note_that_lost_a_word_is_left_out(lost: int) -> None:
    words = words_of(TEXTS[-1])
    del words[lost]
    assert [*texts_in([*words, *words_of("behind")])] == ["behind"]


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(0, 9)))
def test_any_integers_are_read(words: list[int]) -> None:
    assert [*texts_in([*words, *words_of("behind")])][-1] == "behind"
