"""The ceiling that a writer is judged by: ready-made packages, sent by bare sockets.

The packages are serialized beforehand. One thread and one epoll send them to a real server, with
so many packages in flight on each of a few connections; no event loop, no future and no timer is
in the way. Knows the frame and the log-in of the protocol, and nothing of a client.

Rules: the next package goes to whichever connection has room; any answer but a success raises; no
two packages of `packages` that are near each other in the list hold the same series, so that it
does not matter which of those in flight the server works on first.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from os import PathLike, fspath
from statistics import median
from typing import Self

from benchmarks.data import data
from siridb_fast import encode_insert, packb
from siridb_fast.protocol._wire import (
    HEADER_SIZE,
    REQ_AUTH,
    REQ_INSERT,
    RES_AUTH_SUCCESS,
    RES_INSERT,
    pack_header,
    parse_header,
)

__all__ = [
    "SHAPES",
    "Address",
    "BareSockets",
    "Contestant",
    "Rate",
    "Shape",
    "best",
    "next_timestamp",
    "packages",
]

FIRST_TIMESTAMP = data.FIRST_SECOND * 1_000_000_000
STEP = 1_000_000_000  # nanoseconds from one point of a series to the next, about
APART = 16  # packages: so far apart are two that hold the same series, if nothing else is asked
USER = ("iris", "siri")  # of every new database
TIMEOUT = 60.0
ANSWER_BYTES = 65_536

Address = tuple[str, int] | str | PathLike[str]  # host and port, or the path of a unix socket


@dataclass(frozen=True, slots=True)
class Shape:
    """Of a package: so many points of each of so many series."""

    points: int
    series: int

    @property
    def total(self) -> int:
        """The points of a package."""
        return self.points * self.series

    def __str__(self) -> str:
        return f"{self.points} x {self.series}"


SHAPES = (Shape(1_000, 10), Shape(10_000, 5), Shape(50_000, 1))


@dataclass(frozen=True, slots=True)
class Contestant:
    """One way to send: the shape of packages, connections, packages in flight on each of them."""

    shape: Shape
    connections: int
    window: int


@dataclass(frozen=True, slots=True)
class Rate:
    """What a contestant reached, in points per second."""

    contestant: Contestant
    points_per_second: float


def packages(
    shape: Shape,
    total_points: int,
    prefix: str = "ceiling",
    first_timestamp: int = FIRST_TIMESTAMP,
    *,
    distinct_series: int | None = None,
) -> list[memoryview]:
    """Return the payloads of insert packages: float64 in nanoseconds, 19 bytes for each point.

    Args:
        shape: Of every package.
        total_points: How many there are in all; rounded up to whole packages.
        prefix: Begins the names of the series.
        first_timestamp: Of every series, in nanoseconds; `next_timestamp` continues from there.
        distinct_series: How many series the packages take turns with, a multiple of those of one
            package; those of 16 packages by default.
    """
    distinct = shape.series * APART if distinct_series is None else distinct_series
    if distinct % shape.series:
        raise ValueError(f"{distinct} series are no multiple of the {shape.series} of a package")
    steps = data.nanoseconds(shape.points) - FIRST_TIMESTAMP
    values = data.doubles(shape.total).reshape(shape.series, shape.points)
    built = []
    for start in range(0, -(-total_points // shape.total) * shape.series, shape.series):
        turn, first = divmod(start, distinct)
        times = first_timestamp + turn * shape.points * STEP + steps
        columns = {f"{prefix} {first + i}": (times, values[i]) for i in range(shape.series)}
        built.append(memoryview(encode_insert(columns)))
    return built


def next_timestamp(shape: Shape, total_points: int, first_timestamp: int = FIRST_TIMESTAMP) -> int:
    """Return a timestamp after all that `packages` makes of these arguments."""
    return first_timestamp + (-(-total_points // shape.total) + 1) * shape.points * STEP


class BareSockets:
    """Some connections to one database, with nothing on top.

    Args:
        address: (host, port), or the path of a unix socket.
        connections: How many.
        quick_ack: Set TCP_QUICKACK after every receive. Without it the last answer of every burst
            with more than one package in flight comes 40 ms late: the server's socket has Nagle's
            algorithm on, and sends it only once the client's kernel acknowledges the one before.
    """

    def __init__(
        self,
        address: Address,
        connections: int = 1,
        *,
        dbname: str = "dbtest",
        quick_ack: bool = True,
    ) -> None:
        login = memoryview(packb((*USER, dbname)))
        self._poll = select.epoll()
        self._connections: dict[int, _Connection] = {}
        try:
            for _ in range(connections):
                connection = _Connection(_connect(address), quick_ack)
                self._connections[connection.sock.fileno()] = connection
                _log_in(connection, login)
                events = select.EPOLLIN | select.EPOLLOUT | select.EPOLLET
                self._poll.register(connection.sock, events)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        for connection in self._connections.values():
            connection.sock.close()
        self._poll.close()

    def send_all(self, payloads: Iterable[memoryview], window: int = 1) -> float:
        """Send insert packages until all are acknowledged; return the seconds it took.

        Raises:
            RuntimeError: The server answered with an error, or closed the connection.
            TimeoutError: The server was silent for a minute.
        """
        began = time.perf_counter()
        waiting = iter(payloads)
        for connection in self._connections.values():
            connection.push(waiting, window)
        while any(connection.in_flight for connection in self._connections.values()):
            events = self._poll.poll(TIMEOUT)
            if not events:
                raise TimeoutError(f"the server was silent for {TIMEOUT:g} s")
            for number, _ in events:
                connection = self._connections[number]
                connection.receive(RES_INSERT)
                connection.push(waiting, window)
        return time.perf_counter() - began


def best(
    address: Address,
    contestants: Sequence[Contestant],
    *,
    total_points: int = 2_000_000,
    rounds: int = 3,
    prefix: str = "ceiling",
    quick_ack: bool = True,
) -> Rate:
    """Let contestants send in turn, and return the one with the highest median and what it was.

    A first round only warms up: it makes the series. Each call needs a prefix of its own, or a
    database of its own.
    """
    rates: dict[Contestant, list[float]] = {contestant: [] for contestant in contestants}
    first = dict.fromkeys({contestant.shape for contestant in contestants}, FIRST_TIMESTAMP)
    for _ in range(rounds + 1):
        for contestant, reached in rates.items():
            shape = contestant.shape
            payloads = packages(shape, total_points, f"{prefix} {shape}", first[shape])
            first[shape] = next_timestamp(shape, total_points, first[shape])
            with BareSockets(address, contestant.connections, quick_ack=quick_ack) as sockets:
                seconds = sockets.send_all(payloads, contestant.window)
            reached.append(len(payloads) * shape.total / seconds)
    medians = [Rate(contestant, median(reached[1:])) for contestant, reached in rates.items()]
    return max(medians, key=lambda rate: rate.points_per_second)


class _Connection:
    """A bare connection: what is still to be sent, and what is not answered."""

    __slots__ = ("_is_quick", "_pid", "_received", "_unsent", "in_flight", "sock")

    def __init__(self, sock: socket.socket, quick_ack: bool) -> None:
        self.sock = sock
        self.in_flight = 0
        self._is_quick = quick_ack and sock.family != socket.AF_UNIX
        self._pid = 0
        self._received = b""
        self._unsent: list[memoryview] = []

    def push(
        self, waiting: Iterator[memoryview], window: int, request_type: int = REQ_INSERT
    ) -> None:
        """Send packages until the window or the kernel's buffer is full."""
        while self._unsent or self.in_flight < window:
            if not self._unsent:
                payload = next(waiting, None)
                if payload is None:
                    return
                self._pid = (self._pid + 1) % 65_536
                header = pack_header(len(payload), self._pid, request_type)
                self._unsent = [memoryview(header), payload]
                self.in_flight += 1
            if not self._send():
                return

    def receive(self, answer_type: int) -> int:
        """Count off the answers that are there; return how many they were."""
        before = self.in_flight
        try:
            received = self.sock.recv(ANSWER_BYTES)
        except BlockingIOError:
            return 0
        if not received:
            raise RuntimeError("the server closed the connection")
        if self._is_quick:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self._received += received
        while len(self._received) >= HEADER_SIZE:
            length, _, type_ = parse_header(self._received[:HEADER_SIZE])
            end = HEADER_SIZE + length
            if len(self._received) < end:
                break
            if type_ != answer_type:
                answer = self._received[HEADER_SIZE:end]
                raise RuntimeError(f"expected type {answer_type}, got {type_}: {answer!r}")
            self._received = self._received[end:]
            self.in_flight -= 1
        return before - self.in_flight

    def _send(self) -> bool:
        # Return whether all of the package is sent.
        try:
            sent = self.sock.sendmsg(self._unsent)
        except BlockingIOError:
            return False
        while self._unsent and sent >= len(self._unsent[0]):
            sent -= len(self._unsent.pop(0))
        if self._unsent:
            self._unsent[0] = self._unsent[0][sent:]
        return not self._unsent


def _connect(address: Address) -> socket.socket:
    is_tcp = isinstance(address, tuple)
    sock = socket.socket(socket.AF_INET if is_tcp else socket.AF_UNIX)
    try:
        if is_tcp:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(TIMEOUT)
        sock.connect(address if isinstance(address, tuple) else fspath(address))
    except BaseException:
        sock.close()
        raise
    return sock


def _log_in(connection: _Connection, login: memoryview) -> None:
    # The socket still blocks, up to its timeout.
    connection.push(chain([login]), 1, REQ_AUTH)
    while not connection.receive(RES_AUTH_SUCCESS):
        pass
    connection.sock.setblocking(False)
