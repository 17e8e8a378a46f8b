"""What becomes of an error: one red line on stderr and an exit code, and never a password.

Knows nothing of the commands. Rules: no traceback for what the library, the server or the system
says; a bug of our own keeps its traceback, without the values of variables.
"""

import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from types import FrameType

import typer

from siridb_fast.errors import ColumnError, ConfigError, FileError, SiriDBError, SpoolError

__all__ = [
    "ExitCode",
    "UsageFault",
    "guarded",
    "note",
    "reason_of",
    "shown",
    "silence_stdout",
    "terminable",
    "warn",
    "without_password",
]

# typer keeps click's classes in a module whose name depends on its version.
CommandLineError: type[Exception] = typer.BadParameter.__bases__[0]
FORM = "siridb://user:password@host/"  # our own words, as errors have them
CREDENTIALS = re.compile(rf"{FORM}|siridb://.*@", re.DOTALL)


class ExitCode(IntEnum):
    """What the process ends with; documented in the help and in the README."""

    WELL = 0
    FAILED = 1
    USAGE = 2
    INCOMPLETE = 3
    INTERRUPTED = 128 + signal.SIGINT
    TERMINATED = 128 + signal.SIGTERM


class UsageFault(SiriDBError, ValueError):
    """Refuse what the user has asked for, or a file that cannot be used."""


def guarded(app: Callable[..., object], arguments: Sequence[str]) -> int:
    """Run the command line; return its exit code, with every error printed on stderr."""
    logging.getLogger("siridb_fast").addHandler(logging.NullHandler())
    try:
        code = app(args=list(arguments), prog_name="siridb-fast", standalone_mode=False)
        return code if isinstance(code, int) else ExitCode.WELL
    except (KeyboardInterrupt, typer.Abort):
        return ExitCode.INTERRUPTED
    except CommandLineError as exc:
        return _refuse(exc)
    except (UsageFault, ConfigError, ColumnError, FileError, SpoolError) as exc:
        _print_labelled("Error", reason_of(exc), "red")
        return ExitCode.USAGE
    except _failures() as exc:
        _print_labelled("Error", reason_of(exc), "red")
        return ExitCode.FAILED


def _failures() -> tuple[type[Exception], ...]:
    # Those of servers that commands start can only come where these are imported, which is slow.
    if "siridb_fast.testing" not in sys.modules:
        return SiriDBError, OSError
    from siridb_fast.testing import HttpApiError, ServerNotFound, ServerStartError

    return SiriDBError, OSError, HttpApiError, ServerNotFound, ServerStartError


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end what runs within as Ctrl+C does: everything is cleaned up on the way."""

    def terminate(number: int, frame: FrameType | None) -> None:
        raise SystemExit(ExitCode.TERMINATED)

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def silence_stdout() -> None:
    """Send what is still to be written to nowhere, because the reader of the pipe has gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def warn(text: str) -> None:
    """Print on stderr what is no reason to stop."""
    _print_labelled("Warning", text, "yellow")


def note(text: str) -> None:
    """Print on stderr what does not belong to the output."""
    _print(text)


def reason_of(error: BaseException) -> str:
    """Return in one line, without a password, what an error says."""
    is_plain = isinstance(error, OSError) and not isinstance(error, SiriDBError)
    text = (error.strerror if is_plain and isinstance(error, OSError) else None) or str(error)
    if is_plain and isinstance(error, OSError) and error.filename is not None:
        text = f"{error.filename}: {text}"
    return without_password(text) or type(error).__name__


def without_password(text: str) -> str:
    """Return a text without what stands between ``siridb://`` and the host."""
    # What is behind a URL goes up to the last @, as a password may have one; but our own form is
    # none, and hides nothing that comes after it.
    return CREDENTIALS.sub(lambda found: FORM if found[0] == FORM else "siridb://…@", text)


def shown(text: str) -> str:
    """Return a text as a terminal may show it: what is no letter or sign stands escaped."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def _refuse(exc: Exception) -> int:
    _print_labelled(
        "Error", without_password(getattr(exc, "format_message", exc.__str__)()), "red"
    )
    context = getattr(exc, "ctx", None)
    if context is not None:
        note(f"Try '{context.command_path} --help'.")
    return ExitCode.USAGE


def _print_labelled(kind: str, text: str, style: str) -> None:
    # A server's log, say, has several lines, and all of them are needed.
    lines = [shown(line) for line in text.splitlines()]
    _print(f"{kind}: " + "\n".join(lines), style)


def _print(text: str, style: str = "") -> None:
    from rich.console import Console  # slow; imported only if something is printed
    from rich.text import Text

    Console(stderr=True).print(Text(text, style=style), soft_wrap=True)
