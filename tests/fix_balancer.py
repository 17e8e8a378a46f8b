"""HAProxy in front of servers: the system's, or Debian's, which is unpacked and not installed."""

import shutil
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from siridb_fast.testing import wait_until
from siridb_fast.testing.install.debian import PackageError, unpack_package
from siridb_fast.testing.ports import Ports
from siridb_fast.testing.process import ChildProcess
from siridb_fast.testing.settings import HOST

__all__ = ["Address", "Balance"]

Address = tuple[str, int]
Balance = Callable[[Sequence[Address]], Address]

CONFIG = """\
defaults
    mode tcp
    timeout connect 2s
    timeout client 10m
    timeout server 10m
    retries 2
    option redispatch 1
listen siridb
    bind {host}:{port}
    balance roundrobin
{servers}
frontend ready
    bind {host}:{ready}
    tcp-request connection reject
"""


@pytest.fixture(scope="session")
def haproxy(tmp_path_factory: pytest.TempPathFactory) -> list[str | Path]:
    """Return the command that runs HAProxy; without one there is, the test is skipped."""
    if (installed := shutil.which("haproxy")) is not None:
        return [installed]
    root = tmp_path_factory.mktemp("haproxy") / "root"
    try:
        unpack_package("haproxy", root)
    except PackageError as exc:
        pytest.skip(f"no HAProxy on this system, nor of its packages: {exc}")
    libraries = next(root.rglob("libc.so.6")).parent
    folders = [root / lib / libraries.name for lib in ("lib", "usr/lib")]
    loader = next(libraries.glob("ld*.so.*"))
    program = root / "usr/sbin/haproxy"
    return [loader, "--library-path", ":".join(map(str, folders)), program]


@pytest.fixture
def balance(haproxy: list[str | Path], tmp_path: Path) -> Iterator[Balance]:
    """Return a function that puts HAProxy in front of servers, and returns its address."""
    with ExitStack() as stack:

        def start(servers: Sequence[Address]) -> Address:
            ports = Ports.free()
            stack.callback(ports.release)
            lines = [f"    server s{n} {host}:{port}" for n, (host, port) in enumerate(servers)]
            config = tmp_path / "haproxy.cfg"
            config.write_text(
                CONFIG.format(
                    host=HOST, port=ports.client, ready=ports.status, servers="\n".join(lines)
                )
            )
            child = ChildProcess(
                [*haproxy, "-db", "-f", config], folder=tmp_path, log=tmp_path / "haproxy.log"
            )
            stack.callback(child.kill)
            child.start()
            # At a port of its own: a connection to the other takes a server's turn.
            wait_until(lambda: _listens(ports.status), timeout=30, what="HAProxy listens")
            return HOST, ports.client

        yield start


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True
