"""Points as they are read of a text: one row each, in arrays that grow."""

from libc.stdint cimport int32_t, int64_t, uint8_t


cpdef enum ValueKind:
    FLOAT = 0
    INTEGER = 1
    TEXT = 2


cdef class PointRows:
    cdef:
        object arrays            # that own the memory
        int32_t* series          # numbers that the parser gives
        int64_t* times           # in the unit of the text; NO_TIME: it says none
        int64_t* values          # bits of a double, an integer, or an index of `texts`
        int64_t* lines           # where each stands, from 1
        uint8_t* kinds           # a ValueKind
        list texts               # bytes
        Py_ssize_t count
        Py_ssize_t capacity

    cdef int reserve(self, Py_ssize_t more) except -1
    cdef void add(
        self, int32_t series, ValueKind kind, int64_t value, int64_t line
    ) noexcept nogil
    cdef void end_line(self, Py_ssize_t first, int64_t time) noexcept nogil
    cdef void cut(self, Py_ssize_t count)
    cdef tuple taken(self)
