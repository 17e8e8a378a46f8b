"""Where the servers are, and which of them comes next.

Selection is the smooth weighted round-robin known from nginx: each host gains its weight, the one
with the most is selected, and pays the sum of all. So hosts of weight 3 and 1 go A A B A, not
A A A B. Knows nothing of connections or time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from siridb_fast.errors import ConfigError

__all__ = ["DEFAULT_PORT", "Host", "HostSelector", "check_hosts", "parse_hostlist"]

DEFAULT_PORT = 9000
WEIGHTS = range(1, 10)
OPTIONS = {"weight", "backup"}


@dataclass(frozen=True, slots=True)
class Host:
    """One server: a name or IP address and port, or the path of its unix socket."""

    address: str
    port: int = DEFAULT_PORT
    weight: int = 1
    is_backup: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.address, str) or not self.address:
            raise ConfigError(f"a host is a name, an address or a path, got {self.address!r}")
        if not self.is_unix_socket and not _is_int_in(self.port, range(1, 65536)):
            raise ConfigError(f"host {self.address}: a port is 1..65535, got {self.port!r}")
        if not _is_int_in(self.weight, WEIGHTS):
            raise ConfigError(f"host {self}: weight is 1..9, got {self.weight!r}")
        if self.is_backup not in (False, True):
            raise ConfigError(f"host {self}: backup is True or False, got {self.is_backup!r}")

    @property
    def is_unix_socket(self) -> bool:
        """Tell whether ``address`` is the path of a unix socket."""
        return "/" in self.address

    def __str__(self) -> str:
        if self.is_unix_socket:
            return self.address
        return (
            f"[{self.address}]:{self.port}"
            if ":" in self.address
            else f"{self.address}:{self.port}"
        )


class HostSelector:
    """Choose hosts by weight; backups only where no other is available."""

    def __init__(self, hosts: Iterable[Host]) -> None:
        self._current_weights = dict.fromkeys(hosts, 0)
        self._candidates: list[Host] = []

    def select(self, available: Collection[Host]) -> Host | None:
        """Return the host whose turn it is among those that are ``available``, or None."""
        host = self.peek(available)
        self.take_turn()
        return host

    def peek(self, available: Collection[Host]) -> Host | None:
        """Return what `select` would return; `take_turn` makes it have its turn."""
        self._candidates = [host for host in available if not host.is_backup] or list(available)
        if len(self._candidates) < 2:  # the usual case; a turn among one changes no weight
            return next(iter(self._candidates), None)
        return self._first_of_candidates()

    def take_turn(self) -> None:
        """Let the host that `peek` has just returned have its turn."""
        if len(self._candidates) > 1:
            chosen = self._first_of_candidates()
            for host in self._candidates:
                self._current_weights[host] += host.weight
            self._current_weights[chosen] -= sum(host.weight for host in self._candidates)
        self._candidates = []

    def _first_of_candidates(self) -> Host:
        return max(self._candidates, key=lambda host: self._current_weights[host] + host.weight)


def parse_hostlist(hostlist: Iterable[object]) -> tuple[Host, ...]:
    """Return the hosts of the reference driver's ``hostlist``.

    Each item is ``(host, port)`` or ``(host, port, {"weight": 1..9, "backup": bool})``; a unix
    socket is its path, alone or with any port.

    Raises:
        ConfigError: Names the item that is not of this form, or comes twice.
    """
    if isinstance(hostlist, (str, bytes)):
        raise ConfigError(f"hostlist is a list of (host, port), got {hostlist!r}")
    hosts = tuple(_parse_item(item) for item in hostlist)
    check_hosts(hosts)
    return hosts


def check_hosts(hosts: Iterable[Host]) -> None:
    """Raise `ConfigError` if there is no host, or one of them comes twice."""
    seen = set()
    for host in map(str, hosts):
        if host in seen:
            raise ConfigError(f"host {host} is in the list twice; give it a weight instead")
        seen.add(host)
    if not seen:
        raise ConfigError("hostlist is empty, at least one server is needed")


def _parse_item(item: object) -> Host:
    if isinstance(item, Host):
        return item
    if isinstance(item, str):
        item = (item,)
    if not isinstance(item, (tuple, list)) or not 1 <= len(item) <= 3:
        raise ConfigError(
            f"hostlist: expected (host, port) or (host, port, options), got {item!r}"
        )
    address, port, options = [*item, DEFAULT_PORT, {}][:3] if len(item) == 1 else [*item, {}][:3]
    if not isinstance(options, dict) or options.keys() - OPTIONS:
        raise ConfigError(f"host {address!r}: options are 'weight' and 'backup', got {options!r}")
    if isinstance(port, str) and port.isascii() and port.isdigit():
        port = int(port)  # as it comes from the environment
    return Host(address, port, options.get("weight", 1), options.get("backup", False))


def _is_int_in(value: object, allowed: range) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value in allowed
