"""Free ports for one server.

A port is free only until somebody takes it, so a server that finds its address in use asks again.
"""

import random
import socket
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

__all__ = ["Ports"]

LOWEST = 10_000
HIGHEST = 32_767
ATTEMPTS = 100


@dataclass(frozen=True, slots=True)
class Ports:
    """The four ports a server listens on."""

    client: int
    backend: int
    http: int
    status: int

    @classmethod
    def free(cls) -> "Ports":
        """Return four ports that nobody uses now.

        They lie below the range from which the kernel takes the ports of outgoing connections.
        Inside it, a client that keeps knocking at the port of a killed server may be given that
        very port, connect to itself and keep the server from coming back.
        """
        candidates = range(LOWEST, _lowest_outgoing_port())
        tried = random.SystemRandom().sample(candidates, ATTEMPTS)
        found = list(islice(filter(_is_free, tried), 4))
        if len(found) < 4:
            raise OSError(f"{len(found)} of {ATTEMPTS} ports from {LOWEST} on are free, not 4")
        return cls(*found)


def _lowest_outgoing_port() -> int:
    setting = Path("/proc/sys/net/ipv4/ip_local_port_range")
    lowest = int(setting.read_text().split()[0]) if setting.exists() else 0
    return lowest if lowest > 2 * LOWEST else HIGHEST + 1


def _is_free(port: int) -> bool:
    """Try the port on every address: the server binds its HTTP ports to 0.0.0.0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
