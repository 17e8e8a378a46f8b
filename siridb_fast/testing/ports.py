"""Free ports for one server, which stay its own until it is thrown away.

Each is held by a socket that is bound and does not listen: the server may listen beside it, be
killed and come back; nobody who asks for free ports, in whatever process, is given it meanwhile.
Whoever takes a port without asking may still be faster, so a server that finds its address in use
asks again.
"""

import random
import socket
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

__all__ = ["Ports"]

LOWEST = 10_000
HIGHEST = 32_767
ATTEMPTS = 100


@dataclass(frozen=True, slots=True)
class Ports:
    """The four ports a server listens on, and the sockets that hold them."""

    client: int
    backend: int
    http: int
    status: int
    holders: tuple[socket.socket, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def free(cls) -> "Ports":
        """Return four ports that nobody uses now, and that nobody else is given until `release`.

        They lie below the range from which the kernel takes the ports of outgoing connections.
        Inside it, a client that keeps knocking at the port of a killed server may be given that
        very port, connect to itself and keep the server from coming back.
        """
        candidates = range(LOWEST, _lowest_outgoing_port())
        tried = random.SystemRandom().sample(candidates, ATTEMPTS)
        holders = tuple(islice(filter(None, map(_hold, tried)), 4))
        if len(holders) < 4:
            for holder in holders:
                holder.close()
            raise OSError(f"{len(holders)} of {ATTEMPTS} ports from {LOWEST} on are free, not 4")
        client, backend, http, status = (holder.getsockname()[1] for holder in holders)
        return cls(client, backend, http, status, holders)

    def release(self) -> None:
        """Let others have them."""
        for holder in self.holders:
            holder.close()


def _lowest_outgoing_port() -> int:
    setting = Path("/proc/sys/net/ipv4/ip_local_port_range")
    lowest = int(setting.read_text().split()[0]) if setting.exists() else 0
    return lowest if lowest > 2 * LOWEST else HIGHEST + 1


def _hold(port: int) -> socket.socket | None:
    """Bind the port on every address, as the server does with its HTTP ports; None if it is used.

    The address is reused only from then on. So the socket gets the port alone, and lets the
    server listen there, which says the same of its own. A probe like this one is refused.
    """
    holder = socket.socket()
    try:
        holder.bind(("", port))
    except OSError:
        holder.close()
        return None
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return holder
