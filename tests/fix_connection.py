"""What tests of lost connections need: nobody to connect to, and a short wait before a retry."""

import socket
from collections.abc import Iterator

import pytest

import siridb_fast.connection.reconnect

__all__: list[str] = []


@pytest.fixture
def unused_port() -> Iterator[int]:
    """Keep a port of loopback on which nobody listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@pytest.fixture
def fast_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connect again after 10 ms instead of a second."""
    monkeypatch.setattr(siridb_fast.connection.reconnect, "FIRST_RETRY", 0.01)
