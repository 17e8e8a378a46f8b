"""What the kernel is told about the TCP connection under a transport.

Knows transports and sockets, TLS or not; a unix socket is left as it is. Knows nothing of what is
sent over them.
"""

from __future__ import annotations

import asyncio
import socket
import struct

__all__ = ["acknowledge_at_once", "drop_on_close", "send_on_close", "tcp_socket"]

TCP_FAMILIES = (socket.AF_INET, socket.AF_INET6)
DROP = struct.pack("ii", 1, 0)  # for SO_LINGER: drop what is not sent, and send a reset
SEND = struct.pack("ii", 0, 0)  # the kernel's default: send it in the background


def tcp_socket(transport: asyncio.BaseTransport) -> socket.socket | None:
    """Return the socket, if it is one of TCP and open."""
    sock: socket.socket | None = transport.get_extra_info("socket")
    is_open_tcp = sock is not None and sock.family in TCP_FAMILIES and sock.fileno() >= 0
    return sock if is_open_tcp else None


def drop_on_close(transport: asyncio.BaseTransport) -> None:
    """Have the kernel drop what it has not sent when the socket is closed, by whom- or whatever.

    Also by the end of the process: else it goes on sending for some minutes.
    """
    _set_linger(transport, DROP)


def send_on_close(transport: asyncio.BaseTransport) -> None:
    """Have the kernel send what it holds when the socket is closed, and end in order."""
    _set_linger(transport, SEND)


def acknowledge_at_once(sock: socket.socket) -> None:
    """Acknowledge what has come, which the kernel would do after 40 ms (Linux; else no change).

    It holds for a while only.
    """
    if hasattr(socket, "TCP_QUICKACK"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def _set_linger(transport: asyncio.BaseTransport, value: bytes) -> None:
    sock = tcp_socket(transport)
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, value)
