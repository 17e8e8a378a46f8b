"""A table of two columns as it stands in a file or a pipe, where rich has nothing to colour.

To import rich takes longer than many a load. Knows nothing of what the table says.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import chain
from typing import TextIO

__all__ = ["may_be_terminal", "plain_table"]

WIDTH = "80"  # of what is no terminal, unless COLUMNS says it; what is wider is for rich to fold
SAID = ("FORCE_COLOR", "TTY_COMPATIBLE")  # by which a user tells rich that something is a terminal


def may_be_terminal(file: TextIO) -> bool:
    """Tell whether rich could take a stream for a terminal."""
    return file.isatty() or any(name in os.environ for name in SAID)


def plain_table(title: str, rows: Sequence[tuple[str, str]], file: TextIO) -> str | None:
    """Return the lines that rich would write of a table of names and figures.

    Args:
        title: Above it.
        rows: Names, to the left, and figures, to the right; at least one.
        file: What it is written to.

    Returns:
        None where rich is needed: on a terminal, for letters of other widths, for what is
        to be folded.
    """
    names, figures = (max(map(len, column)) for column in zip(*rows, strict=True))
    width = names + figures + len("│  │  │")
    is_ascii = all(map(str.isascii, chain([title], *rows)))
    is_utf = (file.encoding or "").lower().startswith("utf")
    said = os.environ.get("COLUMNS", "")
    most = int(said if said.isdigit() else WIDTH)
    if may_be_terminal(file) or not (is_ascii and is_utf and len(title) <= width <= most):
        return None
    edges = [f"{a}{'─' * (names + 2)}{b}{'─' * (figures + 2)}{c}" for a, b, c in ("┌┬┐", "└┴┘")]
    lines = [f"│ {name:<{names}} │ {figure:>{figures}} │" for name, figure in rows]
    return "\n".join([f"{title:<{width}}", edges[0], *lines, edges[1], ""])
