"""How much processor time a server of this machine has used: Linux, by /proc.

Rule: where it is unknown, it is None; nothing depends on it.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

from siridb_fast.connection.hosts import Host

__all__ = ["cpu_seconds", "local_pid"]

PROC = Path("/proc")
CREDENTIALS = struct.Struct("3i")  # pid, user, group
LISTENS = "0A"


def local_pid(hosts: Iterable[Host]) -> int | None:
    """Return the process that listens at one of these addresses, if it runs on this machine."""
    for host in hosts:
        pid = _behind_socket(host) if host.is_unix_socket else _behind_port(host)
        if pid is not None and cpu_seconds(pid) is not None:
            return pid
    return None


def cpu_seconds(pid: int | None) -> float | None:
    """Return the user and system time of a process, in steps of the kernel's tick (10 ms)."""
    if pid is None:
        return None
    try:
        # The name of the program, in parentheses, may itself hold blanks and parentheses.
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


def _behind_socket(host: Host) -> int | None:
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(host.address)
            found = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    except (OSError, AttributeError):
        return None
    pid: int = CREDENTIALS.unpack(found)[0]
    return pid or None


def _behind_port(host: Host) -> int | None:
    try:
        is_local = host.address == "localhost" or ip_address(host.address).is_loopback
    except ValueError:
        return None
    inodes = _listening(host.port) if is_local else set()
    return next((pid for pid in _processes() if inodes & _open_sockets(pid)), None)


def _processes() -> list[int]:
    return [int(folder.name) for folder in PROC.iterdir() if folder.name.isdigit()]


def _open_sockets(pid: int) -> set[str]:
    found = set()
    with suppress(OSError):  # ended, or another user's
        for link in (PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):
                found.add(link.readlink().name)
    return found


def _listening(port: int) -> set[str]:
    inodes = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    return inodes
