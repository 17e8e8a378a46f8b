"""Starting a server process and finding out whether it came up.

Rule: ready means that the server itself says so, and that it is this server and no other.
"""

from pathlib import Path

from siridb_fast.connection.http_api import is_up
from siridb_fast.testing.polling import wait_until
from siridb_fast.testing.process import ChildProcess
from siridb_fast.testing.settings import HOST

__all__ = ["ServerStartError", "launch"]

LOG_TAIL_LINES = 20


class ServerStartError(RuntimeError):
    """The server ended, or was not ready in time; the text has the end of its log."""

    def __init__(self, reason: str, log: str) -> None:
        tail = "\n".join(log.splitlines()[-LOG_TAIL_LINES:])
        super().__init__(f"siridb-server {reason}; the end of its log:\n{tail}")
        self.is_address_in_use = "address already in use" in log


def launch(child: ChildProcess, *, status_port: int, socket_path: Path, timeout: float) -> None:
    """Start the server and return when it answers, all its databases loaded.

    Raises:
        ServerStartError: it ended, or was not ready within `timeout` seconds (and was killed).
        RuntimeError: it runs already.
    """
    log_start = child.log.stat().st_size if child.log.exists() else 0

    def failure(reason: str) -> ServerStartError:
        log = child.log.read_bytes()[log_start:]
        return ServerStartError(reason, log.decode(errors="replace"))

    def has_come_up() -> bool:
        if not child.is_running:
            raise failure(f"ended with exit code {child.exit_code}")
        # The socket's file is the last thing the server binds, and only this server can have
        # made it: once it is there, the answer on the status port is not a stranger's.
        return socket_path.exists() and is_up(HOST, status_port)

    if not child.is_running:  # a killed server leaves its socket, and the next one refuses it
        socket_path.unlink(missing_ok=True)
    child.start()
    try:
        wait_until(has_come_up, timeout=timeout, what="the server is ready")
    except TimeoutError as error:
        child.kill()
        raise failure(f"was not ready within {timeout:g} s") from error
