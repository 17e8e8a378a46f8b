"""InfluxDB's line protocol → points."""

from libc.stdint cimport int32_t, int64_t

from siridb_fast.formats._point_rows cimport PointRows
from siridb_fast.formats._text_numbers cimport TextNumbers


cdef struct Field:
    const char* key         # as it stands in the text, in a key of `fields`
    Py_ssize_t size
    int32_t series


cdef struct Head:           # measurement and tags
    Field* fields
    int32_t count
    int32_t capacity
    int32_t next            # where the first field of the next line is expected


cdef class LineProtocol:
    cdef:
        readonly list series     # a PointKey for each number
        dict numbers             # of each series: by the first head of its names, and its field
        dict same                # names of a head: the number of the first head that has them
        bytearray has_floats     # of each series: so its integers are floats
        public int64_t line      # the next one that is read
        int64_t row              # where the line began that is read: a text may have ends of line
        bint keeps_types         # an integer is one, whatever its field had before
        bint is_questdb          # the dialect of its clients
        TextNumbers known        # heads, as they stand in the text
        list names               # of each head: measurement, tags, and its number in `same`
        Head* heads              # the same
        Py_ssize_t count
        Py_ssize_t capacity
        dict fields              # (number of a head, key): index in its fields
        PointRows rows           # of the block that is read
        const char* at           # what is read next
        const char* stop         # of the block

    cdef Py_ssize_t _head(self) except -1
    cdef const char* _questdb_head_end(self) except NULL
    cdef Py_ssize_t _new_head(self, const char* text, Py_ssize_t size) except -1
    cdef int32_t _field(self, Py_ssize_t number, int32_t expected) except -1
    cdef int32_t _new_field(self, Py_ssize_t number, const char* key, Py_ssize_t size) except -1
    cdef int _read_line(self) except -1
    cdef int _value(self, Field* field) except -1
    cdef int _text(self, Field* field) except -1
    cdef int _number(self, Field* field) except -1
    cdef int _truth(self, Field* field) except -1
    cdef int _time(self, int64_t* time) except -1
    cdef bint _is_at_end(self) noexcept
    cdef void _skip_line(self) noexcept
