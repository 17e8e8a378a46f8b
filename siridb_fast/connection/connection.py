"""One connection: a `Session` on an asyncio transport.

Turns requests into futures, resolves them as replies come in any order, keeps the connection alive
and gives up on answers that do not come. An insert is given up only with its connection, so that
nothing of it arrives later. Knows asyncio and the session; knows nothing of hosts, weights or
columns. One timer serves all deadlines and one the keep-alive; there is none per request.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from siridb_fast.concurrency.fork import Home, Unpicklable, detach, own
from siridb_fast.connection.deadline_timer import DeadlineTimer
from siridb_fast.connection.keep_alive import KeepAlive
from siridb_fast.connection.request import Request, ResponseSink
from siridb_fast.connection.room import RoomQueue
from siridb_fast.connection.server_process import ServerProcess
from siridb_fast.connection.tcp import (
    acknowledge_at_once,
    drop_on_close,
    send_on_close,
    tcp_socket,
)
from siridb_fast.errors import ConnectionLost, PackageTooLargeError, RequestTimeout, SiriDBError
from siridb_fast.protocol import _wire
from siridb_fast.protocol._qpack import packb
from siridb_fast.protocol._session import DEFAULT_MAX_ANSWER, DEFAULT_WINDOW, Reply, Session
from siridb_fast.protocol._wire import pack_header
from siridb_fast.protocol.responses import value_of

if TYPE_CHECKING:
    from siridb_fast.protocol._wire import PayloadBytes

__all__ = ["Connection"]

JOINED_BYTES = 65_536  # a shorter payload is copied behind its header, to go out in one write

logger = logging.getLogger("siridb_fast")


class Connection(Unpicklable, asyncio.BufferedProtocol):
    """A protocol for one server; made by the factory that is given to the event loop.

    ``on_lost`` is called once the connection is lost, or was closed: then with None.
    """

    def __init__(
        self,
        *,
        name: str = "the server",
        window: int = DEFAULT_WINDOW,
        max_answer: int = DEFAULT_MAX_ANSWER,
        keepalive_interval: float | None = None,
        on_lost: Callable[[Exception | None], None] | None = None,
    ) -> None:
        self.name = name
        self.process: ServerProcess | None = None  # the run of the server, if it is known
        self._session = Session(window, max_answer)
        self._keepalive_interval = keepalive_interval
        self._on_lost = on_lost
        self.on_room: Callable[[], None] | None = None  # called once there is room after an answer
        self._loop = asyncio.get_running_loop()
        self.last_heard = self._loop.time()
        self._transport: asyncio.Transport | None = None
        self._tcp_socket: socket.socket | None = None
        self._room_queue = RoomQueue(self._loop)
        self._deadline_timer = DeadlineTimer(self._loop, self._give_up)
        self._login: bytes | None = None  # the payload, once it was accepted
        self._keep_alive: KeepAlive | None = None
        self._given_up_for: RequestTimeout | None = None
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self._home = Home("connection")
        self._is_inherited = False
        self._descriptor: tuple[int, int] | None = None  # of the socket, with its inode
        own(self)

    @property
    def is_connected(self) -> bool:
        """Tell whether requests can be sent."""
        return (
            self._transport is not None
            and not self._is_inherited
            and not self._session.is_closed
            and not self._transport.is_closing()
        )

    @property
    def was_given_up(self) -> bool:
        """Tell whether it was closed here because an insert was not answered in time."""
        return self._given_up_for is not None

    @property
    def has_room(self) -> bool:
        """Tell whether a request would go out at once."""
        return self._session.has_room

    @property
    def room(self) -> int:
        """How many more requests would go out at once."""
        return self._session.room

    def request(
        self,
        type_: int,
        payload: PayloadBytes = b"",
        timeout: float | None = None,
        *,
        is_raw: bool = False,
        is_urgent: bool = False,
    ) -> Awaitable[Any]:
        """Send a package, once there is room in the window; the awaitable gives what it brings.

        Cancelling gives up on the answer, not on what the server does. An insert that is not
        answered within ``timeout``, cancelled or not, ends the connection: it is with the server
        by then, or never will be.

        Raises:
            ConnectionLost: Before the answer came; ``in_doubt`` tells whether it had been sent.
            RequestTimeout: No answer within ``timeout`` seconds.
            SiriDBError: What the server answered.
        """
        deadline = float("inf") if timeout is None else self._loop.time() + timeout
        if self._session.has_room or is_urgent:
            return self.send(type_, payload, deadline, is_raw=is_raw, is_urgent=is_urgent)
        return self._send_later(type_, payload, deadline, is_raw)

    def send(
        self,
        type_: int,
        payload: PayloadBytes = b"",
        deadline: float = float("inf"),
        *,
        is_raw: bool = False,
        is_urgent: bool = False,
        may_come_late: bool = False,
    ) -> asyncio.Future[Any]:
        """Send a package now; return the future of its answer.

        The payload must not change until the answer is there. ``deadline`` is on the loop's clock.
        ``may_come_late`` says of an insert that it does no harm after that.
        """
        future = self._loop.create_future()
        request = Request(type_, future, deadline, is_raw, may_come_late)
        self._send_request(request, payload, is_urgent=is_urgent)
        return future

    def send_for(
        self,
        sink: ResponseSink,
        type_: int,
        payload: PayloadBytes,
        deadline: float,
        *,
        is_raw: bool = False,
        is_urgent: bool = False,
    ) -> None:
        """Send a package now; its outcome is put into ``sink`` as soon as it is known."""
        request = Request(type_, sink, deadline, is_raw)
        self._send_request(request, payload, is_urgent=is_urgent)

    def _send_request(self, request: Request, payload: PayloadBytes, *, is_urgent: bool) -> None:
        deadline = request.deadline
        if self._is_inherited:
            self._home.require()
        transport = self._transport
        if transport is None or self._session.is_closed or transport.is_closing():
            raise ConnectionLost(f"there is no connection to {self.name}")
        if deadline <= self._loop.time():
            raise RequestTimeout(f"no time was left to ask {self.name}")
        if len(payload) > _wire.MAX_PAYLOAD:
            raise PackageTooLargeError(
                f"the package has {len(payload):,} bytes, the server takes {_wire.MAX_PAYLOAD:,}"
            )
        request.pid = self._session.open(request, is_urgent)
        header = pack_header(len(payload), request.pid, request.type)
        if len(payload) <= JOINED_BYTES:
            transport.write(b"".join((header, payload)))
        else:
            transport.write(header)
            transport.write(memoryview(payload))
        if deadline != float("inf"):
            self._deadline_timer.include(deadline)

    async def authenticate(
        self, username: str, password: str, dbname: str, timeout: float
    ) -> None:
        """Log in to a database.

        Raises:
            AuthenticationError: Wrong user or password, or an unknown database.
        """
        login = packb((username, password, dbname))
        await self.request(_wire.REQ_AUTH, login, timeout)
        self._login = login
        if self._keepalive_interval is not None:
            self.keep_alive(self._keepalive_interval)

    def keep_alive(self, interval: float) -> None:
        """Ask the server every so many seconds whether it, and the database, are still there."""
        self._keep_alive = KeepAlive(self, interval, self._loop, self._login)

    def disown(self) -> None:
        """Cut this process off the connection; called in a child of a fork."""
        self._is_inherited = True
        self._detach()

    def _detach(self) -> None:
        if self._descriptor is not None:
            number, inode = self._descriptor
            with suppress(OSError):  # closed, but the event loop has not said so
                if os.fstat(number).st_ino == inode:  # not some other file by now
                    detach(number)

    def close(self) -> None:
        """Close the connection; requests in flight fail with `ConnectionLost`.

        With an insert among them this is `abort`: whoever is told that it was lost may send it
        again, or look for it.
        """
        if self._loop.is_closed():
            self._let_go()
        elif any(request.is_harmful_late for request in self._session.tags):
            self.abort()
        elif self._transport is not None:
            if not self._is_inherited:
                send_on_close(self._transport)
            self._transport.close()

    def abort(self) -> None:
        """Close the connection without sending what is still to be sent.

        Over TCP not even what the kernel has taken: it would deliver that to a server that wakes
        up later, when it has been sent again.
        """
        if self._loop.is_closed():
            self._let_go()
        elif self._transport is not None and not self._is_inherited:
            drop_on_close(self._transport)
            self._transport.abort()

    def drop(self) -> None:
        """Close the connection soon, from any thread: its owner was forgotten without `close`."""
        if self._loop.is_closed():
            self._let_go()
        else:
            self._loop.call_soon_threadsafe(self.close)

    def _let_go(self) -> None:
        # The event loop was closed first. It closes nothing any more, and resumes nobody.
        self._session.close()
        self._detach()
        self._transport = self._tcp_socket = self._descriptor = None

    async def wait_closed(self) -> None:
        """Wait until the connection is gone."""
        if self._transport is not None:
            await asyncio.shield(self._closed)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; called by the event loop."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self._tcp_socket = tcp_socket(transport)
        drop_on_close(transport)  # until `close`: this process may be killed
        sock = transport.get_extra_info("socket")
        if sock is not None:
            self._descriptor = sock.fileno(), os.fstat(sock.fileno()).st_ino

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes belong; called by the event loop."""
        return self._session.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        """Take the bytes that have come; called by the event loop."""
        replies = self._session.received_bytes(nbytes)
        self.last_heard = self._loop.time()
        for reply in replies:
            self._resolve(reply)
        if self._session.error is not None:
            logger.error("closing the connection to %s: %s", self.name, self._session.error)
            self.abort()
        elif replies:
            self._offer_room()
            if self.on_room is not None:
                self.on_room()
            if self._session.requests and self._tcp_socket is not None:
                # The server sends its next small answer once this one is acknowledged.
                acknowledge_at_once(self._tcp_socket)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what is in flight; called by the event loop."""
        cause = self._session.error or self._given_up_for or exc
        self._deadline_timer.cancel()
        if self._keep_alive is not None:
            self._keep_alive.cancel()
        self._keep_alive = self._descriptor = None
        for request in self._session.close():
            if not request.sink.done():
                is_due = self._given_up_for is not None and self._is_due(request)
                error = request.late(self.name) if is_due else request.lost(self.name, cause)
                request.sink.set_exception(error)
        self._offer_room()
        if not self._closed.done():
            self._closed.set_result(None)
        on_lost, self._on_lost = self._on_lost, None  # so that its owner is freed at once
        if on_lost is not None:
            on_lost(exc)

    def _resolve(self, reply: Reply) -> None:
        request: Request | None = reply.tag
        if request is None:
            logger.debug(
                "%s: an answer to package %d, which nobody waits for", self.name, reply.pid
            )
        elif not request.sink.done():
            try:
                value = value_of(
                    reply.type, reply.body, request=request.type, is_raw=request.is_raw
                )
                request.sink.set_result(value)
            except SiriDBError as exc:
                request.sink.set_exception(exc)

    async def _send_later(
        self, type_: int, payload: PayloadBytes, deadline: float, is_raw: bool
    ) -> Any:
        while not self._session.has_room:
            await self._wait_for_room(deadline)
        try:
            answer = self.send(type_, payload, deadline, is_raw=is_raw)
        except SiriDBError:
            self._offer_room()  # to the next that waits
            raise
        return await answer

    async def _wait_for_room(self, deadline: float) -> None:
        if not self.is_connected:
            raise ConnectionLost(f"there is no connection to {self.name}")
        is_served = False
        try:
            is_served = await self._room_queue.wait(deadline)
        finally:
            if not is_served:
                self._offer_room()  # it may have come all the same, just too late
        if not is_served:
            raise RequestTimeout(f"{self.name} had no room for a request in time")

    def _offer_room(self) -> None:
        # As many as requests have room; all that wait once the connection is lost.
        self._room_queue.offer(None if self._session.is_closed else self._session.room)

    def _give_up(self) -> None:
        due = [request for request in self._session.tags if self._is_due(request)]
        harmful = next((request for request in due if request.is_harmful_late), None)
        if harmful is not None:  # all fail in `connection_lost`: nothing can arrive any more then
            self._given_up_for = harmful.late(self.name)
            logger.warning("%s; closing the connection", self._given_up_for)
            self.abort()
            return
        for request in due:
            self._session.abandon(request.pid)
            if not request.sink.done():
                request.sink.set_exception(request.late(self.name))
        for request in self._session.tags:
            if request.deadline != float("inf"):
                self._deadline_timer.include(request.deadline)
        self._offer_room()

    def _is_due(self, request: Request) -> bool:
        return request.deadline <= self._loop.time() + 0.001  # the clock's resolution
