"""How long does it take to start: an import, the command line?

Whole processes, one after the other in each round; the reference is what is needed in any case.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from benchmarks.harness.contest import Contest

ROUNDS, SECONDS = 25, 30.0
COMMAND = Path(sys.executable).with_name("siridb-fast")
BARE = "import numpy"
IMPORTS = {
    "import siridb_fast": 0.030,
    "from siridb_fast import BatchWriter": 0.090,
    "import asyncio, uvloop": 0.090,  # which no writer can do without
}
HELP_SECONDS = 0.25


def process(*command: str | Path) -> Callable[[], object]:
    """Return what runs a command to its end."""
    environment = {**os.environ, "COLUMNS": "80"}
    return lambda: subprocess.run(  # noqa: S603 - our own commands
        command, check=True, stdout=subprocess.DEVNULL, env=environment
    )


def test_imports(contest: Contest) -> None:
    python = [sys.executable, "-c"]
    statements: Sequence[str] = [BARE, *(f"{BARE}; {one}" for one in IMPORTS)]
    contest.run(ROUNDS, {one: process(*python, one) for one in statements}, seconds=SECONDS)
    bare = contest.times(BARE)
    for statement, allowed in IMPORTS.items():
        times = contest.times(f"{BARE}; {statement}")
        more = [max(1e-6, own - other) * 1e3 for own, other in zip(times, bare, strict=True)]
        what = f"{statement}, over {BARE}, a process / allowed"
        contest.figures(what, "ms", more, [allowed * 1e3] * len(more), is_limit=True)


@pytest.mark.parametrize("arguments", [("--help",), ("load", "--help")], ids=" ".join)
def test_command_line(contest: Contest, arguments: tuple[str, ...]) -> None:
    command = process(COMMAND, *arguments)
    contest.run(ROUNDS, {"ours": command}, seconds=SECONDS)
    times = [time * 1e3 for time in contest.times("ours")]
    what = f"siridb-fast {' '.join(arguments)}, a process / allowed"
    contest.figures(what, "ms", times, [HELP_SECONDS * 1e3] * len(times), is_limit=True)
