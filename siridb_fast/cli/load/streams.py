"""Standard input and pipes as files: each is copied to one, for what is guessed is read twice.

The copy is where temporary files of the system are, and goes with the command.
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

__all__ = ["streams_as_files"]

STDIN = "-"
COPIED_AT_ONCE = 1024 * 1024


@contextmanager
def streams_as_files(
    paths: Sequence[str], said: Format | None
) -> Iterator[tuple[list[str], Path | None]]:
    """Yield paths of which none is a stream, and the folder of the copies; None if there are none.

    Args:
        paths: That the user gave; ``-`` is standard input.
        said: The format of the files.

    Raises:
        UsageFault: The format of a stream is not known, or standard input is a terminal.
    """
    if not any(map(_is_stream, paths)):
        yield [*paths], None
        return
    with TemporaryDirectory(prefix="siridb_fast-") as folder:
        place = Path(folder)
        copied = (_copied(path, place, said) if _is_stream(path) else path for path in paths)
        yield [*copied], place


def _is_stream(path: str) -> bool:
    return path == STDIN or Path(path).is_fifo()


def _copied(path: str, folder: Path, said: Format | None) -> str:
    name = "standard input" if path == STDIN else path
    if said is None:
        raise UsageFault(f"{name} has no suffix; --format says what it is")
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
