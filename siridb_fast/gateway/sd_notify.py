"""Tell systemd that the process is ready, alive, or stopping (``Type=notify``, ``WatchdogSec=``).

The protocol is one datagram of ``KEY=value`` lines to the socket that NOTIFY_SOCKET names
(sd_notify(3)); a process that systemd has not started has no such variable.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

__all__ = ["ServiceManager"]


class ServiceManager:
    """Whoever has started the process, if it wants to be told.

    Args:
        environ: Of the process.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._path = environ.get("NOTIFY_SOCKET", "")
        self.watchdog_interval: float | None = None  # seconds from one sign of life to the next
        microseconds = environ.get("WATCHDOG_USEC", "")
        is_ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        if self._path and microseconds.isdigit() and int(microseconds) and is_ours:
            self.watchdog_interval = int(microseconds) / 1e6 / 2

    def tell(self, **facts: str) -> None:
        """Tell facts, such as ``READY="1"``; nothing happens where nobody listens."""
        if not self._path:
            return
        path = "\0" + self._path[1:] if self._path.startswith("@") else self._path
        text = "\n".join(f"{name}={value}" for name, value in facts.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
                to.setblocking(False)
                to.sendto(text.encode(), path)
        except OSError:
            pass  # a service manager that is gone is nobody to fail for
