"""The command line as tests run it: a process of its own, without the caller's `SIRIDB_URL`."""

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["COMMAND", "environment", "run_command"]

COMMAND = [sys.executable, "-m", "siridb_fast"]


def environment(url: str | None = None, **changes: str) -> dict[str, str]:
    """Return the environment of a command."""
    kept = {name: value for name, value in os.environ.items() if name != "SIRIDB_URL"}
    kept |= {"COLUMNS": "80", "TERM": "xterm", **changes}
    return kept if url is None else {**kept, "SIRIDB_URL": url}


def run_command(
    *arguments: str | Path, url: str | None = None, code: int = 0, **changes: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; its exit code has to be the expected one."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        env=environment(url, **changes),
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done
