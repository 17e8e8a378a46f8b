"""The command line `siridb-fast`, where the extra ``cli`` is installed (typer, rich, pyarrow).

A command is a function in a module; `app` puts them together, `errors` turns an error into one
line and an exit code, `options` has what several of them take, `connect` is their way to the
database, `output` prints and draws. Nothing of this is imported by ``import siridb_fast``.
"""

import gc
import importlib.util
import os
import sys

__all__ = ["main"]

YOUNG = 50_000  # objects, until they are searched for garbage: in what is imported there is none
NEEDED = ("typer", "rich")
ADVICE = 'siridb-fast needs typer and rich: pip install "siridb_fast[cli]"'


def main() -> None:
    """Run the command line with the arguments of this process, and end the process."""
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        print(ADVICE, file=sys.stderr)
        sys.exit(1)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # of numpy; no command has matrices
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
    gc.disable()  # until a command has imported what it needs, in which there is no garbage
    from siridb_fast.cli.app import command_line
    from siridb_fast.cli.errors import guarded

    arguments = sys.argv[1:]
    try:
        code = guarded(command_line(), arguments)
    except SystemExit as exc:
        if not isinstance(exc.code, int):
            raise
        code = exc.code
    if arguments[:1] == ["load"]:
        # Arrow's threads may still run, and would crash in an orderly end of Python. All is
        # delivered, closed and printed.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
