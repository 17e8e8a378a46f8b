"""`FaultProxy`: what it does to the connections of an echo server."""

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from siridb_fast.testing import FaultProxy


class Echo(socketserver.BaseRequestHandler):
    """Sends back what comes."""

    def handle(self) -> None:
        """Go on until the other side ends."""
        try:
            while data := self.request.recv(65_536):
                self.request.sendall(data)
        except ConnectionError:
            return


class Server(socketserver.ThreadingTCPServer):
    """A server whose threads end with it."""

    daemon_threads = True


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    """Put a proxy in front of an echo server."""
    with Server(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with FaultProxy(*server.server_address, seed=1) as proxy:
            yield proxy
        server.shutdown()
        thread.join()


def dial(proxy: FaultProxy) -> socket.socket:
    return socket.create_connection((proxy.host, proxy.port), timeout=5)


def echo(sock: socket.socket, data: bytes) -> bytes:
    sock.sendall(data)
    found = b""
    while len(found) < len(data):
        chunk = sock.recv(65_536)
        if not chunk:
            break
        found += chunk
    return found


def test_passes_everything_on(proxy: FaultProxy) -> None:
    data = bytes(range(256)) * 2000
    with dial(proxy) as sock:
        assert echo(sock, data) == data


@pytest.mark.parametrize("direction", ["requests", "answers"])
def test_cuts_after_exactly_so_many_bytes(proxy: FaultProxy, direction: str) -> None:
    with dial(proxy) as sock:
        assert echo(sock, b"before") == b"before"
        proxy.cut(after=5, direction=direction)  # type: ignore[arg-type]
        sock.sendall(b"0123456789")
        found = b""
        while chunk := sock.recv(100):
            found += chunk
        assert found in ((b"01234",) if direction == "answers" else (b"01234", b""))
    with dial(proxy) as sock:
        assert echo(sock, b"again") == b"again"


def test_cuts_all_at_once(proxy: FaultProxy) -> None:
    with dial(proxy) as sock, dial(proxy) as other:
        assert echo(sock, b"x") == echo(other, b"x") == b"x"
        proxy.cut()
        assert sock.recv(1) == other.recv(1) == b""


def test_resets(proxy: FaultProxy) -> None:
    with dial(proxy) as sock:
        assert echo(sock, b"x") == b"x"
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


def test_turns_one_bit(proxy: FaultProxy) -> None:
    with dial(proxy) as sock:
        assert echo(sock, b"x") == b"x"
        proxy.corrupt(after=3)
        found = echo(sock, b"0123456789")
        different = [i for i in range(10) if found[i] != b"0123456789"[i]]
        assert different == [3]
        assert (found[3] ^ b"0123456789"[3]).bit_count() == 1
        assert echo(sock, b"0123456789") == b"0123456789"


def test_stall_holds_back_and_loses_nothing(proxy: FaultProxy) -> None:
    with dial(proxy) as sock:
        assert echo(sock, b"x") == b"x"
        began = time.monotonic()
        proxy.stall(0.3)
        assert echo(sock, b"late") == b"late"
        assert time.monotonic() - began >= 0.3


def test_throttle_is_slow(proxy: FaultProxy) -> None:
    with dial(proxy) as sock:
        assert echo(sock, b"x") == b"x"
        began = time.monotonic()
        proxy.throttle(1000)
        assert len(echo(sock, bytes(200))) == 200
        assert time.monotonic() - began >= 0.3  # there and back
        proxy.heal()
        assert len(echo(sock, bytes(20_000))) == 20_000


def test_black_hole_swallows_until_it_is_healed(proxy: FaultProxy) -> None:
    with dial(proxy) as sock:
        assert echo(sock, b"x") == b"x"
        proxy.black_hole()
        sock.sendall(b"gone")
        sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        with dial(proxy) as new:  # accepted, and never answered
            new.sendall(b"gone")
            new.settimeout(0.2)
            with pytest.raises(TimeoutError):
                new.recv(1)
        proxy.heal()
        sock.settimeout(5)
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    with dial(proxy) as sock:
        assert echo(sock, b"back") == b"back"


def test_refuses_until_it_is_healed(proxy: FaultProxy) -> None:
    port = proxy.port
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        dial(proxy)
    proxy.heal()
    assert proxy.port == port
    with dial(proxy) as sock:
        assert echo(sock, b"back") == b"back"


def test_server_that_is_gone_closes_the_connection(unused_port: int) -> None:
    with FaultProxy("127.0.0.1", unused_port) as proxy, dial(proxy) as sock:
        found = b""
        with contextlib.suppress(ConnectionResetError):
            found = sock.recv(1)
        assert found == b""


def test_same_seed_plays_the_same_faults(proxy: FaultProxy) -> None:
    def played() -> list[tuple[str, str]]:
        with FaultProxy("127.0.0.1", proxy.port, seed=7) as one:
            one.play(0.3, every=0.02, lasting=0.01)
            return [(fault.kind, fault.details) for fault in one.faults]

    first, second = played(), played()
    shortest = min(len(first), len(second))
    assert shortest >= 6
    assert first[:shortest] == second[:shortest]


def test_proxy_is_used_rightly_or_says_so(unused_port: int) -> None:
    proxy = FaultProxy("127.0.0.1", unused_port)
    with pytest.raises(ValueError, match=r"a fault is one of cut, reset, .*, got 'explode'"):
        proxy.strike("explode")  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="does not run"):
        proxy.refuse()
