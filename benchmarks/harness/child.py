"""A small process that runs a command on demand, and prints its time and peak memory.

``child COMMAND…`` waits for a line on its input, runs the command, and prints as JSON: the most
resident memory it had in bytes, and its exit code. A new process begins with the peak of the one
that started it: therefore this one is small, and imports nothing of ours.
"""

from __future__ import annotations

import json
import os
import sys

__all__ = ["main"]


def main(*command: str) -> None:
    """Do so."""
    if not sys.stdin.readline():
        return  # nobody is there any more
    silence = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)  # its errors are seen
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=[silence])
    _, status, usage = os.wait4(pid, 0)
    figures = {"peak": usage.ru_maxrss * 1024, "code": os.waitstatus_to_exitcode(status)}
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
