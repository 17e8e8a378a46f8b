"""The formats of times that are read: those of `strptime`, as steps.

Knows nothing of how texts are converted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["TimeProgram", "form_program"]

LITERAL, BLANKS = 0, 1  # as in `siridb_fast.files._time_texts`
DIGITS = "YymdjHIMS"
KNOWN = {*DIGITS, *"bapfz%"}
SAME = {"e": "d", "h": "b", "B": "b", "A": "a", "Z": "z"}
SHORT = {"D": "%m/%d/%y", "F": "%Y-%m-%d", "R": "%H:%M", "T": "%H:%M:%S"}
"""What is written shorter."""

YEARS, MONTHS, DAYS, HOURS = {"Y", "y"}, {"m", "b", "j"}, {"d", "j"}, {"H", "I"}


@dataclass(frozen=True, slots=True)
class TimeProgram:
    """A format, step by step.

    Attributes:
        directives: Of each step: `LITERAL`, `BLANKS`, or the letter of a directive.
        arguments: The byte of a literal; 1 for digits that have no fewer than they can have, as
            more of them follow.
    """

    directives: bytes
    arguments: bytes


def form_program(form: str) -> TimeProgram:
    """Return the steps of a format.

    Raises:
        ValueError: It has a directive that is not known, or no year.
    """
    pieces = re.split(r"%(.)", re.sub(r"%([DFRT])", lambda found: SHORT[found[1]], form.strip()))
    pieces[1::2] = [SAME.get(letter, letter) for letter in pieces[1::2]]
    _check(pieces[1::2])
    steps = bytearray()
    arguments = bytearray()
    for number, piece in enumerate(pieces):
        if number % 2 and piece != "%":
            steps.append(ord(piece))
            arguments.append(_has_digits_next(pieces, number))
        else:
            for byte in re.sub(r"\s+", " ", piece).encode():
                steps.append(BLANKS if byte == ord(" ") else LITERAL)
                arguments.append(byte)
    return TimeProgram(bytes(steps), bytes(arguments))


def _has_digits_next(pieces: list[str], number: int) -> bool:
    # Of 2024311 nobody knows which digits are the month.
    if pieces[number] not in DIGITS or pieces[number + 1] or number + 2 >= len(pieces):
        return False
    return pieces[number + 2] in DIGITS + "f"


def _check(letters: list[str]) -> None:
    for letter in letters:
        if letter not in KNOWN:
            raise ValueError(f"it has %{letter}, which is not read")
        if letter != "%" and letters.count(letter) > 1:
            raise ValueError(f"it has %{letter} more than once")
    if len(YEARS.intersection(letters)) != 1:
        raise ValueError("it has one of %Y %y")
    for some in (MONTHS, DAYS):
        if len(some.intersection(letters)) > 1:
            raise ValueError(f"it has one of {' '.join(f'%{one}' for one in sorted(some))}")
    if "d" in letters and not MONTHS.intersection(letters):
        raise ValueError("it has %d, and no month")
    if len(HOURS.intersection(letters)) > 1 or ("I" in letters) != ("p" in letters):
        raise ValueError("it has %H, or both %I and %p")
