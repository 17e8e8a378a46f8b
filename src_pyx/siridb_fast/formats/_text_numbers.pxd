"""Different texts, each with a number."""

from libc.stdint cimport int32_t, uint64_t


cdef struct Text:
    const char* start       # of a bytes object in `texts`
    Py_ssize_t size
    uint64_t hash


cdef class TextNumbers:
    cdef:
        readonly list texts     # bytes, by their number
        Text* entries           # the same
        Py_ssize_t capacity     # of entries
        int32_t* slots          # by hash: a number, from 1; 0: free
        Py_ssize_t mask

    cdef Py_ssize_t find(self, const char* start, Py_ssize_t size) noexcept nogil
    cdef Py_ssize_t add(self, bytes text) except -1
    cdef int _grow(self) except -1
    cdef void _put(self, int32_t* slots, Py_ssize_t mask, int32_t number) noexcept nogil
