"""Standard input and pipes as files: each is copied to one, for what is guessed is read twice.

The copy is where temporary files of the system are, and goes with the command. Nothing is noted of
a copy that a later load could go on with, so no other file may be beside it.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from siridb_fast.cli.errors import UsageFault
from siridb_fast.files.paths import Format

__all__ = ["is_stream", "streams_as_files"]

STDIN = "-"
COPIED_AT_ONCE = 1024 * 1024


@contextmanager
def streams_as_files(
    paths: Sequence[str], said: Format | None
) -> Iterator[tuple[list[str], Path | None]]:
    """Yield paths of which none is a stream, and the folder of the copy; None if there is none.

    Args:
        paths: That the user gave; ``-`` is standard input.
        said: The format of the files.

    Raises:
        UsageFault: There is another file beside a stream, the format of a stream is not known, or
            standard input is a terminal.
    """
    streams = [path for path in paths if is_stream(path)]
    if not streams:
        yield [*paths], None
        return
    if len(paths) > 1:
        text = "is to be the only file, for nothing is noted of a stream"
        raise UsageFault(f"{_called(streams[0])} {text}")
    with TemporaryDirectory(prefix="siridb_fast-") as folder:
        place = Path(folder)
        yield [_copied(streams[0], place, said)], place


def is_stream(path: str) -> bool:
    """Tell whether a path that the user gave is standard input or a pipe."""
    return path == STDIN or Path(path).is_fifo()


def _called(path: str) -> str:
    return "standard input" if path == STDIN else path


def _copied(path: str, folder: Path, said: Format | None) -> str:
    if said is None:
        raise UsageFault(f"{_called(path)} has no suffix; --format says what it is")
    if path == STDIN and sys.stdin.isatty():
        raise UsageFault("standard input is a terminal; pipe a file into it")
    copy = folder / f"{'stdin' if path == STDIN else Path(path).name}.{said}"
    with copy.open("wb") as target:
        if path == STDIN:
            shutil.copyfileobj(sys.stdin.buffer, target, COPIED_AT_ONCE)
        else:
            with Path(path).open("rb") as source:
                shutil.copyfileobj(source, target, COPIED_AT_ONCE)
    return str(copy)
