"""The ports of a real siridb-server: its own from the first start until it is thrown away."""

import random
import socket
from collections.abc import Sequence

import pytest

from siridb_fast.testing import ServerStartError, SiriDBServer
from siridb_fast.testing.ports import Ports


def offer(monkeypatch: pytest.MonkeyPatch, ports: Sequence[int]) -> None:
    """Let these be the ports that are tried, in this order."""
    monkeypatch.setattr(random.SystemRandom, "sample", lambda *_: list(ports))


def numbers(ports: Ports) -> list[int]:
    return [ports.client, ports.backend, ports.http, ports.status]


@pytest.mark.server
def test_start_takes_other_ports_where_somebody_was_faster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = Ports.free()
        occupied = Ports(taken.getsockname()[1], free.backend, free.http, free.status)
        offers = iter([occupied, free])
        monkeypatch.setattr(Ports, "free", lambda: next(offers))
        with SiriDBServer() as server:
            assert server.port == free.client
            assert "address already in use" in server.log


@pytest.mark.server
def test_restart_does_not_move_to_other_ports() -> None:
    with SiriDBServer() as server:
        server.stop()
        with (
            socket.create_server(("127.0.0.1", server.port)),
            pytest.raises(ServerStartError, match="address already in use"),
        ):
            server.start()
        server.start()


def test_two_who_ask_at_once_are_given_different_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    first = Ports.free()
    others = Ports.free()
    others.release()
    offer(monkeypatch, numbers(first) + numbers(others))
    second = Ports.free()
    assert numbers(second) == numbers(others)
    first.release()
    second.release()


@pytest.mark.server
def test_ports_of_a_killed_server_are_given_to_nobody_until_it_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with SiriDBServer() as server:
        server.kill()
        offer(monkeypatch, [server.port, server.backend_port, server.http_port])
        with pytest.raises(OSError, match="0 of 100 ports"):
            Ports.free()
        server.start()
    with pytest.raises(OSError, match="3 of 100 ports"):
        Ports.free()
