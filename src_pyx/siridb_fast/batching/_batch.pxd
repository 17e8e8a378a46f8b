# Batch: the runs that travel in one package, and the bytes they have become.

from libc.stdint cimport uint32_t

from siridb_fast.protocol._buffer cimport PayloadBuffer


cdef struct Entry:
    uint32_t points
    uint32_t stop    # where the series ends in the payload


cdef class Batch:
    cdef:
        readonly PayloadBuffer buffer
        readonly list names         # of the series, one for each entry
        readonly Py_ssize_t points
        readonly double oldest      # clock of the oldest point; infinity if it has none
        readonly list credits        # (delivery, entry, points), of those who wait for a report
        Entry* entries
        Py_ssize_t capacity         # of `entries`

    cdef int add(self, str name, Py_ssize_t points) except -1
    cdef Entry entry(self, Py_ssize_t index)
    cdef Batch _slice(self, Py_ssize_t start, Py_ssize_t stop)
