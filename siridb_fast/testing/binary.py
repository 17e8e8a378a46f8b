"""Where the real `siridb-server` is on this machine.

Finds it, and starts nothing. It knows nothing of servers, ports or databases. Rule: what nobody
has named is only run from a place that no other user may write to (`testing.trust`).
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from siridb_fast.testing.trust import reason_for_distrust

__all__ = ["ServerNotFound", "find_server"]

VARIABLE = "SIRIDB_SERVER"
PROGRAM = "siridb-server"
FOLDER = ".siridb-server"
MARKS = (".git", "pyproject.toml", "setup.py")  # of the top folder of a project

_ADVICE = (
    f"set {VARIABLE} to the path of the program, install the system's {PROGRAM!r} package, "
    "or, on Debian or Ubuntu, run: python -m siridb_fast.testing.install"
)


class ServerNotFound(RuntimeError):
    """No siridb-server is to be found; the text says what to do about it."""


def find_server() -> Path:
    """Return the absolute path of the siridb-server program.

    The first of these counts: the environment variable ``SIRIDB_SERVER``, ``siridb-server`` on
    ``PATH``, ``.siridb-server/siridb-server`` in the current folder or above it in its project
    (the folder that ``python -m siridb_fast.testing.install`` fills), and
    ``siridb_fast/siridb-server/siridb-server`` in the user's cache (``XDG_CACHE_HOME``, or
    ``~/.cache``). The top of a project has a ``.git``, ``pyproject.toml`` or ``setup.py``;
    without one, only the current folder counts. Of the last two, one that another user may have
    put there, or may change, is left out.

    Raises:
        ServerNotFound: there is none, or ``SIRIDB_SERVER`` names no executable file.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return _checked(Path(named).absolute())
    on_path = shutil.which(PROGRAM)
    if on_path is not None:
        return Path(on_path).absolute()
    refused = []
    for place in _places():
        unpacked = place / PROGRAM
        if _is_executable(unpacked):
            reason = reason_for_distrust(unpacked, place.parent)
            if reason is None:
                return unpacked
            refused.append(f"{unpacked} is left out: {reason}; ")
    raise ServerNotFound(
        f"no siridb-server: {VARIABLE} is not set, {PROGRAM!r} is not on PATH, and there is none "
        f"in {' or '.join(map(str, _places()))}; {''.join(refused)}{_ADVICE}"
    )


def _places() -> Iterator[Path]:
    for folder in _project(Path.cwd()):
        yield folder / FOLDER
    yield _cache() / "siridb_fast" / PROGRAM


def _project(here: Path) -> list[Path]:
    # From here up to the top; here alone where there is no top.
    folders = [here]
    for folder in (here, *here.parents):
        if folder != here:
            folders.append(folder)
        if any((folder / mark).exists() for mark in MARKS):
            return folders
    return [here]


def _cache() -> Path:
    named = os.environ.get("XDG_CACHE_HOME", "")
    return Path(named) if Path(named).is_absolute() else Path.home() / ".cache"


def _checked(path: Path) -> Path:
    if not _is_executable(path):
        raise ServerNotFound(f"{VARIABLE}={path} is not an executable file; {_ADVICE}")
    return path


def _is_executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
