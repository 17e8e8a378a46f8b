"""The formats of times that are read: those of `strptime`, as a pattern with groups.

Knows nothing of how texts are converted.
"""

from __future__ import annotations

import re

__all__ = ["form_pattern"]

GROUPS = {
    "Y": r"(?P<Y>\d{4})",
    "y": r"(?P<y>\d{2})",
    "m": r"(?P<m>\d{1,2})",
    "d": r"(?P<d>\d{1,2})",
    "b": r"(?P<b>[A-Za-z]{3})",
    "B": r"(?P<b>[A-Za-z]{3})[a-z]*",
    "H": r"(?P<H>\d{1,2})",
    "I": r"(?P<I>\d{1,2})",
    "M": r"(?P<M>\d{1,2})",
    "S": r"(?P<S>\d{1,2})",
    "f": r"(?P<f>\d{1,9})",
    "p": r"(?P<p>[aApP])\.?[mM]\.?",
    "z": r"(?P<z>Z|[+-]\d\d:?\d\d)",
    "%": "%",
}
YEARS, MONTHS, HOURS = {"Y", "y"}, {"m", "b", "B"}, {"H", "I"}


def form_pattern(form: str) -> str:
    """Return the pattern of a format.

    Raises:
        ValueError: It has a directive that is not known, or no date.
    """
    pieces = re.split(r"%(.)", form)
    _check(pieces[1::2])
    pieces[::2] = [re.escape(piece).replace(r"\ ", " +") for piece in pieces[::2]]
    pieces[1::2] = [GROUPS[directive] for directive in pieces[1::2]]
    return "".join(pieces)


def _check(directives: list[str]) -> None:
    for directive in directives:
        if directive not in GROUPS:
            raise ValueError(f"it has %{directive}, which is not read")
        if directive != "%" and directives.count(directive) > 1:
            raise ValueError(f"it has %{directive} more than once")
    for known in (YEARS, MONTHS):
        if len(known.intersection(directives)) != 1:
            raise ValueError(f"it has one of {' '.join(f'%{one}' for one in sorted(known))}")
    if len(HOURS.intersection(directives)) > 1 or ("I" in directives) != ("p" in directives):
        raise ValueError("it has %H, or both %I and %p")
