"""What notes say of a file together: in any order, however often each of them comes."""

import itertools

import pytest

from siridb_fast.errors import ConfigError
from siridb_fast.loading.file_notes import Beginning, FileNote, note_of, notes_in

BEGUN = Beginning(10, 1_767_225_600_123_456_789, "3 2", '{"delimiter": ";"}')
OTHER = Beginning(12, 1_767_225_600_123_456_789)

CASES: dict[str, tuple[list[FileNote], FileNote]] = {
    "rows only go up": (
        [FileNote(1, 20, 10, begun=BEGUN), FileNote(1, 30), FileNote(1, 5, 12)],
        FileNote(1, 30, 12, begun=BEGUN),
    ),
    "done stays done": (
        [FileNote(1, 20, 20, is_done=True), FileNote(1, 20, begun=BEGUN)],
        FileNote(1, 20, 20, is_done=True, begun=BEGUN),
    ),
    "the last attempt counts": (
        [FileNote(1, 20, 20, True, BEGUN), FileNote(2, 1, begun=OTHER), FileNote(2, 5)],
        FileNote(2, 5, begun=OTHER),
    ),
    "an attempt that two have begun otherwise": (
        [FileNote(1, 5, begun=BEGUN), FileNote(1, 9, begun=OTHER), FileNote(1, 2, begun=BEGUN)],
        FileNote(1, 9, begun=Beginning(-1, -1)),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_notes_are_joined_in_any_order(case: str) -> None:
    notes, expected = CASES[case]
    for some in itertools.permutations([*notes, notes[0]]):
        joined = some[0]
        for note in some[1:]:
            joined = joined.joined(note)
        assert joined == expected


def test_note_is_what_it_was() -> None:
    files = {"a": FileNote(2, 1 << 62, 7, begun=BEGUN), "b": FileNote(1, 9, 9, is_done=True)}
    assert notes_in(note_of(files, "process 7 on host")) == ("process 7 on host", files)


def test_note_of_another_version_is_refused() -> None:
    text = note_of({}, "somebody").replace('"version":1', '"version":2')
    with pytest.raises(ConfigError, match="of version 2, expected 1"):
        notes_in(text)
