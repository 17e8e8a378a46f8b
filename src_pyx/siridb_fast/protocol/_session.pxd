# Session: the client's side of one connection, without the connection.

from siridb_fast.protocol._wire cimport Header


cdef class Reply:
    cdef:
        readonly int pid
        readonly int type     # of the package; may be one that nobody knows
        readonly bytes body
        readonly object tag   # what was given to open(); None for an answer nobody waits for


cdef class Session:
    cdef:
        readonly int window            # requests in flight at most
        readonly size_t max_answer     # bytes of one answer's payload at most
        readonly object error          # the ProtocolError that ended the session, or None
        readonly bint is_closed
        dict in_flight                 # pid: tag
        set abandoned                  # pids whose answer may still come, though nobody waits
        int last_pid
        bytearray received             # the bytes of small answers, HEADER_SIZE and more
        Py_ssize_t begin               # of what is not yet parsed in `received`
        Py_ssize_t end
        bytes body                     # of a large answer, received in place; else None
        Py_ssize_t body_end            # bytes of it that are there
        Header header                  # of that answer

    cdef list _parse(self)
    cdef bint _parse_one(self, list replies) except -1
    cdef Reply _reply(self, Header header, bytes body)
    cdef int _compact(self) except -1
