"""Where the real `siridb-server` is on this machine.

Finds it, and starts nothing. It knows nothing of servers, ports or databases.
"""

import os
import shutil
from pathlib import Path

__all__ = ["ServerNotFound", "find_server"]

VARIABLE = "SIRIDB_SERVER"
PROGRAM = "siridb-server"
FOLDER = ".siridb-server"

_ADVICE = (
    f"set {VARIABLE} to the path of the program, install the system's {PROGRAM!r} package, "
    "or, on Debian or Ubuntu, run: python -m siridb_fast.testing.install"
)


class ServerNotFound(RuntimeError):
    """No siridb-server is to be found; the text says what to do about it."""


def find_server() -> Path:
    """Return the absolute path of the siridb-server program.

    The first of these counts: the environment variable ``SIRIDB_SERVER``, ``siridb-server`` on
    ``PATH``, and ``.siridb-server/siridb-server`` in the current folder or a parent of it (the
    folder that ``python -m siridb_fast.testing.install`` fills).

    Raises:
        ServerNotFound: there is none, or ``SIRIDB_SERVER`` names no executable file.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return _checked(Path(named).absolute())
    on_path = shutil.which(PROGRAM)
    if on_path is not None:
        return Path(on_path).absolute()
    here = Path.cwd()
    for folder in (here, *here.parents):
        unpacked = folder / FOLDER / PROGRAM
        if _is_executable(unpacked):
            return unpacked
    raise ServerNotFound(
        f"no siridb-server: {VARIABLE} is not set, {PROGRAM!r} is not on PATH, and there is no "
        f"{FOLDER}/{PROGRAM} in {here} or above it; {_ADVICE}"
    )


def _checked(path: Path) -> Path:
    if not _is_executable(path):
        raise ServerNotFound(f"{VARIABLE}={path} is not an executable file; {_ADVICE}")
    return path


def _is_executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
