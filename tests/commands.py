"""The command line as tests run it, without the caller's `SIRIDB_URL`.

A process of its own takes most of a second to start. So it is for what has to do with processes,
and for each command once in a while; `run_command` does the same in this one, by the same `main`.
"""

import gc
import io
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import IO
from unittest import mock

import siridb_fast.cli

__all__ = ["COMMAND", "environment", "figures", "run_command", "run_process"]

COMMAND = [sys.executable, "-m", "siridb_fast"]


def environment(url: str | None = None, **changes: str) -> dict[str, str]:
    """Return the environment of a command."""
    variables = {name: value for name, value in os.environ.items() if name != "SIRIDB_URL"}
    variables |= {"COLUMNS": "80", "TERM": "xterm", **changes}
    return variables if url is None else {**variables, "SIRIDB_URL": url}


def run_process(
    *arguments: str | Path,
    url: str | None = None,
    code: int = 0,
    given: Path | None = None,
    **changes: str,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in a process; its exit code has to be the expected one.

    Its standard input is the file that is ``given``.
    """
    with Path(given or os.devnull).open("rb") as stdin:
        return _run(arguments, environment(url, **changes), code, stdin)


def _run(
    arguments: Sequence[str | Path], variables: dict[str, str], code: int, stdin: IO[bytes]
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=stdin,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def run_command(
    *arguments: str | Path, url: str | None = None, code: int = 0, **changes: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in this process; what `run_process` checks is checked."""
    command = ["siridb-fast", *map(str, arguments)]
    stdout, stderr = _buffer(), _buffer()
    with ExitStack() as stack:
        stack.enter_context(_as_if_alone(command, environment(url, **changes)))
        stack.enter_context(redirect_stdout(stdout))
        stack.enter_context(redirect_stderr(stderr))
        try:
            siridb_fast.cli.main()
        except SystemExit as exc:
            found = exc.code
    done = subprocess.CompletedProcess(command, _as_int(found), _text(stdout), _text(stderr))
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def figures(text: str) -> dict[str, str]:
    """Return the rows of the summary."""
    rows = [line.split("│") for line in text.splitlines() if "│" in line]
    return {row[1].strip(): row[2].strip() for row in rows}


@contextmanager
def _as_if_alone(command: list[str], variables: dict[str, str]) -> Iterator[None]:
    # Nothing of what a command does to its process stays.
    logger, threshold = logging.getLogger("siridb_fast"), gc.get_threshold()
    with (
        mock.patch.object(sys, "argv", command),
        mock.patch.dict(os.environ, variables, clear=True),
        mock.patch.object(os, "_exit", sys.exit),
        mock.patch.object(logger, "handlers", [*logger.handlers]),
        mock.patch("siridb_fast.cli.load.command.keep_memory_small"),
    ):
        try:
            yield
        finally:
            gc.set_threshold(*threshold)
            gc.unfreeze()
            gc.enable()


def _buffer() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)


def _text(buffer: io.TextIOWrapper) -> str:
    buffer.seek(0)
    return buffer.read()


def _as_int(code: object) -> int:
    assert isinstance(code, int)
    return int(code)
