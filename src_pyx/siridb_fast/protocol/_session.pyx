"""The client's side of one connection, sans-IO: bytes in, replies out.

Knows package ids, the window of requests in flight and the state of the stream; knows no socket,
no clock, no callback. A package id is used again only when its answer has come: the server keeps
no table and answers late, up to 300 seconds. Small answers are cut out of a fixed buffer; large
ones are received in place, in memory of just their size, taken only after the size was checked.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.buffer cimport PyBUF_WRITE
from libc.string cimport memcpy, memmove

from siridb_fast.protocol._wire cimport HEADER_SIZE, Header, get_header

from siridb_fast.errors import ProtocolError

cdef enum:
    RECEIVE_SIZE = 131_072  # one read; answers up to a quarter of it are copied out
    SMALL_BODY = RECEIVE_SIZE // 4
    PIDS = 65_536

DEFAULT_WINDOW = 128
DEFAULT_MAX_ANSWER = 512 * 1024 * 1024


cdef class Reply:
    """One package from the server, and the tag of the request that it answers."""

    def __repr__(self):
        return f"<Reply to {self.pid}: type {self.type}, {len(self.body):,} bytes>"


cdef class Session:
    """Frame parser and table of requests.

    States: open; ERROR once the stream made no sense (``error`` says why, for good); closed.
    """

    def __cinit__(self, int window=DEFAULT_WINDOW, size_t max_answer=DEFAULT_MAX_ANSWER):
        if not 1 <= window < PIDS // 2:
            raise ValueError(f"a window is 1..{PIDS // 2 - 1} requests, got {window}")
        self.window = window
        self.max_answer = max_answer
        self.in_flight = {}
        self.abandoned = set()
        self.last_pid = 0
        self.received = bytearray(RECEIVE_SIZE)

    @property
    def requests(self) -> int:
        """How many requests are in flight, abandoned ones left out."""
        return len(self.in_flight)

    @property
    def room(self) -> int:
        """How many requests the window and the package ids leave room for."""
        if len(self.abandoned) >= PIDS // 2:
            return 0
        return self.window - len(self.in_flight)

    @property
    def has_room(self) -> bool:
        """Tell whether there is room for a request."""
        return self.room > 0

    @property
    def tags(self) -> list:
        """What was given to `open` for the requests in flight, oldest first."""
        return list(self.in_flight.values())

    def open(self, tag, bint is_urgent=False) -> int:
        """Begin a request and return its package id, which no other request in flight has.

        Raises:
            RuntimeError: No room in the window (a request that ``is_urgent`` needs none), or the
                session has ended.
        """
        if self.is_closed or self.error is not None:
            raise RuntimeError("the session has ended")
        if not (self.has_room or (is_urgent and len(self.in_flight) < PIDS // 2)):
            raise RuntimeError(f"{len(self.in_flight)} requests are in flight, the window is full")
        if len(self.in_flight) + len(self.abandoned) >= PIDS:
            raise RuntimeError("every package id waits for a late answer")
        cdef int pid = self.last_pid
        while True:
            pid = (pid + 1) % PIDS
            if pid not in self.in_flight and pid not in self.abandoned:
                break
        self.last_pid = pid
        self.in_flight[pid] = tag
        return pid

    def abandon(self, int pid):
        """Wait no more for an answer, whose id stays taken until it comes; return the tag."""
        if pid not in self.in_flight:
            return None
        self.abandoned.add(pid)
        return self.in_flight.pop(pid)

    def close(self) -> list:
        """End the session; return the tags of the requests that were not answered."""
        cdef list tags = self.tags
        self.is_closed = True
        self.in_flight.clear()
        self.abandoned.clear()
        return tags

    def get_buffer(self):
        """Return the writable memory that the next bytes belong in, never empty.

        Valid until the next call of `received_bytes` or `feed`.
        """
        if self.body is not None:
            return PyMemoryView_FromMemory(
                PyBytes_AS_STRING(self.body) + self.body_end,
                PyBytes_GET_SIZE(self.body) - self.body_end, PyBUF_WRITE,
            )
        return PyMemoryView_FromMemory(
            <char*>self.received + self.end, RECEIVE_SIZE - self.end, PyBUF_WRITE
        )

    def received_bytes(self, Py_ssize_t count) -> list:
        """Take ``count`` bytes that were written into the buffer; return what they complete.

        Check ``error`` afterwards: what came before the bytes that made no sense is returned.

        Raises:
            ProtocolError: The session had ended with it before.
        """
        if self.error is not None:
            raise self.error
        if self.body is None:
            if not 0 <= count <= RECEIVE_SIZE - self.end:
                raise ValueError(f"{count} bytes do not fit the buffer")
            self.end += count
        else:
            if not 0 <= count <= PyBytes_GET_SIZE(self.body) - self.body_end:
                raise ValueError(f"{count} bytes do not fit the buffer")
            self.body_end += count
        return self._parse()

    def feed(self, const unsigned char[::1] data not None) -> list:
        """Copy ``data`` in, whatever its length, and return the replies that it completes."""
        cdef list replies = []
        cdef Py_ssize_t taken = 0, count
        while taken < data.shape[0] and self.error is None:
            buffer = self.get_buffer()
            count = min(<Py_ssize_t>len(buffer), data.shape[0] - taken)
            buffer[:count] = data[taken:taken + count]
            replies += self.received_bytes(count)
            taken += count
        return replies

    cdef list _parse(self):
        cdef list replies = []
        if self.body is not None:
            if self.body_end < PyBytes_GET_SIZE(self.body):
                return replies
            replies.append(self._reply(self.header, self.body))
            self.body = None
        while self._parse_one(replies):
            pass
        self._compact()
        return replies

    cdef bint _parse_one(self, list replies) except -1:
        cdef Py_ssize_t there = self.end - self.begin - HEADER_SIZE
        cdef const unsigned char* p = <const unsigned char*><char*>self.received + self.begin
        cdef Header header
        if there < 0:
            return False
        header = get_header(p)
        if (header.check ^ header.type) != 255:
            self.error = ProtocolError(
                f"wrong check byte {header.check} behind package type {header.type}"
            )
            return False
        if header.length > self.max_answer:
            self.error = ProtocolError(
                f"an answer of {header.length:,} bytes is over the limit of {self.max_answer:,}"
            )
            return False
        if header.length <= there:
            body = PyBytes_FromStringAndSize(<char*>p + HEADER_SIZE, header.length)
            replies.append(self._reply(header, body))
            self.begin += HEADER_SIZE + header.length
            return True
        if header.length > SMALL_BODY:
            self.header = header
            self.body = PyBytes_FromStringAndSize(NULL, header.length)
            memcpy(PyBytes_AS_STRING(self.body), p + HEADER_SIZE, there)
            self.body_end = there
            self.begin = self.end
        return False

    cdef Reply _reply(self, Header header, bytes body):
        cdef Reply reply = Reply.__new__(Reply)
        cdef int pid = header.pid
        reply.pid = pid
        reply.type = header.type
        reply.body = body
        reply.tag = self.in_flight.pop(pid, None)
        if reply.tag is None:
            self.abandoned.discard(pid)
        return reply

    cdef int _compact(self) except -1:
        # Leave room for one small answer at least behind what is not yet parsed.
        cdef char* start = <char*>self.received
        if self.begin == self.end:
            self.begin = self.end = 0
        elif RECEIVE_SIZE - self.end < SMALL_BODY + HEADER_SIZE:
            memmove(start, start + self.begin, self.end - self.begin)
            self.end -= self.begin
            self.begin = 0
        return 0
